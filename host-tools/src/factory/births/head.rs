//! How many lines a file of birth records has, and what the last one is: signed, in a file beside it, so that
//! lines that are missing at the end are missed.
//!
//! It tells of what is cut away by accident, or by somebody who forgets this file. Who can put an older copy of
//! both files back needs an anchor from outside: the digest that `provision` prints.

use bistable_core::digest::Digest;
use serde::{Deserialize, Serialize};

use super::sealed::{self, Sealed};
use crate::keys::Signer;
use crate::{Error, hex};

/// What is signed is this prefix and the object.
pub const SIGNING_DOMAIN: &[u8; 24] = b"bistable/births-head/v1\0";

/// The name of the object in its line.
const KIND: &str = "head";

/// The last line of a file of birth records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// How many lines there are.
    pub records: u64,
    /// The SHA-256 of the last one, without its line end; 64 digits.
    pub digest: String,
}

impl Head {
    /// Of a file of so many lines, the last of which has this digest.
    #[must_use]
    pub fn new(records: u64, digest: Digest) -> Self {
        let digest = hex::encode(&digest.0);
        Self { records, digest }
    }

    /// The text of its file.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn seal(&self, signer: &dyn Signer) -> Result<String, Error> {
        Ok(sealed::seal(KIND, SIGNING_DOMAIN, self, signer)? + "\n")
    }

    /// What the text of a file says, whoever signed it.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Sealed::parse(KIND, text.strip_suffix('\n')?)?.body()
    }

    /// What the text of a file says; `None` if none of these keys signed it.
    #[must_use]
    pub fn verified(text: &str, stations: &[[u8; 32]]) -> Option<Self> {
        let sealed = Sealed::parse(KIND, text.strip_suffix('\n')?)?;
        let mut known = stations.iter();
        known
            .any(|public| sealed.is_signed_by(public, SIGNING_DOMAIN))
            .then(|| sealed.body())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;

    #[test]
    fn a_head_is_believed_only_from_a_known_station() {
        let [key, other] = [(); 2].map(|()| SigningKey::generate());
        let head = Head::new(7, Digest([3; 32]));
        let text = head.seal(&key).unwrap();
        assert_eq!(
            Head::verified(&text, &[other.public(), key.public()]),
            Some(head)
        );
        assert_eq!(Head::verified(&text, &[other.public()]), None);
        let more = text.replace("\"records\":7", "\"records\":6");
        assert_eq!(Head::verified(&more, &[key.public()]), None);
    }
}
