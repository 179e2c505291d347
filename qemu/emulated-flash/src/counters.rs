//! What was done to the flash, in all and to each sector.

use core::ops::Range;

use crate::bookkeeping::{self, field};
use crate::{Geometry, Memory};

/// Totals since the memory was formatted. An operation counts from its first store on, whether or
/// not it was cut; one that was refused does not count. Numbers wrap at 2³².
///
/// Read while the board runs, each number is exact for its own moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Operations: each erase of a sector and each program call is one. The next one has this number.
    pub operations: u32,
    /// Erases of a sector.
    pub erases: u32,
    /// Program calls, of whatever length.
    pub program_calls: u32,
    /// Bytes that those calls set out to program.
    pub bytes_programmed: u32,
}

impl Counters {
    /// Reads the totals.
    pub fn read(notes: &(impl Memory + ?Sized)) -> Self {
        Self {
            operations: notes.read_word(field::OPERATIONS),
            erases: notes.read_word(field::ERASES),
            program_calls: notes.read_word(field::PROGRAM_CALLS),
            bytes_programmed: notes.read_word(field::BYTES_PROGRAMMED),
        }
    }
}

/// What was done to some sectors. See [`Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SectorCounters {
    /// Erases of these sectors.
    pub erases: u32,
    /// Program calls, counted once for each of these sectors that the call touched.
    pub program_calls: u32,
}

impl SectorCounters {
    /// Sums over `sectors` of a flash of this shape; those that it does not have add nothing.
    pub fn read(notes: &(impl Memory + ?Sized), geometry: Geometry, sectors: Range<u32>) -> Self {
        let sum = |table: u32| {
            (sectors.start..sectors.end.min(geometry.sectors()))
                .map(|sector| notes.read_word(of_sector(table, sector)))
                .fold(0, u32::wrapping_add)
        };
        Self {
            erases: sum(field::SECTOR_ERASES),
            program_calls: sum(field::sector_program_calls(geometry)),
        }
    }
}

const fn of_sector(table: u32, sector: u32) -> u32 {
    table.wrapping_add(sector.wrapping_mul(4))
}

/// Counts an erase that is about to begin.
pub(crate) fn count_erase(notes: &mut (impl Memory + ?Sized), sector: u32) {
    bookkeeping::add(notes, field::OPERATIONS, 1);
    bookkeeping::add(notes, field::ERASES, 1);
    bookkeeping::add(notes, of_sector(field::SECTOR_ERASES, sector), 1);
}

/// Counts a program call that is about to begin, of `length` > 0 bytes at `offset`.
pub(crate) fn count_program(
    notes: &mut (impl Memory + ?Sized),
    geometry: Geometry,
    offset: u32,
    length: u32,
) {
    bookkeeping::add(notes, field::OPERATIONS, 1);
    bookkeeping::add(notes, field::PROGRAM_CALLS, 1);
    bookkeeping::add(notes, field::BYTES_PROGRAMMED, length);
    let last = offset.saturating_add(length.saturating_sub(1));
    let end = geometry.sector_of(last).saturating_add(1);
    for sector in geometry.sector_of(offset)..end {
        let counter = of_sector(field::sector_program_calls(geometry), sector);
        bookkeeping::add(notes, counter, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{formatted, in_both_geometries};

    #[test]
    fn each_sector_erased_and_each_program_call_is_one_operation() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            let sector = geometry.sector_size;
            flash.erase(2 * sector, 5 * sector).unwrap();
            flash.program(3 * sector - 8, &[0x5A; 16]).unwrap();
            assert_eq!(
                Counters::read(flash.notes()),
                Counters {
                    operations: 4,
                    erases: 3,
                    program_calls: 1,
                    bytes_programmed: 16
                }
            );
        });
    }

    #[test]
    fn a_call_across_a_sector_boundary_counts_for_both_sectors() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            let sector = geometry.sector_size;
            flash.program(3 * sector - 8, &[0; 16]).unwrap();
            flash.program(3 * sector - 16, &[0; 8]).unwrap();
            flash.erase(geometry.size - sector, geometry.size).unwrap();
            let of = |sectors| SectorCounters::read(flash.notes(), geometry, sectors);
            assert_eq!(of(2..3).program_calls, 2);
            assert_eq!(of(3..4).program_calls, 1);
            assert_eq!(of(0..2), SectorCounters::default());
            assert_eq!(of(4..geometry.sectors() - 1), SectorCounters::default());
            assert_eq!(of(4..u32::MAX).erases, 1);
        });
    }

    #[test]
    fn what_is_refused_does_not_count() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[0; 4]);
            flash.program(0, &[0; 4]).unwrap_err();
            flash.program(2, &[0; 4]).unwrap_err();
            flash.erase(1, geometry.sector_size).unwrap_err();
            flash.program(8, &[]).unwrap();
            assert_eq!(Counters::read(flash.notes()), Counters::default());
        });
    }
}
