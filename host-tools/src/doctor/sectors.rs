//! The journal's sectors as they lie: which copies are valid, which one counts, and what the device
//! went through from one to the next.

use bistable_core::digest::Digest;
use bistable_core::journal::{COPIES, Journal, SectorView};
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use bistable_core::state::{SlotState, Snapshot};
use schemars::JsonSchema;
use serde::Serialize;

use crate::doctor::dump::Dump;
use crate::doctor::words;
use crate::facts::Facts;
use crate::memory_flash::{ERASED, MemoryFlash};

/// A sector of the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sector {
    /// Its first byte, from the flash's start.
    pub offset: usize,
    /// What the journal itself sees in it.
    pub view: SectorView,
    /// What each copy's place holds.
    pub copies: [Copy; COPIES as usize],
}

/// What the place of a copy holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Copy {
    /// A snapshot that is whole and for this layout.
    Valid,
    /// One that is whole, but for another layout.
    OtherLayout(Digest),
    /// One that is whole once the bytes in each word of this length are turned around.
    Swapped(usize),
    /// Nothing but what erased flash reads as.
    Blank,
    /// Nothing but zeros.
    Zero,
    /// Anything else: torn while it was written, or never a journal.
    Garbage,
    /// It is not in the file.
    NotInFile,
}

/// A snapshot that can still be read, and what had changed when it was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Step {
    /// Its sequence number.
    pub sequence: u32,
    /// The sector that it lies in, from 0.
    pub sector: usize,
    /// What changed since the one before; of the first one, all that it says.
    pub changes: Vec<String>,
}

/// The sectors of the journal in `dump`.
#[must_use]
pub fn sectors(dump: &Dump, facts: &Facts) -> Vec<Sector> {
    let layout = facts.row.layout();
    let size = layout.journal.sector_size as usize;
    let start = layout.journal.offset as usize;
    let of_its_flash = facts.product.layout.journal.offset as usize;
    // What is not in the file reads as erased here, which is not valid: it counts for nothing.
    let mut bytes = dump.bytes().to_vec();
    let mut flash = MemoryFlash::<1>::new(&mut bytes, 1);
    let journal = Journal::new(layout.journal, layout.digest);
    let views = journal.inspect(&mut flash).enumerate();
    let sector = |(place, view): (usize, SectorView)| {
        let first = start + place * size;
        let copy = |number| {
            let at = first + number * SNAPSHOT_LEN;
            let bytes = dump.get(at..at + SNAPSHOT_LEN);
            bytes.map_or(Copy::NotInFile, |bytes| Copy::of(bytes, layout.digest))
        };
        Sector {
            offset: of_its_flash + place * size,
            view,
            copies: core::array::from_fn(copy),
        }
    };
    views.map(sector).collect()
}

/// What the device went through, as far as the sectors tell it: the oldest first.
#[must_use]
pub fn history(sectors: &[Sector], facts: &Facts) -> Vec<Step> {
    let readable = sectors.iter().enumerate();
    let mut readable: Vec<_> = readable
        .filter_map(|(place, sector)| Some((place, sector.view, sector.view.snapshot?)))
        .collect();
    readable.sort_by_key(|(_, view, _)| view.sequence);
    let mut before = None;
    let mut steps = Vec::new();
    for (sector, view, snapshot) in readable {
        steps.push(Step {
            sequence: view.sequence,
            sector,
            changes: match &before {
                None => everything(&snapshot, facts),
                Some(before) => changes(before, &snapshot, facts),
            },
        });
        before = Some(snapshot);
    }
    steps
}

impl Copy {
    fn of(bytes: &[u8], layout: Digest) -> Self {
        let Ok(copy) = <&snapshot::Bytes>::try_from(bytes) else {
            return Self::NotInFile;
        };
        if snapshot::is_valid(copy, layout) {
            return Self::Valid;
        }
        let named = snapshot::layout(copy);
        if snapshot::is_valid(copy, named) {
            return Self::OtherLayout(named);
        }
        if copy.iter().all(|byte| *byte == ERASED) {
            return Self::Blank;
        }
        if copy.iter().all(|byte| *byte == 0) {
            return Self::Zero;
        }
        for width in [2, 4, 8] {
            let mut turned = *copy;
            turned.chunks_mut(width).for_each(<[u8]>::reverse);
            if snapshot::is_valid(&turned, layout) {
                return Self::Swapped(width);
            }
        }
        Self::Garbage
    }

