//! Runs the bootloader on a copy of a flash, and looks at what it left.
//!
//! Where a file holds only a part of the flash, the rest cannot be read, and it is noted what the
//! bootloader wanted from there: if that is nothing, its decision stands as if all had been there.

use bistable_bootloader::{Product, prepare};
use bistable_core::admit::Terms;
use bistable_core::choose::Role;
use bistable_core::digest::Digest;
use bistable_core::header::Header;
use bistable_core::journal::{Journal, Opened};
use bistable_core::layout::Slot;
use bistable_core::manifest::Manifest;
use bistable_core::refusal::Refusal;
use bistable_core::reset::ResetReason;
use bistable_core::state::{SlotState, Snapshot};
use bistable_core::verify::{Rules, read_header, verify};
use bistable_core::version::Version;

use crate::doctor::board::MemoryBoard;
use crate::doctor::dump::Dump;
use crate::doctor::sectors::{Sector, sectors};
use crate::facts::{Facts, workspace_version};
use crate::memory_flash::{MemoryFlash, Missed, NoWatchdog, WithWriteSize, for_write_size};

/// What is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conditions {
    /// Why the processor starts.
    pub reset: ResetReason,
    /// The bootloader's version.
    pub bootloader: Version,
}

impl Default for Conditions {
    /// The power comes, and the bootloader is the one that these tools were built with.
    fn default() -> Self {
        Self {
            reset: ResetReason::PowerOn,
            bootloader: workspace_version(),
        }
    }
}

/// What was found, and what would follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Examination {
    /// What was asked about.
    pub conditions: Conditions,
    /// What the journal says, and how much had to be rewritten for that; `None` if not all of it is in
    /// the file.
    pub journal: Option<Opened>,
    /// The journal's sectors as they lie.
    pub sectors: Vec<Sector>,
    /// What lies in slot A, and what in slot B.
    pub slots: [InSlot; 2],
    /// What would boot.
    pub boots: Option<Boots>,
    /// What it takes to say that, and is not in the file: the regions' names. Then `boots` is `None`.
    pub missing: Vec<String>,
    /// What the bootloader would have tried and refused, in the order of the slots.
    pub refused: Vec<(Slot, Refusal)>,
}

/// What lies in a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InSlot {
    /// What the header says of itself.
    pub manifest: Seen<Manifest>,
    /// Whether it would boot as it lies. Where the journal calls it a trial or confirmed, it must also
    /// be the image that the journal speaks of.
    pub verdict: Seen<()>,
}

/// What was seen of something that may not be in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen<T> {
    /// It is well.
    Well(T),
    /// The bootloader refuses it.
    Refused(Refusal),
    /// It is not in the file, or not all of it.
    NotInFile,
}

impl<T> Seen<T> {
    fn new(result: Result<T, Refusal>, missed: Missed) -> Self {
        match result {
            _ if !missed.into_offsets().is_empty() => Self::NotInFile,
            Ok(well) => Self::Well(well),
            Err(refusal) => Self::Refused(refusal),
        }
    }

    /// What is well.
    pub fn well(self) -> Option<T> {
        match self {
            Self::Well(well) => Some(well),
            Self::Refused(_) | Self::NotInFile => None,
        }
    }

    /// Why it is not.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            Self::Well(_) | Self::NotInFile => None,
        }
    }
}

/// What would boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boots {
    /// Where it lies.
    pub slot: Slot,
    /// As what.
    pub role: Role,
    /// The image's name.
    pub digest: Digest,
    /// Its version.
    pub version: Version,
    /// The state that the journal would hold when it starts.
    pub after: Snapshot,
}

impl Examination {
    /// What the journal says before the boot; `None` if it is lost, or not in the file.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        snapshot_of(self.journal.as_ref())
    }

    /// What the journal says of `slot`.
    #[must_use]
    pub fn state(&self, slot: Slot) -> Option<SlotState> {
        self.snapshot().map(|snapshot| snapshot.slot(slot))
    }
}

const fn snapshot_of(journal: Option<&Opened>) -> Option<&Snapshot> {
    match journal {
        Some(Opened::Sound { snapshot, .. } | Opened::GaveUp(snapshot)) => Some(snapshot),
        Some(Opened::Lost) | None => None,
    }
}

/// Examines the flash in `bytes`, or the [row](crate::row) of several, as long as the layout says; it is not changed.
#[must_use]
pub fn examine(bytes: &[u8], facts: &Facts, conditions: Conditions) -> Examination {
    examine_dump(&Dump::whole(bytes), facts, conditions)
}

/// Examines as much of a flash as a file holds.
#[must_use]
pub fn examine_dump(dump: &Dump, facts: &Facts, conditions: Conditions) -> Examination {
    let units = facts.row.units();
    let examiner = Examiner {
        dump,
        facts,
        conditions,
        erase_size: units.erase_size,
    };
    // Every layout has one of these write sizes.
    for_write_size(units.write_size, examiner).unwrap_or_else(|| examiner.run::<1>())
}

