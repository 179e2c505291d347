//! Which device this is: a small block in a partition of its own, which no update touches.
//!
//! A little-endian length (two bytes), then postcard behind a version byte.

use bistable_core::request::MAX_UNIT_LEN;
use serde::{Deserialize, Serialize};

/// The version byte.
pub const VERSION: u8 = 2;

/// The longest block, in bytes.
pub const MAX_LEN: usize = 128;

/// How many calibration values a unit may have.
pub const MAX_CALIBRATION: usize = 16;

/// A serial number, up to 32 bytes of UTF-8.
pub type Serial = heapless::String<MAX_UNIT_LEN>;

/// Calibration values, in the units that their names say.
pub type Calibration = heapless::Vec<i32, MAX_CALIBRATION>;

/// Who a device is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Identity {
    /// Given once, ever.
    pub serial: Serial,
    /// Of the board.
    pub hardware_revision: u16,
    /// What was measured in the factory, in the order of the names in the product's layout (`[factory]
    /// calibration`).
    pub calibration: Calibration,
}

impl Identity {
    /// Puts the block into `buffer`; `None` if that is too short.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; MAX_LEN]) -> Option<&'b [u8]> {
        let (length, rest) = buffer.split_first_chunk_mut::<2>()?;
        let (version, rest) = rest.split_first_mut()?;
        *version = VERSION;
        let len = postcard::to_slice(self, rest).ok()?.len().checked_add(1)?;
        *length = u16::try_from(len).ok()?.to_le_bytes();
        buffer.get(..len.checked_add(2)?)
    }

    /// Reads the block at the start of `bytes`; `None` if there is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let block = rest.get(..usize::from(u16::from_le_bytes(*length)))?;
        let (version, block) = block.split_first()?;
        let (identity, trailing) = postcard::take_from_bytes(block).ok()?;
        (*version == VERSION && trailing.is_empty()).then_some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            serial: Serial::try_from("BST-000042").expect("it is short"),
            hardware_revision: 3,
            calibration: Calibration::from_slice(&[-17, 1_000_003]).expect("it is short"),
        }
    }

    #[test]
    fn what_was_flashed_is_read_although_the_rest_is_erased() {
        let mut buffer = [0xFF; MAX_LEN];
        identity().encode(&mut buffer).expect("it fits");
        assert_eq!(Identity::decode(&buffer), Some(identity()));
    }

    #[test]
    fn erased_flash_and_a_block_that_is_cut_are_no_identity() {
        assert_eq!(Identity::decode(&[0xFF; MAX_LEN]), None);
        assert_eq!(Identity::decode(&[0; MAX_LEN]), None);
        let mut buffer = [0; MAX_LEN];
        let block = identity().encode(&mut buffer).expect("it fits");
        for len in 0..block.len() {
            assert_eq!(Identity::decode(&block[..len]), None);
        }
    }

    #[test]
    fn the_longest_identity_fits() {
        let mut longest = Identity {
            serial: Serial::new(),
            hardware_revision: u16::MAX,
            calibration: Calibration::from_slice(&[i32::MIN; MAX_CALIBRATION]).expect("it fits"),
        };
        while longest.serial.push('9').is_ok() {}
        let mut buffer = [0; MAX_LEN];
        longest.encode(&mut buffer).expect("it fits");
        assert_eq!(Identity::decode(&buffer), Some(longest));
    }

    #[test]
    fn a_byte_too_many_inside_the_block_is_refused() {
        let mut buffer = [0; MAX_LEN];
        identity().encode(&mut buffer).expect("it fits");
        buffer[0] += 1;
        assert_eq!(Identity::decode(&buffer), None);
    }
}
