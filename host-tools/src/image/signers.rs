//! Who signed an image or a request, and whether that is enough.

use std::fmt;

use bistable_core::header::{self, Header, Signature};
use bistable_core::keys::{Key, KeyId};
use bistable_core::request::{self, Request};

use crate::facts::Facts;

/// The signatures of an image or a request, seen by one key ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signers {
    /// In ascending order of key.
    pub signatures: Vec<Signer>,
    /// How many valid ones by release keys there are, and how many it takes.
    pub release: (u8, u8),
    /// The same by root keys; it takes none unless the manifest revokes keys.
    pub root: (u8, u8),
}

/// One signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signer {
    /// Whose it claims to be.
    pub id: KeyId,
    /// What the ring says of that key.
    pub verdict: Verdict,
}

/// What a ring says of a signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The key with this name made it.
    Valid(String),
    /// The key with this name did not make it.
    Invalid(String),
    /// The ring does not know the key.
    Unknown,
}

impl Signers {
    /// Looks at every signature, also at those that a device does not need.
    #[must_use]
    pub fn of(header: &Header<'_>, facts: &Facts) -> Self {
        let revokes = header.manifest().revoked().next().is_some();
        let root_threshold = if revokes {
            facts.ring.root_threshold
        } else {
            0
        };
        Self::among(header.signatures(), facts, root_threshold, |key, it| {
            header::is_signed_by(header.manifest(), key, it)
        })
    }

    /// The same of a request, which takes release keys only.
    #[must_use]
    pub fn of_request(request: &Request<'_>, facts: &Facts) -> Self {
        Self::among(request.signatures(), facts, 0, |key, it| {
            request::is_signed_by(request.message(), key, it)
        })
    }

    fn among(
        all: impl Iterator<Item = Signature>,
        facts: &Facts,
        root_threshold: u8,
        is_signed_by: impl Fn(&Key, &Signature) -> bool,
    ) -> Self {
        let mut release = 0;
        let mut root = 0;
        let mut signatures = Vec::new();
        for signature in all {
            let mut keys = facts.ring.keys.iter();
            let known = keys.find(|entry| entry.key.id == signature.key);
            let verdict = match known {
                None => Verdict::Unknown,
                Some(entry) if is_signed_by(&entry.key, &signature) => {
                    release += u8::from(entry.key.roles.release);
                    root += u8::from(entry.key.roles.root);
                    Verdict::Valid(entry.name.clone())
                }
                Some(entry) => Verdict::Invalid(entry.name.clone()),
            };
            let id = signature.key;
            signatures.push(Signer { id, verdict });
        }
        Self {
            signatures,
            release: (release, facts.ring.release_threshold),
            root: (root, root_threshold),
        }
    }
}

impl fmt::Display for Signers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (have, need) = self.release;
        write!(formatter, "release {have} of {need}")?;
        if let (have, need @ 1..) = self.root {
            write!(formatter, ", root {have} of {need}")?;
        }
        let names = self.signatures.iter().map(|signer| match &signer.verdict {
            Verdict::Valid(name) => name.clone(),
            Verdict::Invalid(name) => format!("{name} INVALID"),
            Verdict::Unknown => format!("{} unknown to the ring", signer.id),
        });
        let names: Vec<_> = names.collect();
        match names.as_slice() {
            [] => write!(formatter, " (not signed)"),
            names => write!(formatter, " ({})", names.join(", ")),
        }
    }
}
