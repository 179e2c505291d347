//! The hardware that bootloader and updater see, and what they did to it.
//!
//! A boot is run once, to its end. At each operation it notes what the flash was before it: cutting the power
//! there needs no second run, for nothing runs on behind a cut.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::ops::Range;
use std::rc::Rc;

use bistable_bootloader::Board;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::journal::COPIES;
use bistable_core::layout::{Layout, Slot};
use bistable_core::reset::ResetReason;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use bistable_core::state::{SlotState, Snapshot};
use bistable_core::verify::Verified;
use bistable_core::watchdog::Watchdog;
use bistable_updater::Platform;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use foldhash::fast::FixedState;

use super::choices::Choices;
use super::flash::{Content, Error, Flash, Outcome, Shape, Truth};
use super::invariants::{Invariant, Violation};

/// RAM that survives a reset.
pub type Retained = [u8; HANDOVER_LEN];

/// What is on the flashes: that of the slots, and that of the journal if it has its own.
pub type Truths = [Rc<Truth>; 2];

/// A state that is known from outside, with its hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// The state.
    pub snapshot: Snapshot,
    /// Of the state.
    pub hash: u64,
}

impl Known {
    /// That state.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Rc<Self> {
        let hash = FixedState::with_seed(0xb157).hash_one(snapshot);
        Rc::new(Self { snapshot, hash })
    }
}

/// What happens at a point of a boot.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A sector is erased.
    Erase {
        /// Of which flash.
        flash: usize,
        /// Its first byte.
        at: u32,
    },
    /// A program call.
    Program {
        /// To which flash.
        flash: usize,
        /// Its first byte.
        at: u32,
        /// What.
        content: Rc<Content>,
    },
    /// The handover is stored; only a reset can come here, for the power takes it away.
    Store,
}

/// A moment at which the power can be cut.
#[derive(Clone, Debug)]
pub struct Point {
    /// What begins now.
    pub operation: Operation,
    /// What was on the flashes before.
    pub truths: Truths,
    /// What was in RAM before, or is after a [`Operation::Store`].
    pub retained: Rc<Retained>,
    /// Whether this boot has read a slot: it has acted upon what the journal says.
    pub acted: bool,
    /// The state that is durable now, once the application runs.
    pub durable: Option<Rc<Known>>,
    /// What is being written, or was not written to the end.
    pub attempted: Option<Rc<Known>>,
}

/// Whether operations may report failure in this boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failures {
    /// None does.
    None,
    /// So many may; which ones, and how far they get, is chosen.
    Some(u8),
    /// All of one sector do: the flash, its first byte, and whether it loses what it holds.
    Dead(usize, u32, bool),
}

/// Everything but the processor.
#[derive(Clone, Debug)]
pub struct Hardware {
    layout: &'static Layout,
    flashes: [Flash; 2],
    /// Which flash the journal lies on.
    journal: usize,
    /// What is left open in this boot.
    pub choices: Choices,
    retained: Rc<Retained>,
    /// Whether a reset that leaves RAM alone is a fault to look at, too.
    resets: bool,
    /// What happened, in order.
    pub points: Vec<Point>,
    failures: Failures,
    /// Operations that reported failure.
    pub failed: u32,
    acted: bool,
    /// What the whole journal said when this boot first read a slot; `None` if it was not whole.
    pub acted_upon: Option<Snapshot>,
    /// The state that is durable, once the application runs.
    pub durable: Option<Rc<Known>>,
    /// What was written to the journal last.
    pub attempted: Option<Rc<Known>>,
    copies: u8,
    /// What was programmed last, and whether it was to the journal.
    last: Option<(bool, Rc<Content>)>,
    /// Erases of each sector of the slots' flash since the last installation began.
    pub erased: Vec<u8>,
    /// Erases of journal sectors.
    pub journal_erases: u32,
    /// Erases of sectors of the slots.
    pub slot_erases: u32,
    /// The first one.
    pub violation: Option<Violation>,
}

