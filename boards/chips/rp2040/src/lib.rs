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
use embassy_rp::peripherals::FLASH;

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
        // SAFETY: once for each program, which leaves the flash to this.
        let flash = unsafe { FLASH::steal() };
        Self {
            #[cfg(feature = "bootloader")]
            reset_reason: bootloader::wake_up(),
            flash: Flash::new_blocking(flash),
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

/// In half µs, for each counts twice (RP2040-E1): 24 bits.
const PERIOD: u32 = 2 * 8_000_000;

/// MHz of the crystal, which counts the microseconds. Before it runs, the ring oscillator does, at half of that more or less.
const MHZ: u16 = 12;

/// All that the watchdog may reset, but the oscillators (2.13.5).
const RESETS: pac::psm::regs::Wdsel = pac::psm::regs::Wdsel(0x1_FFFC);

/// Says in a scratch register, which only a reset of the whole chip clears, that the watchdog's last reason is one of ours. The
/// ROM uses those with the numbers 0, 1, and from 4 on.
const MARK: u32 = 0xB157_AB1E;

/// Feeds the watchdog; arms it if it does not run (4.7).
pub fn feed() {
    let watchdog = pac::WATCHDOG;
    watchdog.load().write(|load| load.set_load(PERIOD));
    pac::PSM.wdsel().write_value(RESETS);
    watchdog.scratch2().write_value(MARK);
    if !watchdog.ctrl().read().enable() {
        watchdog.tick().write(|tick| {
            tick.set_cycles(MHZ);
            tick.set_enable(true);
        });
        watchdog.ctrl().modify(|control| control.set_enable(true));
    }
}

/// Has the watchdog reset the chip: the processor's own request would leave the peripherals as they are (2.14.1).
pub fn reset() -> ! {
    feed();
    let control = pac::WATCHDOG.ctrl();
    control.modify(|control| control.set_trigger(true));
    loop {
        cortex_m::asm::nop();
    }
}