    /// In a word, for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::OtherLayout(_) => "other-layout",
            Self::Swapped(_) => "swapped",
            Self::Blank => "blank",
            Self::Zero => "zero",
            Self::Garbage => "garbage",
            Self::NotInFile => "not-in-file",
        }
    }
}

impl Sector {
    /// What it holds, in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        let [first, ..] = self.copies;
        if self.view.valid == COPIES {
            "whole"
        } else if self.view.valid > 0 {
            "torn"
        } else if self.copies.iter().all(|copy| copy.word() == first.word()) {
            first.word()
        } else {
            "garbage"
        }
    }

    /// What it holds, for people.
    #[must_use]
    pub fn says(&self) -> String {
        let SectorView {
            valid, sequence, ..
        } = self.view;
        let [first, ..] = self.copies;
        match (self.word(), first) {
            ("whole", _) => format!("all {COPIES} copies valid, sequence {sequence}"),
            ("torn", _) => format!("torn: {valid} of {COPIES} copies valid, sequence {sequence}"),
            ("other-layout", Copy::OtherLayout(layout)) => {
                format!("written for another layout, {layout:.4}")
            }
            ("swapped", Copy::Swapped(width)) => {
                format!("the bytes of each word of {width} are turned around")
            }
            ("blank", _) => "blank".into(),
            ("zero", _) => "all zero".into(),
            ("not-in-file", _) => "not in this file".into(),
            _ => "garbage".into(),
        }
    }
}

/// All that a snapshot says, shortly.
fn everything(snapshot: &Snapshot, facts: &Facts) -> Vec<String> {
    let mut said = vec![format!("active {:?}", snapshot.active)];
    for (slot, state) in ["A", "B"].into_iter().zip(&snapshot.slots) {
        said.push(format!("{slot}: {}", brief(state, facts)));
    }
    said.push(format!("floor {}", snapshot.floor));
    said
}

/// What changed from one snapshot to the next; nothing where it was only written again.
fn changes(before: &Snapshot, after: &Snapshot, facts: &Facts) -> Vec<String> {
    let mut changes = Vec::new();
    let slots = before.slots.iter().zip(&after.slots);
    for (slot, (before, after)) in ["A", "B"].into_iter().zip(slots) {
        if before != after {
            let (before, after) = (brief(before, facts), brief(after, facts));
            changes.push(format!("{slot}: {before} → {after}"));
        }
    }
    let mut change = |what: &str, before: String, after: String| {
        if before != after {
            changes.push(format!("{what} {before} → {after}"));
        }
    };
    change(
        "active",
        format!("{:?}", before.active),
        format!("{:?}", after.active),
    );
    change("floor", before.floor.to_string(), after.floor.to_string());
    change(
        "schema",
        before.schema.to_string(),
        after.schema.to_string(),
    );
    change(
        "forgotten sequence",
        before.forgotten.to_string(),
        after.forgotten.to_string(),
    );
    change(
        "revoked",
        words::revoked(before, facts),
        words::revoked(after, facts),
    );
    changes
}

/// A slot's state, as short as it can be told apart.
fn brief(state: &SlotState, facts: &Facts) -> String {
    let word = words::state(state);
    let Some(image) = state.image() else {
        return word.into();
    };
    let more = match state {
        SlotState::Trial(_, budget) => format!(
            " ({} attempts, {} power-ons left)",
            budget.attempts, budget.power
        ),
        SlotState::Rejected(_, reason) => format!(" ({})", words::reason(*reason, facts)),
        SlotState::Empty | SlotState::Receiving(_) | SlotState::Confirmed(_) => String::new(),
    };
    format!("{word} {:.4}{more}", image.digest)
}
