//! The hardware as the crates see it: the board of the bootloader, and the platform of the updater.

use std::cell::RefCell;
use std::rc::Rc;

use bistable_bootloader::Board;
use bistable_core::fuses::{Fuses, NotRaised};
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::watchdog::Watchdog;
use bistable_updater::Platform;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use super::flash::Error;
use super::hardware::Hardware;
use super::state::Retained;

/// One flash, as code sees it.
#[derive(Clone)]
pub(super) struct Chip<const WRITE: usize, const ERASE: usize> {
    hardware: Rc<RefCell<Hardware>>,
    flash: usize,
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Chip<WRITE, ERASE> {
    type Error = Error;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Chip<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.hardware.borrow_mut().read(self.flash, offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.hardware.borrow().flashes[self.flash].shape.size as usize
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Chip<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        self.hardware.borrow_mut().erase(self.flash, from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.hardware
            .borrow_mut()
            .program(self.flash, offset, bytes)
    }
}

/// The fuses, if there are any.
#[derive(Clone)]
pub(super) struct Array(Rc<RefCell<Hardware>>);

impl Fuses for Array {
    fn floor(&mut self) -> u32 {
        self.0.borrow().fused.unwrap_or(0)
    }

    fn raise(&mut self, floor: u32) -> Result<(), NotRaised> {
        let mut hardware = self.0.borrow_mut();
        hardware.raise(floor);
        hardware.fused.map(drop).ok_or(NotRaised)
    }
}

/// A watchdog that nobody need fear.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patient;

impl Watchdog for Patient {
    fn feed(&mut self) {}
}

/// The board of the bootloader, and the platform of the updater: two chips with write units of `W` bytes and
/// erase sectors of `J` (journal) and `S` bytes (slots).
#[derive(Clone)]
pub(super) struct Machine<const W: usize, const J: usize, const S: usize> {
    /// What it is made of.
    pub(super) hardware: Rc<RefCell<Hardware>>,
    journal: Chip<W, J>,
    slots: Chip<W, S>,
    fuses: Array,
    watchdog: Patient,
}

/// What a reset of the processor unwinds with.
pub(super) struct Reset;

impl<const W: usize, const J: usize, const S: usize> Machine<W, J, S> {
    /// The machine made of this.
    pub(super) fn new(hardware: Hardware) -> Self {
        let journal = hardware.journal;
        let hardware = Rc::new(RefCell::new(hardware));
        Self {
            journal: Chip {
                hardware: hardware.clone(),
                flash: journal,
            },
            slots: Chip {
                hardware: hardware.clone(),
                flash: 0,
            },
            fuses: Array(hardware.clone()),
            hardware,
            watchdog: Patient,
        }
    }
}

impl<const W: usize, const J: usize, const S: usize> Board for Machine<W, J, S> {
    type JournalFlash = Chip<W, J>;
    type SlotFlash = Chip<W, S>;
    type Watchdog = Patient;

    fn journal_flash(&mut self) -> (&mut Chip<W, J>, &mut Patient) {
        (&mut self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut Chip<W, S>, &mut Patient) {
        (&mut self.slots, &mut self.watchdog)
    }

    fn reset_reason(&mut self) -> Option<ResetReason> {
        None // the handover tells
    }

    fn load_handover(&mut self) -> Retained {
        **self.hardware.borrow().retained()
    }

    fn store_handover(&mut self, block: &Retained) {
        self.hardware.borrow_mut().store(block);
    }

    fn fused_floor(&mut self) -> u32 {
        self.fuses.floor()
    }

    fn recover(&mut self) {}

    fn jump(self, _: Verified, _: bool) -> ! {
        std::panic::resume_unwind(Box::new(Reset))
    }
}

impl<const W: usize, const J: usize, const S: usize> Platform for Machine<W, J, S> {
    type JournalFlash = Chip<W, J>;
    type SlotFlash = Chip<W, S>;
    type Watchdog = Patient;
    type Fuses = Array;

    fn journal_flash(&mut self) -> (&mut Chip<W, J>, &mut Patient) {
        (&mut self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut Chip<W, S>, &mut Patient) {
        (&mut self.slots, &mut self.watchdog)
    }

    fn load_handover(&mut self) -> Retained {
        **self.hardware.borrow().retained()
    }

    fn store_handover(&mut self, block: &Retained) {
        self.hardware.borrow_mut().store(block);
    }

    fn fuses(&mut self) -> &mut Array {
        &mut self.fuses
    }

    fn now(&self) -> u64 {
        self.hardware.borrow().now
    }

    fn reset(&mut self) -> ! {
        std::panic::resume_unwind(Box::new(Reset))
    }
}
