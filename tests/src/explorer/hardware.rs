//! The hardware that bootloader and updater see, and what they did to it.
//!
//! A boot is run once, to its end. At each operation it notes what the flash was before it: cutting the power
//! there needs no second run, for nothing runs on behind a cut.

use std::ops::Range;
use std::rc::Rc;

use bistable_core::handover::HANDOVER_LEN;
use bistable_core::journal::COPIES;
use bistable_core::layout::{Layout, Slot};
use bistable_core::state::Snapshot;

use super::choices::Choices;
use super::content::Content;
use super::flash::{Error, Flash};
use super::invariants::{Invariant, Violation};
use super::ledger::Desk;
use super::point::{Operation, Point};
use super::state::{Known, Retained, State, Truths};
use super::truth::Outcome;
use super::world::World;

/// How far an erase gets that reports failure.
const FAILED_ERASES: [Outcome; 3] = [Outcome::Before, Outcome::Unstable, Outcome::Blank];

/// How far a program call gets that reports failure.
const FAILED_PROGRAMS: [Outcome; 3] = [Outcome::Before, Outcome::Unstable, Outcome::After];

/// Whether operations may report failure in this boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failures {
    /// None does.
    None,
    /// So many may; which ones, and how far they get, is chosen.
    Some(u8),
    /// All of one sector do: the flash, its number there, and whether it loses what it holds.
    Dead(usize, u32, bool),
}

/// Everything but the processor.
#[derive(Clone, Debug)]
pub(super) struct Hardware {
    /// Where things lie.
    pub(super) layout: &'static Layout,
    /// That of the slots, and that of the journal if it has its own.
    pub(super) flashes: [Flash; 2],
    /// Which flash the journal lies on.
    pub(super) journal: usize,
    /// What is left open in this boot.
    pub(super) choices: Choices,
    retained: Rc<Retained>,
    /// The floor that the fuses hold; `None`: there are none.
    pub(super) fused: Option<u32>,
    /// Milliseconds since the application was started.
    pub(super) now: u64,
    /// Whether a reset that leaves RAM alone is a fault to look at, too.
    resets: bool,
    /// What happened, in order.
    pub(super) points: Vec<Point>,
    pub(super) failures: Failures,
    /// Operations that reported failure.
    pub(super) failed: u32,
    /// Whether this boot has read a slot.
    acted: bool,
    /// What the whole journal said when this boot first read a slot; `None` if it was not whole.
    pub(super) acted_upon: Option<Snapshot>,
    /// The state that is durable, once the application runs.
    pub(super) durable: Option<Rc<Known>>,
    /// What was written to the journal last.
    pub(super) attempted: Option<Rc<Known>>,
    /// So many copies of it.
    copies: u8,
    /// What was programmed last, and whether it was a copy in journal or ledger.
    last: Option<(bool, Rc<Content>)>,
    /// Erases of each sector of the slots' flash since the last installation began.
    pub(super) erased: Vec<u8>,
    /// Erases of journal sectors.
    pub(super) journal_erases: u32,
    /// Erases of sectors of the slots.
    pub(super) slot_erases: u32,
    /// What this boot does with the ledger.
    pub(super) desk: Desk,
    /// The first one.
    pub(super) violation: Option<Violation>,
}

impl Hardware {
    /// Brings the power; what was in RAM is lost unless the state has it.
    pub(super) fn power_on(world: &World, state: &State, choices: Choices) -> Self {
        let flash = |number: usize| Flash::power_on(&world.shapes[number], &state.truths[number]);
        let lost = || Rc::new([0xa5; HANDOVER_LEN]);
        Self {
            layout: world.layout,
            flashes: [0, 1].map(flash),
            journal: world.journal_flash,
            choices,
            retained: state.retained.clone().unwrap_or_else(lost),
            fused: world.job.scenario.fuses.then_some(state.fused),
            now: 0,
            resets: world.job.scenario.resets,
            points: Vec::with_capacity(64),
            // What reports failure is looked at from states in which nothing else is wrong.
            failures: match world.failures {
                Failures::Some(_) if state.flipped => Failures::None,
                failures => failures,
            },
            failed: 0,
            acted: false,
            acted_upon: None,
            durable: None,
            attempted: None,
            copies: 0,
            last: None,
            erased: vec![0; world.shapes[0].sectors() as usize],
            journal_erases: 0,
            slot_erases: 0,
            desk: Desk::new(world, state),
            violation: None,
        }
    }

    /// What is on the flashes now.
    pub(super) fn truths(&self) -> Truths {
        [&self.flashes[0], &self.flashes[1]].map(|flash| flash.truth.clone())
    }

    /// What is in RAM now.
    pub(super) const fn retained(&self) -> &Rc<Retained> {
        &self.retained
    }

    /// The first misuse of a flash.
    pub(super) fn breach(&self) -> Option<&String> {
        self.flashes.iter().find_map(|flash| flash.breach.as_ref())
    }

