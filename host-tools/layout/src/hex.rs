//! Bytes as hexadecimal digits.

use std::fmt::Write as _;

/// Two small digits for each byte.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // A String takes everything.
        text
    })
}

/// Exactly `N` bytes from their digits, small or large; nothing else is accepted.
#[must_use]
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(encode(&[0, 0x7f, 0xff]), "007fff");
        assert_eq!(decode("007FfF"), Some([0, 0x7f, 0xff]));
    }

    #[test]
    fn anything_but_the_right_number_of_digits_is_refused() {
        for text in ["", "0", "000", "00000", "0g00", "+1+1", " 100", "é0"] {
            assert_eq!(decode::<2>(text), None, "{text}");
        }
    }
}
