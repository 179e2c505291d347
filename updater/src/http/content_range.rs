//! The `Content-Range` field: which bytes of which whole (RFC 9110 §14.4).

use super::field::decimal;

/// What a `Content-Range` says. Offsets and lengths are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ContentRange {
    /// `bytes first-last/complete`: first ≤ last < complete, which is `None` for `*`.
    Part {
        first: u64,
        last: u64,
        complete: Option<u64>,
    },
    /// `bytes */complete`: the file has no byte of what was asked for.
    Nothing { complete: u64 },
}

impl ContentRange {
    /// Reads a field's value. `None` for any other unit, any other form, and for bounds that
    /// contradict each other, which a recipient must not believe.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (unit, range) = split(value, b' ')?;
        if !unit.eq_ignore_ascii_case(b"bytes") {
            return None;
        }
        let (part, complete) = split(range, b'/')?;
        if part == b"*" {
            let complete = decimal(complete)?;
            return Some(Self::Nothing { complete });
        }
        let (first, last) = split(part, b'-')?;
        let (first, last) = (decimal(first)?, decimal(last)?);
        let complete = match complete {
            b"*" => None,
            length => Some(decimal(length)?),
        };
        let consistent = first <= last && complete.is_none_or(|complete| last < complete);
        consistent.then_some(Self::Part {
            first,
            last,
            complete,
        })
    }
}

/// What lies before and after the first `separator`.
fn split(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = text.splitn(2, |byte| *byte == separator);
    Some((parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_rfc_are_read() {
        let part = |first, last, complete| {
            Some(ContentRange::Part {
                first,
                last,
                complete,
            })
        };
        let cases = [
            ("bytes 42-1233/1234", part(42, 1233, Some(1234))),
            ("bytes 42-1233/*", part(42, 1233, None)),
            ("Bytes 0-0/1", part(0, 0, Some(1))),
            (
                "bytes */1234",
                Some(ContentRange::Nothing { complete: 1234 }),
            ),
            ("bytes */0", Some(ContentRange::Nothing { complete: 0 })),
        ];
        for (text, meaning) in cases {
            assert_eq!(ContentRange::parse(text.as_bytes()), meaning, "{text}");
        }
    }

    #[test]
    fn bounds_that_contradict_each_other_are_not_believed() {
        for text in ["bytes 5-4/10", "bytes 0-10/10", "bytes 0-0/0"] {
            assert_eq!(ContentRange::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn anything_else_is_not_a_range() {
        for text in [
            "",
            "bytes",
            "bytes ",
            "bytes 0-1",
            "bytes 0-/2",
            "bytes -1/2",
            "bytes 0/2",
            "bytes 0-1/",
            "bytes  0-1/2",
            "bytes 0 - 1/2",
            "bytes 0-1/2 ",
            "bytes 0-1/2/3",
            "bytes 0-1-1/2",
            "bytes */*",
            "bytes=0-1/2",
            "items 0-1/2",
            "0-1/2",
            "bytes 0-1/2, bytes 0-1/2",
            "bytes 0-1/18446744073709551616",
        ] {
            assert_eq!(ContentRange::parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
