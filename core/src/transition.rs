//! How the state changes: the one function that says what may follow what.
//!
//! [`transition`] is pure and total. It is tested over its whole enumerated domain, and whatever is not
//! listed in the design's table is refused.

use crate::keys::Revoked;
use crate::layout::Slot;
use crate::refusal::Refusal;
use crate::state::{Budget, Image, POWER_BUDGET, Reason, SlotState, Snapshot};

/// What a trial's start is charged to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Charge {
    /// The reset was not a loss of power.
    Attempt,
    /// The reset was a power-on or a brown-out.
    Power,
}

/// What happens to the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The first verified chunk of an image is in RAM, and nothing of it is on flash yet.
    Receive {
        /// The slot that runs; the other one receives.
        running: Slot,
        /// What is received.
        image: Image,
        /// Whether what is being received now is live: it gives way only to a newer one.
        live: bool,
    },
    /// The installation is whole and checked.
    Activate {
        /// The slot that received it.
        target: Slot,
        /// What it received.
        image: Image,
        /// What the manifest allows.
        attempts: u8,
    },
    /// A verified trial is about to be started.
    BootTrial {
        /// Where it lies.
        slot: Slot,
        /// What is charged.
        charge: Charge,
    },
    /// The application on trial says that it is healthy.
    Confirm {
        /// The slot that runs.
        running: Slot,
        /// The manifest's `revoke_below`.
        revoke_below: u32,
        /// The keys that the manifest revokes.
        revokes: Revoked,
    },
    /// The image in `slot` shall not run again.
    Reject {
        /// Where it lies: a trial, or the active slot.
        slot: Slot,
        /// Why.
        reason: Reason,
        /// Whether the image that runs instead verifies and may boot.
        other_is_acceptable: bool,
    },
    /// Header or payload of a trial failed verification.
    TrialBroken {
        /// Where it lies.
        slot: Slot,
    },
}

/// The state after `event`, or `None` if it is so already and nothing is written.
///
/// # Errors
/// Why the event cannot happen in this state.
pub fn transition(before: &Snapshot, event: Event) -> Result<Option<Snapshot>, Refusal> {
    let after = match event {
        Event::Receive {
            running,
            image,
            live,
        } => receive(before, running, image, live)?,
        Event::Activate {
            target,
            image,
            attempts,
        } => activate(before, target, image, attempts)?,
        Event::BootTrial { slot, charge } => boot_trial(before, slot, charge)?,
        Event::Confirm {
            running,
            revoke_below,
            revokes,
        } => confirm(before, running, revoke_below, revokes)?,
        Event::Reject {
            slot,
            reason,
            other_is_acceptable,
        } => reject(before, slot, reason, other_is_acceptable)?,
        Event::TrialBroken { slot } => match before.slot(slot) {
            SlotState::Trial(..) => before.with_slot(slot, SlotState::Empty),
            _ => return Err(Refusal::Impossible),
        },
    };
    Ok((after != *before).then_some(after))
}

fn receive(
    before: &Snapshot,
    running: Slot,
    image: Image,
    live: bool,
) -> Result<Snapshot, Refusal> {
    match before.slot(running) {
        SlotState::Confirmed(present) if present.digest == image.digest => {
            return Err(Refusal::AlreadyRunning);
        }
        SlotState::Confirmed(_) => {}
        SlotState::Trial(..) => return Err(Refusal::TrialNotFinished),
        SlotState::Rejected(..) => return Err(Refusal::ResetFirst),
        SlotState::Empty | SlotState::Receiving(_) => return Err(Refusal::Impossible),
    }
    let target = running.other();
    match before.slot(target) {
        SlotState::Receiving(present)
            if live && present.digest != image.digest && present.sequence >= image.sequence =>
        {
            return Err(Refusal::NewerInProgress);
        }
        SlotState::Trial(present, _) if present.digest == image.digest => {
            return Err(Refusal::AlreadyWaiting);
        }
        SlotState::Trial(_, Budget { booted: true, .. }) => return Err(Refusal::TrialNotFinished),
        SlotState::Trial(present, _) if present.sequence >= image.sequence => {
            return Err(Refusal::NewerInProgress);
        }
        SlotState::Empty
        | SlotState::Receiving(_)
        | SlotState::Trial(..)
        | SlotState::Confirmed(_)
        | SlotState::Rejected(..) => {}
    }
    let mut after = before.with_slot(target, SlotState::Receiving(image));
    after.active = running;
    Ok(after)
}

fn activate(
    before: &Snapshot,
    target: Slot,
    image: Image,
    attempts: u8,
) -> Result<Snapshot, Refusal> {
    match before.slot(target) {
        SlotState::Receiving(present) if present.digest == image.digest => {
            let budget = Budget {
                attempts,
                power: POWER_BUDGET,
                booted: false,
            };
            Ok(before.with_slot(target, SlotState::Trial(present, budget)))
        }
        SlotState::Trial(present, Budget { booted: false, .. })
            if present.digest == image.digest =>
        {
            Ok(*before)
        }
        _ => Err(Refusal::Impossible),
    }
}

fn boot_trial(before: &Snapshot, slot: Slot, charge: Charge) -> Result<Snapshot, Refusal> {
    let SlotState::Trial(image, mut budget) = before.slot(slot) else {
        return Err(Refusal::Impossible);
    };
    let charged = match charge {
        Charge::Attempt => &mut budget.attempts,
        Charge::Power => &mut budget.power,
    };
    *charged = charged.checked_sub(1).ok_or(Refusal::BudgetUsedUp)?;
    budget.booted = true;
    Ok(before.with_slot(slot, SlotState::Trial(image, budget)))
}

fn confirm(
    before: &Snapshot,
    running: Slot,
    revoke_below: u32,
    revokes: Revoked,
) -> Result<Snapshot, Refusal> {
    match before.slot(running) {
        SlotState::Trial(image, Budget { booted: true, .. }) => {
            let mut after = before.with_slot(running, SlotState::Confirmed(image));
            after.active = running;
            after.floor = before.floor.max(revoke_below);
            after.revoked = before.revoked.union(revokes);
            Ok(after)
        }
        SlotState::Confirmed(_) => Ok(*before),
        _ => Err(Refusal::Impossible),
    }
}

fn reject(
    before: &Snapshot,
    slot: Slot,
    reason: Reason,
    other_is_acceptable: bool,
) -> Result<Snapshot, Refusal> {
    let image = match before.slot(slot) {
        SlotState::Trial(image, _) | SlotState::Confirmed(image) => image,
        SlotState::Rejected(..) => return Ok(*before),
        SlotState::Empty | SlotState::Receiving(_) => return Err(Refusal::Impossible),
    };
    let other = slot.other();
    if !(other_is_acceptable && matches!(before.slot(other), SlotState::Confirmed(_))) {
        return Err(Refusal::NoAcceptableOther);
    }
    let mut after = before
        .with_slot(slot, SlotState::Rejected(image, reason))
        .remember_rejected(image, reason);
    after.active = other;
    Ok(after)
}
