//! Raspberry Pi's RP2350 with its RISC-V processors (Hazard3), as bootloader and updater see it. References are to its data
//! sheet.
#![no_std]

#[cfg(feature = "application")]
mod application;
#[cfg(feature = "bootloader")]
mod bootloader;
mod flash;

use bistable_port::survivor::Survivor;
use riscv as _; // for its critical section
use rp235x_hal::clocks::{ClocksManager, init_clocks_and_plls};
use rp235x_hal::pac;

#[cfg(feature = "application")]
pub use application::{Line, now, start};
#[cfg(feature = "bootloader")]
pub use bootloader::VERSION;
pub use flash::Flash;
pub use riscv_rt::entry;

/// What the product's `layout.toml` says.
#[allow(dead_code, reason = "generated, for every firmware of the product")]
pub mod layout {
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

// SAFETY: RAM begins there, and the linker scripts leave the block out, as the layout says.
const HANDOVER: Survivor = unsafe { Survivor::new(layout::HANDOVER_ADDRESS) };

/// The chip.
pub struct Hardware {
    flash: Flash,
    watchdog: Watchdog,
    #[cfg(feature = "bootloader")]
    reset_reason: bistable_core::reset::ResetReason,
    #[cfg(feature = "application")]
    fuses: bistable_core::fuses::NoFuses,
}

impl Hardware {
    /// Takes the flash and the watchdog.
    #[must_use]
    pub fn take() -> Self {
        bistable_port::once!();
        Self {
            #[cfg(feature = "bootloader")]
            reset_reason: bootloader::wake_up(),
            flash: flash::open(),
            watchdog: Watchdog,
            #[cfg(feature = "application")]
            fuses: bistable_core::fuses::NoFuses,
        }
    }
}

/// The watchdog: 8 s, longer than any erase (400 ms), from the crystal as soon as that runs. A debugger that halts the
/// processor halts it, too.
pub struct Watchdog;

impl bistable_core::watchdog::Watchdog for Watchdog {
    fn feed(&mut self) {
        feed();
    }
}

/// In µs: 24 bits.
const PERIOD: u32 = 8_000_000;

/// MHz of the crystal, and more or less of the ring oscillator, which runs before it.
const MHZ: u16 = 12;

/// All that the watchdog may reset (7.4), but the oscillators and the first stage, which is a debugger's; the ROM leaves that
/// alone, too.
const RESETS: u32 = 0x1FF_FFF2;

/// Says in a scratch register, which only a reset of the whole chip clears, that the watchdog's last reason is one of ours. The
/// ROM uses those from number 2 on.
const MARK: u32 = 0xB157_AB1E;

/// Feeds the watchdog; arms it if it does not run (12.9).
pub fn feed() {
    let chip = peripherals();
    // SAFETY: 24 bits.
    chip.WATCHDOG.load().write(|to| unsafe { to.bits(PERIOD) });
    // SAFETY: 25 bits.
    chip.PSM.wdsel().write(|to| unsafe { to.bits(RESETS) });
    let scratch = chip.WATCHDOG.scratch0();
    // SAFETY: any 32 bits.
    scratch.write(|to| unsafe { to.bits(MARK) });
    let control = chip.WATCHDOG.ctrl();
    if !control.read().enable().bit() {
        rp235x_hal::Watchdog::new(peripherals().WATCHDOG).enable_tick_generation(MHZ);
        control.modify(|_, control| control.enable().set_bit());
    }
}

/// Has the watchdog reset the chip.
pub fn reset() -> ! {
    feed();
    let watchdog = peripherals().WATCHDOG;
    watchdog.ctrl().modify(|_, to| to.trigger().set_bit());
    loop {
        riscv::asm::nop();
    }
}

/// Starts the crystal and the PLLs: 150 MHz. The HAL leaves them first where they run already.
fn start_clocks(chip: &mut pac::Peripherals) -> ClocksManager {
    let taken = peripherals();
    let clocks = init_clocks_and_plls(
        u32::from(MHZ) * 1_000_000,
        taken.XOSC,
        taken.CLOCKS,
        taken.PLL_SYS,
        taken.PLL_USB,
        &mut chip.RESETS,
        &mut rp235x_hal::Watchdog::new(taken.WATCHDOG),
    );
    clocks.unwrap_or_else(|_| reset())
}

fn peripherals() -> pac::Peripherals {
    // SAFETY: one processor runs, and no interrupt handler uses them. What the HAL was given is not used beside it.
    unsafe { pac::Peripherals::steal() }
}
