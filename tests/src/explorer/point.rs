//! The moments of a boot at which the power can be cut.

use std::rc::Rc;

use bistable_core::state::Snapshot;

use super::content::Content;
use super::ledger::Given;
use super::state::{Known, Retained, Truths};

/// What happens at a point of a boot.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// A sector is erased.
    Erase {
        /// Of which flash.
        flash: usize,
        /// Its first byte.
        at: u32,
    },
    /// A program call.
    Program {
        /// To which flash.
        flash: usize,
        /// Its first byte.
        at: u32,
        /// What.
        content: Rc<Content>,
    },
    /// Fuses are blown.
    Fuse {
        /// What they hold then.
        floor: u32,
    },
    /// The handover is stored; only a reset can come here, for the power takes it away.
    Store,
}

impl Operation {
    /// The state that is written, if it is a copy in the journal.
    pub(super) fn says(&self) -> Option<Snapshot> {
        match self {
            Self::Program { content, .. } => content.says(),
            Self::Erase { .. } | Self::Fuse { .. } | Self::Store => None,
        }
    }
}

/// A moment at which the power can be cut.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// What begins now.
    pub(super) operation: Operation,
    /// What was on the flashes before.
    pub(super) truths: Truths,
    /// What was in RAM before, or is after a [`Operation::Store`].
    pub(super) retained: Rc<Retained>,
    /// The floor that the fuses held before.
    pub(super) fused: u32,
    /// Whether this boot has read a slot: it has acted upon what the journal says.
    pub(super) acted: bool,
    /// The state that is durable now, once the application runs.
    pub(super) durable: Option<Rc<Known>>,
    /// What is being written, or was not written to the end.
    pub(super) attempted: Option<Rc<Known>>,
    /// The receipt that was given out last.
    pub(super) given: Given,
    /// Cuts and failures since the ledger was whole.
    pub(super) ledger_row: u8,
}
