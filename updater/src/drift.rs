//! Whether what lies in the slots is still what was verified: both are measured again while the application runs.
//!
//! ```text
//!   own slot: header ─ chunk ─ … ─ chunk ─▶ finding   other slot: header ─ chunk ─ … ─▶ finding ─▶ and again
//! ```
//!
//! Each call of [`Updater::measure`] is one of these pieces. The bootloader has verified the running slot at the last
//! start, which may be months ago, and the other one perhaps never since it was installed.
//!
//! [`Finding::Differs`] stays until there is reason to think otherwise: another image in that slot, or a reset, at
//! which the bootloader verifies what it starts. A cell that reads now as this and now as that would otherwise be
//! forgotten a round later, or fill the ledger with news.

use bistable_core::digest::{Digest, Hasher};
use bistable_core::header::Header;
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::manifest::Manifest;
use bistable_core::refusal::Refusal;
use bistable_core::state::{SlotState, Snapshot};
use bistable_core::verify::{hash_into, read_header};
use bistable_core::watchdog::Watchdog;
use serde::{Deserialize, Serialize};

use crate::log::info;
use crate::platform::Platform;
use crate::updater::Updater;

/// What the last measurement of a slot found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Finding {
    /// It was not measured in this boot.
    #[default]
    NotYet,
    /// There is no image that could be measured: none, one that is being received, or one that was rejected.
    NoImage,
    /// Header and payload are what the manifest says.
    Intact,
    /// They are not, or cannot be read.
    Differs,
}

/// What was found in both slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drift {
    /// In the slot that runs.
    pub own: Finding,
    /// In the other one.
    pub other: Finding,
}

/// How far the round has come.
pub(crate) struct Survey {
    slot: Slot,
    stage: Stage,
}

enum Stage {
    Header,
    Payload {
        hasher: Hasher,
        /// What was hashed already, in bytes.
        hashed: u32,
        len: u32,
        /// What the manifest says of it.
        payload: Digest,
    },
}

/// One piece is far less than a watchdog's period, and an application on trial feeds it through
/// [`Updater::feed`] alone: measuring must not keep one alive that does nothing else.
struct Unfed;

impl Watchdog for Unfed {
    fn feed(&mut self) {}
}

impl<P: Platform, const PAGE: usize> Updater<P, PAGE> {
    /// Measures the next piece of what lies in the slots, first the one that runs, then the other, and so on for ever.
    /// Returns what was found so far, which is also what [`Self::device`] and so each receipt say.
    ///
    /// A call reads and hashes one chunk; or it reads a header and checks its signatures, which takes as long as a
    /// few chunks. It writes nothing, and does not feed the watchdog. To be called now and then from the main loop:
    /// a whole round of both slots takes one call for each chunk of either payload and two for the headers.
    ///
    /// The other slot begins anew whenever the journal says something else of it; while an image is received there,
    /// there is none.
    pub fn measure(&mut self) -> Drift {
        let slot = self.survey.slot;
        let finding = match self.measure_piece(slot) {
            Ok(None) => return self.drift,
            Ok(Some(finding)) => finding,
            Err(_) => Finding::Differs,
        };
        let noted = match slot == self.running {
            true => &mut self.drift.own,
            false => &mut self.drift.other,
        };
        if *noted != finding && *noted != Finding::Differs {
            info!("measured slot {}: {}", slot, finding);
            *noted = finding;
        }
        self.survey = Survey::of(slot.other());
        self.drift
    }

    /// `None`: there is more of it.
    fn measure_piece(&mut self, slot: Slot) -> Result<Option<Finding>, Refusal> {
        let Some(expected) = self.expected(&self.snapshot, slot) else {
            return Ok(Some(Finding::NoImage));
        };
        let layout = self.product.layout;
        let Stage::Payload {
            hasher,
            hashed,
            len,
            payload,
        } = &mut self.survey.stage
        else {
            let manifest = self.authentic_manifest(slot, expected)?;
            self.survey.stage = Stage::of_payload(slot, &manifest);
            return Ok(None);
        };
        let end = hashed.saturating_add(layout.chunk_size).min(*len);
        let (flash, _) = self.platform.slot_flash(slot);
        hash_into(hasher, flash, layout, slot, *hashed..end, &mut Unfed)?;
        *hashed = end;
        if end < *len {
            return Ok(None);
        }
        match core::mem::take(hasher).finish() == *payload {
            true => Ok(Some(Finding::Intact)),
            false => Err(Refusal::BadPayload),
        }
    }

    /// What the header in `slot` says, if enough keys of the ring have signed it. One that was revoked since counts as it
    /// did: a revocation changes no bit in flash.
    fn authentic_manifest(&mut self, slot: Slot, expected: Digest) -> Result<Manifest, Refusal> {
        let (flash, _) = self.platform.slot_flash(slot);
        let bytes = read_header(flash, self.product.layout, slot)?;
        let header = Header::new_checked(&bytes)?;
        if header.manifest().digest() != expected {
            return Err(Refusal::OtherImage);
        }
        let authentic = header.authenticate(self.product.ring, Revoked::default())?;
        Ok(*authentic.manifest())
    }

    /// The name of the image that should lie whole in `slot`, by this snapshot.
    fn expected(&self, snapshot: &Snapshot, slot: Slot) -> Option<Digest> {
        if slot == self.running {
            return Some(self.manifest.digest());
        }
        match snapshot.slot(slot) {
            SlotState::Trial(image, _) | SlotState::Confirmed(image) => Some(image.digest),
            _ => None,
        }
    }

    /// The state is `snapshot` from now on. What was found of a slot that holds something else now is forgotten.
    pub(crate) fn adopt(&mut self, snapshot: Snapshot) {
        let other = self.running.other();
        let expected = self.expected(&snapshot, other);
        if self.expected(&self.snapshot, other) != expected {
            self.drift.other = match expected {
                Some(_) => Finding::NotYet,
                None => Finding::NoImage,
            };
            if self.survey.slot == other {
                self.survey = Survey::of(other);
            }
        }
        self.snapshot = snapshot;
    }
}

impl Survey {
    /// Nothing of `slot` yet.
    pub(crate) const fn of(slot: Slot) -> Self {
        Self {
            slot,
            stage: Stage::Header,
        }
    }
}

impl Stage {
    fn of_payload(slot: Slot, manifest: &Manifest) -> Self {
        Self::Payload {
            hasher: Hasher::new(),
            hashed: 0,
            len: manifest.payload_len(),
            payload: manifest.payload(slot),
        }
    }
}
