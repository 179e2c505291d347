//! What is explored: sizes of flash, images that are offered, and how they behave.

use std::rc::Rc;

use bistable_bootloader::Product as Boot;
use bistable_core::keys::Revoked;
use bistable_core::layout::{JournalLayout, Layout, Slot, SlotLayout};
use bistable_core::manifest::Fields;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use bistable_core::state::{Budget, Origin, POWER_BUDGET, SlotState, Snapshot};
use bistable_updater::Product as Application;

use super::boot::{self, Run, State};
use super::choices::Choices;
use super::flash::{CellState, Content, Outcome, Shape, Truth};
use super::machine::Failures;
use crate::device::CHECKS;
use crate::fixtures::{fields, image_of, key_id, layout, product, program_for};
use crate::images::Built;

/// Sizes of the flashes and of what lies on them, in bytes where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// What it is called.
    pub name: &'static str,
    /// Write unit.
    pub write: u32,
    /// Erase sector of the journal's flash.
    pub journal_erase: u32,
    /// Erase sector of the slots' flash.
    pub slot_erase: u32,
    /// Sectors of the journal.
    pub journal_sectors: u8,
    /// Each of them: one erase sector, or several.
    pub journal_sector: u32,
    /// Whether journal and slots share one flash.
    pub shared: bool,
    /// Of a slot.
    pub slot: u32,
    /// From a slot's start to its payload.
    pub payload_offset: u32,
    /// Of a chunk.
    pub chunk: u32,
    /// Of each image's payload.
    pub payload: u32,
}

/// What a cut erase leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Erases {
    /// Anything, and its old content may come and go.
    ComeAndGo,
    /// The old content, or none.
    OldOrNone,
}

/// How an image behaves while it is on trial. Each may also hang, or lose the power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nature {
    /// It passes its checks and is confirmed.
    Healthy,
    /// A check fails.
    Sick,
    /// Either.
    Moody,
    /// It never says anything.
    Silent,
}

/// What an application may be offered while it runs confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// All of an image.
    Whole(usize),
    /// So many parts of one, then all of another.
    PartThen(usize, usize, usize),
    /// No image: it is to give itself up for the other one.
    GiveUp,
}

/// What is on the flashes when the story begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Image 0 in A, confirmed, from the factory.
    Factory,
    /// The same, and image 1 in B, confirmed before.
    Updated,
    /// Image 0 confirmed in A; image 1 on trial in B, all its attempts used up.
    UsedUp,
    /// As from the factory, and nothing in the journal.
    Blank,
    /// Images 0 and 1 lie in A and B, and nothing in the journal.
    BothAndBlank,
    /// The same, and garbage in the journal.
    BothAndGarbage,
    /// As updated, and the confirmed image in A has lost bits.
    ActiveBroken,
    /// Image 0 confirmed in A; image 1 is being received in B, and all but its last chunk lies there.
    HalfReceived,
    /// As updated, and the other image, in B, has lost bits.
    OtherBroken,
    /// As updated with image 1 active in B, which has lost bits, and a floor that image 0 does not reach.
    OtherTooOld,
    /// As updated, and the key that signed both is revoked.
    SignerRevoked,
    /// Image 0 confirmed in A, image 1 waiting for its trial in B.
    Waiting,
    /// The same, and image 0 has lost bits.
    WaitingBesideBroken,
    /// The same, and image 1 has.
    WaitingBroken,
    /// Image 0 confirmed in A; image 1 is being received in B, all of it lies there, and its header has lost bits.
    Headless,
    /// Images 0 and 1 lie in A and B, nothing in the journal, and somebody has changed image 1's signature.
    ForgedAndBlank,
    /// As from the factory, and a copy in the journal cannot be read, nor the start of the empty slot.
    WordsUnreadable,
}

/// Which bits flip at rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flips {
    /// None.
    Never,
    /// One of the journal, between two boots that act.
    InJournal,
    /// One of an image, once in the device's life.
    InOneSlot,
}

