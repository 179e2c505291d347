//! The header: manifest and signatures, padded to 1 KiB, and who may vouch for it.
//!
//! ```text
//!   0          320    321        324                        868        1024
//!   │ manifest │ count │ 000     │ (key id, signature) × 8  │ 000 …     │
//! ```
//!
//! The padding is the same in file and slot: a signature that is added moves no byte behind it.

use crate::digest::Digest;
use crate::keys::{Key, KeyId, KeyRing, Revoked};
use crate::layout::HEADER_LEN;
use crate::manifest::{MANIFEST_LEN, Manifest, SIGNING_DOMAIN};
use crate::refusal::Refusal;
use crate::wire;

/// The most signatures that a header carries.
pub const MAX_SIGNATURES: usize = 8;

/// Length of a signature (RFC 8032), in bytes.
pub const SIGNATURE_LEN: usize = 64;

mod field {
    use super::{MANIFEST_LEN, MAX_SIGNATURES, SIGNATURE_LEN};
    pub(super) const COUNT: usize = MANIFEST_LEN; // 1
    pub(super) const COUNT_PADDING: usize = COUNT + 1; // 3
    pub(super) const SIGNATURES: usize = COUNT + 4; // 8 × 68
    pub(super) const SIGNATURE_STRIDE: usize = size_of::<u32>() + SIGNATURE_LEN;
    pub(super) const PADDING: usize = SIGNATURES + MAX_SIGNATURES * SIGNATURE_STRIDE;
}

const _: () = assert!(field::PADDING <= HEADER_LEN);

/// One signature, and whose it claims to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature {
    /// Whose it claims to be.
    pub key: KeyId,
    /// Ed25519 (RFC 8032) over [`SIGNING_DOMAIN`] and the manifest.
    pub bytes: [u8; SIGNATURE_LEN],
}

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
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), Refusal> {
        let count = self.count();
        if count > MAX_SIGNATURES || !self.entries().is_sorted_by(|a, b| key_of(a) < key_of(b)) {
            return Err(Refusal::SignaturesOutOfOrder);
        }
        let unused = count
            .saturating_mul(field::SIGNATURE_STRIDE)
            .saturating_add(field::SIGNATURES);
        if !wire::all_zero(self.bytes, field::COUNT_PADDING..field::SIGNATURES)
            || !wire::all_zero(self.bytes, unused..HEADER_LEN)
        {
            return Err(Refusal::NonZeroPadding);
        }
        Ok(())
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
        self.entries().iter().map(signature_of)
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
        let mut release_open = ring.release_threshold.max(1);
        let mut root_open = match self.manifest.revokes_any() {
            true => ring.root_threshold.max(1),
            false => 0,
        };
        for entry in self.entries() {
            let Some((place, key)) = find(ring, key_of(entry)) else {
                continue;
            };
            let counts_for_release = key.roles.release && release_open > 0;
            let counts_for_root = key.roles.root && root_open > 0;
            if revoked.contains(place) || !(counts_for_release || counts_for_root) {
                continue;
            }
            if !is_signed_by(&self.manifest, key, &signature_of(entry)) {
                return Err(Refusal::BadSignature);
            }
            release_open = release_open.wrapping_sub(counts_for_release.into());
            root_open = root_open.wrapping_sub(counts_for_root.into());
        }
        if release_open > 0 {
            return Err(Refusal::TooFewReleaseSignatures);
        }
        if root_open > 0 {
            return Err(Refusal::TooFewRootSignatures);
        }
        Ok(())
    }

    fn count(&self) -> usize {
        wire::byte(self.bytes, field::COUNT).into()
    }

    fn entries(&self) -> &'h [[u8; field::SIGNATURE_STRIDE]] {
        let places = self.bytes.get(field::SIGNATURES..field::PADDING);
        let (entries, _) = places.unwrap_or_default().as_chunks();
        entries.get(..self.count()).unwrap_or_default()
    }
}

fn key_of(entry: &[u8; field::SIGNATURE_STRIDE]) -> KeyId {
    KeyId(wire::word(entry, 0))
}

fn signature_of(entry: &[u8; field::SIGNATURE_STRIDE]) -> Signature {
    Signature {
        key: key_of(entry),
        bytes: wire::bytes(entry, size_of::<u32>()),
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
#[inline(never)] // in a caller's loop, the curve arithmetic takes 300 bytes more
pub fn is_signed_by(manifest: &Manifest, key: &Key, signature: &Signature) -> bool {
    let key = ed25519_compact::PublicKey::new(key.public);
    let signature = ed25519_compact::Signature::new(signature.bytes);
    let Ok(mut verifying) = key.verify_incremental(&signature) else {
        return false;
    };
    verifying.absorb(SIGNING_DOMAIN.as_slice());
    verifying.absorb(manifest.as_bytes().as_slice());
    verifying.verify().is_ok()
}

/// The header with these signatures, which are put in order.
///
/// # Errors
/// [`Refusal::SignaturesOutOfOrder`] if there are more than [`MAX_SIGNATURES`], or two by one key.
pub fn assemble(
    manifest: &Manifest,
    signatures: &mut [Signature],
) -> Result<[u8; HEADER_LEN], Refusal> {
    signatures.sort_unstable_by_key(|signature| signature.key);
    if signatures.len() > MAX_SIGNATURES || !signatures.is_sorted_by(|a, b| a.key < b.key) {
        return Err(Refusal::SignaturesOutOfOrder);
    }
    let mut bytes = [0; HEADER_LEN];
    wire::put(&mut bytes, 0, manifest.as_bytes());
    wire::put(&mut bytes, field::COUNT, &[signatures.len() as u8]);
    let places = (field::SIGNATURES..field::PADDING).step_by(field::SIGNATURE_STRIDE);
    for (at, signature) in places.zip(signatures) {
        wire::put(&mut bytes, at, &signature.key.0.to_le_bytes());
        wire::put(
            &mut bytes,
            at.saturating_add(size_of::<u32>()),
            &signature.bytes,
        );
    }
    Ok(bytes)
}

fn find<'r>(ring: &KeyRing<'r>, id: KeyId) -> Option<(usize, &'r Key)> {
    let mut keys = ring.keys.iter().enumerate();
    keys.find(|(_, key)| key.id == id)
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
