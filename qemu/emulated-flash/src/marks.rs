//! The marks: which write units were programmed since their last erase.
//!
//! The order of stores decides what a kill leaves behind. A unit is marked *before* its data changes,
//! and the marks of a sector are cleared *after* all of its data is 0xFF. So at every store it holds
//! that a unit without a mark reads as erased; a kill can leave a mark too many (the unit must be
//! erased before it is used, as after any torn write), never one too few.

use crate::bookkeeping::field;
use crate::{Memory, SECTOR_SIZE, WRITE_UNIT};

/// Bytes of flash that one word of marks speaks of.
const GROUP: u32 = u32::BITS * WRITE_UNIT;

/// Marks the unit at `offset`.
pub(crate) fn mark(memory: &mut (impl Memory + ?Sized), offset: u32) {
    let marks = memory.read_word(word_of(offset));
    memory.write_word(word_of(offset), marks | bit_of(offset));
}

/// Where the first marked unit within `length` bytes at `offset` lies, in flash.
pub(crate) fn first_marked(
    memory: &(impl Memory + ?Sized),
    offset: u32,
    length: u32,
) -> Option<u32> {
    let mut units = (offset..offset.saturating_add(length)).step_by(WRITE_UNIT as usize);
    units.find(|unit| memory.read_word(word_of(*unit)) & bit_of(*unit) != 0)
}

/// The word with the mark of the unit at `offset`.
const fn word_of(offset: u32) -> u32 {
    field::MARKS.wrapping_add((offset / GROUP).wrapping_mul(4))
}

/// The bit in that word.
const fn bit_of(offset: u32) -> u32 {
    1 << (offset / WRITE_UNIT % u32::BITS)
}

/// Forgets the marks of a sector, whose data must be 0xFF already.
pub(crate) fn clear_sector(memory: &mut (impl Memory + ?Sized), sector: u32) {
    let start = sector.saturating_mul(SECTOR_SIZE);
    for group in (start..start.saturating_add(SECTOR_SIZE)).step_by(GROUP as usize) {
        memory.write_word(word_of(group), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::formatted;

    #[test]
    fn each_unit_has_a_mark_of_its_own() {
        let mut memory = formatted(&[]);
        for unit in [0, 4, 28, 32, 60, 4096] {
            assert_eq!(first_marked(&memory[..], unit, 4), None);
            mark(&mut memory[..], unit);
            assert_eq!(first_marked(&memory[..], unit, 4), Some(unit));
        }
        assert_eq!(first_marked(&memory[..], 8, 100), Some(28));
        assert_eq!(first_marked(&memory[..], 8, 20), None);
        assert_eq!(first_marked(&memory[..], 64, 4032), None);
    }
}
