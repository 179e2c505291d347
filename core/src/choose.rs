//! What to boot: pure decisions of the bootloader, shared with the tools that explain them.

use crate::layout::Slot;
use crate::reset::ResetReason;
use crate::state::{Budget, Image, Origin, POWER_BUDGET, Reason, SlotState, Snapshot};
use crate::transition::{Charge, boot_trial, reject, trial_broken};
use crate::verify::Verified;

/// As what an image would boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// On trial; its start is recorded with this charge before the jump.
    Trial(Charge),
    /// The confirmed image that boots.
    Active,
    /// The other confirmed image, because the active one did not verify.
    Other,
    /// A trial whose budget is used up, because nothing else verified. Nothing is recorded.
    LastResort,
}

impl Role {
    /// Whether an image with this role is chosen rather than one with the `other`.
    const fn comes_before(self, other: Self) -> bool {
        self.place() < other.place()
    }

    const fn place(self) -> u8 {
        match self {
            Self::Trial(_) => 0,
            Self::Active => 1,
            Self::Other => 2,
            Self::LastResort => 3,
        }
    }
}

/// What to verify next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Where it lies.
    pub slot: Slot,
    /// What must lie there.
    pub image: Image,
    /// As what it would boot.
    pub role: Role,
}

/// What speaks against candidates in this boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Against {
    /// The slots that failed verification.
    pub failed: [bool; 2],
    /// Trials cannot be recorded: then they do not happen.
    pub trials: bool,
}

impl Against {
    /// The same, and `slot` failed verification.
    #[must_use]
    pub const fn with_failed(mut self, slot: Slot) -> Self {
        *slot.of_mut(&mut self.failed) = true;
        self
    }
}

/// The image to verify next, or `None` if nothing is left.
///
/// A trial whose budget for this reset is not used up, else the active slot, else the other confirmed
/// one, else the trial after all.
#[must_use]
pub fn choose(snapshot: &Snapshot, reset: ResetReason, against: Against) -> Option<Candidate> {
    let mut best: Option<(Slot, Role)> = None;
    for slot in Slot::BOTH {
        let charge = reset.charge();
        let role = match slot.of(&snapshot.slots) {
            _ if *slot.of(&against.failed) => continue,
            SlotState::Trial(_, budget) if !against.trials => match budget.left(charge) {
                0 => Role::LastResort,
                _ => Role::Trial(charge),
            },
            SlotState::Confirmed(_) if slot == snapshot.active => Role::Active,
            SlotState::Confirmed(_) => Role::Other,
            _ => continue,
        };
        if best.is_none_or(|(_, best)| role.comes_before(best)) {
            best = Some((slot, role));
        }
    }
    let (slot, role) = best?;
    let image = slot.of(&snapshot.slots).image()?;
    Some(Candidate { slot, image, role })
}

/// The state to write before the jump into `chosen`, which has verified; `None` if nothing changes.
///
/// A trial that failed verification is forgotten, one whose budget is used up is rejected (the image
/// that runs instead has verified), one that is started is charged.
#[must_use]
pub fn settle(snapshot: &Snapshot, against: Against, chosen: Candidate) -> Option<Snapshot> {
    let mut state = *snapshot;
    settle_in_place(&mut state, against, &chosen).then_some(state)
}

/// The same where the state lies; whether anything changed.
pub fn settle_in_place(state: &mut Snapshot, against: Against, chosen: &Candidate) -> bool {
    let mut changed = false;
    for slot in Slot::BOTH {
        let SlotState::Trial(_, budget) = slot.of(&state.slots) else {
            continue;
        };
        let change = match chosen.role {
            _ if *slot.of(&against.failed) => trial_broken(state, slot),
            Role::Trial(charge) => boot_trial(state, slot, charge),
            Role::Active | Role::Other if !against.trials => {
                let reason = match budget.attempts {
                    0 => Reason::AttemptsUsedUp,
                    _ => Reason::PowerBudgetUsedUp,
                };
                reject(state, slot, reason, chosen.slot != slot)
            }
            _ => continue,
        };
        changed |= change.is_ok();
    }
    changed
}

/// What is known of an acceptable image when the journal is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// What lies in the slot.
    pub image: Image,
    /// The trial attempts that its manifest allows.
    pub attempts: u8,
    /// The data schema that it writes: the last one that it can read.
    pub schema: u16,
}

impl Found {
    /// What a verified image says of itself.
    #[must_use]
    pub fn new(image: &Verified) -> Self {
        let manifest = image.manifest();
        Self {
            image: Image {
                digest: image.digest(),
                sequence: manifest.sequence(),
                origin: Origin::Found,
            },
            attempts: manifest.trial_attempts(),
            schema: manifest.schemas().1,
        }
    }
}

/// The state of a device whose journal is lost, from the acceptable images that it holds.
///
/// Two: the older one (on a tie A) is Confirmed and active, the newer one Trial. One: Confirmed and
/// active, for there is nothing to go back to. None: there is no state to speak of. The data are taken to be
/// in the schema that the confirmed image writes.
#[must_use]
pub fn rebuild(found: [Option<Found>; 2], floor: u32) -> Option<Snapshot> {
    let (slot, older, newer) = match &found {
        [None, None] => return None,
        [Some(only), None] => (Slot::A, only, None),
        [None, Some(only)] => (Slot::B, only, None),
        [Some(a), Some(b)] if b.image.sequence < a.image.sequence => (Slot::B, b, Some(a)),
        [Some(a), Some(b)] => (Slot::A, a, Some(b)),
    };
    let mut snapshot = Snapshot::with_confirmed(slot, older.image, floor);
    snapshot.schema = older.schema;
    if let Some(newer) = newer {
        let budget = Budget {
            attempts: newer.attempts,
            power: POWER_BUDGET,
            booted: false,
        };
        *snapshot.slot_mut(slot.other()) = SlotState::Trial(newer.image, budget);
    }
    Some(snapshot)
}
