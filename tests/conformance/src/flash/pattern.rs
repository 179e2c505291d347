//! What is written where: no two words of a flash are equal, so that no byte can stand in for another.

/// The byte at `offset`. Each aligned word differs from every other one, and between two values of `salt` nearly all do.
pub(super) const fn byte(offset: u32, salt: u32) -> u8 {
    // Multiplying by an odd number loses nothing: different words stay different.
    let word = (offset >> 2)
        .wrapping_add(salt)
        .wrapping_mul(0x9E37_79B1)
        .to_le_bytes();
    let [a, b, c, d] = word;
    match offset & 3 {
        0 => a,
        1 => b,
        2 => c,
        _ => d,
    }
}

/// The byte at `offset` where unit after unit, of `unit` bytes, has another kind of content: all zeros, all ones,
/// a one that walks, a zero that walks, the pattern, its complement.
pub(super) const fn kinds(offset: u32, unit: u32) -> u8 {
    let number = match offset.checked_div(unit) {
        Some(number) => number,
        None => 0,
    };
    let walking = 1_u8.wrapping_shl(number.wrapping_add(offset));
    match number.wrapping_rem(6) {
        0 => 0x00,
        1 => 0xFF,
        2 => walking,
        3 => !walking,
        4 => byte(offset, 0),
        _ => !byte(offset, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_words_are_equal() {
        let word = |at: u32| [0, 1, 2, 3].map(|byte_of| byte(at + byte_of, 7));
        let words: BTreeSet<_> = (0..0x4_0000).step_by(4).map(word).collect();
        assert_eq!(words.len(), 0x1_0000);
    }

    #[test]
    fn every_bit_of_a_unit_is_a_one_and_a_zero_in_some_unit() {
        for place in 0..8 {
            let bytes = (0..200).map(|unit| kinds(unit * 8 + place, 8));
            let (ones, zeros) =
                bytes.fold((0, 0), |(ones, zeros), byte| (ones | byte, zeros | !byte));
            assert_eq!((ones, zeros), (0xFF, 0xFF));
        }
    }
}