/// Where a bit flips.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flip {
    /// In a copy of the journal's sector with this number.
    Journal(u8),
    /// In the signed part of what lies in this slot.
    Header(Slot),
    /// In the last chunk of what lies there.
    Payload(Slot),
}

/// What the device must come to, without further faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lives {
    /// A confirmed image runs, after the budgets left.
    Confirmed,
    /// An image runs: the confirmed one is damaged.
    Somehow,
    /// Nothing: no acceptable image is left.
    Perhaps,
}

/// A story, all of whose ways are explored.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What it is about, for people.
    pub about: &'static str,
    /// What is there.
    pub start: Start,
    /// The images' natures, beginning with image 1; image 0 is the one from the factory.
    pub natures: &'static [Nature],
    /// What is offered.
    pub offers: &'static [Offer],
    /// The image that is running confirmed in the end, once the faults stop and it is offered.
    pub goal: Option<usize>,
    /// What the device must come to.
    pub lives: Lives,
    /// Whether processor resets are faults, too.
    pub resets: bool,
    /// Whether bits flip at rest.
    pub flips: Flips,
    /// How many operations of a boot may report failure.
    pub failures: u8,
    /// A sector that is dead: its number, counted from the journal's first, or from the slots' if above 99;
    /// and whether it loses what it holds.
    pub dead: Option<(u8, bool)>,
}

/// An exploration to be made.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// On what.
    pub geometry: Geometry,
    /// Of what.
    pub scenario: Scenario,
    /// What a cut erase leaves.
    pub erases: Erases,
    /// Whether rows of cuts are followed that are longer than what the journal survives for certain.
    pub beyond: bool,
}

impl Job {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        let erases = match self.erases {
            Erases::ComeAndGo => "",
            Erases::OldOrNone => "/old-or-none",
        };
        let beyond = if self.beyond { "/beyond" } else { "" };
        format!(
            "{}/{}{erases}{beyond}",
            self.geometry.name, self.scenario.name
        )
    }

    /// How many cuts in a row the journal survives for certain; `None`: any number.
    #[must_use]
    pub fn row(&self) -> Option<u8> {
        match (self.erases, self.living_sectors()) {
            (Erases::ComeAndGo, living) => Some(2 * (living.min(3) - 1)),
            (Erases::OldOrNone, 1) => Some(0),
            (Erases::OldOrNone, _) => None,
        }
    }

    /// Sectors of the journal, but for the one that dies and takes what it holds.
    fn living_sectors(&self) -> u8 {
        let takes_its_content = matches!(self.scenario.dead, Some((..100, true)));
        self.geometry.journal_sectors - u8::from(takes_its_content)
    }
}

/// What a job needs, built.
pub struct World {
    /// The job.
    pub job: Job,
    /// Where things lie.
    pub layout: &'static Layout,
    /// The flashes: that of the slots, and the journal's own or nothing.
    pub shapes: [Rc<Shape>; 2],
    /// Which of them the journal lies on.
    pub journal_flash: usize,
    /// The images.
    pub images: Vec<Built>,
    /// What the bootloader is given.
    pub bootloader: Boot<'static>,
    /// What the application is given.
    pub application: Application,
    /// Which operations report failure.
    pub failures: Failures,
    boot: fn(&World, &State, Choices) -> Run,
}

