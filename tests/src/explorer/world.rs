//! A story built: its flashes, its images, and what bootloader and application are given.

use std::rc::Rc;

use bistable_bootloader::Product as Boot;
use bistable_core::layout::{JournalLayout, Layout, Slot, SlotLayout};
use bistable_core::manifest::Fields;
use bistable_core::snapshot::SNAPSHOT_LEN;
use bistable_updater::Product as Application;

use super::boot::{self, Run};
use super::choices::Choices;
use super::hardware::Failures;
use super::ledger;
use super::scenario::{Flip, Flips, Geometry, Job, Nature, Offer, Start};
use super::shape::Shape;
use super::state::State;
use super::truth::Truth;
use crate::device::application;
use crate::fixtures::{CRASH_LOOP, fields, key_id, layout, product, program_for};
use crate::images::Built;

/// What a job needs, built.
pub struct World {
    /// The job.
    pub job: Job,
    /// Where things lie.
    pub(super) layout: &'static Layout,
    /// The flashes: that of the slots, and the journal's own or nothing.
    pub(super) shapes: [Rc<Shape>; 2],
    /// Which of them the journal lies on.
    pub(super) journal_flash: usize,
    /// The ledger, if the story has one: behind the journal.
    pub(super) ledger: Option<JournalLayout>,
    /// The images.
    pub(super) images: Vec<Built>,
    /// What the bootloader is given.
    pub(super) bootloader: Boot<'static>,
    /// What the application is given.
    pub(super) application: Application,
    /// Which operations report failure.
    pub(super) failures: Failures,
    boot: fn(&World, &State, Choices) -> Run,
}

impl World {
    /// Builds it.
    ///
    /// # Panics
    /// If the crate was not built for the geometry's sizes, or a ledger does not suit them.
    #[must_use]
    pub fn new(job: Job) -> Self {
        let geometry = job.geometry;
        let layout: &'static Layout = Box::leak(Box::new(layout_of(&geometry)));
        let ledger = job.scenario.receipts.then(|| ledger_of(&layout.journal));
        assert!(
            ledger.is_none() || geometry.journal_sector == geometry.journal_erase,
            "{}: a sector of a story's ledger is one erase sector",
            job.name()
        );
        Self {
            job,
            layout,
            shapes: shapes_of(&geometry, layout, ledger),
            journal_flash: usize::from(!geometry.shared),
            ledger,
            images: (0..=job.scenario.natures.len())
                .map(|number| image(layout, &job, number))
                .collect(),
            bootloader: Boot {
                layout,
                crash_loop: match job.scenario.crashes {
                    true => CRASH_LOOP,
                    false => 0,
                },
                ..product()
            },
            application: application(layout),
            failures: failures_of(&job, layout),
            boot: boot_for(&geometry),
        }
    }

    /// Boots once.
    pub(super) fn boot(&self, state: &State, choices: Choices) -> Run {
        (self.boot)(self, state, choices)
    }

    /// How an image behaves on trial.
    pub(super) fn nature(&self, image: usize) -> Nature {
        let natures = self.job.scenario.natures;
        match image.checked_sub(1).and_then(|place| natures.get(place)) {
            Some(nature) => *nature,
            None => Nature::Healthy,
        }
    }

    /// Where the last chunk of a whole payload lies, from the slot's start.
    pub(super) fn last_chunk(&self) -> u32 {
        let chunks = (self.job.geometry.payload - 1) / self.layout.chunk_size;
        self.layout.payload_offset + chunks * self.layout.chunk_size
    }

    /// Flips a bit of this byte, so far from the slot's start. Returns whether something lies there.
    pub(super) fn flip_in_slot(
        &self,
        truth: &mut Truth,
        slot: Slot,
        offset: u32,
        byte: usize,
    ) -> bool {
        let at = slot.of(&self.layout.slots).offset + offset;
        truth.flip(&self.shapes[0], at, byte)
    }

