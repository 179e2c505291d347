//! Nordic's nRF52840, as bootloader and updater see it. References are to chapters of its product specification (1.7).
//!
//! Flash is embassy's `Nvmc`, whose offsets count from address 0, in the bounds that it does not check near the end of 32 bits.
#![no_std]

#[cfg(feature = "application")]
mod application;
#[cfg(feature = "bootloader")]
mod bootloader;

use bistable_port::flash::Part;
use bistable_port::survivor::Survivor;
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::pac;

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

/// All of the chip's flash.
type Flash = Part<Nvmc<'static>>;

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
        // SAFETY: once for each program, which leaves the flash controller to this.
        let nvmc = unsafe { embassy_nrf::peripherals::NVMC::steal() };
        Self {
            flash: Part::whole(Nvmc::new(nvmc)),
            watchdog: Watchdog,
            #[cfg(feature = "application")]
            fuses: bistable_core::fuses::NoFuses,
        }
    }
}

/// The watchdog: 8 s from the 32.768 kHz clock, longer than any erase (85 ms), and it runs in sleep, too. Nothing but a
/// reset stops it (WDT).
pub struct Watchdog;

impl bistable_core::watchdog::Watchdog for Watchdog {
    fn feed(&mut self) {
        feed();
    }
}

/// Feeds the watchdog; arms it if it does not run.
pub fn feed() {
    let watchdog = pac::WDT;
    if !watchdog.runstatus().read().runstatus() {
        watchdog
            .config()
            .write(|config| config.set_sleep(pac::wdt::vals::Sleep::Run));
        watchdog.crv().write_value(8 * 32_768 - 1);
        watchdog.rren().write(|enable| enable.set_rr(0, true));
        watchdog.tasks_start().write_value(1);
    }
    watchdog
        .rr(0)
        .write(|request| request.set_rr(pac::wdt::vals::Rr::Reload));
}

/// Requests a reset.
pub fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
