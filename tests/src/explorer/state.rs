//! A device between two boots: what is on its flashes and in RAM, and what is known of it from outside.

use std::hash::BuildHasher;
use std::rc::Rc;

use bistable_core::digest::Digest;
use bistable_core::handover::{HANDOVER_LEN, Handover};
use bistable_core::layout::Slot;
use bistable_core::state::{POWER_BUDGET, SlotState, Snapshot};
use foldhash::fast::FixedState;

use super::ledger::Given;
use super::truth::Truth;

/// RAM that survives a reset.
pub(super) type Retained = [u8; HANDOVER_LEN];

/// What is on the flashes: that of the slots, and that of the journal if it has its own.
pub(super) type Truths = [Rc<Truth>; 2];

/// A state that is known from outside, with its hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Known {
    /// The state.
    pub(super) snapshot: Snapshot,
    /// Of the state.
    pub(super) hash: u64,
}

impl Known {
    /// That state.
    pub(super) fn new(snapshot: Snapshot) -> Rc<Self> {
        let hash = FixedState::with_seed(0xb157).hash_one(snapshot);
        Rc::new(Self { snapshot, hash })
    }

    /// What a trial has left of its budgets, added up.
    fn budget_left(&self) -> u8 {
        let left = self.snapshot.slots.iter().map(|slot| match slot {
            SlotState::Trial(_, budget) => budget.attempts + budget.power,
            _ => 0,
        });
        left.max().unwrap_or(0)
    }
}

/// What is known of the state from outside: what was acted upon or reported durable last, and what may have
/// been half-written since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ghost {
    /// Nothing: the journal was never written, or more cuts fell in a row than it survives for certain.
    Unknown,
    /// This.
    Known {
        /// Acted upon, or reported durable.
        state: Rc<Known>,
        /// Cut, and not acted upon since.
        pending: Option<Rc<Known>>,
    },
}

impl Ghost {
    /// What of it may be so.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Rc<Known>> + Clone {
        let (state, pending) = match self {
            Self::Unknown => (None, None),
            Self::Known { state, pending } => (Some(state), pending.as_ref()),
        };
        state.into_iter().chain(pending)
    }

    /// Whether, whatever of it is so, this slot holds an image that is confirmed or on trial.
    pub(super) fn runs_from(&self, slot: Slot) -> bool {
        *self != Self::Unknown
            && self.candidates().all(|known| {
                let state = known.snapshot.slot(slot);
                matches!(state, SlotState::Confirmed(_) | SlotState::Trial(..))
            })
    }

    /// This is known, and what is pending if that is anything else.
    pub(super) fn known(state: &Rc<Known>, pending: Option<&Rc<Known>>) -> Self {
        Self::Known {
            state: state.clone(),
            pending: pending.filter(|pending| *pending != state).cloned(),
        }
    }

    /// The most that a trial may have left of its budgets, added up.
    pub(super) fn budget_left(&self) -> u8 {
        match self {
            Self::Unknown => POWER_BUDGET + 1,
            Self::Known { .. } => {
                let left = self.candidates().map(|known| known.budget_left());
                left.max().unwrap_or(0)
            }
        }
    }

    /// Whether it is the very same knowledge.
    pub(super) fn is(&self, other: &Self) -> bool {
        let hashes = |ghost: &Self| {
            let mut known = ghost.candidates().map(|known| known.hash);
            (known.next(), known.next())
        };
        hashes(self) == hashes(other)
    }
}

/// A device with the power off, or about to be reset.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// What is on the flashes.
    pub(super) truths: Truths,
    /// RAM, if it is kept: a reset. Else the power was gone.
    pub(super) retained: Option<Rc<Retained>>,
    /// What must still be so.
    pub(super) ghost: Ghost,
    /// The receipt that was given out last.
    pub(super) given: Given,
    /// Cuts since a boot got to act, and found the ledger whole if the story has one.
    pub(super) row: u8,
    /// Whether a bit has flipped in the journal since.
    pub(super) flipped: bool,
    /// Whether a bit has flipped in a slot, ever.
    pub(super) spoilt: bool,
    /// The floor that the fuses hold.
    pub(super) fused: u32,
    /// Abnormal resets of the confirmed image that ran last, since it runs and since it lived through a soak.
    pub(super) abnormal: u16,
}

impl State {
    /// With the power off, and nothing wrong.
    pub(super) fn new(truths: Truths, snapshot: Option<Snapshot>) -> Self {
        Self {
            truths,
            retained: None,
            ghost: snapshot.map_or(Ghost::Unknown, |state| {
                Ghost::known(&Known::new(state), None)
            }),
            given: Given::None,
            row: 0,
            flipped: false,
            spoilt: false,
            fused: 0,
            abnormal: 0,
        }
    }

    fn last(&self) -> Option<Handover> {
        self.retained.as_deref().and_then(Handover::decode)
    }

    /// How many resets in a row found this slot's verification begun and not ended, the last one too.
    pub(super) fn resets_while_verifying(&self, slot: Slot) -> u8 {
        match self.last() {
            Some(last) if last.note == Some(slot) => last.note_resets + 1,
            _ => 0,
        }
    }

    /// How many abnormal resets in a row ended the image in this slot while it was confirmed.
    pub(super) fn crashes(&self, slot: Slot) -> u16 {
        match self.last() {
            Some(last) if last.running == Some(slot) => self.abnormal,
            _ => 0,
        }
    }

    /// The image that ran last, if RAM says so.
    pub(super) fn ran(&self) -> Option<Digest> {
        let last = self.last().filter(|last| last.running.is_some());
        last.map(|last| last.digest)
    }
}
