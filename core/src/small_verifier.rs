//! Ed25519 verification for a bootloader: the points of `curve25519-dalek`, SHA-512, and between them the equation of RFC 8032, 5.1.7, written for few bytes of text.
//!
//! Nothing here is secret, so nothing takes care to be constant in time.

use core::cmp::Ordering;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use group::Group as _;
#[cfg(feature = "hmac-sha512")]
use hmac_sha512::Hash as Sha512;
#[cfg(not(feature = "hmac-sha512"))]
use sha2::{Digest as _, Sha512};

use crate::verifier::{KEY_LEN, SIGNATURE_LEN, Verifier};

/// Little more than half the text of [`Compact`](crate::verifier::Compact) (on a Cortex-M3 8,552 B against 15,668), a quarter
/// more instructions (2.45 M against 1.96 M), the same verdicts: decisions 0016 and 0017.
#[derive(Clone, Copy, Debug)]
pub struct Small;

impl Verifier for Small {
    #[inline(never)] // it is called where a boot has little of its stack in use
    fn holds(key: &[u8; KEY_LEN], message: &[&[u8]], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let ([r, s], _) = signature.as_chunks() else {
            return false;
        };
        let s = Number::from_bytes(s);
        if !s.is_below(&ORDER) {
            return false;
        }
        let (Some(key_point), Some(r_point)) = (point(key), point(r)) else {
            return false;
        };
        // To their names signatures can be made that hold for many messages.
        if key_point.is_small_order() || r_point.is_small_order() {
            return false;
        }
        let k = hash_modulo_order(r, key, message);
        // [8] (S B - k A - R) is the neutral element.
        difference(&s, &k, &key_point, &r_point).is_small_order()
    }
}

/// k = SHA-512(R, key, message) modulo L.
#[inline(never)] // so that its stack is free again when points are added
#[allow(
    clippy::useless_conversion,
    reason = "one of the two hashes gives an array"
)]
fn hash_modulo_order(r: &[u8; 32], key: &[u8; KEY_LEN], message: &[&[u8]]) -> Number {
    let mut hash = Sha512::new();
    hash.update(r);
    hash.update(key);
    for part in message {
        hash.update(part);
    }
    Number::modulo_order(&hash.finalize().into())
}

/// A number of 256 bits, the lowest word first.
#[derive(Clone, Copy)]
struct Number([u32; Number::WORDS]);

/// L, the order of the base point (RFC 8032, 5.1): 2^252 + 27742317777372353535851937790883648493.
const ORDER: Number = Number([
    0x5CF5_D3ED,
    0x5812_631A,
    0xA2F7_9CD6,
    0x14DE_F9DE,
    0,
    0,
    0,
    0x1000_0000,
]);

/// p, the order of the field (RFC 8032, 5.1): 2^255 - 19.
const FIELD: Number = Number([
    0xFFFF_FFED,
    u32::MAX,
    u32::MAX,
    u32::MAX,
    u32::MAX,
    u32::MAX,
    u32::MAX,
    0x7FFF_FFFF,
]);

impl Number {
    const WORDS: usize = 8;
    const ZERO: Self = Self([0; Self::WORDS]);

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut number = Self::ZERO;
        for (word, bytes) in number.0.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        number
    }

    fn is_below(&self, other: &Self) -> bool {
        self.0.iter().rev().lt(other.0.iter().rev())
    }

    /// The remainder of a number of 512 bits, by long division, bit by bit.
    fn modulo_order(bytes: &[u8; 64]) -> Self {
        // Its highest 31 bytes are a number below 2^248, so below L.
        let (low, high) = bytes.split_at(33);
        let mut first = [0; 32];
        for (to, from) in first.iter_mut().zip(high) {
            *to = *from;
        }
        let mut rest = Self::from_bytes(&first);
        for byte in low.iter().rev() {
            for bit in (0..u8::BITS).rev() {
                // It is below L, so it doubles to less than 2^254.
                rest.double_and_add(byte >> bit & 1);
                if !rest.is_below(&ORDER) {
                    rest.subtract(&ORDER);
                }
            }
        }
        rest
    }

    fn double_and_add(&mut self, bit: u8) {
        let mut carry = u32::from(bit);
        for word in &mut self.0 {
            let high = *word >> 31;
            *word = *word << 1 | carry;
            carry = high;
        }
    }

    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            (*word, borrow) = word.borrowing_sub(*other, borrow);
        }
    }

    /// Three times this number, which is below L: less than 2^254.
    fn tripled(&self) -> Self {
        let mut tripled = *self;
        let mut carry = 0;
        for word in &mut tripled.0 {
            (*word, carry) = word.carrying_mul(3, carry);
        }
        tripled
    }

    fn bit(&self, place: u32) -> bool {
        let word = self.0.get(place as usize / 32).copied().unwrap_or_default();
        word >> (place % 32) & 1 == 1
    }
}

/// A number in signed digits: it is the sum of the digits -1, 0 and 1, each times a power of 2. Of two that are
/// neighbours at least one is 0, and so two of three digits are.
struct SignedDigits {
    number: Number,
    tripled: Number,
}

impl SignedDigits {
    /// One more than that of the highest digit of a number below L.
    const PLACES: u32 = 254;

    fn of(number: &Number) -> Self {
        Self {
            number: *number,
            tripled: number.tripled(),
        }
    }

    /// Twice a number is its triple less itself: the difference of their bits at a place is the digit one
    /// place below.
    fn at(&self, place: u32) -> Ordering {
        let place = place.wrapping_add(1);
        self.tripled.bit(place).cmp(&self.number.bit(place))
    }
}

