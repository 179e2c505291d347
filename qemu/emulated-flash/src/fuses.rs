//! One-way fuses: a word of the notes whose bits can be set and never cleared, whatever is flashed.

use crate::bookkeeping::field;
use crate::{Geometry, Memory};

/// How many fuses there are.
pub const FUSES: u32 = u32::BITS;

/// How many fuses are blown, from the first one on, beside a flash of this shape.
#[must_use]
pub fn blown_fuses(notes: &(impl Memory + ?Sized), geometry: Geometry) -> u32 {
    notes.read_word(field::fuses(geometry)).trailing_ones()
}

/// Blows fuses until so many are blown. `false`: there are not so many, and nothing is blown.
pub fn blow_fuses(notes: &mut (impl Memory + ?Sized), geometry: Geometry, count: u32) -> bool {
    if count > FUSES {
        return false;
    }
    let ones = u32::MAX.checked_shl(count).map_or(u32::MAX, |zeros| !zeros);
    let before = notes.read_word(field::fuses(geometry));
    notes.write_word(field::fuses(geometry), before | ones);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EmulatedFlash;
    use crate::model::{formatted, in_both_geometries};

    #[test]
    fn fuses_are_blown_and_stay_so() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            let notes = flash.notes_mut();
            assert_eq!(blown_fuses(notes, geometry), 0);
            for (count, expected) in [(0, 0), (1, 1), (31, 31), (7, 31), (32, 32), (0, 32)] {
                assert!(blow_fuses(notes, geometry, count));
                assert_eq!(blown_fuses(notes, geometry), expected);
            }
        });
    }

    #[test]
    fn more_than_there_are_is_refused() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            let notes = flash.notes_mut();
            assert!(!blow_fuses(notes, geometry, FUSES + 1));
            assert_eq!(blown_fuses(notes, geometry), 0);
        });
    }

    #[test]
    fn fuses_stay_blown_whatever_is_flashed() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            assert!(blow_fuses(flash.notes_mut(), geometry, 5));
            flash.erase(0, geometry.size).unwrap();
            let last = geometry.size - 4;
            flash.program(last, &[0; 4]).unwrap();
            let flash = EmulatedFlash::format(flash.into_chip(), b"anew").unwrap();
            assert_eq!(blown_fuses(flash.notes(), geometry), 5);
        });
    }
}