impl Hardware {
    /// Brings the power.
    #[must_use]
    pub fn power_on(
        layout: &'static Layout,
        shapes: &[Rc<Shape>; 2],
        journal: usize,
        state: (&Truths, Rc<Retained>),
        (failures, resets): (Failures, bool),
        choices: Choices,
    ) -> Self {
        let (truths, retained) = state;
        let flashes = [0, 1].map(|flash| Flash::power_on(&shapes[flash], &truths[flash]));
        Self {
            layout,
            erased: vec![0; flashes[0].sectors() as usize],
            flashes,
            journal,
            choices,
            retained,
            resets,
            points: Vec::with_capacity(64),
            failures,
            failed: 0,
            acted: false,
            acted_upon: None,
            durable: None,
            attempted: None,
            copies: 0,
            last: None,
            journal_erases: 0,
            slot_erases: 0,
            violation: None,
        }
    }

    /// What is on the flashes now.
    #[must_use]
    pub fn truths(&self) -> Truths {
        [&self.flashes[0], &self.flashes[1]].map(|flash| flash.truth.clone())
    }

    /// What is in RAM now.
    #[must_use]
    pub const fn retained(&self) -> &Rc<Retained> {
        &self.retained
    }

    /// The first misuse of a flash.
    #[must_use]
    pub fn breach(&self) -> Option<&String> {
        self.flashes.iter().find_map(|flash| flash.breach.as_ref())
    }

    /// What `slot` reads as, from its start.
    ///
    /// # Errors
    /// If some of it cannot be read.
    pub fn read_slot(&mut self, slot: Slot, offset: u32, into: &mut [u8]) -> Result<(), Error> {
        let at = slot.of(&self.layout.slots).offset + offset;
        self.flashes[0].read(at, into, &mut self.choices)
    }

    /// The code says that what it wrote last is durable.
    pub fn reported(&mut self) {
        let Some(after) = self.attempted.take() else {
            return;
        };
        if let Some(before) = self.durable.replace(after.clone())
            && let Some(what) = forgotten(&before.snapshot, &after.snapshot)
        {
            self.violate(Invariant::Monotone, what);
        }
    }

    /// Known-good stays: what the state calls good reads the same at every boot.
    pub fn check_known_good(&mut self) {
        let Some(durable) = self.durable.clone() else {
            return;
        };
        for slot in Slot::BOTH {
            let state = durable.snapshot.slot(slot);
            let (SlotState::Confirmed(_) | SlotState::Trial(..)) = state else {
                continue;
            };
            let flash = &self.flashes[0];
            let start = slot.of(&self.layout.slots).offset;
            let end = flash.truth.cells().iter().map(|cell| cell.at);
            let end = end.filter(|at| (start..start + self.layout.slot_size).contains(at));
            let used = start..end.max().unwrap_or(start) + 1;
            if flash.truth.comes_and_goes(&flash.shape, used) {
                let what = format!("slot {slot:?} is called {state:?}, and comes and goes");
                self.violate(Invariant::KnownGood, what);
            }
        }
    }

