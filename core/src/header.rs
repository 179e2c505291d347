//! The header: manifest and signatures, padded to 1 KiB, and who may vouch for it.
//!
//! ```text
//!   0          320    321        324                        868        1024
//!   │ manifest │ count │ 000     │ (key id, signature) × 8  │ 000 …     │
//! ```
//!
//! The padding is the same in file and slot: a signature that is added moves no byte behind it.

use crate::digest::Digest;
use crate::keys::{Key, KeyRing, Revoked};
use crate::layout::HEADER_LEN;
use crate::manifest::{MANIFEST_LEN, Manifest, SIGNING_DOMAIN};
use crate::refusal::Refusal;
use crate::signatures::{self, TABLE_LEN, Table, find};
use crate::wire;

pub use crate::signatures::{MAX_SIGNATURES, SIGNATURE_LEN, Signature};

/// The table lies behind the manifest.
type Signatures<'h> = Table<'h, MANIFEST_LEN, HEADER_LEN>;

const _: () = assert!(MANIFEST_LEN + TABLE_LEN <= HEADER_LEN);

/// A header whose format is sound; nobody vouches for it yet.
#[derive(Clone, Copy)]
pub struct Header<'h> {
    bytes: &'h [u8; HEADER_LEN],
    manifest: Manifest,
}

impl<'h> Header<'h> {
    /// Looks at `bytes` once.
    ///
    /// # Errors
    /// What the format does not allow.
    pub fn new_checked(bytes: &'h [u8; HEADER_LEN]) -> Result<Self, Refusal> {
        let header = Self {
            bytes,
            manifest: Manifest::new_checked(&wire::bytes(bytes, 0))?,
        };
        header.table().check()?;
        Ok(header)
    }

    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes, as they lie in file and slot.
    #[must_use]
    pub const fn as_bytes(&self) -> &'h [u8; HEADER_LEN] {
        self.bytes
    }

    /// The signatures, in ascending order of key.
    pub fn signatures(&self) -> impl Iterator<Item = Signature> + '_ {
        self.table().signatures()
    }

    /// Asks whether enough keys of `ring`, those in `revoked` left out, have signed.
    ///
    /// A signature is only looked at if it can still change the answer. Signatures by keys that the
    /// ring does not know are skipped.
    ///
    /// # Errors
    /// Who is missing, or whose signature is forged.
    pub fn authenticate(
        self,
        ring: &KeyRing<'_>,
        revoked: Revoked,
    ) -> Result<Authentic<'h>, Refusal> {
        self.check_signatures(ring, revoked)?;
        Ok(Authentic {
            digest: self.manifest.digest(),
            revokes: revocations(&self.manifest, ring),
            header: self,
        })
    }

    pub(crate) fn check_signatures(
        &self,
        ring: &KeyRing<'_>,
        revoked: Revoked,
    ) -> Result<(), Refusal> {
        let revokes_any = self.manifest.revokes_any();
        self.table()
            .authenticate(ring, revoked, revokes_any, |key, signature| {
                is_signed_by(&self.manifest, key, signature)
            })
    }

    const fn table(&self) -> Signatures<'h> {
        Table(self.bytes)
    }
}

/// A header that enough trusted keys have signed. There is no other way to make one than
/// [`Header::authenticate`].
#[derive(Clone, Copy)]
pub struct Authentic<'h> {
    header: Header<'h>,
    digest: Digest,
    revokes: Revoked,
}

impl<'h> Authentic<'h> {
    /// What was signed.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.header.manifest
    }

    /// The image's name.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The keys of the ring that this manifest revokes.
    #[must_use]
    pub const fn revokes(&self) -> Revoked {
        self.revokes
    }

    /// The bytes, as they lie in file and slot.
    #[must_use]
    pub const fn as_bytes(&self) -> &'h [u8; HEADER_LEN] {
        self.header.bytes
    }
}

/// For an installation: the header must satisfy the ring also with its own revocations applied,
/// and leave each role a full threshold of keys.
///
/// # Errors
/// Who is missing, whose signature is forged, or [`Refusal::RevokesTooMany`].
pub fn authenticate_for_install<'h>(
    header: Header<'h>,
    ring: &KeyRing<'_>,
    revoked: Revoked,
) -> Result<Authentic<'h>, Refusal> {
    let after = revoked.union(revocations(&header.manifest, ring));
    let authentic = header.authenticate(ring, after)?;
    let left = |role: fn(&Key) -> bool| {
        let keys = ring.keys.iter().enumerate();
        keys.filter(|(place, key)| role(key) && !after.contains(*place))
            .count()
    };
    let enough = left(|key| key.roles.release) >= ring.release_threshold.into()
        && left(|key| key.roles.root) >= ring.root_threshold.into();
    if after != revoked && !enough {
        return Err(Refusal::RevokesTooMany);
    }
    Ok(authentic)
}

/// Whether `key` made this signature over `manifest`.
#[must_use]
pub fn is_signed_by(manifest: &Manifest, key: &Key, signature: &Signature) -> bool {
    signatures::is_signed_by(SIGNING_DOMAIN, manifest.as_bytes(), key, signature)
}

/// The header with these signatures, which are put in order.
///
/// # Errors
/// [`Refusal::SignaturesOutOfOrder`] if there are more than [`MAX_SIGNATURES`], or two by one key.
pub fn assemble(
    manifest: &Manifest,
    signatures: &mut [Signature],
) -> Result<[u8; HEADER_LEN], Refusal> {
    let mut bytes = [0; HEADER_LEN];
    wire::put(&mut bytes, 0, manifest.as_bytes());
    Signatures::put(&mut bytes, signatures)?;
    Ok(bytes)
}

fn revocations(manifest: &Manifest, ring: &KeyRing<'_>) -> Revoked {
    let mut revocations = Revoked::default();
    for id in manifest.revoked() {
        if let Some((place, _)) = find(ring, id) {
            revocations = revocations.with(place);
        }
    }
    revocations
}
