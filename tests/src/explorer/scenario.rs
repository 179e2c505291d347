//! What is explored, in plain values: sizes of flash, and stories of images that are offered and how they behave.

use bistable_core::layout::Slot;

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
    /// It passes its checks but for the update source, which it reaches or not.
    CutOff,
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
    /// No image: it migrates the data to a schema that it can read, and image 0 cannot.
    Migrate,
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
    /// Whether confirmed images may crash, too.
    pub crashes: bool,
    /// Whether there are fuses.
    pub fuses: bool,
    /// Whether the application makes receipts, and keeps them in a ledger behind the journal.
    pub receipts: bool,
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
        let (geometry, scenario) = (self.geometry.name, self.scenario.name);
        format!("{geometry}/{scenario}{erases}{beyond}")
    }

    /// How many cuts in a row the journal survives for certain; `None`: any number.
    pub(super) fn row(&self) -> Option<u8> {
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