    /// Remembers the first violation.
    pub fn violate(&mut self, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    fn journal_range(&self) -> Range<u32> {
        self.flashes[self.journal].shape.journal.clone()
    }

    fn is_journal(&self, flash: usize, at: u32) -> bool {
        flash == self.journal && self.journal_range().contains(&at)
    }

    fn slot_at(&self, flash: usize, at: u32) -> Option<Slot> {
        let inside = |slot: &Slot| {
            let start = slot.of(&self.layout.slots).offset;
            (start..start + self.layout.slot_size).contains(&at)
        };
        Slot::BOTH
            .into_iter()
            .find(|slot| flash == 0 && inside(slot))
    }

    fn note(&mut self, operation: Operation) {
        self.points.push(Point {
            operation,
            truths: self.truths(),
            retained: self.retained.clone(),
            acted: self.acted,
            durable: self.durable.clone(),
            attempted: self.attempted.clone(),
        });
        self.choices.passed = self.points.len() as u32;
    }

    /// How much of an operation at `at` happens, and whether it reports failure.
    fn fate(&mut self, flash: usize, at: u32, outcomes: &[Outcome]) -> (Outcome, bool) {
        match self.failures {
            Failures::Dead(dead, sector, loses)
                if dead == flash && sector == at / self.flashes[flash].shape.erase =>
            {
                let outcome = if loses {
                    Outcome::Garbage
                } else {
                    Outcome::Before
                };
                (outcome, true)
            }
            Failures::Some(left) if left > 0 => {
                match self.choices.choose(outcomes.len() + 1).checked_sub(1) {
                    None => (Outcome::After, false),
                    Some(outcome) => {
                        self.failures = Failures::Some(left - 1);
                        (outcomes[outcome], true)
                    }
                }
            }
            _ => (Outcome::After, false),
        }
    }

    fn erase(&mut self, flash: usize, from: u32, to: u32) -> Result<(), Error> {
        let unit = self.flashes[flash].shape.erase;
        if !self.flashes[flash].fits(from..to, unit) {
            return Err(Error::Misused);
        }
        for at in (from..to).step_by(unit as usize) {
            if self.is_journal(flash, at) {
                self.journal_erases += 1;
                self.copies = 0;
            } else {
                self.touches(flash, at, "erased");
                self.slot_erases += 1;
                let erased = &mut self.erased[(at / unit) as usize];
                *erased = erased.saturating_add(1);
            }
            self.note(Operation::Erase { flash, at });
            let (outcome, fails) = self.fate(flash, at, &FAILED_ERASES);
            self.flashes[flash].erase(at, outcome);
            if fails {
                self.failed += 1;
                return Err(Error::Failed);
            }
        }
        Ok(())
    }

    fn program(&mut self, flash: usize, at: u32, bytes: &[u8]) -> Result<(), Error> {
        let unit = self.flashes[flash].shape.write;
        let range = at..at + bytes.len() as u32;
        if !self.flashes[flash].fits(range, unit) {
            return Err(Error::Misused);
        }
        let in_journal = self.is_journal(flash, at);
        let content = self.content(flash, at, bytes);
        if in_journal {
            let says = says(bytes);
            if says.as_ref() != self.attempted.as_ref().map(|known| &known.snapshot) {
                self.attempted = says.map(Known::new);
                self.copies = 0;
            }
        } else {
            self.touches(flash, at, "programmed");
        }
        self.note(Operation::Program {
            flash,
            at,
            content: content.clone(),
        });
        let (outcome, fails) = self.fate(flash, at, &FAILED_PROGRAMS);
        self.flashes[flash].program(at, &content, outcome);
        if fails {
            self.failed += 1;
            return Err(Error::Failed);
        }
        if in_journal {
            self.copies += 1;
            if self.copies == COPIES && self.durable.is_some() {
                self.reported();
            }
        }
        Ok(())
    }

    /// What is programmed; the copies of a journal share theirs.
    fn content(&mut self, flash: usize, at: u32, bytes: &[u8]) -> Rc<Content> {
        if let Some((copied_to, last)) = &self.last
            && *last.bytes == *bytes
            && self.is_journal(flash, at) == *copied_to
        {
            return last.clone();
        }
        let content = self.flashes[flash].shape.content(at, bytes);
        self.last = Some((self.is_journal(flash, at), content.clone()));
        content
    }

    /// Known-good stays: what lies in a slot is not touched while the state calls it good.
    fn touches(&mut self, flash: usize, at: u32, how: &str) {
        let Some(slot) = self.slot_at(flash, at) else {
            let what = format!("{at:#x}, neither journal nor slot, is {how}");
            return self.violate(Invariant::KnownGood, what);
        };
        match self
            .durable
            .as_ref()
            .map(|durable| durable.snapshot.slot(slot))
        {
            Some(SlotState::Confirmed(_)) => {
                let what = format!("slot {slot:?} is {how} at {at:#x} while it is Confirmed");
                self.violate(Invariant::KnownGood, what);
            }
            Some(SlotState::Trial(..)) => {
                let what = format!("slot {slot:?} is {how} at {at:#x} while it is on Trial");
                self.violate(Invariant::KnownGood, what);
            }
            Some(_) => {}
            None => {
                let what = format!("slot {slot:?} is {how} by the bootloader");
                self.violate(Invariant::KnownGood, what);
            }
        }
    }

    fn read(&mut self, flash: usize, at: u32, into: &mut [u8]) -> Result<(), Error> {
        if !self.acted && self.slot_at(flash, at).is_some() {
            self.acted = true;
            self.acted_upon = self.journal_says();
        }
        self.flashes[flash].read(at, into, &mut self.choices)
    }

    /// The newest snapshot, if all sectors are whole.
    fn journal_says(&mut self) -> Option<Snapshot> {
        let journal = &self.layout.journal;
        let mut newest = (0, None);
        for sector in 0..u32::from(journal.sectors) {
            let start = journal.offset + sector * journal.sector_size;
            let mut first = [0; SNAPSHOT_LEN];
            for copy in 0..u32::from(COPIES) {
                let at = start + copy * SNAPSHOT_LEN as u32;
                let mut bytes = [0; SNAPSHOT_LEN];
                let flash = &mut self.flashes[self.journal];
                flash.read(at, &mut bytes, &mut self.choices).ok()?;
                if copy == 0 {
                    first = bytes;
                }
                if bytes != first {
                    return None;
                }
            }
            let says = snapshot::decode_valid(&first, self.layout.digest)?;
            if snapshot::sequence(&first) > newest.0 {
                newest = (snapshot::sequence(&first), Some(says));
            }
        }
        newest.1
    }
}

/// How far an erase gets that reports failure.
const FAILED_ERASES: [Outcome; 3] = [Outcome::Before, Outcome::Unstable, Outcome::Blank];

/// How far a program call gets that reports failure.
const FAILED_PROGRAMS: [Outcome; 3] = [Outcome::Before, Outcome::Unstable, Outcome::After];

/// What never falls, and did: floor, revocations, rejections.
fn forgotten(before: &Snapshot, after: &Snapshot) -> Option<String> {
    if after.floor < before.floor {
        return Some(format!(
            "the floor falls from {} to {}",
            before.floor, after.floor
        ));
    }
    if before.revoked.union(after.revoked) != after.revoked {
        return Some("a revoked key is trusted again".to_owned());
    }
    let rejected = before.slots.iter().filter_map(|slot| match slot {
        SlotState::Rejected(image, _) => Some((image.digest, image.sequence)),
        _ => None,
    });
    let listed = before.rejected.iter().flatten();
    let mut all = rejected.chain(listed.map(|entry| (entry.digest, entry.sequence)));
    let lost = all.find(|(digest, sequence)| {
        after.rejection(*digest).is_none() && *sequence > after.forgotten
    });
    lost.map(|(digest, _)| format!("the rejection of {digest:?} is forgotten"))
}

/// The state that a copy in the journal speaks of.
#[must_use]
pub fn says(bytes: &[u8]) -> Option<Snapshot> {
    let copy = <&[u8; SNAPSHOT_LEN]>::try_from(bytes);
    copy.ok().and_then(snapshot::decode)
}

/// One flash, as code sees it.
#[derive(Clone)]
pub struct Chip<const WRITE: usize, const ERASE: usize> {
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

/// A watchdog that nobody need fear.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patient;

impl Watchdog for Patient {
    fn feed(&mut self) {}
}

/// The board of the bootloader, and the platform of the updater: two chips with write units of `W` bytes and
/// erase sectors of `J` (journal) and `S` bytes (slots).
#[derive(Clone)]
pub struct Machine<const W: usize, const J: usize, const S: usize> {
    /// What it is made of.
    pub hardware: Rc<RefCell<Hardware>>,
    journal: Chip<W, J>,
    slots: Chip<W, S>,
    watchdog: Patient,
}

/// What a reset of the processor unwinds with.
pub struct Reset;

impl<const W: usize, const J: usize, const S: usize> Machine<W, J, S> {
    /// The machine made of this.
    #[must_use]
    pub fn new(hardware: Hardware) -> Self {
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
            hardware,
            watchdog: Patient,
        }
    }

