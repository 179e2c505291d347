//! Raspberry Pi's RP2040, as bootloader and updater see it. References are to its data sheet.
//!
//! Flash is embassy's `Flash`: its offsets are from the first byte, and it switches off what cannot go on while it writes.
#![no_std]

#[cfg(feature = "application")]
mod application;
#[cfg(feature = "bootloader")]
mod bootloader;

use bistable_port::survivor::Survivor;
use embassy_rp::flash::Blocking;
use embassy_rp::pac;
use embassy_rp::peripherals::{FLASH, WATCHDOG};

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

/// The flash. Offsets are from its first byte, 0x1000_0000.
pub type Flash =
    embassy_rp::flash::Flash<'static, FLASH, Blocking, { layout::flash_main::SIZE as usize }>;

/// The chip.
pub struct Hardware {
    flash: Flash,
    watchdog: Watchdog,
    #[cfg(feature = "application")]
    fuses: bistable_core::fuses::NoFuses,
}

impl Hardware {
    /// Takes the flash and the watchdog.
    #[must_use]
    pub fn take() -> Self {
        #[cfg(feature = "bootloader")]
        bootloader::start_clocks();
        // SAFETY: once for each program, which leaves the flash to this.
        let flash = unsafe { FLASH::steal() };
        Self {
            flash: Flash::new_blocking(flash),
            watchdog: Watchdog,
            #[cfg(feature = "application")]
            fuses: bistable_core::fuses::NoFuses,
        }
    }
}

/// The watchdog: 8.4 s, longer than any erase (400 ms), from the crystal as soon as that runs. A debugger that halts the
/// processor halts it, too.
pub struct Watchdog;

impl bistable_core::watchdog::Watchdog for Watchdog {
    fn feed(&mut self) {
        feed();
    }
}

/// As long as it can be, in µs; each counts twice (RP2040-E1).
const PERIOD: u32 = 0xFF_FFFF;

/// MHz of the crystal, which counts the microseconds. Before it runs, the slower ring oscillator does.
const CRYSTAL_MHZ: u16 = 12;

/// All that the watchdog may reset, but the oscillators (2.13.5).
const RESETS: pac::psm::regs::Wdsel = pac::psm::regs::Wdsel(0x1_FFFC);

/// Feeds the watchdog; arms it if it does not run (4.7).
pub fn feed() {
    let watchdog = pac::WATCHDOG;
    watchdog.load().write(|load| load.set_load(PERIOD));
    if watchdog.ctrl().read().enable() {
        return;
    }
    pac::PSM.wdsel().write_value(RESETS);
    watchdog.tick().write(|tick| {
        tick.set_cycles(CRYSTAL_MHZ);
        tick.set_enable(true);
    });
    watchdog.ctrl().modify(|control| control.set_enable(true));
}

/// Has the watchdog reset the chip: the processor's own request would leave the peripherals as they are (2.14.1).
pub fn reset() -> ! {
    // SAFETY: nothing else happens any more.
    let watchdog = unsafe { WATCHDOG::steal() };
    embassy_rp::watchdog::Watchdog::new(watchdog).trigger_reset();
    loop {
        cortex_m::asm::nop();
    }
}
