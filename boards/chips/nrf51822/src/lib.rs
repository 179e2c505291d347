//! Nordic's nRF51822, as bootloader and updater see it. References are to chapters of the nRF51 series reference
//! manual (3.0).
//!
//! Its Cortex-M0 has no VTOR: the bootloader forwards interrupts ([`bistable_port::forward`]).
#![no_std]

#[cfg(feature = "application")]
mod application;
#[cfg(feature = "bootloader")]
mod bootloader;
mod flash;

use bistable_port::survivor::Survivor;
use embassy_nrf::pac::WDT;
use embassy_nrf::pac::wdt::vals::{Rr, Sleep};

#[cfg(feature = "application")]
pub use application::{Line, now, start};
#[cfg(feature = "bootloader")]
pub use bootloader::VERSION;
pub use cortex_m_rt::entry;
pub use flash::Flash;

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
    #[cfg(feature = "application")]
    fuses: bistable_core::fuses::NoFuses,
}

impl Hardware {
    /// Takes the flash and the watchdog.
    #[must_use]
    pub fn take() -> Self {
        bistable_port::once!();
        Self {
            flash: Flash(()),
            watchdog: Watchdog,
            #[cfg(feature = "application")]
            fuses: bistable_core::fuses::NoFuses,
        }
    }
}

/// The watchdog: 8 s from the 32.768 kHz clock, longer than any erase (22 ms), and it runs in sleep, too. Nothing but a
/// reset stops it (WDT).
pub struct Watchdog;

impl bistable_core::watchdog::Watchdog for Watchdog {
    fn feed(&mut self) {
        feed();
    }
}

/// Feeds the watchdog; arms it if it does not run.
pub fn feed() {
    if !WDT.runstatus().read().runstatus() {
        WDT.config().write(|it| it.set_sleep(Sleep::Run));
        WDT.crv().write_value(8 * 32_768 - 1);
        WDT.rren().write(|it| it.set_rr(0, true));
        WDT.tasks_start().write_value(1);
    }
    WDT.rr(0).write(|it| it.set_rr(Rr::Reload));
}

/// Length of a block, in bytes: no program can write or erase a block that is protected until the next reset (MPU).
const BLOCK: u32 = 4096;

/// The bootloader's blocks, a bit for each.
const BOOTLOADER: u32 = (1 << (layout::bootloader::SIZE / BLOCK)) - 1;

/// Requests a reset.
pub fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
