//! What one program call writes, and what is left of it when that, or a later erase, is cut.

use std::cell::OnceCell;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::rc::Rc;

use bistable_core::digest::Digest;
use bistable_core::ledger::RECORD_LEN;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use bistable_core::state::Snapshot;
use foldhash::fast::FixedState;

use super::ledger::Named;

/// Where a copy's sequence number lies, and what depends on it.
const SEQUENCE: Range<usize> = 4..8;
const CHECKSUM: Range<usize> = SNAPSHOT_LEN - 4..SNAPSHOT_LEN;

/// What the copies in a sector are, and whose.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keeps {
    /// The journal's.
    Snapshots(Digest),
    /// The ledger's.
    Receipts(Digest),
}

impl Keeps {
    /// Length of a copy in bytes.
    pub(super) const fn copy_len(self) -> usize {
        match self {
            Self::Snapshots(_) => SNAPSHOT_LEN,
            Self::Receipts(_) => RECORD_LEN,
        }
    }
}

/// What one program call wrote, or a part of it.
#[derive(Debug)]
pub struct Content {
    /// What was, or was to be, written.
    pub bytes: Box<[u8]>,
    /// Of the bytes; in the journal, without sequence numbers and what depends on them.
    pub(super) hash: u64,
    /// Of a valid copy in the journal, or of a piece of a copy that may become whole again.
    pub(super) sequence: Option<u32>,
    /// Whether it is a valid copy.
    is_copy: bool,
    /// The receipt that it is, if it is a valid copy in the ledger.
    pub(super) receipt: Option<Named>,
    /// Where in a copy it begins, and what copies are there.
    place: Option<(u32, Keeps)>,
    /// What is left of it when it is written, or erased, only in part.
    garbage: OnceCell<Rc<Content>>,
    /// The same but for one unit.
    lacking: OnceCell<Rc<Content>>,
}

impl Content {
    /// These bytes; `place` says where in a copy they begin, and what copies are there.
    pub(super) fn new(bytes: &[u8], place: Option<(u32, Keeps)>) -> Rc<Self> {
        let (mut sequence, mut is_copy, mut receipt) = (None, false, None);
        let hash = if let Some((_, Keeps::Receipts(owner))) = place {
            // Which receipt it is, is for the ledger's fingerprint to say; all that is none is the same.
            (sequence, receipt) = Named::in_copy(bytes, owner).unzip();
            is_copy = receipt.is_some();
            0
        } else if let Some((begin, Keeps::Snapshots(layout))) = place {
            let mut masked = bytes.to_vec();
            for (byte, at) in masked.iter_mut().zip(begin as usize..) {
                if SEQUENCE.contains(&at) || CHECKSUM.contains(&at) {
                    *byte = 0;
                }
            }
            if let Ok(copy) = <&[u8; SNAPSHOT_LEN]>::try_from(bytes) {
                is_copy = snapshot::is_valid(copy, layout);
                sequence = is_copy.then(|| snapshot::sequence(copy));
            } else if begin == 0 {
                sequence = number_in(bytes);
            }
            hash_of(&masked)
        } else {
            hash_of(bytes)
        };
        Rc::new(Self {
            bytes: bytes.into(),
            hash: hash ^ u64::from(is_copy),
            sequence,
            is_copy,
            receipt,
            place,
            garbage: OnceCell::new(),
            lacking: OnceCell::new(),
        })
    }

    /// The state that it speaks of, if it is a copy in the journal.
    pub(super) fn says(&self) -> Option<Snapshot> {
        let copy = <&[u8; SNAPSHOT_LEN]>::try_from(&*self.bytes);
        copy.ok().and_then(snapshot::decode)
    }

    /// Whether it is what a copy is not: nothing asks more of it.
    pub(super) fn is_garbage(&self) -> bool {
        let is_whole = |(_, keeps): (u32, Keeps)| self.bytes.len() == keeps.copy_len();
        self.place.is_some_and(is_whole) && !self.is_copy
    }

    /// All but the second unit, which is blank.
    pub(super) fn lacking(self: &Rc<Self>, write: u32) -> Rc<Self> {
        let lacking = self.lacking.get_or_init(|| {
            let write = write as usize;
            let mut left = self.bytes.to_vec();
            left[write..2 * write].fill(0xff);
            Self::new(&left, self.place)
        });
        lacking.clone()
    }

    /// What a cut leaves that is no longer valid: the first half of the units written, one torn, the others
    /// untouched. Garbage of garbage is the same garbage.
    pub(super) fn garbage(self: &Rc<Self>, write: u32) -> Rc<Self> {
        let garbage = self.garbage.get_or_init(|| {
            let write = write as usize;
            let half = self.bytes.len() / 2 / write * write;
            let mut left = vec![0xff; self.bytes.len()];
            left[..half].copy_from_slice(&self.bytes[..half]);
            let torn = (half + write).min(left.len());
            left[half..torn].fill(0x5a);
            Self::new(&left, self.place)
        });
        garbage.clone()
    }
}

/// The sequence number in the first piece of a copy, if it is long enough.
fn number_in(piece: &[u8]) -> Option<u32> {
    let number = piece.get(SEQUENCE)?.first_chunk()?;
    Some(u32::from_le_bytes(*number))
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0xb157).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