#[derive(Clone, Copy)]
struct Examiner<'e> {
    dump: &'e Dump,
    facts: &'e Facts,
    conditions: Conditions,
    erase_size: u32,
}

impl WithWriteSize for Examiner<'_> {
    type Output = Examination;

    fn run<const WRITE: usize>(self) -> Examination {
        let journal = self.open::<WRITE>();
        let snapshot = snapshot_of(journal.as_ref());
        let slots = Slot::BOTH.map(|slot| self.look::<WRITE>(slot, snapshot));
        let (boots, tried, missing) = self.boot::<WRITE>();
        // A lost journal names no slot, so each is tried.
        let tried = |slot: Slot| journal == Some(Opened::Lost) || *slot.of(&tried);
        let refused = Slot::BOTH
            .into_iter()
            .filter(|slot| tried(*slot))
            .filter_map(|slot| Some((slot, slot.of(&slots).verdict.refusal()?)));
        Examination {
            conditions: self.conditions,
            sectors: sectors(self.dump, self.facts),
            journal,
            boots: boots.filter(|_| missing.is_empty()),
            missing,
            refused: refused.collect(),
            slots,
        }
    }
}

impl Examiner<'_> {
    fn open<const WRITE: usize>(&self) -> Option<Opened> {
        let (mut copy, missed) = self.copy();
        let mut flash = self.flash::<WRITE>(&mut copy, &missed);
        let layout = self.facts.row.layout();
        let mut journal = Journal::new(layout.journal, layout.digest);
        let opened = journal.open(&mut flash, &mut NoWatchdog);
        missed.into_offsets().is_empty().then_some(opened)
    }

    fn copy(&self) -> (Vec<u8>, Missed) {
        (self.dump.bytes().to_vec(), Missed::default())
    }

    fn flash<'m, const WRITE: usize>(
        &self,
        copy: &'m mut [u8],
        missed: &'m Missed,
    ) -> MemoryFlash<'m, WRITE> {
        MemoryFlash::partial(copy, self.erase_size, self.dump.present(), missed)
    }

    /// The names of the regions in which something was missed.
    fn regions(&self, missed: Missed) -> Vec<String> {
        let offsets = missed.into_offsets();
        let product = &self.facts.product;
        let regions = product.regions().into_iter().filter(|region| {
            let place = self.facts.row.place(region);
            place.is_some_and(|place| offsets.iter().any(|offset| place.contains(offset)))
        });
        regions.map(|region| region.name).collect()
    }

    /// The bootloader's story, up to the jump.
    fn boot<const WRITE: usize>(&self) -> (Option<Boots>, [bool; 2], Vec<String>) {
        let (mut copy, missed) = self.copy();
        let flash = self.flash::<WRITE>(&mut copy, &missed);
        let mut board = MemoryBoard::new(flash, self.conditions.reset);
        let ring = self.facts.key_ring();
        let product = Product {
            layout: self.facts.row.layout(),
            ring: &ring,
            entry: self.facts.entry(),
            version: self.conditions.bootloader,
            crash_loop: self.facts.product.stays.crash_loop,
        };
        let boots = prepare(&mut board, &product).map(|ready| Boots {
            slot: ready.image.slot(),
            role: ready.role,
            digest: ready.image.digest(),
            version: ready.image.manifest().version(),
            after: ready.snapshot,
        });
        let tried = board.tried();
        (boots, tried, self.regions(missed))
    }

    fn look<const WRITE: usize>(&self, slot: Slot, snapshot: Option<&Snapshot>) -> InSlot {
        let (mut copy, missed) = self.copy();
        let mut flash = self.flash::<WRITE>(&mut copy, &missed);
        let layout = self.facts.row.layout();
        let manifest = read_header(&mut flash, layout, slot)
            .and_then(|header| Ok(*Header::new_checked(&header)?.manifest()));
        let manifest = Seen::new(manifest, missed);
        let expected = snapshot.and_then(|snapshot| match snapshot.slot(slot) {
            SlotState::Trial(image, _) | SlotState::Confirmed(image) => Some(image.digest),
            SlotState::Empty | SlotState::Receiving(_) | SlotState::Rejected(..) => None,
        });
        let ring = self.facts.key_ring();
        let bootloader = self.conditions.bootloader;
        let of_the_factory = Terms::of_the_factory(layout, bootloader, 0);
        let rules = Rules {
            ring: &ring,
            revoked: snapshot
                .map(|snapshot| snapshot.revoked)
                .unwrap_or_default(),
            terms: match snapshot {
                Some(snapshot) => of_the_factory.with(snapshot),
                None => of_the_factory,
            },
            entry: self.facts.entry(),
        };
        let (mut copy, missed) = self.copy();
        let mut flash = self.flash::<WRITE>(&mut copy, &missed);
        let verdict = verify(&mut flash, slot, expected, &rules, &mut NoWatchdog).map(drop);
        let verdict = Seen::new(verdict, missed);
        InSlot { manifest, verdict }
    }
}
