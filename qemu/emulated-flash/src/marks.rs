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

/// Marks the unit at `offset`.
pub(crate) fn mark(memory: &mut (impl Memory + ?Sized), offset: u32) {
    let marks = read(memory, offset) | bit(offset);
    memory.write(place(offset), &[marks]);
}

/// Where the first marked unit within `length` bytes at `offset` lies, in flash.
pub(crate) fn first_marked(
    memory: &(impl Memory + ?Sized),
    offset: u32,
    length: u32,
) -> Option<u32> {
    let mut units = (offset..offset.saturating_add(length)).step_by(WRITE_UNIT as usize);
    units.find(|unit| read(memory, *unit) & bit(*unit) != 0)
}

/// The byte with the mark of the unit at `offset`.
const fn place(offset: u32) -> u32 {
    field::MARKS.wrapping_add(offset / GROUP)
}

/// The bit in that byte.
const fn bit(offset: u32) -> u8 {
    1 << (offset / WRITE_UNIT % 8)
}

fn read(memory: &(impl Memory + ?Sized), offset: u32) -> u8 {
    let mut marks = [0];
    memory.read(place(offset), &mut marks);
    let [marks] = marks;
    marks
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
