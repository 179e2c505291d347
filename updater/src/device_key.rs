//! The device's own key, with which it signs receipts: Ed25519 (RFC 8032).
//!
//! A device without a secure element keeps the seed in a partition of its own, which a chip that can locks
//! against being read by anything but the application:
//!
//! ```text
//!   0      4        8      40    44      64                                    108
//!   │ BSDK │ format │ seed │ CRC │ blank │ the same again, if the device made it │
//! ```
//!
//! Where a device can, it makes its key itself, and nobody else ever has it: [`SoftwareKey::load_or_make`]. It programs the second
//! block, the draft, and reads it back before it begins with the first. So a first block that was torn stands beside a draft that is
//! whole: if it read right at one boot, and was used, and reads wrong at the next, the draft gives the same key again. And a
//! torn draft stands alone: no key was made yet, for none is used before both are whole. One cut, wherever it falls, loses no key that was
//! used. A second one can, if it falls into the rewriting that the first one made necessary: then it is another key, and what it signs does not verify.

use bistable_core::crc32;
use bistable_core::layout::Partition;
use bistable_core::watchdog::Watchdog;
use ed25519_compact::{KeyPair, Seed};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

/// Length of the block that holds a seed, in bytes.
pub const BLOCK_LEN: usize = 44;

/// Length of a seed in bytes.
pub const SEED_LEN: usize = 32;

/// From one block to the next in bytes: a multiple of every write size up to 64.
const PLACE_LEN: usize = 64;

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

/// There is no key, and none was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NoKey {
    /// The source of random numbers gave none, or all bits the same.
    NoSeed,
    /// The partition is too short, does not begin or end with an erase sector, or cannot be erased, programmed and read back.
    Flash,
}

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
        seed_in(bytes).map(Self::from_seed)
    }

    /// The key in this partition; `None` if there is none. Nothing is written.
    pub fn load<F: ReadNorFlash>(place: Partition, flash: &mut F) -> Option<Self> {
        load_seed(flash, place.offset).map(Self::from_seed)
    }

    /// The key in this partition, and where there is none, one from a fresh `seed`: 32 bytes of a true random number
    /// generator. A whole key is never replaced: then there is no flash operation, and no seed is asked for. A product
    /// whose factory gives it its key calls [`Self::load`].
    ///
    /// # Errors
    /// [`NoKey`]: then nothing was made that could be taken for a key later.
    pub fn load_or_make<F: NorFlash>(
        place: Partition,
        seed: impl FnOnce() -> Option<[u8; SEED_LEN]>,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
    ) -> Result<Self, NoKey> {
        const { assert!(PLACE_LEN.is_multiple_of(F::WRITE_SIZE)) };
        // Read twice before it is believed that there is none.
        let loaded = Self::load(place, flash).or_else(|| Self::load(place, flash));
        if let Some(key) = loaded {
            return Ok(key);
        }
        let draft = draft_of(place)?;
        let seed = match load_seed(flash, draft).or_else(|| load_seed(flash, draft)) {
            Some(seed) => seed,
            None => seed().filter(is_random).ok_or(NoKey::NoSeed)?,
        };
        let end = place.offset.checked_add(place.size).ok_or(NoKey::Flash)?;
        watchdog.feed();
        flash.erase(place.offset, end).map_err(|_| NoKey::Flash)?;
        for offset in [draft, place.offset] {
            program(flash, offset, &seed)?;
        }
        Ok(Self::from_seed(seed))
    }
}

/// Where the draft lies in the partition.
fn draft_of(place: Partition) -> Result<u32, NoKey> {
    match place.size {
        size if (size as usize) < 2 * PLACE_LEN => Err(NoKey::Flash),
        _ => place
            .offset
            .checked_add(PLACE_LEN as u32)
            .ok_or(NoKey::Flash),
    }
}

/// Programs the block of this seed, and reads it back.
fn program<F: NorFlash>(flash: &mut F, offset: u32, seed: &[u8; SEED_LEN]) -> Result<(), NoKey> {
    let mut bytes = [0xFF; PLACE_LEN];
    for (place, byte) in bytes.iter_mut().zip(encode(seed)) {
        *place = byte;
    }
    flash.write(offset, &bytes).map_err(|_| NoKey::Flash)?;
    match load_seed(flash, offset) {
        Some(read) if read == *seed => Ok(()),
        _ => Err(NoKey::Flash),
    }
}

fn load_seed<F: ReadNorFlash>(flash: &mut F, offset: u32) -> Option<[u8; SEED_LEN]> {
    let mut bytes = [0; PLACE_LEN];
    flash.read(offset, &mut bytes).ok()?;
    seed_in(bytes.first_chunk()?)
}

/// What a generator that does not run gives is no seed.
fn is_random(seed: &[u8; SEED_LEN]) -> bool {
    let [first, ..] = seed;
    seed.iter().any(|byte| byte != first)
}

/// The seed in a block, if that is sound.
fn seed_in(bytes: &[u8; BLOCK_LEN]) -> Option<[u8; SEED_LEN]> {
    let (rest, crc) = bytes.split_last_chunk::<4>()?;
    let (head, seed) = rest.split_last_chunk::<SEED_LEN>()?;
    let sound = *head == HEAD && *crc == crc32(rest).to_le_bytes();
    sound.then_some(*seed)
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
