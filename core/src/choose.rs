//! What to boot: pure decisions of the bootloader, shared with the tools that explain them.

use crate::layout::Slot;
use crate::reset::ResetReason;
use crate::state::{Budget, Image, Origin, POWER_BUDGET, Reason, SlotState, Snapshot};
use crate::transition::{Charge, Event, transition};
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
    let charge = reset.charge();
    let trial = |slot| match snapshot.slot(slot) {
        SlotState::Trial(image, budget) if !against.trials => {
            let left = match charge {
                Charge::Attempt => budget.attempts,
                Charge::Power => budget.power,
            };
            Some((image, left > 0))
        }
        _ => None,
    };
    let fresh_trial = |slot| match trial(slot) {
        Some((image, true)) => Some((image, Role::Trial(charge))),
        _ => None,
    };
    let active = |slot| match snapshot.slot(slot) {
        SlotState::Confirmed(image) if slot == snapshot.active => Some((image, Role::Active)),
        _ => None,
    };
    let other = |slot| match snapshot.slot(slot) {
        SlotState::Confirmed(image) if slot != snapshot.active => Some((image, Role::Other)),
        _ => None,
    };
    let last_resort = |slot| trial(slot).map(|(image, _)| (image, Role::LastResort));

    let first = |candidate: &dyn Fn(Slot) -> Option<(Image, Role)>| {
        let mut slots = Slot::BOTH
            .into_iter()
            .filter(|slot| !slot.of(&against.failed));
        slots.find_map(|slot| candidate(slot).map(|(image, role)| Candidate { slot, image, role }))
    };
    first(&fresh_trial)
        .or_else(|| first(&active))
        .or_else(|| first(&other))
        .or_else(|| first(&last_resort))
}

/// The state to write before the jump into `chosen`, which has verified; `None` if nothing changes.
///
/// A trial that failed verification is forgotten, one whose budget is used up is rejected (the image
/// that runs instead has verified), one that is started is charged.
#[must_use]
pub fn settle(snapshot: &Snapshot, against: Against, chosen: Candidate) -> Option<Snapshot> {
    let events = Slot::BOTH.map(|slot| match (snapshot.slot(slot), chosen.role) {
        (SlotState::Trial(..), _) if *slot.of(&against.failed) => Some(Event::TrialBroken { slot }),
        (SlotState::Trial(..), Role::Trial(charge)) => Some(Event::BootTrial { slot, charge }),
        (SlotState::Trial(_, budget), Role::Active | Role::Other) if !against.trials => {
            Some(Event::Reject {
                slot,
                reason: match budget.attempts {
                    0 => Reason::AttemptsUsedUp,
                    _ => Reason::PowerBudgetUsedUp,
                },
                other_is_acceptable: chosen.slot != slot,
            })
        }
        _ => None,
    });
    let after = events.into_iter().flatten().fold(*snapshot, |now, event| {
        transition(&now, event).ok().flatten().unwrap_or(now)
    });
    (after != *snapshot).then_some(after)
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
    let confirmed = |slot, found: Found| Snapshot {
        schema: found.schema,
        ..Snapshot::with_confirmed(slot, found.image, floor)
    };
    match found {
        [None, None] => None,
        [Some(only), None] => Some(confirmed(Slot::A, only)),
        [None, Some(only)] => Some(confirmed(Slot::B, only)),
        [Some(a), Some(b)] => {
            let (slot, older, newer) = if b.image.sequence < a.image.sequence {
                (Slot::B, b, a)
            } else {
                (Slot::A, a, b)
            };
            let budget = Budget {
                attempts: newer.attempts,
                power: POWER_BUDGET,
                booted: false,
            };
            let trial = SlotState::Trial(newer.image, budget);
            Some(confirmed(slot, older).with_slot(slot.other(), trial))
        }
    }
}
