//! How the state changes: the one function that says what may follow what.
//!
//! [`transition`] is pure and total. It is tested over its whole enumerated domain, and whatever is not
//! listed in the design's table is refused.

use crate::keys::Revoked;
use crate::layout::Slot;
use crate::refusal::Refusal;
pub use crate::state::Charge;
use crate::state::{Budget, Image, Reason, ReasonCode, SlotState, Snapshot};

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
    /// The application's data are in this schema now, all of them.
    Migrate {
        /// The slot that runs.
        running: Slot,
        /// The new schema.
        schema: u16,
    },
}

/// The state after `event`, or `None` if it is so already and nothing is written.
///
/// # Errors
/// Why the event cannot happen in this state.
pub fn transition(before: &Snapshot, event: Event) -> Result<Option<Snapshot>, Refusal> {
    let mut state = *before;
    match event {
        Event::Receive {
            running,
            image,
            live,
        } => receive(&mut state, running, image, live)?,
        Event::Activate {
            target,
            image,
            attempts,
        } => activate(&mut state, target, image, attempts)?,
        Event::BootTrial { slot, charge } => boot_trial(&mut state, slot, charge)?,
        Event::Confirm {
            running,
            revoke_below,
            revokes,
        } => confirm(&mut state, running, revoke_below, revokes)?,
        Event::Reject {
            slot,
            reason,
            other_is_acceptable,
        } => reject(&mut state, slot, reason, other_is_acceptable)?,
        Event::TrialBroken { slot } => trial_broken(&mut state, slot)?,
        Event::Migrate { running, schema } => migrate(&mut state, running, schema)?,
    }
    Ok((state != *before).then_some(state))
}

fn receive(state: &mut Snapshot, running: Slot, image: Image, live: bool) -> Result<(), Refusal> {
    match state.slot(running) {
        SlotState::Confirmed(present) if present.digest == image.digest => {
            return Err(Refusal::AlreadyRunning);
        }
        SlotState::Confirmed(_) => {}
        SlotState::Trial(..) => return Err(Refusal::TrialNotFinished),
        SlotState::Rejected(..) => return Err(Refusal::ResetFirst),
        SlotState::Empty | SlotState::Receiving(_) => return Err(Refusal::Impossible),
    }
    let target = state.slot_mut(running.other());
    match *target {
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
    *target = SlotState::Receiving(image);
    state.active = running;
    Ok(())
}

fn activate(state: &mut Snapshot, target: Slot, image: Image, attempts: u8) -> Result<(), Refusal> {
    let target = state.slot_mut(target);
    match *target {
        SlotState::Receiving(present) if present.digest == image.digest => {
            *target = SlotState::Trial(present, Budget::new(attempts));
            Ok(())
        }
        SlotState::Trial(present, Budget { booted: false, .. })
            if present.digest == image.digest =>
        {
            Ok(())
        }
        _ => Err(Refusal::Impossible),
    }
}

pub(crate) fn boot_trial(state: &mut Snapshot, slot: Slot, charge: Charge) -> Result<(), Refusal> {
    let SlotState::Trial(_, budget) = state.slot_mut(slot) else {
        return Err(Refusal::Impossible);
    };
    let charged = match charge {
        Charge::Attempt => &mut budget.attempts,
        Charge::Power => &mut budget.power,
    };
    if *charged == 0 {
        return Err(Refusal::BudgetUsedUp);
    }
    *charged = charged.wrapping_sub(1);
    budget.booted = true;
    Ok(())
}

pub(crate) fn trial_broken(state: &mut Snapshot, slot: Slot) -> Result<(), Refusal> {
    let slot = state.slot_mut(slot);
    let SlotState::Trial(..) = slot else {
        return Err(Refusal::Impossible);
    };
    *slot = SlotState::Empty;
    Ok(())
}

fn confirm(
    state: &mut Snapshot,
    running: Slot,
    revoke_below: u32,
    revokes: Revoked,
) -> Result<(), Refusal> {
    let slot = state.slot_mut(running);
    match *slot {
        SlotState::Trial(image, Budget { booted: true, .. }) => {
            *slot = SlotState::Confirmed(image);
            state.active = running;
            state.floor = state.floor.max(revoke_below);
            state.revoked = state.revoked.union(revokes);
            Ok(())
        }
        SlotState::Confirmed(_) => Ok(()),
        _ => Err(Refusal::Impossible),
    }
}

/// On trial the data stay as they are: the image that it may be reverted to must be able to read them.
fn migrate(state: &mut Snapshot, running: Slot, schema: u16) -> Result<(), Refusal> {
    match state.slot(running) {
        SlotState::Confirmed(_) if state.active == running => {
            state.schema = schema;
            Ok(())
        }
        SlotState::Trial(..) => Err(Refusal::TrialNotFinished),
        SlotState::Rejected(..) => Err(Refusal::ResetFirst),
        SlotState::Confirmed(_) | SlotState::Empty | SlotState::Receiving(_) => {
            Err(Refusal::Impossible)
        }
    }
}

fn reject(
    state: &mut Snapshot,
    slot: Slot,
    reason: Reason,
    other_is_acceptable: bool,
) -> Result<(), Refusal> {
    let other = slot.other();
    let other_is_confirmed = matches!(state.slot(other), SlotState::Confirmed(_));
    let is_active = state.active == slot;
    let place = state.slot_mut(slot);
    match *place {
        SlotState::Trial(..) => {}
        SlotState::Confirmed(_) if is_active => {}
        SlotState::Rejected(..) => return Ok(()),
        SlotState::Confirmed(_) | SlotState::Empty | SlotState::Receiving(_) => {
            return Err(Refusal::Impossible);
        }
    };
    if !(other_is_acceptable && other_is_confirmed) {
        return Err(Refusal::NoAcceptableOther);
    }
    give_up(state, slot, reason.code());
    Ok(())
}

/// Rejects the image in `slot` for the other one, which verified and may boot.
pub(crate) fn give_up(state: &mut Snapshot, slot: Slot, reason: ReasonCode) {
    let place = state.slot_mut(slot);
    if let Some(image) = place.image() {
        *place = SlotState::Rejected(image, reason);
        state.active = slot.other();
        state.add_rejected(&image, reason);
    }
}
