//! SHA-256 digests, the names of things.

use core::fmt;

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

/// SHA-256 (FIPS 180-4), fed piece by piece, with less than 512 MiB in all: `hmac-sha256` counts bits in a `usize`, which
/// has 32 of them on a microcontroller. With `sha2` it is 4 GiB. An image is far shorter than either.
///
/// Two crates can do it, and the tests below hold for both: `sha2`, or `hmac-sha256` with the feature of that name.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

#[cfg(feature = "hmac-sha256")]
use hmac_sha256::Hash as Sha256;

#[cfg(not(feature = "hmac-sha256"))]
use crate::sha256::Sha256;

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Sha256::new())
    }

    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use sha2::Digest as _;
    use std::format;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn the_examples_of_the_standard_come_out() {
        let examples = [
            (
                &b""[..],
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                b"abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ];
        for (message, digest) in examples {
            assert_eq!(format!("{}", Digest::of(message)), digest);
        }
    }

    #[test]
    fn every_length_and_every_split_gives_what_the_library_gives() {
        let message: Vec<u8> = (0..400_u32).map(|n| (n * 7 + n / 3) as u8).collect();
        for len in 0..=message.len() {
            let expected = Digest(sha2::Sha256::digest(&message[..len]).into());
            assert_eq!(Digest::of(&message[..len]), expected, "{len} bytes");
            for piece in [1, 63, 64, 65, 130] {
                let mut hasher = Hasher::new();
                for piece in message[..len].chunks(piece) {
                    hasher.update(piece);
                }
                assert_eq!(
                    hasher.finish(),
                    expected,
                    "{len} bytes in pieces of {piece}"
                );
            }
        }
    }
}
