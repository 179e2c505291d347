//! A clock of 64 bits from a counter of 32.

/// The count that follows `last`, when the counter's 32 bits read as `count`: it never goes back, if it is asked at least
/// once while the counter goes round.
#[must_use]
pub const fn extended(last: u64, count: u32) -> u64 {
    // It counts upwards and wraps, so this is how far it has come.
    let further = count.wrapping_sub(last as u32);
    last.saturating_add(further as u64)
}

#[cfg(test)]
mod tests {
    use super::extended;

    #[test]
    fn a_counter_that_goes_round_goes_on() {
        let mut last = 0;
        let counts = [0, 7, u32::MAX - 1, u32::MAX, 0, 0, 5, u32::MAX, u32::MAX, 1];
        let round = 1 << 32;
        let expected = [
            0,
            7,
            round - 2,
            round - 1,
            round,
            round,
            round + 5,
            2 * round - 1,
            2 * round - 1,
            2 * round + 1,
        ];
        for (count, expected) in counts.into_iter().zip(expected) {
            last = extended(last, count);
            assert_eq!(last, expected);
        }
    }
}
