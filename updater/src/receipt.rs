//! A receipt: what a device says of itself, signed with its own key.
//!
//! ```text
//!   0         1                              n
//!   │ version │ the receipt, as postcard has it │ signature (64 bytes) │
//! ```
//!
//! Signed are [`SIGNING_DOMAIN`], the version byte and the receipt, as they lie. A receipt's digest is the SHA-256
//! of all its bytes, and the next one names it, so that a device's receipts are a chain.
//!
//! A receipt proves that whoever holds this unit's key said this after the receipt before it, and, if it answers
//! a challenge, after that challenge was made. It does not prove that it is true: the running image says
//! it, and the bootloader checked that image's signature, but code that took the running image over can say anything;
//! nor that it is still so.

use bistable_core::digest::Digest;
use bistable_core::handover::Standing;
use bistable_core::layout::Slot;
use bistable_core::ledger::MAX_RECEIPT_LEN;
use bistable_core::state::SlotState;
use bistable_core::verifier::{Compact, SIGNATURE_LEN, Verifier};
use serde::{Deserialize, Serialize};

use crate::device::Device;
use crate::device_key::{DeviceKey, NoSignature};
use crate::drift::Drift;
use crate::identity::Serial;
use crate::locks::Locks;

/// The version byte.
pub const VERSION: u8 = 1;

/// What is signed is this prefix and what stands before the signature.
pub const SIGNING_DOMAIN: &[u8; 20] = b"bistable/receipt/v1\0";

/// The longest receipt in bytes, its signature included.
pub const MAX_LEN: usize = MAX_RECEIPT_LEN;

/// What a receipt answers: 32 bytes that nobody can guess before they are asked.
pub type Challenge = [u8; 32];

/// What a device says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Which unit.
    pub unit: Serial,
    /// Of this receipt, from 1: the ledger's. Each one is one higher than the one before it.
    pub number: u32,
    /// The digest of the receipt before this one; all zero in the first one of a ledger.
    pub previous: [u8; 32],
    /// What it answers; `None` if nobody asked.
    pub challenge: Option<Challenge>,
    /// The running image: the digest of its manifest.
    pub digest: [u8; 32],
    /// The running slot: 0 is A, 1 is B.
    pub slot: u8,
    /// Of the running image: major, minor, patch.
    pub version: (u16, u16, u16),
    /// Of the running image.
    pub sequence: u32,
    /// How the running image stands.
    pub state: State,
    /// [`bistable_core::reset::ResetReason`] of this boot, as a number.
    pub reset: u8,
    /// Resets since the power came.
    pub resets: u32,
    /// Abnormal resets of the confirmed image that no soak period has cleared.
    pub abnormal: u16,
    /// Seconds since this boot.
    pub uptime: u32,
    /// [`bistable_core::handover::JournalHealth`], as a number.
    pub journal: u8,
    /// What the bootloader refused in this boot: [`bistable_core::refusal::Refusal::code`].
    pub refused: Option<u16>,
    /// The smallest security counter that boots.
    pub floor: u32,
    /// What is locked.
    pub locks: Locks,
    /// The bootloader's version: major, minor, patch.
    pub bootloader: (u16, u16, u16),
    /// What the last measurements of the slots found.
    pub drift: Drift,
}

/// How the running image stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// The journal says nothing of it.
    Unclear,
    /// On trial, with what is left of its budget: starts after any reset but a loss of power, and after one.
    Trial {
        /// After any other reset.
        attempts: u8,
        /// After a loss of power.
        power: u8,
    },
    /// Confirmed, and what was tried last, if something was, is confirmed too.
    Confirmed,
    /// Confirmed, and running because the image that was tried after it, or ran instead of it, was rejected.
    Reverted(Rejected),
    /// Itself rejected: the other image boots after the next reset.
    Rejected {
        /// [`bistable_core::state::ReasonCode`].
        reason: u16,
    },
}

/// An image that was rejected, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rejected {
    /// Of its manifest.
    pub digest: [u8; 32],
    /// [`bistable_core::state::ReasonCode`].
    pub reason: u16,
}

