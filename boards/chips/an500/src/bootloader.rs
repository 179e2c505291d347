//! The machine, as the bootloader sees it.

use bistable_bootloader::Board;
use bistable_core::fuses::Fuses as _;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::version::Version;
use bistable_port::cortex_m;

use crate::{Flash, HANDOVER, Hardware, Watchdog, layout};

/// The bootloader's own version.
pub const VERSION: Version = Version::new(0, 1, 0);

/// The machine's interrupts.
const INTERRUPTS: u32 = 32;

/// How long to wait when nothing verifies before everything is tried again, in steps of the 25 MHz clock: a second.
const RETRY: u32 = 25_000_000;

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

    /// The emulator has no register for it: the handover tells power-on from the rest.
    fn reset_reason(&mut self) -> Option<ResetReason> {
        None
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        HANDOVER.load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        HANDOVER.store(block);
    }

    fn fused_floor(&mut self) -> u32 {
        self.fuses.floor()
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
