//! Who signed an image or a request, for reports.

use std::fmt;

use bistable_core::header::Header;
use bistable_core::layout::HEADER_LEN;
use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::Facts;
use crate::image::signers::{Signers, Verdict};

/// Who signed, and whether that is enough.
#[derive(Serialize, JsonSchema)]
pub struct SignedBy {
    /// By release keys.
    pub release: Count,
    /// By root keys; none are needed unless keys are revoked.
    pub root: Count,
    /// In ascending order of key.
    pub signatures: Vec<SignatureBy>,
    #[serde(skip)]
    in_short: String,
}

/// How many valid signatures there are, and how many are needed.
#[derive(Serialize, JsonSchema)]
pub struct Count {
    /// There are.
    pub have: u8,
    /// Are needed.
    pub need: u8,
}

/// A signature.
#[derive(Serialize, JsonSchema)]
pub struct SignatureBy {
    /// The key that it names: 8 hexadecimal digits.
    pub key: String,
    /// What the ring calls that key; `null` if it does not know it.
    pub name: Option<String>,
    /// Whether that key made it; `null` if the ring does not know it.
    pub valid: Option<bool>,
}

impl SignedBy {
    /// By an image's header and a product's ring.
    #[must_use]
    pub fn header(header: &[u8; HEADER_LEN], facts: &Facts) -> Self {
        let signers = Header::new_checked(header).map(|header| Signers::of(&header, facts));
        let nobody = Signers {
            signatures: Vec::new(),
            release: (0, facts.ring.release_threshold),
            root: (0, 0),
        };
        signers.unwrap_or(nobody).into()
    }
}

impl From<Signers> for SignedBy {
    fn from(signers: Signers) -> Self {
        let count = |(have, need)| Count { have, need };
        let in_short = signers.to_string();
        let signature = |signer: crate::image::signers::Signer| {
            let (name, valid) = match signer.verdict {
                Verdict::Valid(name) => (Some(name), Some(true)),
                Verdict::Invalid(name) => (Some(name), Some(false)),
                Verdict::Unknown => (None, None),
            };
            let key = signer.id.to_string();
            SignatureBy { key, name, valid }
        };
        Self {
            release: count(signers.release),
            root: count(signers.root),
            signatures: signers.signatures.into_iter().map(signature).collect(),
            in_short,
        }
    }
}

impl fmt::Display for SignedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.in_short)
    }
}

impl fmt::Display for SignatureBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, name, valid } = self;
        match (name, valid) {
            (Some(name), Some(true)) => write!(formatter, "by {key} ({name}), valid"),
            (Some(name), _) => write!(formatter, "by {key} ({name}), INVALID"),
            (None, _) => write!(formatter, "by {key}, which the ring does not know"),
        }
    }
}