    fn store(&mut self, block: &Retained) {
        let mut hardware = self.hardware.borrow_mut();
        hardware.retained = Rc::new(*block);
        if hardware.resets {
            hardware.note(Operation::Store);
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
        *self.hardware.borrow().retained
    }

    fn store_handover(&mut self, block: &Retained) {
        self.store(block);
    }

    fn recover(&mut self) {}

    fn jump(self, _: Verified) -> ! {
        std::panic::resume_unwind(Box::new(Reset))
    }
}

impl<const W: usize, const J: usize, const S: usize> Platform for Machine<W, J, S> {
    type JournalFlash = Chip<W, J>;
    type SlotFlash = Chip<W, S>;
    type Watchdog = Patient;

    fn journal_flash(&mut self) -> (&mut Chip<W, J>, &mut Patient) {
        (&mut self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut Chip<W, S>, &mut Patient) {
        (&mut self.slots, &mut self.watchdog)
    }

    fn load_handover(&mut self) -> Retained {
        *self.hardware.borrow().retained
    }

    fn store_handover(&mut self, block: &Retained) {
        self.store(block);
    }

    fn now(&self) -> u64 {
        0
    }

    fn reset(&mut self) -> ! {
        std::panic::resume_unwind(Box::new(Reset))
    }
}
