//! SHA-256 digests, the names of things.

use core::{fmt, slice};

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

/// Length of the blocks that SHA-256 works on, in bytes.
const BLOCK_LEN: usize = 64;

/// FIPS 180-4, 5.3.3.
static INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// SHA-256 (FIPS 180-4), fed piece by piece, with less than 4 GiB in all: no flash that offsets of 32 bits
/// reach holds more.
///
/// `sha2` does the rounds. What gathers blocks for them is written out here: that of `digest` is general,
/// and would be 300 bytes more of a bootloader.
#[derive(Clone)]
pub struct Hasher {
    state: [u32; 8],
    block: [u8; BLOCK_LEN],
    /// How many bytes were taken in.
    len: usize,
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: INITIAL,
            block: [0; BLOCK_LEN],
            len: 0,
        }
    }

    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let filled = self.filled();
            let room = self.block.get_mut(filled..).unwrap_or_default();
            let (now, later) = rest.split_at(room.len().min(rest.len()));
            for (to, from) in room.iter_mut().zip(now) {
                *to = *from;
            }
            self.len = self.len.wrapping_add(now.len());
            if self.filled() == 0 {
                sha2::compress256(&mut self.state, slice::from_ref((&self.block).into()));
            }
            rest = later;
        }
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        // FIPS 180-4, 5.1.1: a one bit, zeros, and the message's length in bits at the end of a block.
        const LENGTH_AT: usize = BLOCK_LEN - size_of::<u64>();
        let bits = (self.len as u64).wrapping_mul(8).to_be_bytes();
        self.update(&[0x80]);
        while self.filled() != LENGTH_AT {
            self.update(&[0]);
        }
        self.update(&bits);
        let mut digest = [0; Digest::LEN];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        Digest(digest)
    }

    /// How much of the block is filled, in bytes.
    const fn filled(&self) -> usize {
        self.len % BLOCK_LEN
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
