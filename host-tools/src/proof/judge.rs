//! Whether a receipt is what it says: whole, and signed with the key of the unit that it names.
//!
//! Pure: bytes and keys in, a verdict out. Where it stands in its chain is another question ([`chain`]), which
//! only receipts are asked that passed here.
//!
//! [`chain`]: super::chain

use bistable_core::digest::Digest;
use bistable_core::fast_verifier::Fast;
use bistable_updater::receipt::{Challenge, Receipt, Signed};

use crate::proof::refused::Refused;

/// A unit's public key (Ed25519).
pub type PublicKey = [u8; 32];

/// The keys that a unit has and had.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Keys {
    /// That of its present life; `None` until the device has made it.
    pub present: Option<PublicKey>,
    /// Those of the lives before.
    pub earlier: Vec<PublicKey>,
}

impl From<PublicKey> for Keys {
    fn from(key: PublicKey) -> Self {
        Self {
            present: Some(key),
            earlier: Vec::new(),
        }
    }
}

/// A receipt that the unit signed which it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authentic {
    signed: Signed,
    receipt: Receipt,
    digest: Digest,
    key: PublicKey,
}

impl Authentic {
    /// One that was judged before, and kept since.
    #[must_use]
    pub fn believed(signed: Signed, receipt: Receipt, key: PublicKey) -> Self {
        Self {
            digest: signed.digest(),
            signed,
            receipt,
            key,
        }
    }

