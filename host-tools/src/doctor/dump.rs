//! A flash, or as much of it as a file holds.

use std::ops::Range;

use crate::memory_flash::ERASED;
use crate::row::Row;

/// A flash, or as much of it as a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dump {
    /// As long as the flash.
    bytes: Vec<u8>,
    /// The rest only looks erased.
    present: Range<usize>,
}

impl Dump {
    /// A whole flash.
    #[must_use]
    pub fn whole(bytes: &[u8]) -> Self {
        Self {
            present: 0..bytes.len(),
            bytes: bytes.to_vec(),
        }
    }

    /// The part of a flash of `size` bytes that begins `at` bytes behind its start. What lies behind
    /// the flash is left out.
    #[must_use]
    pub fn part(part: &[u8], at: usize, size: usize) -> Self {
        let mut bytes = vec![ERASED; size];
        let room = bytes.get_mut(at..).unwrap_or_default();
        let len = room.len().min(part.len());
        for (place, byte) in room.iter_mut().zip(part) {
            *place = *byte;
        }
        let start = at.min(size);
        Self {
            bytes,
            present: start..start + len,
        }
    }

    /// As much of `row` as `part` holds, which begins `at` bytes behind the row's start and goes on as the processor
    /// sees it: what lies between two flashes, and behind them, is left out.
    #[must_use]
    pub fn of_row(part: &[u8], at: usize, row: &Row) -> Self {
        let mut bytes = vec![ERASED; row.size()];
        let first = row.address(at);
        let mut present = at..at;
        for it in row.flashes() {
            let address = u64::from(it.flash.address);
            // The flash's part of the file, and the file's part of the flash.
            let skipped = address.saturating_sub(first) as usize;
            let start = it.start + first.saturating_sub(address) as usize;
            let from = part.get(skipped..).unwrap_or_default();
            let to = bytes.get_mut(start..it.end()).unwrap_or_default();
            let len = from.len().min(to.len());
            for (place, byte) in to.iter_mut().zip(from) {
                *place = *byte;
            }
            if len > 0 {
                present.end = start + len;
            }
        }
        Self { bytes, present }
    }

    /// All bytes; those that are not [`Self::present`] look erased.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which bytes are there, from the flash's start.
    #[must_use]
    pub fn present(&self) -> Range<usize> {
        self.present.clone()
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.present == (0..self.bytes.len())
    }

    /// How much of `range` is there.
    #[must_use]
    pub fn holds(&self, range: Range<usize>) -> Holds {
        let start = range.start.max(self.present.start);
        let end = range.end.min(self.present.end);
        if start >= end {
            Holds::Nothing
        } else if start == range.start && end == range.end {
            Holds::All
        } else {
            Holds::Part
        }
    }

    /// The bytes of `range`, if they are all there.
    #[must_use]
    pub fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        match self.holds(range.clone()) {
            Holds::All => self.bytes.get(range),
            Holds::Part | Holds::Nothing => None,
        }
    }
}

/// How much of a range a file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Every byte.
    All,
    /// Some bytes.
    Part,
    /// No byte.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_where_it_was_read() {
        let dump = Dump::part(&[1, 2, 3, 4], 6, 8);
        assert_eq!(dump.bytes(), [255, 255, 255, 255, 255, 255, 1, 2]);
        assert_eq!(dump.present(), 6..8);
        assert_eq!(dump.holds(6..8), Holds::All);
        assert_eq!(dump.holds(5..7), Holds::Part);
        assert_eq!(dump.holds(0..6), Holds::Nothing);
        assert_eq!(dump.get(7..8), Some([2].as_slice()));
        assert_eq!(dump.get(7..9), None);
        assert!(!dump.is_whole() && Dump::whole(&[1]).is_whole());
    }

    #[test]
    fn what_lies_behind_the_flash_is_no_part_of_it() {
        let dump = Dump::part(&[1, 2], 9, 8);
        assert_eq!(dump.holds(0..8), Holds::Nothing);
        assert!(Dump::part(&[1, 2, 3], 0, 2).is_whole());
    }
}
