//! A digest as a text of one line: what a server says is the latest.

use bistable_core::digest::Digest;

/// Reads 64 hexadecimal digits, of either case, with at most one line feed behind them and nothing else.
#[must_use]
pub fn parse_digest_name(text: &[u8]) -> Option<Digest> {
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != Digest::LEN {
        return None;
    }
    let mut digest = Digest::NONE;
    for (byte, [high, low]) in digest.0.iter_mut().zip(pairs) {
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::{format, string::ToString};

    #[test]
    fn a_digest_is_read_as_it_is_printed() {
        let digest = Digest::of(b"an image");
        let name = digest.to_string();
        assert_eq!(parse_digest_name(name.as_bytes()), Some(digest));
        assert_eq!(
            parse_digest_name(format!("{name}\n").as_bytes()),
            Some(digest)
        );
        assert_eq!(
            parse_digest_name(name.to_uppercase().as_bytes()),
            Some(digest)
        );
    }

    #[test]
    fn anything_more_or_less_is_no_name() {
        let name = Digest::of(b"an image").to_string();
        let short = &name[..63];
        for text in [
            format!("{name}\n\n"),
            format!("{name}\r\n"),
            format!("{name} "),
            format!(" {name}"),
            format!("\n{name}"),
            format!("{name}00"),
            format!("{name}0"),
            format!("{short}\n"),
            format!("{short}g"),
            format!("{short}+"),
            format!("0x{}", &name[2..]),
            "\n".to_string(),
            "".to_string(),
        ] {
            assert_eq!(parse_digest_name(text.as_bytes()), None, "{text:?}");
        }
    }
}