    /// Where `slot` lies on its flash.
    pub(super) const fn slot_range(&self, slot: Slot) -> Range<u32> {
        let start = slot.of(&self.layout.slots).offset;
        start..start + self.layout.slot_size
    }

    /// Which slot lies there, if one does.
    pub(super) fn slot_at(&self, flash: usize, at: u32) -> Option<Slot> {
        let mut slots = Slot::BOTH.into_iter();
        slots.find(|slot| flash == 0 && self.slot_range(*slot).contains(&at))
    }

    fn is_journal(&self, flash: usize, at: u32) -> bool {
        flash == self.journal && self.flashes[flash].shape.journal.contains(&at)
    }

    /// What `slot` reads as, from its start.
    pub(super) fn read_slot(
        &mut self,
        slot: Slot,
        offset: u32,
        into: &mut [u8],
    ) -> Result<(), Error> {
        let at = self.slot_range(slot).start + offset;
        self.flashes[0].read(at, into, &mut self.choices)
    }

    /// Reads; who reads a slot acts upon what the journal says.
    pub(super) fn read(&mut self, flash: usize, at: u32, into: &mut [u8]) -> Result<(), Error> {
        if !self.acted && self.slot_at(flash, at).is_some() {
            self.acted = true;
            self.acted_upon = self.journal_says();
        }
        self.flashes[flash].read(at, into, &mut self.choices)
    }

    /// Erases the sectors from `from` to `to`.
    pub(super) fn erase(&mut self, flash: usize, from: u32, to: u32) -> Result<(), Error> {
        let unit = self.flashes[flash].shape.erase;
        if !self.flashes[flash].fits(from..to, unit) {
            return Err(Error::Misused);
        }
        for at in (from..to).step_by(unit as usize) {
            if self.is_in_ledger(flash, at) {
                self.erases_in_ledger();
            } else if self.is_journal(flash, at) {
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
                self.failed_in_ledger();
                return Err(Error::Failed);
            }
        }
        Ok(())
    }

    /// Programs whole units.
    pub(super) fn program(&mut self, flash: usize, at: u32, bytes: &[u8]) -> Result<(), Error> {
        let unit = self.flashes[flash].shape.write;
        let range = at..at + bytes.len() as u32;
        if !self.flashes[flash].fits(range, unit) {
            return Err(Error::Misused);
        }
        let in_journal = self.is_journal(flash, at);
        let content = self.content(flash, at, bytes);
        if self.is_in_ledger(flash, at) {
            // Whether a receipt is kept is for the witness to say.
        } else if in_journal {
            let says = content.says();
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
            self.failed_in_ledger();
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

    /// Stores the handover.
    pub(super) fn store(&mut self, block: &Retained) {
        self.retained = Rc::new(*block);
        if self.resets {
            self.note(Operation::Store);
        }
    }

    /// Raises the floor that the fuses hold: never above the one that is durable.
    pub(super) fn raise(&mut self, floor: u32) {
        let durable = self.durable.as_ref().map(|known| known.snapshot.floor);
        if durable.is_none_or(|durable| floor > durable) {
            let what = format!("the fuses are raised to {floor}, the floor is {durable:?}");
            self.violate(Invariant::Monotone, what);
        }
        if let Some(fused) = self.fused {
            if fused >= floor {
                let what = format!("the fuses are raised to {floor} from {fused}");
                self.violate(Invariant::Wear, what);
            }
            self.note(Operation::Fuse { floor });
            self.fused = Some(fused.max(floor));
        }
    }

    /// What is programmed; the copies of a journal share theirs.
    fn content(&mut self, flash: usize, at: u32, bytes: &[u8]) -> Rc<Content> {
        let is_copy = self.flashes[flash].shape.sector_at(at).is_some();
        if let Some((was_copy, last)) = &self.last
            && *last.bytes == *bytes
            && *was_copy == is_copy
        {
            return last.clone();
        }
        let content = self.flashes[flash].shape.content(at, bytes);
        self.last = Some((is_copy, content.clone()));
        content
    }

    /// Notes what was there before an operation: here the power can be cut.
    fn note(&mut self, operation: Operation) {
        self.points.push(Point {
            operation,
            truths: self.truths(),
            retained: self.retained.clone(),
            fused: self.fused.unwrap_or(0),
            acted: self.acted,
            durable: self.durable.clone(),
            attempted: self.attempted.clone(),
            given: self.desk.given,
            ledger_row: self.desk.row,
        });
        self.choices.passed = self.points.len() as u32;
    }

    /// How much of an operation at `at` happens, and whether it reports failure.
    fn fate(&mut self, flash: usize, at: u32, outcomes: &[Outcome]) -> (Outcome, bool) {
        match self.failures {
            Failures::Dead(dead, sector, loses)
                if dead == flash && sector == at / self.flashes[flash].shape.erase =>
            {
                let outcome = match loses {
                    true => Outcome::Garbage,
                    false => Outcome::Before,
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
}
