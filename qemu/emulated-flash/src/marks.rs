//! The marks: which write units were programmed since their last erase.
//!
//! The order of stores decides what a kill leaves behind. What a call programs is marked *before* its data
//! change, and the marks of a sector are cleared *after* all of its data is 0xFF. So at every store it holds
//! that a unit without a mark reads as erased; a kill can leave marks too many (those units must be
//! erased before they are used, as after any torn write), never one too few.

use crate::bookkeeping::field;
use crate::{Geometry, Memory, WRITE_UNIT};

/// Bytes of flash that one word of marks speaks of.
const GROUP: u32 = u32::BITS * WRITE_UNIT;

/// Marks the units within `length` bytes at `offset`.
pub(crate) fn mark(
    notes: &mut (impl Memory + ?Sized),
    geometry: Geometry,
    offset: u32,
    length: u32,
) {
    let end = offset.saturating_add(length);
    let mut unit = offset;
    // An iterator's loop takes 36 bytes more in a bootloader.
    while unit < end {
        let word = word_of(geometry, unit);
        let marks = notes.read_word(word);
        notes.write_word(word, marks | bit_of(unit));
        unit = unit.saturating_add(WRITE_UNIT);
    }
}

/// Where the first marked unit within `length` bytes at `offset` lies, in flash.
pub(crate) fn first_marked(
    notes: &(impl Memory + ?Sized),
    geometry: Geometry,
    offset: u32,
    length: u32,
) -> Option<u32> {
    let mut units = (offset..offset.saturating_add(length)).step_by(WRITE_UNIT as usize);
    units.find(|unit| notes.read_word(word_of(geometry, *unit)) & bit_of(*unit) != 0)
}

/// The word with the mark of the unit at `offset`.
const fn word_of(geometry: Geometry, offset: u32) -> u32 {
    field::marks(geometry).wrapping_add((offset / GROUP).wrapping_mul(4))
}

/// The bit in that word.
const fn bit_of(offset: u32) -> u32 {
    1 << (offset / WRITE_UNIT % u32::BITS)
}

/// Forgets the marks of the sector that starts at `start`, whose data must be 0xFF already.
pub(crate) fn clear_sector(notes: &mut (impl Memory + ?Sized), geometry: Geometry, start: u32) {
    for group in (start..start.saturating_add(geometry.sector_size)).step_by(GROUP as usize) {
        notes.write_word(word_of(geometry, group), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{formatted, in_both_geometries};

    #[test]
    fn each_unit_has_a_mark_of_its_own() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            let notes = flash.notes_mut();
            for unit in [0, 4, 28, 32, 60, 4096, geometry.size - 4] {
                assert_eq!(first_marked(notes, geometry, unit, 4), None);
                mark(notes, geometry, unit, 4);
                assert_eq!(first_marked(notes, geometry, unit, 4), Some(unit));
            }
            assert_eq!(first_marked(notes, geometry, 8, 100), Some(28));
            assert_eq!(first_marked(notes, geometry, 8, 20), None);
            assert_eq!(first_marked(notes, geometry, 64, 4032), None);
        });
    }

    #[test]
    fn the_marks_of_a_sector_end_where_the_next_one_begins() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            let (notes, sector) = (flash.notes_mut(), geometry.sector_size);
            mark(notes, geometry, sector - 4, sector + 8);
            clear_sector(notes, geometry, sector);
            assert_eq!(first_marked(notes, geometry, sector, sector), None);
            assert_eq!(first_marked(notes, geometry, 0, sector), Some(sector - 4));
            assert_eq!(
                first_marked(notes, geometry, 2 * sector, 4),
                Some(2 * sector)
            );
        });
    }
}
