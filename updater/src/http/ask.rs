//! What is asked of a server, which is also what its answer is held to.

/// One request, apart from where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ask {
    /// `GET`: all of a file (RFC 9110 §9.3.1).
    Whole,
    /// `GET`: these bytes of a file (RFC 9110 §14).
    Range(ByteRange),
    /// `POST`: take this content (RFC 9110 §9.3.3).
    Post {
        /// Length of the content in bytes.
        length: usize,
    },
    /// `POST` likewise, and the server may say why it does not: 400 (RFC 9110 §15.5.1) or 409 (§15.5.10).
    Submit {
        /// Length of the content in bytes.
        length: usize,
    },
}

/// A range of bytes as HTTP counts them (RFC 9110 §14.1.2): from the first to the last, both included.
///
/// It is never empty, for HTTP has no way to say that, and ends within the first 4 GiB of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ByteRange {
    first: u32,
    last: u32,
}

impl ByteRange {
    /// `length` bytes from offset `first`; `None` if `length` is 0 or an offset would exceed `u32`.
    #[must_use]
    pub fn new(first: u32, length: usize) -> Option<Self> {
        let beyond_first = u32::try_from(length).ok()?.checked_sub(1)?;
        let last = first.checked_add(beyond_first)?;
        Some(Self { first, last })
    }

    /// Offset of the first byte.
    #[must_use]
    pub const fn first(self) -> u32 {
        self.first
    }

    /// Offset of the last byte: at least that of the first.
    #[must_use]
    pub const fn last(self) -> u32 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_includes_its_last_byte() {
        let range = ByteRange::new(100, 50).unwrap();
        assert_eq!((range.first(), range.last()), (100, 149));
        let range = ByteRange::new(7, 1).unwrap();
        assert_eq!((range.first(), range.last()), (7, 7));
    }

    #[test]
    fn a_range_is_neither_empty_nor_beyond_32_bits() {
        assert_eq!(ByteRange::new(0, 0), None);
        assert_eq!(ByteRange::new(u32::MAX, 2), None);
        assert_eq!(ByteRange::new(0, usize::MAX), None);
        assert!(ByteRange::new(u32::MAX, 1).is_some());
    }
}
