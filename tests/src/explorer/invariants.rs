//! What must hold after every fault, as the design numbers it.

use std::fmt;

/// One of the design's invariants, or what stands beside them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Invariant {
    /// 1: whatever is jumped to was signed, matches its manifest as it lies, meets the floor, and is not
    /// rejected.
    Safe,
    /// 2: some image runs within three resets, a confirmed one within three more than the budgets left.
    Alive,
    /// 3: a slot keeps every byte while the snapshot calls it Confirmed or Trial.
    KnownGood,
    /// 4: what was reported durable, or acted upon, stays; what was cut, and not acted upon, does not come
    /// back; floor and revocations never fall.
    Monotone,
    /// 5: an update that is offered again is completed once the faults stop.
    Progress,
    /// 6: erases are bounded; a confirmed boot writes nothing.
    Wear,
    /// The contract of the flash: whole units, within bounds, each programmed once per erase.
    Flash,
    /// The code under test panicked. No invariant of the design, and no way to catch a planted defect.
    NoPanic,
}

impl fmt::Display for Invariant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Safe => "1 safe",
            Self::Alive => "2 alive",
            Self::KnownGood => "3 known-good stays",
            Self::Monotone => "4 monotone",
            Self::Progress => "5 progress",
            Self::Wear => "6 wear",
            Self::Flash => "flash contract",
            Self::NoPanic => "no panic",
        })
    }
}

/// What was broken, and how it showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// How it showed, for people.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.invariant, self.what)
    }
}
