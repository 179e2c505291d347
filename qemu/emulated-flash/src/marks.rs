//! The marks: which write units were programmed since their last erase.
//!
//! The order of stores decides what a kill leaves behind. A unit is marked *before* its data changes,
//! and the marks of a sector are cleared *after* all of its data is 0xFF. So at every store it holds
//! that a unit without a mark reads as erased; a kill can leave a mark too many (the unit must be
//! erased before it is used, as after any torn write), never one too few.

use crate::bookkeeping::field;
use crate::{Memory, SECTOR_SIZE, WRITE_UNIT};

/// Bytes of flash that one byte of marks speaks of.
const GROUP: u32 = 8 * WRITE_UNIT;

/// A part of a range of flash that lies within one byte of marks.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    /// Where it starts, in flash.
    pub(crate) offset: u32,
    /// Its length in bytes, 1 to 32.
    pub(crate) length: u32,
}

impl Piece {
    const fn mark_byte(self) -> u32 {
        field::MARKS.wrapping_add(self.offset / GROUP)
    }

    /// The bits of the units that the piece touches, however little of them.
    const fn mask(self) -> u8 {
        let before = self.offset % GROUP;
        let first = before / WRITE_UNIT;
        let end = before.wrapping_add(self.length).div_ceil(WRITE_UNIT);
        let below_end = 0xFF_u32 >> 8_u32.wrapping_sub(end);
        (below_end >> first << first) as u8
    }

    /// Marks the units of this piece.
    pub(crate) fn mark(self, memory: &mut (impl Memory + ?Sized)) {
        let [marks] = self.read(memory);
        memory.write(self.mark_byte(), &[marks | self.mask()]);
    }

    fn read(self, memory: &(impl Memory + ?Sized)) -> [u8; 1] {
        let mut marks = [0];
        memory.read(self.mark_byte(), &mut marks);
        marks
    }

    /// Where the first marked unit of this piece lies, in flash.
    fn first_marked(self, memory: &(impl Memory + ?Sized)) -> Option<u32> {
        let [marks] = self.read(memory);
        let found = marks & self.mask();
        let group = self.offset.wrapping_sub(self.offset % GROUP);
        (found != 0).then(|| group.wrapping_add(found.trailing_zeros().wrapping_mul(WRITE_UNIT)))
    }
}

/// The pieces of `length` bytes at `offset`, in order.
pub(crate) fn pieces(offset: u32, length: u32) -> impl Iterator<Item = Piece> {
    let end = offset.saturating_add(length);
    let mut next = offset;
    core::iter::from_fn(move || {
        let offset = next;
        next = end.min((offset / GROUP).saturating_add(1).saturating_mul(GROUP));
        let length = next.saturating_sub(offset);
        (length > 0).then_some(Piece { offset, length })
    })
}

/// Where the first marked unit within `length` bytes at `offset` lies, in flash.
pub(crate) fn first_marked(
    memory: &(impl Memory + ?Sized),
    offset: u32,
    length: u32,
) -> Option<u32> {
    pieces(offset, length).find_map(|piece| piece.first_marked(memory))
}

/// Forgets the marks of a sector, whose data must be 0xFF already.
pub(crate) fn clear_sector(memory: &mut (impl Memory + ?Sized), sector: u32) {
    const BYTES: u32 = SECTOR_SIZE / GROUP;
    let start = field::MARKS.wrapping_add(sector.wrapping_mul(BYTES));
    memory.write(start, &[0; BYTES as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_piece_speaks_of_every_unit_that_it_touches() {
        let mask = |offset, length| Piece { offset, length }.mask();
        assert_eq!(mask(0, 4), 0b0000_0001);
        assert_eq!(mask(28, 4), 0b1000_0000);
        assert_eq!(mask(0, 32), 0b1111_1111);
        assert_eq!(mask(36, 8), 0b0000_0110);
        assert_eq!(mask(8, 6), 0b0000_1100);
        assert_eq!(mask(0, 1), 0b0000_0001);
    }

    #[test]
    fn pieces_cover_a_range_once_and_never_cross_a_byte_of_marks() {
        for (offset, length) in [(0, 0), (0, 4), (28, 8), (20, 100), (32, 64), (4096, 2)] {
            let parts: Vec<Piece> = pieces(offset, length).collect();
            let mut at = offset;
            for part in parts {
                assert_eq!(part.offset, at);
                assert_eq!(part.offset / 32, (part.offset + part.length - 1) / 32);
                at += part.length;
            }
            assert_eq!(at, offset + length);
        }
    }
}
