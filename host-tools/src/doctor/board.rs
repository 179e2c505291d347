//! A board in memory, for the bootloader's own story: journal and slots on one flash.

use bistable_bootloader::Board;
use bistable_core::handover::{HANDOVER_LEN, Handover};
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;

use crate::memory_flash::{MemoryFlash, NoWatchdog};

/// The board; it remembers for which slots verification was begun.
pub struct MemoryBoard<'m, const WRITE: usize> {
    flash: MemoryFlash<'m, WRITE>,
    watchdog: NoWatchdog,
    reset: ResetReason,
    handover: [u8; HANDOVER_LEN],
    tried: [bool; 2],
}

impl<'m, const WRITE: usize> MemoryBoard<'m, WRITE> {
    /// A board that starts after `reset`, with RAM that did not survive it.
    #[must_use]
    pub fn new(flash: MemoryFlash<'m, WRITE>, reset: ResetReason) -> Self {
        Self {
            flash,
            watchdog: NoWatchdog,
            reset,
            handover: [0; HANDOVER_LEN],
            tried: [false; 2],
        }
    }

    /// Which slots the bootloader began to verify because the journal named them.
    #[must_use]
    pub const fn tried(&self) -> [bool; 2] {
        self.tried
    }
}

impl<'m, const WRITE: usize> Board for MemoryBoard<'m, WRITE> {
    type JournalFlash = MemoryFlash<'m, WRITE>;
    type SlotFlash = MemoryFlash<'m, WRITE>;
    type Watchdog = NoWatchdog;

    fn journal_flash(&mut self) -> (&mut Self::JournalFlash, &mut NoWatchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut Self::SlotFlash, &mut NoWatchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    fn reset_reason(&mut self) -> Option<ResetReason> {
        Some(self.reset)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        self.handover
    }

    /// The bootloader notes here which slot it begins to verify.
    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        if let Some(slot) = Handover::decode(block).and_then(|handover| handover.note) {
            *slot.of_mut(&mut self.tried) = true;
        }
        self.handover = *block;
    }

    fn recover(&mut self) {}

    fn jump(self, _: Verified, _: bool) -> ! {
        unreachable!("only `bistable_bootloader::boot` jumps, which nothing here calls")
    }
}
