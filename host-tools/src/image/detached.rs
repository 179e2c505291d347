//! A signature that travels alone: what it signs, whose it is, and the signature.
//!
//! ```text
//!   0                     32           64          128
//!   │ digest of manifest  │ public key │ signature │
//! ```
//!
//! The public key is in it, so that whoever attaches it can check it without a key ring. Its form on the way
//! is that of [`crate::carry`].

use std::path::Path;

use bistable_core::digest::Digest;
use bistable_core::header::{SIGNATURE_LEN, Signature, is_signed_by};
use bistable_core::keys::{Key, KeyId, Roles};
use bistable_core::manifest::Manifest;

use crate::carry::{self, Kind};
use crate::{Error, files};

/// Length of a public key in bytes (RFC 8032).
const PUBLIC_LEN: usize = 32;

/// Length in bytes.
const LEN: usize = Digest::LEN + PUBLIC_LEN + SIGNATURE_LEN;

/// A signature over a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detached {
    /// The name of the image: the digest of its manifest.
    pub image: Digest,
    /// The key that made it.
    pub public: [u8; PUBLIC_LEN],
    /// Ed25519 (RFC 8032).
    pub bytes: [u8; SIGNATURE_LEN],
}

impl Detached {
    /// What that key made of that manifest.
    #[must_use]
    pub fn new(manifest: &Manifest, public: [u8; PUBLIC_LEN], signature: &Signature) -> Self {
        Self {
            image: manifest.digest(),
            public,
            bytes: signature.bytes,
        }
    }

    /// The name of the key.
    #[must_use]
    pub fn key(&self) -> KeyId {
        KeyId::of(&self.public)
    }

    /// As it lies in an image.
    #[must_use]
    pub fn signature(&self) -> Signature {
        let key = self.key();
        let bytes = self.bytes;
        Signature { key, bytes }
    }

    /// Whether that key made this signature over that manifest; by the function that devices use.
    #[must_use]
    pub fn is_of(&self, manifest: &Manifest) -> bool {
        let key = Key {
            id: self.key(),
            roles: Roles::default(),
            public: self.public,
        };
        self.image == manifest.digest() && is_signed_by(manifest, &key, &self.signature())
    }

    /// As text in one line.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = [&self.image.0[..], &self.public, &self.bytes].concat();
        carry::encode(Kind::Signature, &bytes)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It holds no signature.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = files::read(path, "read the signature")?;
        let bytes = carry::decode(path, Kind::Signature, &text)?;
        Self::parse(&bytes).ok_or_else(|| {
            Error::unexpected(
                path,
                format!("{} bytes", bytes.len()),
                format!("a signature, which is {LEN} bytes"),
                "give what `bistable key sign` made",
            )
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (image, rest) = bytes.split_first_chunk()?;
        let (public, rest) = rest.split_first_chunk()?;
        Some(Self {
            image: Digest(*image),
            public: *public,
            bytes: rest.try_into().ok()?,
        })
    }
}