/// The point of which `bytes` are the only encoding (RFC 8032, 5.1.3). The two points with x = 0 have another
/// one, with a sign, but they are of small order.
#[inline(never)] // likewise
pub(crate) fn point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    let mut y = Number::from_bytes(bytes);
    let [.., high] = &mut y.0;
    *high &= !(1 << 31); // the sign of x
    if !y.is_below(&FIELD) {
        return None;
    }
    CompressedEdwardsY(*bytes).decompress()
}

/// S B - k A - R, with the doublings of both products in common.
#[inline(never)] // likewise
#[expect(
    clippy::arithmetic_side_effects,
    reason = "sums of points are points: nothing overflows"
)]
fn difference(s: &Number, k: &Number, a: &EdwardsPoint, r: &EdwardsPoint) -> EdwardsPoint {
    let plus_b = ED25519_BASEPOINT_POINT;
    let minus_a = -a;
    let both = minus_a + plus_b;
    let one_less_the_other = minus_a - plus_b;
    let (s, k) = (SignedDigits::of(s), SignedDigits::of(k));
    let mut sum = EdwardsPoint::identity();
    for place in (0..SignedDigits::PLACES).rev() {
        sum = sum.double();
        let (s, k) = (s.at(place), k.at(place));
        let (term, sign) = match (k, s) {
            (Ordering::Equal, Ordering::Equal) => continue,
            (k, Ordering::Equal) => (&minus_a, k),
            (Ordering::Equal, s) => (&plus_b, s),
            (k, s) if k == s => (&both, k),
            (k, _) => (&one_less_the_other, k),
        };
        match sign {
            Ordering::Less => sum -= term,
            _ => sum += term,
        }
    }
    sum - r
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `low` and what is `high` above it, as 512 bits, the lowest byte first.
    fn wide(low: &Number, high: u32) -> [u8; 64] {
        let words = low.0.into_iter().chain([high]);
        let mut bytes = [0; 64];
        for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    fn plus(number: &Number, more: u32) -> Number {
        let mut sum = *number;
        let mut carry = more;
        for word in &mut sum.0 {
            let (word_sum, overflow) = word.overflowing_add(carry);
            (*word, carry) = (word_sum, overflow.into());
        }
        sum
    }

    #[test]
    fn remainders_are_right_around_multiples_of_the_order() {
        let mut below = ORDER;
        below.subtract(&Number([1, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(Number::modulo_order(&wide(&below, 0)).0, below.0);
        // 2^32 L, and 5 more: each word one place up.
        let [words @ .., top] = ORDER.0;
        let mut up = Number::ZERO;
        up.0[1..].copy_from_slice(&words);
        for more in [0, 1, 5] {
            let expected = [more, 0, 0, 0, 0, 0, 0, 0];
            let at_order = wide(&plus(&ORDER, more), 0);
            assert_eq!(Number::modulo_order(&at_order).0, expected, "L + {more}");
            let far_up = wide(&plus(&up, more), top);
            assert_eq!(Number::modulo_order(&far_up).0, expected, "2^32 L + {more}");
        }
        // 2^512 - 1.
        let expected = [
            0x449C_0F00,
            0xA406_11E3,
            0x6885_9347,
            0xD00E_1BA7,
            0x17F5_BE65,
            0xCEEC_73D2,
            0x7C30_9A3D,
            0x0399_411B,
        ];
        assert_eq!(Number::modulo_order(&[0xFF; 64]).0, expected);
    }

    #[test]
    fn signed_digits_add_up_to_their_number() {
        let mut below = ORDER;
        below.subtract(&Number([1, 0, 0, 0, 0, 0, 0, 0]));
        let small = |number| Number([number, 0, 0, 0, 0, 0, 0, 0]);
        let all_ones = Number([u32::MAX; 8].map(|word| word & 0x0FFF_FFFF));
        for number in [small(0), small(1), small(3), small(0xFFFF), all_ones, below] {
            let digits = SignedDigits::of(&number);
            let mut sum = Number::ZERO;
            let mut neighbour = Ordering::Equal;
            for place in (0..SignedDigits::PLACES).rev() {
                sum.double_and_add(0);
                let digit = digits.at(place);
                assert!(digit.is_eq() || neighbour.is_eq(), "two in a row");
                match digit {
                    Ordering::Less => sum.subtract(&small(1)),
                    Ordering::Equal => {}
                    Ordering::Greater => sum = plus(&sum, 1),
                }
                neighbour = digit;
            }
            assert_eq!(sum.0, number.0);
        }
    }

    #[test]
    fn a_point_has_one_encoding_though_it_be_of_large_order() {
        // The y of points that are not of small order, and small enough that y + p is an encoding, too.
        for y in [3, 4, 5, 6, 9, 10, 14, 15, 16, 18] {
            let bytes = |number: &Number| {
                let mut bytes = [0; 32];
                bytes.copy_from_slice(&wide(number, 0)[..32]);
                bytes
            };
            let only = Number([y, 0, 0, 0, 0, 0, 0, 0]);
            let decoded = point(&bytes(&only)).expect("a point of the curve");
            assert!(!decoded.is_small_order(), "{y}");
            let other = plus(&FIELD, y);
            assert!(CompressedEdwardsY(bytes(&other)).decompress().is_some());
            assert!(point(&bytes(&other)).is_none(), "{y} + p");
        }
    }
}
