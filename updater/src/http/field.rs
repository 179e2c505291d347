//! Fields of a head that may be there once.

/// A field that a head may have once (RFC 9110 §5.3).
///
/// Two of the same are not reconciled, even if they agree: where two readers could take different ones,
/// neither is right (RFC 9112 §11.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field<T> {
    /// It is not there.
    Absent,
    /// It is there once, and this is what it says.
    Is(T),
    /// It is there more than once, or it says something that it cannot.
    Bad,
}

impl<T> Field<T> {
    /// The field after it was met (once more) with a value that reads as `value`, if as anything.
    pub(super) fn met(self, value: Option<T>) -> Self {
        match (self, value) {
            (Self::Absent, Some(value)) => Self::Is(value),
            _ => Self::Bad,
        }
    }
}

/// Reads `1*DIGIT` and nothing else: no sign, no space, nothing that exceeds 64 bits.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_met_twice_is_bad_even_if_both_agree() {
        assert_eq!(Field::Absent.met(Some(5)), Field::Is(5));
        assert_eq!(Field::Absent.met(Some(5)).met(Some(5)), Field::Bad);
        assert_eq!(Field::<u8>::Absent.met(None), Field::Bad);
        assert_eq!(Field::Absent.met(None).met(Some(5)), Field::Bad);
    }

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1,1",
            "0x1",
            "1_0",
            "1.0",
            "١",
            "18446744073709551616",
            "99999999999999999999999",
        ] {
            assert_eq!(decimal(text.as_bytes()), None, "{text:?}");
        }
    }
}