impl Receipt {
    /// What `device` says, as the receipt `number` after the one whose digest is `previous`.
    #[must_use]
    pub fn new(
        unit: Serial,
        device: &Device,
        (number, previous): (u32, Digest),
        challenge: Option<Challenge>,
    ) -> Self {
        let Device {
            version,
            bootloader,
            ..
        } = device;
        Self {
            unit,
            number,
            previous: previous.0,
            challenge,
            digest: device.digest.0,
            slot: *device.running.of(&[0, 1]),
            version: (version.major, version.minor, version.patch),
            sequence: device.sequence,
            state: State::of(device),
            reset: device.reset as u8,
            resets: device.resets,
            abnormal: device.abnormal_resets,
            uptime: device.uptime,
            journal: device.journal as u8,
            refused: device.refused.map(|(_, refusal)| refusal.code()),
            floor: device.floor,
            locks: device.locks,
            bootloader: (bootloader.major, bootloader.minor, bootloader.patch),
            drift: device.drift,
        }
    }

    /// Signs it.
    ///
    /// # Errors
    /// The key did not answer.
    pub fn sign(&self, key: &mut impl DeviceKey) -> Result<Signed, NoSignature> {
        let mut message = [0; SIGNING_DOMAIN.len() + MAX_LEN];
        let (domain, rest) = message.split_at_mut(SIGNING_DOMAIN.len());
        domain.copy_from_slice(SIGNING_DOMAIN);
        let (version, rest) = rest.split_first_mut().ok_or(NoSignature)?;
        *version = VERSION;
        // There is room for the longest one: a test holds it to that.
        let body = postcard::to_slice(self, rest).map_err(|_| NoSignature)?;
        let end = SIGNING_DOMAIN.len().saturating_add(1);
        let end = end.saturating_add(body.len());
        let message = message.get(..end).ok_or(NoSignature)?;
        let signature = key.sign(message)?;
        let signed = message.get(SIGNING_DOMAIN.len()..).ok_or(NoSignature)?;
        let mut bytes = heapless::Vec::new();
        bytes.extend_from_slice(signed).map_err(|_| NoSignature)?;
        bytes
            .extend_from_slice(&signature)
            .map_err(|_| NoSignature)?;
        Ok(Signed(bytes))
    }
}

impl State {
    fn of(device: &Device) -> Self {
        let other = device.slots.get(*device.running.other().of(&[0, 1]));
        match (
            device.standing,
            device.slots.get(*device.running.of(&[0, 1])),
        ) {
            (Standing::Trial, Some(SlotState::Trial(_, budget))) => Self::Trial {
                attempts: budget.attempts,
                power: budget.power,
            },
            (Standing::Confirmed, _) => match other {
                Some(SlotState::Rejected(image, reason)) => Self::Reverted(Rejected {
                    digest: image.digest.0,
                    reason: reason.get(),
                }),
                _ => Self::Confirmed,
            },
            (_, Some(SlotState::Rejected(_, reason))) => Self::Rejected {
                reason: reason.get(),
            },
            _ => Self::Unclear,
        }
    }
}

/// A receipt as it travels and as the ledger keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed(heapless::Vec<u8, MAX_LEN>);

impl Signed {
    /// Looks at `bytes` once. Whose signature they bear is another question: [`Self::is_signed_by`].
    ///
    /// # Errors
    /// What they are instead of a receipt.
    pub fn new_checked(bytes: &[u8]) -> Result<(Self, Receipt), Malformed> {
        let signed = heapless::Vec::from_slice(bytes).map_err(|_| Malformed::TooLong)?;
        let signed = Self(signed);
        let (version, body) = signed.body().split_first().ok_or(Malformed::Truncated)?;
        if *version != VERSION {
            return Err(Malformed::UnknownVersion(*version));
        }
        let receipt = match postcard::take_from_bytes::<Receipt>(body) {
            Ok((receipt, [])) => receipt,
            Ok(_) => return Err(Malformed::TrailingBytes),
            Err(postcard::Error::DeserializeUnexpectedEnd) => return Err(Malformed::Truncated),
            Err(_) => return Err(Malformed::NoReceipt),
        };
        match receipt.slot {
            0 | 1 => Ok((signed, receipt)),
            _ => Err(Malformed::NoReceipt),
        }
    }

    /// What the ledger holds, which may be of a version that this code does not know.
    pub(crate) fn from_ledger(bytes: &[u8]) -> Option<Self> {
        heapless::Vec::from_slice(bytes).ok().map(Self)
    }

    /// All its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name by which the next receipt names this one.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// Whether the holder of this public key signed it.
    #[must_use]
    pub fn is_signed_by(&self, public: &[u8; 32]) -> bool {
        self.is_signed_by_as::<Compact>(public)
    }

