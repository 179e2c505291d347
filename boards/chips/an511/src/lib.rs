//! QEMU's `mps2-an511`, as bootloader and updater see it.
//!
//! Places and registers are those of the tables of `docs/porting.md` (a machine of QEMU); Arm's DDI0479 describes the CMSDK
//! peripherals. The flash is PSRAM that is a file of the host; its driver is `board_kit::memory_flash`.
#![no_std]

#[cfg(feature = "application")]
mod application;
#[cfg(feature = "bootloader")]
mod bootloader;

use bistable_port::register::{Block, Register};
use bistable_port::survivor::Survivor;
use board_kit::memory_flash::{self, Geometry, InMemory, Machine};

#[cfg(feature = "application")]
pub use application::{Line, now, start};
#[cfg(feature = "bootloader")]
pub use bootloader::VERSION;
pub use cortex_m_rt::entry;

/// What the product's `layout.toml` says.
#[allow(dead_code, reason = "generated, for every firmware of the product")]
pub mod layout {
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

// SAFETY: RAM begins there, and the linker scripts leave the block out, as the layout says.
const HANDOVER: Survivor = unsafe { Survivor::new(layout::HANDOVER_ADDRESS) };

/// The machine's memory, which is a file.
pub struct Psram;

// SAFETY: `docs/porting.md`, a machine of QEMU: 16 MiB of PSRAM are there. The layout has everything in the first 2 MiB.
unsafe impl Machine for Psram {
    const ADDRESS: u32 = layout::flash_main::ADDRESS;
    const MEMORY: InMemory = InMemory {
        geometry: Geometry {
            size: layout::flash_main::SIZE,
            sector_size: layout::flash_main::ERASE_SIZE,
        },
        memory_size: 16 << 20,
    };

    fn feed() {
        feed();
    }
}

type Flash = memory_flash::Flash<Psram>;

/// The machine.
pub struct Hardware {
    flash: Flash,
    watchdog: Watchdog,
    fuses: memory_flash::FloorFuses<Psram>,
}

impl Hardware {
    /// Takes the flash and the watchdog. Resets if the file of the flash was not made by the tools.
    #[must_use]
    pub fn take() -> Self {
        bistable_port::once!();
        // SAFETY: no program erases or programs what it runs from: the bootloader lies elsewhere, and the updater writes the
        // journal and the other slot. No exception handler uses the flash.
        let Ok(flash) = (unsafe { memory_flash::open() }) else {
            reset()
        };
        Self {
            flash,
            watchdog: Watchdog,
            fuses: memory_flash::FloorFuses::new(),
        }
    }
}

// SAFETY: `docs/porting.md`, a machine of QEMU: the watchdog has 4 KiB here. It only counts; it masters no bus.
const WATCHDOG: Block = unsafe { Block::new(0x4000_8000, 0x1000) };
const LOAD: Register = WATCHDOG.register(0x000);
const CONTROL: Register = WATCHDOG.register(0x008);
const INTERRUPT_CLEAR: Register = WATCHDOG.register(0x00C);
const LOCK: Register = WATCHDOG.register(0xC00);

const INTERRUPT_AND_RESET_ENABLED: u32 = 0b11;
const UNLOCKED: u32 = 0x1ACC_E551;
const LOCKED: u32 = 0;

/// Two seconds of the 25 MHz clock.
const PERIOD: u32 = 50_000_000;

/// The watchdog (DDI0479 4.6): an NMI after 2 s, which nothing here handles, so the program stands still; a reset after 4 s.
/// No erase may take longer than 2 s. Its registers are locked but for the moment of feeding.
pub struct Watchdog;

impl bistable_core::watchdog::Watchdog for Watchdog {
    fn feed(&mut self) {
        feed();
    }
}

/// Feeds the watchdog; arms it if it does not run.
pub fn feed() {
    LOCK.write(UNLOCKED);
    if CONTROL.read() != INTERRUPT_AND_RESET_ENABLED {
        LOAD.write(PERIOD);
        CONTROL.write(INTERRUPT_AND_RESET_ENABLED);
    }
    // Reloads the counter, too.
    INTERRUPT_CLEAR.write(1);
    LOCK.write(LOCKED);
}

/// Requests a reset.
pub fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
