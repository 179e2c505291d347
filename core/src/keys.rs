//! The key ring: whose signatures count, and how many of them it takes.
//!
//! The ring is compiled into the bootloader and cannot be replaced in the field, which is why spares
//! are in it from the first day, and why keys can only be taken away ([`Revoked`]).

use crate::digest::Hasher;

/// The most keys that a ring holds.
pub const MAX_KEYS: usize = 16;

/// A key's name: the first four bytes (little-endian) of SHA-256 over
/// `bistable/key/v1\0` and the public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeyId(pub u32);

impl KeyId {
    /// The name of an Ed25519 public key (RFC 8032).
    #[must_use]
    pub fn of(public: &[u8; 32]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(b"bistable/key/v1\0");
        hasher.update(public);
        let [a, b, c, d, ..] = hasher.finish().0;
        Self(u32::from_le_bytes([a, b, c, d]))
    }
}

impl core::fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{:08x}", self.0)
    }
}

/// What a key may sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Roles {
    /// Every manifest, and requests to units.
    pub release: bool,
    /// Manifests that revoke keys.
    pub root: bool,
}

/// One key of the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// [`KeyId::of`] the public key.
    pub id: KeyId,
    /// What it may sign.
    pub roles: Roles,
    /// An Ed25519 public key (RFC 8032).
    pub public: [u8; 32],
}

/// The keys that a bootloader knows, at most [`MAX_KEYS`], and how many must agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRing<'a> {
    /// The keys; a key's place is its bit in [`Revoked`].
    pub keys: &'a [Key],
    /// How many release keys must have signed a manifest or a request, at least 1.
    pub release_threshold: u8,
    /// How many root keys must have signed a manifest that revokes keys, at least 1.
    pub root_threshold: u8,
}

/// The keys of a ring that count no more: bit *i* is the key at place *i*.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Revoked(pub u16);

impl Revoked {
    /// Whether the key at `place` counts no more.
    #[must_use]
    pub const fn contains(self, place: usize) -> bool {
        place < MAX_KEYS && (self.0 >> place) & 1 == 1
    }

    /// With the key at `place` too.
    #[must_use]
    pub const fn with(self, place: usize) -> Self {
        if place < MAX_KEYS {
            Self(self.0 | 1 << place)
        } else {
            self
        }
    }

    /// What counts no more by either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