    /// The same, as another verifier sees it.
    #[must_use]
    pub fn is_signed_by_as<V: Verifier>(&self, public: &[u8; 32]) -> bool {
        let Some((_, signature)) = self.0.split_last_chunk::<SIGNATURE_LEN>() else {
            return false;
        };
        V::holds(public, &[SIGNING_DOMAIN, self.body()], signature)
    }

    /// What is signed, but for the domain.
    fn body(&self) -> &[u8] {
        let signed = self.0.split_last_chunk::<SIGNATURE_LEN>();
        signed.map_or(&[], |(body, _)| body)
    }
}

/// What bytes are that are no receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Malformed {
    /// They end too early.
    Truncated,
    /// They are more than [`MAX_LEN`].
    TooLong,
    /// A version that this code does not know.
    UnknownVersion(u8),
    /// Bytes are left behind the receipt.
    TrailingBytes,
    /// They mean nothing.
    NoReceipt,
}

/// The running slot of a receipt.
#[must_use]
pub const fn slot(receipt: &Receipt) -> Slot {
    match receipt.slot {
        0 => Slot::A,
        _ => Slot::B,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_key::SoftwareKey;
    use crate::drift::Finding;
    use crate::locks::Lock;

    /// The longest that there is.
    fn longest() -> Receipt {
        let rejected = Rejected {
            digest: [0xEE; 32],
            reason: u16::MAX,
        };
        let mut unit = Serial::new();
        while unit.push('9').is_ok() {}
        Receipt {
            unit,
            number: u32::MAX,
            previous: [0xAA; 32],
            challenge: Some([0xBB; 32]),
            digest: [0xCC; 32],
            slot: 1,
            version: (u16::MAX, u16::MAX, u16::MAX),
            sequence: u32::MAX,
            state: State::Reverted(rejected),
            reset: u8::MAX,
            resets: u32::MAX,
            abnormal: u16::MAX,
            uptime: u32::MAX,
            journal: u8::MAX,
            refused: Some(u16::MAX),
            floor: u32::MAX,
            locks: Locks {
                key: Lock::Locked,
                readout: Lock::Locked,
                bootloader: Lock::Locked,
            },
            bootloader: (u16::MAX, u16::MAX, u16::MAX),
            drift: Drift {
                own: Finding::Differs,
                other: Finding::Differs,
            },
        }
    }

    fn signed() -> Signed {
        let mut key = SoftwareKey::from_seed([7; 32]);
        longest().sign(&mut key).expect("there is room")
    }

    #[test]
    fn the_longest_receipt_fits_and_is_read_as_it_was_signed() {
        let signed = signed();
        assert!(signed.as_bytes().len() <= MAX_LEN);
        let (again, receipt) = Signed::new_checked(signed.as_bytes()).expect("it is one");
        assert_eq!((again, receipt), (signed, longest()));
    }

    #[test]
    fn only_the_key_that_signed_it_did() {
        let signed = signed();
        let of = |seed| SoftwareKey::from_seed([seed; 32]).public();
        assert!(signed.is_signed_by(&of(7)));
        assert!(!signed.is_signed_by(&of(8)));
    }

    #[test]
    fn no_byte_can_be_changed() {
        let public = SoftwareKey::from_seed([7; 32]).public();
        let signed = signed();
        for place in 0..signed.as_bytes().len() {
            let mut bytes = heapless::Vec::<u8, MAX_LEN>::from_slice(signed.as_bytes()).unwrap();
            bytes[place] ^= 1;
            let forged = Signed::new_checked(&bytes);
            let holds = forged.is_ok_and(|(forged, _)| forged.is_signed_by(&public));
            assert!(!holds, "byte {place}");
        }
    }

    #[test]
    fn what_is_cut_or_continued_is_no_receipt() {
        let signed = signed();
        let bytes = signed.as_bytes();
        for len in 0..bytes.len() {
            let cut = Signed::new_checked(&bytes[..len]);
            assert_eq!(cut, Err(Malformed::Truncated), "{len}");
        }
        let mut more = heapless::Vec::<u8, { MAX_LEN + 1 }>::from_slice(bytes).unwrap();
        more.push(0).unwrap();
        assert_eq!(Signed::new_checked(&more), Err(Malformed::TrailingBytes));
        let other = [2; 100];
        assert_eq!(
            Signed::new_checked(&other),
            Err(Malformed::UnknownVersion(2))
        );
    }
}
