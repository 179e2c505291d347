//! The chip, as the bootloader sees it.

use bistable_bootloader::Board;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::version::Version;
use bistable_port::cortex_m;
use embassy_rp::pac;

use crate::{Flash, HANDOVER, Hardware, MARK, Watchdog, layout};

/// The bootloader's own version.
pub const VERSION: Version = Version::new(0, 1, 0);

/// The chip's interrupts (2.3.2 has their numbers, 0 to 25), and those that it has not.
const INTERRUPTS: u32 = 32;

/// How long to wait when nothing verifies before everything is tried again, in steps of the 125 MHz clock: a second.
const RETRY: u32 = 125_000_000;

/// Finds out why the processor started, arms the watchdog, and starts crystal and PLL: the ring oscillator, which the chip
/// starts with, has 6 MHz more or less, and hashing an image would take 20 times as long.
pub(crate) fn wake_up() -> ResetReason {
    let watchdog = pac::WATCHDOG.reason().read();
    let chip = pac::VREG_AND_CHIP_RESET.chip_reset().read();
    // The ROM has the watchdog reset the chip, too: when it has written what came over USB (2.8.3).
    let is_ours = pac::WATCHDOG.scratch2().read() == MARK;
    // What resets the chip resets the watchdog's reasons, but not the other way round (2.12.8, 4.7.6).
    let reason = match () {
        () if is_ours && watchdog.timer() => ResetReason::Watchdog,
        () if is_ours && watchdog.force() => ResetReason::Software,
        // The pin RUN; or a debugger, through its rescue port.
        () if chip.had_run() || chip.had_psm_restart() => ResetReason::Pin,
        // A brown-out, too.
        () if chip.had_por() => ResetReason::PowerOn,
        () => ResetReason::Unknown,
    };
    // Armed before, for a crystal may not start.
    crate::feed();
    embassy_rp::init(embassy_rp::config::Config::default());
    reason
}

impl Board for Hardware {
    type JournalFlash = Flash;
    type SlotFlash = Flash;
    type Watchdog = Watchdog;

    fn journal_flash(&mut self) -> (&mut Flash, &mut Watchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _slot: Slot) -> (&mut Flash, &mut Watchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    fn reset_reason(&mut self) -> Option<ResetReason> {
        Some(self.reset_reason)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        HANDOVER.load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        HANDOVER.store(block);
    }

    fn recover(&mut self) {
        crate::feed();
        ::cortex_m::asm::delay(RETRY);
    }

    fn jump(self, image: Verified, clears_ram: bool) -> ! {
        cortex_m::clean_up::<INTERRUPTS>();
        let clears = match clears_ram {
            true => layout::APPLICATION_RAM,
            false => 0..0,
        };
        // SAFETY: `Verified` says that a program for this processor lies there, as its `Entry` demands; the layout asserts
        // its alignment. Nothing of the bootloader is used any more, nor what is cleared, and `main` is no handler.
        unsafe { cortex_m::jump(image.address(), clears) }
    }
}
