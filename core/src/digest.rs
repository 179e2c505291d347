//! SHA-256 digests, the names of things.

use core::fmt;
use sha2::Digest as _;

/// A SHA-256 digest (FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; Digest::LEN]);

impl Digest {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// All zero: "none" in formats where a digest may be absent.
    pub const NONE: Self = Self([0; Self::LEN]);

    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Digest {
    /// All 64 hexadecimal digits, or as many bytes as the precision says: `{:.4}` prints eight digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = formatter.precision().unwrap_or(Self::LEN);
        self.0
            .iter()
            .take(bytes)
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:.4}…")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Digest {
    /// The first four bytes, which is what a log has room for.
    fn format(&self, formatter: defmt::Formatter<'_>) {
        let [a, b, c, d, ..] = self.0;
        defmt::write!(formatter, "{:02x}{:02x}{:02x}{:02x}", a, b, c, d);
    }
}

/// SHA-256, fed piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}
