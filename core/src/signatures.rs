//! The table of signatures behind a signed message, and whether enough trusted keys made them.
//!
//! ```text
//!   AT      +1    +4                         +548     LEN
//!   │ count │ 000 │ (key id, signature) × 8  │ 000 …  │
//! ```

use crate::keys::{Key, KeyId, KeyRing, Revoked};
use crate::refusal::Refusal;
use crate::verifier::{Chosen, Verifier as _};
use crate::wire;

pub use crate::verifier::SIGNATURE_LEN;

/// The most signatures that a table holds.
pub const MAX_SIGNATURES: usize = 8;

/// Length of a table, in bytes.
pub(crate) const TABLE_LEN: usize = ENTRIES + MAX_SIGNATURES * STRIDE;

/// Behind the count and three zeros.
const ENTRIES: usize = 4;

/// Length of an entry, in bytes.
const STRIDE: usize = size_of::<u32>() + SIGNATURE_LEN;

/// One signature, and whose it claims to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature {
    /// Whose it claims to be.
    pub key: KeyId,
    /// Ed25519 (RFC 8032) over the message's domain and the message.
    pub bytes: [u8; SIGNATURE_LEN],
}

/// The table that begins at `AT` in `LEN` bytes; nothing but zeros lies behind it.
#[derive(Clone, Copy)]
pub(crate) struct Table<'t, const AT: usize, const LEN: usize>(pub(crate) &'t [u8; LEN]);

impl<'t, const AT: usize, const LEN: usize> Table<'t, AT, LEN> {
    const ENTRIES: usize = AT + ENTRIES;
    const END: usize = AT + TABLE_LEN;

    /// Looks at everything but the signatures themselves.
    pub(crate) fn check(self) -> Result<(), Refusal> {
        let count = self.count();
        if count > MAX_SIGNATURES || !self.entries().is_sorted_by(|a, b| key_of(a) < key_of(b)) {
            return Err(Refusal::SignaturesOutOfOrder);
        }
        let unused = count.saturating_mul(STRIDE).saturating_add(Self::ENTRIES);
        if !wire::all_zero(self.0, AT.saturating_add(1)..Self::ENTRIES)
            || !wire::all_zero(self.0, unused..LEN)
        {
            return Err(Refusal::NonZeroPadding);
        }
        Ok(())
    }

    /// The signatures, in ascending order of key.
    pub(crate) fn signatures(self) -> impl Iterator<Item = Signature> + 't {
        self.entries().iter().map(signature_of)
    }

    /// Asks whether enough keys of `ring`, those in `revoked` left out, have signed: release keys always,
    /// root keys too if `root_too`.
    ///
    /// A signature is only looked at if it can still change the answer. Signatures by keys that the
    /// ring does not know are skipped.
    pub(crate) fn authenticate(
        self,
        ring: &KeyRing<'_>,
        revoked: Revoked,
        root_too: bool,
        is_signed_by: impl Fn(&Key, &Signature) -> bool,
    ) -> Result<(), Refusal> {
        let mut release_open = ring.release_threshold.max(1);
        let mut root_open = match root_too {
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
            if !is_signed_by(key, &signature_of(entry)) {
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

    /// Puts these signatures, in order, into `bytes`, where no table is yet.
    ///
    /// # Errors
    /// [`Refusal::SignaturesOutOfOrder`] if there are more than [`MAX_SIGNATURES`], or two by one key.
    pub(crate) fn put(bytes: &mut [u8; LEN], signatures: &mut [Signature]) -> Result<(), Refusal> {
        signatures.sort_unstable_by_key(|signature| signature.key);
        if signatures.len() > MAX_SIGNATURES || !signatures.is_sorted_by(|a, b| a.key < b.key) {
            return Err(Refusal::SignaturesOutOfOrder);
        }
        wire::put(bytes, AT, &[signatures.len() as u8]);
        let places = (Self::ENTRIES..Self::END).step_by(STRIDE);
        for (at, signature) in places.zip(signatures) {
            wire::put(bytes, at, &signature.key.0.to_le_bytes());
            let behind = at.saturating_add(size_of::<u32>());
            wire::put(bytes, behind, &signature.bytes);
        }
        Ok(())
    }

    fn count(self) -> usize {
        wire::byte(self.0, AT).into()
    }

    fn entries(self) -> &'t [[u8; STRIDE]] {
        let places = self.0.get(Self::ENTRIES..Self::END);
        let (entries, _) = places.unwrap_or_default().as_chunks();
        entries.get(..self.count()).unwrap_or_default()
    }
}

/// Whether `key` made this signature over `domain` and `message`.
pub(crate) fn is_signed_by(
    domain: &[u8],
    message: &[u8],
    key: &Key,
    signature: &Signature,
) -> bool {
    Chosen::holds(&key.public, &[domain, message], &signature.bytes)
}

/// The key of this name, and its place in the ring.
pub(crate) fn find<'r>(ring: &KeyRing<'r>, id: KeyId) -> Option<(usize, &'r Key)> {
    let mut keys = ring.keys.iter().enumerate();
    keys.find(|(_, key)| key.id == id)
}

fn key_of(entry: &[u8; STRIDE]) -> KeyId {
    KeyId(wire::word(entry, 0))
}

fn signature_of(entry: &[u8; STRIDE]) -> Signature {
    Signature {
        key: key_of(entry),
        bytes: wire::bytes(entry, size_of::<u32>()),
    }
}