impl World {
    /// Builds it.
    ///
    /// # Panics
    /// If the crate was not built for the geometry's sizes.
    #[must_use]
    pub fn new(job: Job) -> Self {
        let geometry = job.geometry;
        let layout: &'static Layout = Box::leak(Box::new(layout_of(&geometry)));
        let shape = |erase, size, journal: bool| {
            let start = layout.journal.offset;
            let len = u32::from(geometry.journal_sectors) * geometry.journal_sector;
            Rc::new(Shape {
                write: geometry.write,
                erase,
                size,
                journal: if journal { start..start + len } else { 0..0 },
                journal_sector: geometry.journal_sector,
                layout: layout.digest,
            })
        };
        let slots = 2 * geometry.slot;
        let journal = u32::from(geometry.journal_sectors) * geometry.journal_sector;
        // A sector of nobody lies behind, for somebody to touch by mistake.
        let shapes = match geometry.shared {
            true => [
                shape(
                    geometry.slot_erase,
                    slots + journal + geometry.slot_erase,
                    true,
                ),
                shape(geometry.journal_erase, 0, false),
            ],
            false => [
                shape(geometry.slot_erase, slots + geometry.slot_erase, false),
                shape(
                    geometry.journal_erase,
                    journal + geometry.journal_erase,
                    true,
                ),
            ],
        };
        let images =
            (0..=job.scenario.natures.len()).map(|number| image(layout, &geometry, number));
        let dead = |(number, loses): (u8, bool)| match number.checked_sub(100) {
            None => {
                let at = layout.journal.offset + u32::from(number) * geometry.journal_sector;
                let flash = usize::from(!geometry.shared);
                Failures::Dead(flash, at / geometry.journal_erase, loses)
            }
            Some(number) => Failures::Dead(0, number.into(), loses),
        };
        let failures = match (job.scenario.dead, job.scenario.failures) {
            (Some(sector), _) => dead(sector),
            (None, 0) => Failures::None,
            (None, failures) => Failures::Some(failures),
        };
        Self {
            job,
            layout,
            shapes,
            journal_flash: usize::from(!geometry.shared),
            images: images.collect(),
            bootloader: Boot {
                layout,
                ..product()
            },
            application: Application {
                layout,
                ring: product().ring,
                entry: product().entry,
                checks: &CHECKS,
            },
            failures,
            boot: boot_for(&geometry),
        }
    }

    /// Boots once.
    #[must_use]
    pub fn boot(&self, state: &State, choices: Choices) -> Run {
        (self.boot)(self, state, choices)
    }

    /// How an image behaves on trial.
    #[must_use]
    pub fn nature(&self, image: usize) -> Nature {
        let natures = self.job.scenario.natures;
        match image.checked_sub(1).and_then(|place| natures.get(place)) {
            Some(nature) => *nature,
            None => Nature::Healthy,
        }
    }