    /// What it says.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    /// The name by which the next one names it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Whose signature it bears.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// The receipt in `bytes`, if the unit that it names signed it in its present life.
///
/// # Errors
/// Why it is not believed.
pub fn authenticate(
    bytes: &[u8],
    keys_of: impl FnOnce(&str) -> Option<Keys>,
) -> Result<Authentic, Refused> {
    let (signed, receipt) = Signed::new_checked(bytes)?;
    let keys = keys_of(&receipt.unit).ok_or(Refused::UnknownUnit)?;
    let is_by = |key: &PublicKey| is_signed_by(&signed, key);
    let key = keys.present.filter(is_by);
    let Some(key) = key else {
        return Err(match (keys.earlier.iter().any(is_by), keys.present) {
            (true, _) => Refused::EarlierLife,
            (false, Some(_)) => Refused::Forged,
            (false, None) => Refused::UnknownUnit,
        });
    };
    Ok(Authentic::believed(signed, receipt, key))
}

/// The receipt in `bytes`, if the unit that it names signed it in one of its lives, and in which one, from 0.
///
/// # Errors
/// Why it is not believed.
pub fn authenticate_in_any_life(
    bytes: &[u8],
    keys_of: impl FnOnce(&str) -> Option<Keys>,
) -> Result<(usize, Authentic), Refused> {
    let (signed, receipt) = Signed::new_checked(bytes)?;
    let keys = keys_of(&receipt.unit).ok_or(Refused::UnknownUnit)?;
    let mut lives = keys.earlier.iter().chain(&keys.present).enumerate();
    let (life, key) = lives
        .find(|(_, key)| is_signed_by(&signed, key))
        .ok_or(Refused::Forged)?;
    Ok((life, Authentic::believed(signed, receipt, *key)))
}

/// Whether the holder of this key signed it.
#[must_use]
pub fn is_signed_by(signed: &Signed, key: &PublicKey) -> bool {
    signed.is_signed_by_as::<Fast>(key)
}

/// Whether the receipt answers `asked`.
///
/// # Errors
/// It answers another challenge, or none.
pub fn answers(receipt: &Receipt, asked: &Challenge) -> Result<(), Refused> {
    match receipt.challenge == Some(*asked) {
        true => Ok(()),
        false => Err(Refused::Stale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::bench::{Unit, judged};

    #[test]
    fn what_the_unit_signed_is_believed() {
        let mut unit = Unit::new("BST-1", 1);
        let bytes = unit.next();
        let authentic = judged(&unit, &bytes).unwrap();
        assert_eq!(authentic.as_bytes(), bytes);
        assert_eq!(&*authentic.receipt().unit, "BST-1");
        assert_eq!(*authentic.key(), unit.public());
    }

    #[test]
    fn a_truncated_receipt_is_refused_wherever_it_is_cut() {
        let mut unit = Unit::new("BST-1", 1);
        let bytes = unit.next();
        for len in 0..bytes.len() {
            let refused = judged(&unit, &bytes[..len]);
            assert_eq!(refused, Err(Refused::ReceiptTruncated), "{len}");
        }
    }

    #[test]
    fn what_is_longer_than_any_receipt_is_refused() {
        let unit = Unit::new("BST-1", 1);
        assert_eq!(judged(&unit, &[1; 337]), Err(Refused::ReceiptTooLong));
    }

    #[test]
    fn a_version_that_nobody_knows_is_refused() {
        let mut unit = Unit::new("BST-1", 1);
        let mut bytes = unit.next();
        bytes[0] = 2;
        assert_eq!(judged(&unit, &bytes), Err(Refused::ReceiptVersion));
    }

    #[test]
    fn bytes_behind_the_receipt_are_refused() {
        let mut unit = Unit::new("BST-1", 1);
        let mut bytes = unit.next();
        bytes.push(0);
        assert_eq!(judged(&unit, &bytes), Err(Refused::ReceiptTrailingBytes));
    }

    #[test]
    fn bytes_that_mean_nothing_are_refused() {
        let unit = Unit::new("BST-1", 1);
        // A serial number of 255 bytes cannot be.
        let mut bytes = [0xFF; 200];
        bytes[0] = 1;
        assert_eq!(judged(&unit, &bytes), Err(Refused::NotAReceipt));
    }

    #[test]
    fn a_unit_that_nobody_made_is_refused_and_so_is_one_whose_key_is_not_known_yet() {
        let bytes = Unit::new("BST-1", 1).next();
        let refused = Err(Refused::UnknownUnit);
        assert_eq!(authenticate(&bytes, |_| None), refused);
        assert_eq!(authenticate(&bytes, |_| Some(Keys::default())), refused);
    }

    #[test]
    fn another_units_signature_and_any_turned_bit_of_it_are_forged() {
        let mut unit = Unit::new("BST-1", 1);
        let mut bytes = unit.next();
        let other = Unit::new("BST-1", 2);
        assert_eq!(judged(&other, &bytes), Err(Refused::Forged));
        let last = bytes.len() - 1;
        bytes[last - 40] ^= 0x10;
        assert_eq!(judged(&unit, &bytes), Err(Refused::Forged));
    }

    #[test]
    fn a_reworked_unit_is_not_believed_what_it_said_in_its_first_life() {
        let mut first = Unit::new("BST-1", 1);
        let mut second = Unit::new("BST-1", 2);
        let keys = Keys {
            present: Some(second.public()),
            earlier: vec![first.public()],
        };
        let judged = |bytes: &[u8]| authenticate(bytes, |_| Some(keys.clone()));
        assert_eq!(judged(&first.next()), Err(Refused::EarlierLife));
        assert!(judged(&second.next()).is_ok());
        let not_yet = Keys {
            present: None,
            ..keys.clone()
        };
        let refused = authenticate(&first.next(), |_| Some(not_yet));
        assert_eq!(refused, Err(Refused::EarlierLife));
    }

    #[test]
    fn an_answer_to_another_challenge_is_stale_and_so_is_none() {
        let mut unit = Unit::new("BST-1", 1);
        let asked = |unit: &mut Unit, challenge| {
            let bytes = unit.answer(challenge);
            let authentic = judged(unit, &bytes).unwrap();
            answers(authentic.receipt(), &[7; 32])
        };
        assert_eq!(asked(&mut unit, Some([7; 32])), Ok(()));
        assert_eq!(asked(&mut unit, Some([8; 32])), Err(Refused::Stale));
        assert_eq!(asked(&mut unit, None), Err(Refused::Stale));
    }
}
