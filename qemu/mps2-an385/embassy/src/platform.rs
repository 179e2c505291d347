//! The board, as the updater sees it: its async flash is lent as one that blocks.

use bistable_async::Blocking;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_updater::Platform;
use board::flash::NotFormatted;
use board::fuses::FloorFuses;
use board::watchdog::Watchdog;
use board::{clock, flash, handover, reset, stack};

use crate::flash::Busy;
use crate::supply;

/// While an operation is not ready, the processor sleeps until the next interrupt.
type Flash = Blocking<Busy, fn()>;

/// The board's flash, twice: the driver keeps everything it knows in the flash itself.
pub(crate) struct Hardware {
    journal: Flash,
    slots: Flash,
    watchdog: Watchdog,
    fuses: FloorFuses,
}

impl Hardware {
    /// Opens the flash.
    pub(crate) fn open() -> Result<Self, NotFormatted> {
        let open = || -> Result<Flash, NotFormatted> {
            // SAFETY: the updater writes the journal and the slot that does not run: it refuses to
            // install where handover and the program's own address do not name the same running slot.
            // In neither is there code or a constant of this program. No exception handler uses the flash.
            let flash = unsafe { flash::open() }?;
            Ok(Blocking::new(Busy(flash), cortex_m::asm::wfe))
        };
        Ok(Self {
            journal: open()?,
            slots: open()?,
            watchdog: Watchdog,
            fuses: FloorFuses::new(),
        })
    }
}

impl Platform for Hardware {
    type JournalFlash = Flash;
    type SlotFlash = Flash;
    type Watchdog = Watchdog;
    type Fuses = FloorFuses;

    fn journal_flash(&mut self) -> (&mut Flash, &mut Watchdog) {
        (&mut self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _slot: Slot) -> (&mut Flash, &mut Watchdog) {
        (&mut self.slots, &mut self.watchdog)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        handover::load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        handover::store(block);
    }

    fn fuses(&mut self) -> &mut FloorFuses {
        &mut self.fuses
    }

    fn supply_millivolts(&mut self) -> Option<u16> {
        Some(supply::millivolts())
    }

    fn free_stack(&mut self) -> Option<u32> {
        Some(stack::free())
    }

    fn now(&self) -> u64 {
        clock::now()
    }

    fn reset(&mut self) -> ! {
        reset::reset()
    }
}
