//! One-way fuses: a word beside the flash whose bits can be set and never cleared, whatever is flashed.

use crate::{MEMORY_SIZE, Memory};

/// How many fuses there are.
pub const FUSES: u32 = u32::BITS;

const PLACE: u32 = 0x90_0000;
const _: () = assert!(PLACE < MEMORY_SIZE);

/// How many fuses are blown, from the first one on.
#[must_use]
pub fn blown_fuses(memory: &(impl Memory + ?Sized)) -> u32 {
    memory.read_word(PLACE).trailing_ones()
}

/// Blows fuses until so many are blown. `false`: there are not so many, and nothing is blown.
pub fn blow_fuses(memory: &mut (impl Memory + ?Sized), count: u32) -> bool {
    if count > FUSES {
        return false;
    }
    let ones = u32::MAX.checked_shl(count).map_or(u32::MAX, |zeros| !zeros);
    let before = memory.read_word(PLACE);
    memory.write_word(PLACE, before | ones);
    true
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn fuses_are_blown_and_stay_so() {
        let mut memory = vec![0; MEMORY_SIZE as usize];
        let memory = memory.as_mut_slice();
        assert_eq!(blown_fuses(memory), 0);
        for (count, expected) in [(0, 0), (1, 1), (31, 31), (7, 31), (32, 32), (0, 32)] {
            assert!(blow_fuses(memory, count));
            assert_eq!(blown_fuses(memory), expected);
        }
    }

    #[test]
    fn more_than_there_are_is_refused() {
        let mut memory = vec![0; MEMORY_SIZE as usize];
        let memory = memory.as_mut_slice();
        assert!(!blow_fuses(memory, FUSES + 1));
        assert_eq!(blown_fuses(memory), 0);
    }
}