    /// Where bits may flip while the device is in `state`.
    pub(super) fn flips(&self, state: &State) -> Vec<Flip> {
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
    pub(super) fn flipped(&self, state: &State, flip: Flip) -> Option<State> {
        let mut after = state.clone();
        let happened = match flip {
            Flip::Journal(sector) => {
                // Of each sector another one.
                let copy = u32::from(sector) * SNAPSHOT_LEN as u32;
                let shape = &self.shapes[self.journal_flash];
                let at = shape.journal_sector(sector.into()).start + copy;
                let truth = Rc::make_mut(&mut after.truths[self.journal_flash]);
                after.flipped = true;
                truth.flip(shape, at, SNAPSHOT_LEN / 2)
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

fn layout_of(geometry: &Geometry) -> Layout {
    let slot = |number: u32| SlotLayout {
        offset: number * geometry.slot,
        address: 0x0801_0000 + number * geometry.slot,
    };
    Layout {
        journal: JournalLayout {
            offset: match geometry.shared {
                true => 2 * geometry.slot,
                false => 0,
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

/// As many sectors behind the journal as it has itself.
fn ledger_of(journal: &JournalLayout) -> JournalLayout {
    JournalLayout {
        offset: journal.offset + u32::from(journal.sectors) * journal.sector_size,
        ..*journal
    }
}

/// A sector of nobody lies behind each flash, for somebody to touch by mistake.
fn shapes_of(
    geometry: &Geometry,
    layout: &Layout,
    ledger: Option<JournalLayout>,
) -> [Rc<Shape>; 2] {
    let slots = 2 * geometry.slot;
    let journal = u32::from(geometry.journal_sectors) * geometry.journal_sector;
    let kept = journal * if ledger.is_some() { 2 } else { 1 };
    let shape = |erase, size, has_journal| {
        let start = layout.journal.offset;
        Rc::new(Shape {
            write: geometry.write,
            erase,
            size,
            journal: if has_journal {
                start..start + journal
            } else {
                0..0
            },
            journal_sector: geometry.journal_sector,
            layout: layout.digest,
            ledger: ledger.filter(|_| has_journal).map(|ledger| {
                let whole = ledger.offset..ledger.offset + journal;
                (whole, ledger::owner())
            }),
        })
    };
    let Geometry {
        slot_erase,
        journal_erase,
        ..
    } = *geometry;
    match geometry.shared {
        true => [
            shape(slot_erase, slots + kept + slot_erase, true),
            shape(journal_erase, 0, false),
        ],
        false => [
            shape(slot_erase, slots + slot_erase, false),
            shape(journal_erase, kept + journal_erase, true),
        ],
    }
}

/// Which operations report failure: all of the dead sector's, or so many of a boot.
fn failures_of(job: &Job, layout: &Layout) -> Failures {
    let Job {
        geometry, scenario, ..
    } = job;
    match (scenario.dead, scenario.failures) {
        (Some((number @ 100.., loses)), _) => Failures::Dead(0, u32::from(number) - 100, loses),
        (Some((number, loses)), _) => {
            let at = layout.journal.offset + u32::from(number) * geometry.journal_sector;
            let flash = usize::from(!geometry.shared);
            Failures::Dead(flash, at / geometry.journal_erase, loses)
        }
        (None, 0) => Failures::None,
        (None, failures) => Failures::Some(failures),
    }
}

/// What data are migrated to, from 0: the image that is fallen back to cannot read it.
pub(super) const NEW_SCHEMA: u16 = 1;

/// Image 0 comes from the factory. Each further one is newer, and differs in all chunks but the last; image 1
/// revokes a spare key, image 2 has a chunk that reads as erased.
fn image(layout: &Layout, job: &Job, number: usize) -> Built {
    let geometry = &job.geometry;
    let migrates = job.scenario.offers.contains(&Offer::Migrate);
    let fallback = usize::from(job.scenario.start != Start::Waiting);
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
        schemas: match migrates && number == fallback {
            true => (0, 0),
            false => (0, NEW_SCHEMA),
        },
        chunk_size: geometry.chunk,
        trial_attempts: 1,
        revoked: std::array::from_fn(|place| (number == 1 && place == 0).then(|| key_id(1))),
        ..fields(sequence)
    };
    Built::new(fields, payload, signers(number))
}

/// Who signed an image: a release key, and a root key if it revokes one.
pub(super) const fn signers(image: usize) -> &'static [u8] {
    match image {
        1 => &[0, 3],
        _ => &[0],
    }
}

macro_rules! boots {
    ($geometry:expr; $(($w:literal, $j:literal, $s:literal)),* $(,)?) => {
        match ($geometry.write, $geometry.journal_erase, $geometry.slot_erase) {
            $(($w, $j, $s) => boot::boot::<$w, $j, $s>,)*
            other => panic!("the explorer was not built for {other:?}"),
        }
    };
}

/// Boots with the sizes of this geometry: those of a chip are known when the crate is built.
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
