//! What a cut within an operation of the flash leaves there: half of it.

/// How many sectors of `after` are half erased: their first half reads as erased, and the second half holds what it did
/// `before`, which does not read as erased.
pub(super) fn half_erased(before: &[u8], after: &[u8], sector: usize) -> usize {
    let sectors = before.chunks(sector).zip(after.chunks(sector));
    let is_torn = |(before, after): &(&[u8], &[u8])| {
        let (erased, rest) = after.split_at(after.len() / 2);
        is_erased(erased) && !is_erased(rest) && rest == &before[before.len() / 2..]
    };
    sectors.filter(is_torn).count()
}

/// How many chunks of `after` are half programmed: their first half is there as when all was `done`, and the second half
/// reads as erased.
pub(super) fn half_programmed(after: &[u8], done: &[u8], chunk: usize) -> usize {
    let chunks = after.chunks(chunk).zip(done.chunks(chunk));
    let is_torn = |(after, done): &(&[u8], &[u8])| {
        let (there, rest) = after.split_at(after.len() / 2);
        let (first, second) = done.split_at(done.len() / 2);
        there == first && !is_erased(first) && is_erased(rest) && !is_erased(second)
    };
    chunks.filter(is_torn).count()
}

fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    fn with(start: usize, bytes: &[u8]) -> [u8; 12] {
        let mut after = BEFORE;
        after[start..][..bytes.len()].copy_from_slice(bytes);
        after
    }

    #[test]
    fn a_sector_is_half_erased_if_its_first_half_is_and_the_rest_is_as_it_was() {
        assert_eq!(half_erased(&BEFORE, &with(4, &[0xFF; 2]), 4), 1);
        // All of it, none of it, too little, and a rest that has changed.
        assert_eq!(half_erased(&BEFORE, &with(4, &[0xFF; 4]), 4), 0);
        assert_eq!(half_erased(&BEFORE, &BEFORE, 4), 0);
        assert_eq!(half_erased(&BEFORE, &with(4, &[0xFF; 1]), 4), 0);
        assert_eq!(half_erased(&BEFORE, &with(4, &[0xFF, 0xFF, 0]), 4), 0);
    }

    #[test]
    fn a_chunk_is_half_programmed_if_half_of_its_bytes_are_there_and_no_more() {
        assert_eq!(half_programmed(&with(6, &[0xFF; 6]), &BEFORE, 4), 1);
        // All of it and none of it, too little, and bytes that are not its own.
        assert_eq!(half_programmed(&with(8, &[0xFF; 4]), &BEFORE, 4), 0);
        assert_eq!(half_programmed(&with(5, &[0xFF; 7]), &BEFORE, 4), 0);
        assert_eq!(half_programmed(&with(5, &[0, 0xFF, 0xFF]), &BEFORE, 4), 0);
    }
}
