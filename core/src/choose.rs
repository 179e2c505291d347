//! What to boot: pure decisions of the bootloader, shared with the tools that explain them.

use crate::layout::Slot;
use crate::reset::ResetReason;
use crate::state::{Budget, Image, Origin, Reason, SlotState, Snapshot};
use crate::transition::{Charge, boot_trial, give_up, trial_broken};
use crate::verify::Verified;

/// As what an image would boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Role {
    /// On trial; its start is recorded with this charge before the jump.
    Trial(Charge),
    /// The confirmed image that boots.
    Active,
    /// The other confirmed image, because the active one did not verify, or crashes again and again.
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
    /// Nothing can be recorded: then no trial happens but as a last resort, and no image is rejected.
    pub trials: bool,
    /// The active image was reset abnormally as often as the product bears, and that can be recorded.
    pub crashed: bool,
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
/// one, else the trial after all. The other confirmed one comes before an active one that crashes.
#[must_use]
pub fn choose(snapshot: &Snapshot, reset: ResetReason, against: Against) -> Option<Candidate> {
    let charge = reset.charge();
    let active = snapshot.active;
    let beside = active.other();
    let active_failed = *active.of(&against.failed);
    let beside_failed = *beside.of(&against.failed);
    let (slot, role) = match beside.of(&snapshot.slots) {
        SlotState::Trial(_, budget)
            if !against.trials && !beside_failed && budget.left(charge) > 0 =>
        {
            (beside, Role::Trial(charge))
        }
        SlotState::Confirmed(_) if against.crashed && !beside_failed => (beside, Role::Other),
        _ if !active_failed => (active, Role::Active),
        _ if beside_failed => return None,
        SlotState::Confirmed(_) => (beside, Role::Other),
        SlotState::Trial(..) => (beside, Role::LastResort),
        _ => return None,
    };
    let image = *slot.of(&snapshot.slots).as_image()?;
    Some(Candidate { slot, image, role })
}

/// The state to write before the jump into `chosen`, which has verified; `None` if nothing changes.
///
/// A trial that failed verification is forgotten, one whose budget is used up is rejected, one that is
/// started is charged; an active image that crashes is rejected. Where one is rejected, the image that runs
/// instead has verified.
#[must_use]
pub fn settle(snapshot: &Snapshot, against: Against, chosen: Candidate) -> Option<Snapshot> {
    let mut state = *snapshot;
    settle_in_place(&mut state, against, chosen.role).then_some(state)
}

/// The same where the state lies; whether anything changed.
#[inline(never)] // in the bootloader's loop it takes 80 bytes more
pub fn settle_in_place(state: &mut Snapshot, against: Against, chosen: Role) -> bool {
    let beside = state.active.other();
    let (rejected, reason) = match (beside.of(&state.slots), chosen) {
        (SlotState::Trial(..), _) if *beside.of(&against.failed) => {
            return trial_broken(state, beside).is_ok();
        }
        (_, Role::Trial(charge)) => return boot_trial(state, beside, charge).is_ok(),
        (_, Role::LastResort) => return false,
        (SlotState::Trial(_, budget), _) if !against.trials => {
            let reason = match budget.attempts {
                0 => Reason::AttemptsUsedUp,
                _ => Reason::PowerBudgetUsedUp,
            };
            (beside, reason)
        }
        (_, Role::Other) if against.crashed => (state.active, Reason::CrashLoop),
        _ => return false,
    };
    give_up(state, rejected, reason.code());
    true
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
    Some(match &found {
        [None, None] => return None,
        [Some(only), None] => state_of(Slot::A, only, None, floor),
        [None, Some(only)] => state_of(Slot::B, only, None, floor),
        [Some(a), Some(b)] if b.image.sequence < a.image.sequence => {
            state_of(Slot::B, b, Some(a), floor)
        }
        [Some(a), Some(b)] => state_of(Slot::A, a, Some(b), floor),
    })
}

fn state_of(slot: Slot, confirmed: &Found, newer: Option<&Found>, floor: u32) -> Snapshot {
    let mut snapshot = Snapshot::with_confirmed(slot, confirmed.image, floor);
    snapshot.schema = confirmed.schema;
    if let Some(newer) = newer {
        let budget = Budget::new(newer.attempts);
        *snapshot.slot_mut(slot.other()) = SlotState::Trial(newer.image, budget);
    }
    snapshot
}
