//! The ledger: a [journal](crate::journal) that keeps the last receipts of a device, one in each sector.
//!
//! ```text
//!   0       4          8        12       14     16                    348   352
//!   │ magic │ sequence │ number │ length │ zero │ receipt, then zeros │ CRC │
//! ```
//!
//! The sequence is the journal's: each rewrite of a sector has a new one. The number is the receipt's own, and healing
//! keeps it. It stands outside the receipt so that an older image, which may not understand a newer one's receipts, goes
//! on counting where that left off. The CRC (of what stands before it) is XORed with the first bytes of the owner's
//! digest: what another unit, or another key, wrote is not valid here.

use crate::digest::Digest;
use crate::journal::{JournalOf, Record};
use crate::wire;

/// The longest receipt in bytes.
pub const MAX_RECEIPT_LEN: usize = 332;

/// Length of a record in bytes: a multiple of every write size up to 32.
pub const RECORD_LEN: usize = 352;

const MAGIC: [u8; 4] = *b"BSL1";

/// Where the fields lie. The order cannot change; numbers are little-endian.
mod field {
    pub(super) const MAGIC: usize = 0; // 4
    pub(super) const SEQUENCE: usize = 4; // 4
    pub(super) const NUMBER: usize = 8; // 4
    pub(super) const LENGTH: usize = 12; // 2
    // zero: 2
    pub(super) const RECEIPT: usize = 16; // MAX_RECEIPT_LEN
    pub(super) const CRC: usize = 348; // 4
}

/// The ledger.
pub type Ledger = JournalOf<Entry>;

/// A record as it lies on flash.
pub type Bytes = [u8; RECORD_LEN];

/// A receipt in the ledger: bytes that this room does not look into.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Entry {
    number: u32,
    length: u16,
    receipt: [u8; MAX_RECEIPT_LEN],
}

impl Entry {
    /// This receipt with its number; `None` if it is longer than [`MAX_RECEIPT_LEN`].
    #[must_use]
    pub fn new(number: u32, receipt: &[u8]) -> Option<Self> {
        let mut entry = Self {
            number,
            length: u16::try_from(receipt.len()).ok()?,
            receipt: [0; MAX_RECEIPT_LEN],
        };
        entry
            .receipt
            .get_mut(..receipt.len())?
            .copy_from_slice(receipt);
        Some(entry)
    }

    /// Of the receipt.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// All bytes of the receipt.
    #[must_use]
    pub fn receipt(&self) -> &[u8] {
        let receipt = self.receipt.get(..self.length.into());
        receipt.unwrap_or_default()
    }
}

impl Record for Entry {
    type Bytes = Bytes;

    const ZEROS: Bytes = [0; RECORD_LEN];

    fn encode(&self, sequence: u32, owner: Digest) -> Bytes {
        let mut bytes = Self::ZEROS;
        wire::put(&mut bytes, field::MAGIC, &MAGIC);
        wire::put(&mut bytes, field::NUMBER, &self.number.to_le_bytes());
        wire::put(&mut bytes, field::LENGTH, &self.length.to_le_bytes());
        wire::put(&mut bytes, field::RECEIPT, &self.receipt);
        Self::renumber(&mut bytes, sequence, owner);
        bytes
    }

    fn decode_valid(bytes: &Bytes, owner: Digest) -> Option<Self> {
        let length = wire::half(bytes, field::LENGTH);
        let receipt = bytes.get(field::RECEIPT..)?.get(..length.into())?;
        let entry = Self::new(wire::word(bytes, field::NUMBER), receipt)?;
        (entry.encode(Self::sequence(bytes), owner) == *bytes).then_some(entry)
    }

    fn renumber(bytes: &mut Bytes, sequence: u32, owner: Digest) {
        wire::put(bytes, field::SEQUENCE, &sequence.to_le_bytes());
        let sum = bytes.get(..field::CRC).map_or(0, wire::crc32) ^ wire::word(&owner.0, 0);
        wire::put(bytes, field::CRC, &sum.to_le_bytes());
    }

    fn sequence(bytes: &Bytes) -> u32 {
        wire::word(bytes, field::SEQUENCE)
    }
}

const _: () = assert!(field::RECEIPT + MAX_RECEIPT_LEN == field::CRC);
const _: () = assert!(field::CRC + 4 == RECORD_LEN);

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let receipt: [u8; MAX_RECEIPT_LEN] = core::array::from_fn(|place| place as u8);
        Entry::new(7, &receipt).expect("it fits")
    }

    fn owner(seed: u8) -> Digest {
        Digest([seed; Digest::LEN])
    }

    #[test]
    fn a_receipt_of_any_length_is_read_as_it_was_written() {
        for len in 0..=MAX_RECEIPT_LEN {
            let entry = Entry::new(7, &entry().receipt[..len]).expect("it fits");
            let mut bytes = entry.encode(3, owner(1));
            Entry::renumber(&mut bytes, 4, owner(1));
            assert_eq!(bytes, entry.encode(4, owner(1)));
            let read = Entry::decode_valid(&bytes, owner(1)).expect("it is valid");
            assert_eq!((read.number(), read.receipt().len()), (7, len));
            assert_eq!(read, entry);
        }
        assert_eq!(Entry::new(7, &[0; MAX_RECEIPT_LEN + 1]), None);
    }

    #[test]
    fn no_bit_can_be_flipped_and_nothing_stands_behind_a_receipt() {
        let sound = Entry::new(7, b"receipt").expect("it fits");
        for bit in 0..8 * RECORD_LEN {
            let mut bytes = sound.encode(3, owner(1));
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Entry::decode_valid(&bytes, owner(1)), None, "bit {bit}");
        }
        let mut trailing = sound.encode(3, owner(1));
        trailing[field::RECEIPT + 7] = 1;
        Entry::renumber(&mut trailing, 3, owner(1));
        assert_eq!(Entry::decode_valid(&trailing, owner(1)), None);
        let mut too_long = sound.encode(3, owner(1));
        too_long[field::LENGTH + 1] = 2;
        Entry::renumber(&mut too_long, 3, owner(1));
        assert_eq!(Entry::decode_valid(&too_long, owner(1)), None);
    }

    #[test]
    fn what_another_owner_wrote_is_not_valid() {
        let bytes = entry().encode(3, owner(1));
        assert_eq!(Entry::decode_valid(&bytes, owner(2)), None);
        for blank in [[0xFF; RECORD_LEN], [0; RECORD_LEN]] {
            assert_eq!(Entry::decode_valid(&blank, owner(1)), None);
        }
    }
}
