//! Runs the bootloader on a copy of a flash, and looks at what it left.

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
use crate::facts::{Facts, workspace_version};
use crate::memory_flash::{MemoryFlash, NoWatchdog, WithWriteSize, for_write_size};

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
    /// What the journal says, and how much had to be rewritten for that.
    pub journal: Opened,
    /// What lies in slot A, and what in slot B.
    pub slots: [InSlot; 2],
    /// What would boot.
    pub boots: Option<Boots>,
    /// What the bootloader would have tried and refused, in the order of the slots.
    pub refused: Vec<(Slot, Refusal)>,
}

/// What lies in a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InSlot {
    /// What the header says of itself.
    pub manifest: Result<Manifest, Refusal>,
    /// Whether it would boot as it lies. Where the journal calls it a trial or confirmed, it must also
    /// be the image that the journal speaks of.
    pub verdict: Result<(), Refusal>,
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
    /// What the journal says before the boot; `None` if it is lost.
    #[must_use]
    pub const fn snapshot(&self) -> Option<&Snapshot> {
        match &self.journal {
            Opened::Sound { snapshot, .. } | Opened::GaveUp(snapshot) => Some(snapshot),
            Opened::Lost => None,
        }
    }

    /// What the journal says of `slot`.
    #[must_use]
    pub fn state(&self, slot: Slot) -> Option<SlotState> {
        self.snapshot().map(|snapshot| snapshot.slot(slot))
    }
}

/// Examines the flash in `bytes`, as long as the layout says; it is not changed.
#[must_use]
pub fn examine(bytes: &[u8], facts: &Facts, conditions: Conditions) -> Examination {
    let flash = facts.product.flash.get(&facts.product.slots_flash);
    let (write_size, erase_size) =
        flash.map_or((1, 1), |flash| (flash.write_size, flash.erase_size));
    let examiner = Examiner {
        bytes,
        facts,
        conditions,
        erase_size,
    };
    // Every layout has one of these write sizes.
    for_write_size(write_size, examiner).unwrap_or_else(|| examiner.run::<1>())
}

#[derive(Clone, Copy)]
struct Examiner<'e> {
    bytes: &'e [u8],
    facts: &'e Facts,
    conditions: Conditions,
    erase_size: u32,
}

impl WithWriteSize for Examiner<'_> {
    type Output = Examination;

    fn run<const WRITE: usize>(self) -> Examination {
        let journal = self.open::<WRITE>();
        let snapshot = match &journal {
            Opened::Sound { snapshot, .. } | Opened::GaveUp(snapshot) => Some(snapshot),
            Opened::Lost => None,
        };
        let slots = Slot::BOTH.map(|slot| self.look::<WRITE>(slot, snapshot));
        let (boots, tried) = self.boot::<WRITE>();
        // A lost journal names no slot, so each is tried.
        let tried = |slot: Slot| snapshot.is_none() || *slot.of(&tried);
        let refused = Slot::BOTH
            .into_iter()
            .filter(|slot| tried(*slot))
            .filter_map(|slot| Some((slot, slot.of(&slots).verdict.err()?)));
        Examination {
            conditions: self.conditions,
            journal,
            boots,
            refused: refused.collect(),
            slots,
        }
    }
}

impl Examiner<'_> {
    fn open<const WRITE: usize>(&self) -> Opened {
        let mut copy = self.bytes.to_vec();
        let mut flash = MemoryFlash::<WRITE>::new(&mut copy, self.erase_size);
        let layout = &self.facts.product.layout;
        Journal::new(layout.journal, layout.digest).open(&mut flash, &mut NoWatchdog)
    }

    /// The bootloader's story, up to the jump.
    fn boot<const WRITE: usize>(&self) -> (Option<Boots>, [bool; 2]) {
        let mut copy = self.bytes.to_vec();
        let flash = MemoryFlash::<WRITE>::new(&mut copy, self.erase_size);
        let mut board = MemoryBoard::new(flash, self.conditions.reset);
        let ring = self.facts.key_ring();
        let product = Product {
            layout: &self.facts.product.layout,
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
        (boots, board.tried())
    }

    fn look<const WRITE: usize>(&self, slot: Slot, snapshot: Option<&Snapshot>) -> InSlot {
        let mut copy = self.bytes.to_vec();
        let mut flash = MemoryFlash::<WRITE>::new(&mut copy, self.erase_size);
        let layout = &self.facts.product.layout;
        let manifest = read_header(&mut flash, layout, slot)
            .and_then(|header| Ok(*Header::new_checked(&header)?.manifest()));
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
        let verdict = verify(&mut flash, slot, expected, &rules, &mut NoWatchdog).map(drop);
        InSlot { manifest, verdict }
    }
}
