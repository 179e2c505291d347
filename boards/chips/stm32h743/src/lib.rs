//! ST's STM32H743ZI, as bootloader and updater see it. References are to its reference manual (RM0433, revision 8).
//!
//! | file | idea |
//! | --- | --- |
//! | `flash` | a unit of the flash that cannot be read is an error, and no fault |
//! | `bootloader`, `application` | the chip, as each of them sees it |
#![no_std]

#[cfg(feature = "application")]
mod application;
#[cfg(feature = "bootloader")]
mod bootloader;
mod flash;

#[cfg(feature = "bootloader")]
use bistable_core::reset::ResetReason;
use bistable_port::survivor::Survivor;
use embassy_stm32::pac;

use crate::flash::Flash;

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
        #[cfg(feature = "bootloader")]
        bootloader::hurry();
        // SAFETY: once for each program, which leaves the flash controller to this.
        let flash = unsafe { embassy_stm32::peripherals::FLASH::steal() };
        Self {
            flash: flash::checked(flash),
            watchdog: Watchdog,
            #[cfg(feature = "application")]
            fuses: bistable_core::fuses::NoFuses,
        }
    }
}

/// The watchdog: 8 s from the LSI's 32 kHz, longer than the longest erase (4 s). Nothing but a reset stops it.
pub struct Watchdog;

impl bistable_core::watchdog::Watchdog for Watchdog {
    fn feed(&mut self) {
        feed();
    }
}

/// What the watchdog counts down from: steps of 256 cycles.
const RELOAD: u16 = 8 * (32_000 / 256) - 1;

/// Feeds the watchdog; arms it if it does not run.
pub fn feed() {
    use pac::iwdg::vals::{Key, Pr};

    let watchdog = pac::IWDG1;
    // Nothing tells whether it runs, but it starts with another number. One that is on its way arrives within five
    // cycles (IWDG_SR), and until then the watchdog is what it is after a reset: running, for half a second.
    let is_settled = watchdog.sr().read().0 == 0;
    if is_settled && watchdog.rlr().read().rl() != RELOAD {
        watchdog.kr().write(|key| key.set_key(Key::START));
        watchdog.kr().write(|key| key.set_key(Key::ENABLE));
        watchdog.pr().write(|by| by.set_pr(Pr::DIVIDE_BY256));
        watchdog.rlr().write(|count| count.set_rl(RELOAD));
    }
    watchdog.kr().write(|key| key.set_key(Key::RESET));
}

/// Requests a reset.
pub fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

/// Why the processor started (RCC_RSR): several flags may be set, for they stay until they are cleared, which this does.
/// Power-on sets its own, the brown-out's and the pin's and clears the others; every reset sets the pin's.
#[cfg(feature = "bootloader")]
fn reset_reason() -> ResetReason {
    let reasons = pac::RCC.rsr();
    let found = reasons.read();
    reasons.modify(|flags| flags.set_rmvf(true));
    match found {
        _ if found.iwdg1rstf() || found.wwdg1rstf() => ResetReason::Watchdog,
        _ if found.sftrstf() => ResetReason::Software,
        _ if found.porrstf() => ResetReason::PowerOn,
        _ if found.borrstf() => ResetReason::BrownOut,
        // A domain went to sleep where its option bytes forbid that.
        _ if found.lpwrrstf() => ResetReason::Unknown,
        _ if found.pinrstf() => ResetReason::Pin,
        _ => ResetReason::Unknown,
    }
}
