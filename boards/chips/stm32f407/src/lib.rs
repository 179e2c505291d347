//! ST's STM32F407VG, as bootloader and updater see it. References are to its reference manual (RM0090, revision 19).
//!
//! Flash is embassy's, region by region: each is a run of equal sectors, with offsets from its own start, as in the layout.
//! An erase that goes beyond a region's end would go on in the next one, so each is a `Part`.
#![no_std]

#[cfg(feature = "application")]
mod application;
#[cfg(feature = "bootloader")]
mod bootloader;

#[cfg(feature = "bootloader")]
use bistable_core::reset::ResetReason;
use bistable_port::flash::Part;
use bistable_port::survivor::Survivor;
use embassy_stm32::flash::{Bank1Region1, Bank1Region3, Blocking, Flash};
use embassy_stm32::pac;

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

/// The flash that the journal lies on: sectors of 16 KiB.
type Small = Part<Bank1Region1<'static, Blocking>>;
/// The flash that the slots lie on: sectors of 128 KiB.
type Large = Part<Bank1Region3<'static, Blocking>>;

/// The chip.
pub struct Hardware {
    small: Small,
    large: Large,
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
        let flash = unsafe { embassy_stm32::peripherals::FLASH::steal() };
        let regions = Flash::new_blocking(flash).into_blocking_regions();
        Self {
            small: Part::whole(regions.bank1_region1),
            large: Part::whole(regions.bank1_region3),
            watchdog: Watchdog,
            #[cfg(feature = "application")]
            fuses: bistable_core::fuses::NoFuses,
        }
    }
}

/// The watchdog: 8 s from the LSI's nominal 32 kHz; 5.4 s at its fastest (47 kHz), which is longer than the longest
/// erase (4 s), and 15 s at its slowest. Nothing but a reset stops it (chapter 21).
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

    let watchdog = pac::IWDG;
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

/// Why the processor started (RCC_CSR): several flags may be set, for they stay until they are cleared, which this does.
/// Power-on sets its own, the brown-out's and the pin's and clears the others; every reset sets the pin's.
#[cfg(feature = "bootloader")]
fn reset_reason() -> ResetReason {
    let reasons = pac::RCC.csr();
    let found = reasons.read();
    reasons.modify(|flags| flags.set_rmvf(true));
    match found {
        _ if found.wdgrstf() || found.wwdgrstf() => ResetReason::Watchdog,
        _ if found.sftrstf() => ResetReason::Software,
        _ if found.porrstf() => ResetReason::PowerOn,
        _ if found.borrstf() => ResetReason::BrownOut,
        // It went to sleep where its option bytes forbid that.
        _ if found.lpwrrstf() => ResetReason::Unknown,
        _ if found.padrstf() => ResetReason::Pin,
        _ => ResetReason::Unknown,
    }
}
