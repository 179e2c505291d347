//! Nordic's nRF51822, as bootloader and updater see it. References are to the nRF51 series reference manual (3.0).
//!
//! Its Cortex-M0 has no VTOR: the bootloader forwards interrupts ([`bistable_port::forward`]).
#![no_std]

#[cfg(feature = "application")]
mod application;
#[cfg(feature = "bootloader")]
mod bootloader;
mod flash;
mod protection;

#[cfg(feature = "bootloader")]
use bistable_core::reset::ResetReason;
use bistable_port::survivor::Survivor;
use embassy_nrf::pac;

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
        Self {
            flash: Flash,
            watchdog: Watchdog,
            #[cfg(feature = "application")]
            fuses: bistable_core::fuses::NoFuses,
        }
    }
}

/// The watchdog: 8 s from the 32.768 kHz clock, longer than any erase (22 ms), and it runs in sleep, too. Nothing but a
/// reset stops it (chapter 19).
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

/// Why the processor started (11.1.10): several may be set, for they stay until they are cleared, which this does.
#[cfg(feature = "bootloader")]
fn reset_reason() -> ResetReason {
    let reasons = pac::POWER.resetreas();
    let found = reasons.read();
    reasons.write_value(found);
    match found {
        _ if found.dog() => ResetReason::Watchdog,
        _ if found.lockup() => ResetReason::LockUp,
        _ if found.sreq() => ResetReason::Software,
        _ if found.resetpin() => ResetReason::Pin,
        // Neither power-on nor brown-out sets a bit.
        _ if found.0 == 0 => ResetReason::PowerOn,
        _ => ResetReason::Unknown,
    }
}
