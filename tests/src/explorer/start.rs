//! What is on the flashes when a story begins.

use std::rc::Rc;

use bistable_core::journal::COPIES;
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use bistable_core::state::{Budget, Origin, POWER_BUDGET, SlotState, Snapshot};

use super::content::Content;
use super::scenario::Start;
use super::state::State;
use super::truth::{CellState, Outcome, Truth};
use super::world::World;
use crate::fixtures::image_of;

/// The floor from the factory, as the journal has it.
const FLOOR: u32 = 3;

impl World {
    /// The state in which the story begins.
    pub(super) fn start(&self) -> State {
        let start = self.job.scenario.start;
        let mut truths = [Truth::default(), Truth::default()];
        self.put_image(&mut truths[0], Slot::A, 0);
        if start.has_both() {
            self.put_image(&mut truths[0], Slot::B, 1);
        }
        let written = self.written(start);
        if let Some(snapshot) = &written {
            self.put_journal(&mut truths[self.journal_flash], snapshot);
        }
        self.damage(&mut truths, start);
        let known = written.filter(|_| start != Start::BothAndGarbage);
        State {
            flipped: start == Start::WordsUnreadable,
            fused: match (self.job.scenario.fuses, start) {
                (true, Start::BothAndGarbage) => 5,
                _ => 0,
            },
            ..State::new(truths.map(Rc::new), known)
        }
    }

    /// What was written to the journal before the story begins, if anything was.
    fn written(&self, start: Start) -> Option<Snapshot> {
        let [factory, update] = [0, 1].map(|number| {
            let number = number.min(self.images.len() - 1);
            image_of(&self.images[number].manifest, Origin::Factory)
        });
        let confirmed = Snapshot {
            revoked: Revoked::default().with(2),
            ..Snapshot::with_confirmed(Slot::A, factory, FLOOR)
        };
        let both = confirmed.with_slot(Slot::B, SlotState::Confirmed(update));
        let trial = |attempts, power, booted| {
            let budget = Budget {
                attempts,
                power,
                booted,
            };
            confirmed.with_slot(Slot::B, SlotState::Trial(update, budget))
        };
        match start {
            Start::Factory | Start::WordsUnreadable => Some(confirmed),
            Start::Updated | Start::ActiveBroken | Start::OtherBroken | Start::BothAndGarbage => {
                Some(both)
            }
            Start::OtherTooOld => Some(Snapshot {
                active: Slot::B,
                floor: 5,
                ..both
            }),
            Start::SignerRevoked => Some(Snapshot {
                revoked: Revoked::default().with(0),
                ..both
            }),
            Start::UsedUp => Some(trial(0, 0, true)),
            Start::Headless | Start::HalfReceived => {
                Some(confirmed.with_slot(Slot::B, SlotState::Receiving(update)))
            }
            Start::Waiting | Start::WaitingBesideBroken | Start::WaitingBroken => {
                Some(trial(1, POWER_BUDGET, false))
            }
            Start::Blank | Start::BothAndBlank | Start::ForgedAndBlank => None,
        }
    }

    /// What has happened to it since.
    fn damage(&self, truths: &mut [Truth; 2], start: Start) {
        match start {
            Start::ActiveBroken | Start::WaitingBesideBroken => {
                self.flip_in_slot(&mut truths[0], Slot::A, self.last_chunk(), 100);
            }
            Start::OtherBroken
            | Start::OtherTooOld
            | Start::WaitingBroken
            | Start::HalfReceived => {
                self.flip_in_slot(&mut truths[0], Slot::B, self.last_chunk(), 100);
            }
            // The first signature's first byte.
            Start::ForgedAndBlank | Start::Headless => {
                self.flip_in_slot(&mut truths[0], Slot::B, 0, 328);
            }
            Start::BothAndGarbage => self.spoil_journal(&mut truths[self.journal_flash]),
            Start::WordsUnreadable => {
                let at = self.layout.journal.offset;
                truths[self.journal_flash].make(at, CellState::Fails);
                let header = Content::new(&self.images[0].header, None);
                let at = self.layout.slots[1].offset;
                truths[0].program(&self.shapes[0], at, &header, Outcome::Fails);
            }
            Start::Factory
            | Start::Updated
            | Start::UsedUp
            | Start::Blank
            | Start::BothAndBlank
            | Start::SignerRevoked
            | Start::Waiting => {}
        }
    }

    fn put_image(&self, truth: &mut Truth, slot: Slot, image: usize) {
        let (shape, image) = (&self.shapes[0], &self.images[image]);
        let start = slot.of(&self.layout.slots).offset;
        let header = Content::new(&image.header, None);
        truth.program(shape, start, &header, Outcome::After);
        let chunk_size = self.layout.chunk_size as usize;
        let places = (start + self.layout.payload_offset..).step_by(chunk_size);
        let payload = slot.of::<Vec<u8>>(&image.payload);
        for (chunk, at) in payload.chunks(chunk_size).zip(places) {
            truth.program(shape, at, &Content::new(chunk, None), Outcome::After);
        }
    }

    fn put_journal(&self, truth: &mut Truth, state: &Snapshot) {
        let shape = &self.shapes[self.journal_flash];
        for number in 0..u32::from(self.layout.journal.sectors) {
            let copy = snapshot::encode(state, number + 1, self.layout.digest);
            let sector = shape.journal_sector(number);
            let copy = shape.content(sector.start, &copy);
            for at in sector.step_by(SNAPSHOT_LEN).take(COPIES.into()) {
                truth.program(shape, at, &copy, Outcome::After);
            }
        }
    }

    fn spoil_journal(&self, truth: &mut Truth) {
        let shape = &self.shapes[self.journal_flash];
        for at in shape.journal.clone().step_by(shape.erase as usize) {
            truth.erase(shape, at, Outcome::Garbage);
        }
    }
}

impl Start {
    const fn has_both(self) -> bool {
        !matches!(self, Self::Factory | Self::Blank | Self::WordsUnreadable)
    }
}
