//! What the device brings.

use bistable_core::fuses::Fuses;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::NorFlash;

use crate::locks::Locks;

/// The hardware, as the updater sees it.
pub trait Platform {
    /// The flash that the journal lies on.
    type JournalFlash: NorFlash;
    /// The flash that the slots lie on.
    type SlotFlash: NorFlash;
    /// The watchdog that the bootloader armed.
    type Watchdog: Watchdog;
    /// One-way memory that mirrors the floor; [`bistable_core::fuses::NoFuses`] on a chip without.
    type Fuses: Fuses;

    /// The journal's flash, and the watchdog that is fed while it is written.
    fn journal_flash(&mut self) -> (&mut Self::JournalFlash, &mut Self::Watchdog);

    /// The flash of `slot`, and the watchdog that is fed while it is written or hashed.
    fn slot_flash(&mut self, slot: Slot) -> (&mut Self::SlotFlash, &mut Self::Watchdog);

    /// The block of RAM that survives a reset.
    fn load_handover(&mut self) -> [u8; HANDOVER_LEN];

    /// Replaces that block.
    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]);

    /// The fuses.
    fn fuses(&mut self) -> &mut Self::Fuses;

    /// The supply voltage in millivolts, where it can be measured.
    fn supply_millivolts(&mut self) -> Option<u16> {
        None
    }

    /// How many bytes of the stack were never used, where it is known.
    fn free_stack(&mut self) -> Option<u32> {
        None
    }

    /// What is locked, as far as the chip can say.
    fn locks(&self) -> Locks {
        Locks::default()
    }

    /// Milliseconds since this boot. Never goes back.
    fn now(&self) -> u64;

    /// Resets the processor.
    fn reset(&mut self) -> !;
}
