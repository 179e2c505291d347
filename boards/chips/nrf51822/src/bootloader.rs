//! The chip, as the bootloader sees it.

use bistable_bootloader::Board;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::version::Version;
use bistable_port::{cortex_m, forward};

use crate::{Flash, HANDOVER, Hardware, Watchdog, layout, protection};

/// The bootloader's own version.
pub const VERSION: Version = Version::new(0, 1, 0);

/// The processor's interrupts, of which the chip has 26.
const INTERRUPTS: u32 = 32;

/// How long to wait when nothing verifies before everything is tried again, in steps of the 16 MHz clock: a second.
const RETRY: u32 = 16_000_000;

/// The word of RAM that names the vector table of the program that runs.
const VECTOR_TABLE: u32 = forward::word(layout::HANDOVER_ADDRESS, layout::HANDOVER_SIZE);

bistable_port::forward_interrupts!(VECTOR_TABLE);

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

    /// No program can write these blocks until the next reset (chapter 9).
    fn protect(&mut self, running: Slot) {
        protection::protect(running.of(&layout::LAYOUT.slots).offset);
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
        // SAFETY: `Verified` says that a program for this processor lies there, as its `Entry` demands. Nothing of the
        // bootloader is used any more but its forwarder, whose word lies in the handover block, which is not cleared;
        // `main` is no handler.
        unsafe { forward::jump(image.address(), clears, VECTOR_TABLE) }
    }
}
