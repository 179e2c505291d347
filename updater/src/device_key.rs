//! The device's own key, with which it signs receipts: Ed25519 (RFC 8032).
//!
//! A device without a secure element keeps the seed in a partition of its own, which a chip that can locks
//! against being read by anything but the application:
//!
//! ```text
//!   0      4        8      40    44
//!   │ BSDK │ format │ seed │ CRC │
//! ```

use bistable_core::crc32;
use ed25519_compact::{KeyPair, Seed};

/// Length of the block that holds a seed, in bytes.
pub const BLOCK_LEN: usize = 44;

/// Length of a seed in bytes.
pub const SEED_LEN: usize = 32;

/// Magic and format.
const HEAD: [u8; 8] = *b"BSDK\x01\0\0\0";

/// A key that can sign: one in software, or one in a secure element.
pub trait DeviceKey {
    /// The public key.
    fn public(&self) -> [u8; 32];

    /// Signs the whole message (RFC 8032, 5.1.6: no prehash).
    ///
    /// # Errors
    /// The key is elsewhere, and did not answer.
    fn sign(&mut self, message: &[u8]) -> Result<[u8; 64], NoSignature>;
}

/// The key did not sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoSignature;

/// A key in the device's own memory.
pub struct SoftwareKey(KeyPair);

impl SoftwareKey {
    /// The key of this seed: 32 bytes that nobody can guess.
    #[must_use]
    pub fn from_seed(seed: [u8; SEED_LEN]) -> Self {
        Self(KeyPair::from_seed(Seed::new(seed)))
    }

    /// The key whose block begins `bytes`; `None` if there is none, as on erased flash.
    #[must_use]
    pub fn decode(bytes: &[u8; BLOCK_LEN]) -> Option<Self> {
        let (rest, crc) = bytes.split_last_chunk::<4>()?;
        let (head, seed) = rest.split_last_chunk::<SEED_LEN>()?;
        let sound = *head == HEAD && *crc == crc32(rest).to_le_bytes();
        sound.then(|| Self::from_seed(*seed))
    }
}

/// The block for `seed`, as it lies at the start of the partition `device_key`.
#[must_use]
pub fn encode(seed: &[u8; SEED_LEN]) -> [u8; BLOCK_LEN] {
    let mut bytes = [0; BLOCK_LEN];
    let fill = |bytes: &mut [u8], part: &[u8], at: usize| {
        for (place, byte) in bytes.iter_mut().skip(at).zip(part) {
            *place = *byte;
        }
    };
    fill(&mut bytes, &HEAD, 0);
    fill(&mut bytes, seed, HEAD.len());
    let crc = bytes
        .split_last_chunk::<4>()
        .map_or(0, |(rest, _)| crc32(rest));
    fill(
        &mut bytes,
        &crc.to_le_bytes(),
        HEAD.len().saturating_add(SEED_LEN),
    );
    bytes
}

impl DeviceKey for SoftwareKey {
    fn public(&self) -> [u8; 32] {
        *self.0.pk
    }

    fn sign(&mut self, message: &[u8]) -> Result<[u8; 64], NoSignature> {
        Ok(*self.0.sk.sign(message, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_its_key_back() {
        let key = SoftwareKey::decode(&encode(&[7; 32])).expect("it is sound");
        assert_eq!(key.public(), SoftwareKey::from_seed([7; 32]).public());
    }

    #[test]
    fn erased_flash_and_any_flipped_bit_are_no_key() {
        assert!(SoftwareKey::decode(&[0xFF; BLOCK_LEN]).is_none());
        assert!(SoftwareKey::decode(&[0; BLOCK_LEN]).is_none());
        for bit in 0..8 * BLOCK_LEN {
            let mut block = encode(&[7; 32]);
            block[bit / 8] ^= 1 << (bit % 8);
            assert!(SoftwareKey::decode(&block).is_none(), "bit {bit}");
        }
    }
}