    /// The state in which the story begins.
    #[must_use]
    pub fn start(&self) -> State {
        let mut truths = [Truth::default(), Truth::default()];
        let start = self.job.scenario.start;
        let [factory, update] = [0, 1].map(|number| {
            let number = number.min(self.images.len() - 1);
            image_of(&self.images[number].manifest, Origin::Factory)
        });
        self.put_image(&mut truths[0], Slot::A, 0);
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
        if start.has_both() {
            self.put_image(&mut truths[0], Slot::B, 1);
        }
        let snapshot = match start {
            Start::Factory | Start::WordsUnreadable => Some(confirmed),
            Start::Updated | Start::ActiveBroken | Start::OtherBroken => Some(both),
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
            Start::Blank | Start::BothAndBlank | Start::BothAndGarbage | Start::ForgedAndBlank => {
                None
            }
        };
        match &snapshot {
            Some(snapshot) => self.put_journal(&mut truths, snapshot),
            None if start == Start::BothAndGarbage => {
                self.put_journal(&mut truths, &both);
                self.spoil_journal(&mut truths);
            }
            None => {}
        }
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
            Start::WordsUnreadable => {
                let at = self.layout.journal.offset;
                truths[self.journal_flash].make(at, CellState::Fails);
                let header = Content::new(&self.images[0].header, None);
                let at = self.layout.slots[1].offset;
                truths[0].program(&self.shapes[0], at, &header, Outcome::Fails);
            }
            _ => {}
        }
        State {
            flipped: start == Start::WordsUnreadable,
            ..State::new(truths.map(Rc::new), snapshot)
        }
    }

    fn put_image(&self, truth: &mut Truth, slot: Slot, image: usize) {
        let shape = &self.shapes[0];
        let image = &self.images[image];
        let start = slot.of(&self.layout.slots).offset;
        let header = Content::new(&image.header, None);
        truth.program(shape, start, &header, Outcome::After);
        let payload = slot.of::<Vec<u8>>(&image.payload);
        let places =
            (start + self.layout.payload_offset..).step_by(self.layout.chunk_size as usize);
        for (chunk, at) in payload.chunks(self.layout.chunk_size as usize).zip(places) {
            truth.program(shape, at, &Content::new(chunk, None), Outcome::After);
        }
    }

    fn put_journal(&self, truths: &mut [Truth; 2], state: &Snapshot) {
        let shape = &self.shapes[self.journal_flash];
        let truth = &mut truths[self.journal_flash];
        let journal = &self.layout.journal;
        for sector in 0..u32::from(journal.sectors) {
            let copy = snapshot::encode(state, sector + 1, self.layout.digest);
            let start = journal.offset + sector * journal.sector_size;
            let copy = shape.content(start, &copy);
            for place in 0..u32::from(bistable_core::journal::COPIES) {
                let at = start + place * copy.bytes.len() as u32;
                truth.program(shape, at, &copy, Outcome::After);
            }
        }
    }

    fn spoil_journal(&self, truths: &mut [Truth; 2]) {
        let truth = &mut truths[self.journal_flash];
        let shape = &self.shapes[self.journal_flash];
        for at in shape.journal.clone().step_by(shape.erase as usize) {
            truth.erase(shape, at, Outcome::Garbage);
        }
    }

    /// From the slot's start, of a whole payload.
    fn last_chunk(&self) -> u32 {
        let chunks = (self.job.geometry.payload - 1) / self.layout.chunk_size;
        self.layout.payload_offset + chunks * self.layout.chunk_size
    }

    /// Whether something lies there.
    fn flip_in_slot(&self, truth: &mut Truth, slot: Slot, offset: u32, byte: usize) -> bool {
        let at = slot.of(&self.layout.slots).offset + offset;
        truth.flip(&self.shapes[0], at, byte)
    }

    /// Where bits may flip while the device is in `state`.
    #[must_use]
    pub fn flips(&self, state: &State) -> Vec<Flip> {
        match self.job.scenario.flips {
            Flips::InJournal if !state.flipped => (0..self.layout.journal.sectors)
                .map(Flip::Journal)
                .collect(),
            // What is promised of it is promised as long as the other slot has something to run.
            Flips::InOneSlot if !state.spoilt => {
                let has_other = |slot: &Slot| state.ghost.runs_from(slot.other());
                let slots = [Slot::A, Slot::B].into_iter().filter(has_other);
                let in_slot = |slot| [Flip::Header(slot), Flip::Payload(slot)];
                slots.flat_map(in_slot).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The state after a bit has flipped; `None` if nothing lies there.
    #[must_use]
    pub fn flipped(&self, state: &State, flip: Flip) -> Option<State> {
        let mut after = state.clone();
        let happened = match flip {
            Flip::Journal(sector) => {
                let journal = &self.layout.journal;
                let sector = u32::from(sector);
                let copy = sector * SNAPSHOT_LEN as u32;
                let at = journal.offset + sector * journal.sector_size + copy;
                let truth = Rc::make_mut(&mut after.truths[self.journal_flash]);
                after.flipped = true;
                truth.flip(&self.shapes[self.journal_flash], at, SNAPSHOT_LEN / 2)
            }
            Flip::Header(slot) | Flip::Payload(slot) => {
                let offset = match flip {
                    Flip::Payload(_) => self.last_chunk(),
                    _ => 0,
                };
                let truth = Rc::make_mut(&mut after.truths[0]);
                after.spoilt = true;
                self.flip_in_slot(truth, slot, offset, 100)
            }
        };
        happened.then_some(after)
    }
}

impl Start {
    const fn has_both(self) -> bool {
        !matches!(self, Self::Factory | Self::Blank | Self::WordsUnreadable)
    }
}

fn layout_of(geometry: &Geometry) -> Layout {
    let slot = |number: u32| SlotLayout {
        offset: number * geometry.slot,
        address: 0x0801_0000 + number * geometry.slot,
    };
    Layout {
        journal: JournalLayout {
            offset: if geometry.shared {
                2 * geometry.slot
            } else {
                0
            },
            sector_size: geometry.journal_sector,
            sectors: geometry.journal_sectors,
        },
        slots: [slot(0), slot(1)],
        slot_size: geometry.slot,
        payload_offset: geometry.payload_offset,
        chunk_size: geometry.chunk,
        ..layout()
    }
}

/// Image 0 comes from the factory. Each further one is newer, and differs in all chunks but the last; image 1
/// revokes a spare key, image 2 has a chunk that reads as erased.
fn image(layout: &Layout, geometry: &Geometry, number: usize) -> Built {
    let sequence = 10 + number as u32;
    let mut payload = program_for(layout, sequence.into(), geometry.payload as usize);
    let last = (geometry.payload - 1) / geometry.chunk * geometry.chunk;
    let common = program_for(layout, 1, geometry.payload as usize);
    for (bytes, common) in payload.iter_mut().zip(&common) {
        bytes[last as usize..].copy_from_slice(&common[last as usize..]);
    }
    // Image 1 demands less than the floor that there is, later ones more than what image 0 has.
    let (security_counter, revoke_below) = match number {
        0 => (4, 0),
        1 => (5, 2),
        _ => (6, 5),
    };
    if number == 2 {
        let blank = geometry.chunk as usize..2 * geometry.chunk as usize;
        for bytes in &mut payload {
            bytes[blank.clone()].fill(0xff);
        }
    }
    let fields = Fields {
        security_counter,
        revoke_below,
        chunk_size: geometry.chunk,
        trial_attempts: 1,
        revoked: std::array::from_fn(|place| (number == 1 && place == 0).then(|| key_id(1))),
        ..fields(sequence)
    };
    Built::new(fields, payload, signers(number))
}

/// Who signed an image: a release key, and a root key if it revokes one.
#[must_use]
pub const fn signers(image: usize) -> &'static [u8] {
    match image {
        1 => &[0, 3],
        _ => &[0],
    }
}

/// The floor from the factory, as the journal has it.
const FLOOR: u32 = 3;

/// The budget that a fresh trial has, added up.
#[must_use]
pub fn budget_left(state: &Snapshot) -> u8 {
    let left = state.slots.iter().map(|slot| match slot {
        SlotState::Trial(_, budget) => budget.attempts + budget.power,
        _ => 0,
    });
    left.max().unwrap_or(0)
}

/// Whether this image will not be taken any more.
#[must_use]
pub fn is_rejected(state: &Snapshot, image: &Built) -> bool {
    let digest = image.manifest.digest();
    state.rejection(digest).is_some()
        || state
            .slots
            .iter()
            .any(|slot| matches!(slot, SlotState::Rejected(held, _) if held.digest == digest))
}

macro_rules! boots {
    ($geometry:expr; $(($w:literal, $j:literal, $s:literal)),* $(,)?) => {
        match ($geometry.write, $geometry.journal_erase, $geometry.slot_erase) {
            $(($w, $j, $s) => boot::boot::<$w, $j, $s>,)*
            other => panic!("the explorer was not built for {other:?}"),
        }
    };
}

fn boot_for(geometry: &Geometry) -> fn(&World, &State, Choices) -> Run {
    boots!(geometry;
        (1, 2048, 2048),
        (4, 256, 256),
        (4, 2048, 2048),
        (4, 4096, 4096),
        (8, 2048, 2048),
        (16, 2048, 2048),
        (32, 4096, 4096),
        (32, 2048, 131_072),
    )
}
