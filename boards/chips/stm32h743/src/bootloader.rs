//! The chip, as the bootloader sees it.

use bistable_bootloader::Board;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::version::Version;
use bistable_port::cortex_m;

use crate::flash::Flash;
use crate::{HANDOVER, Hardware, Watchdog, layout};

/// The bootloader's own version.
pub const VERSION: Version = Version::new(0, 1, 0);

/// The chip's interrupts (the vector table of its NVIC).
const INTERRUPTS: u32 = 150;

/// How long to wait when nothing verifies before everything is tried again, in cycles of the 64 MHz that a reset leaves:
/// a second.
const RETRY: u32 = 64_000_000;

/// Switches the instruction cache on, until [`cortex_m::clean_up`]. The data cache stays off.
pub(crate) fn hurry() {
    // SAFETY: the bootloader is the only program, and this is the only place that uses the processor's peripherals.
    let mut processor = unsafe { ::cortex_m::Peripherals::steal() };
    processor.SCB.enable_icache();
}

/// Only option bytes lock a sector, and for good: that is the factory's, and [`Board::protect`] does nothing.
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
        Some(crate::reset_reason())
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
