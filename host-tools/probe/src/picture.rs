//! What a unit's flash should hold: pieces with their addresses.

use crate::Error;

/// What a unit's flash should hold, in the order of the addresses. What lies in a sector that a piece touches and
/// is not said is erased.
#[derive(Clone, Default)]
pub struct Picture {
    pieces: Vec<Piece>,
}

/// Bytes at an address. Not shown by `Debug`: a piece may hold a key.
#[derive(Clone)]
pub struct Piece {
    /// As messages call it, such as "the bootloader".
    pub name: String,
    /// Where the processor sees the first byte.
    pub address: u64,
    /// What lies there.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// Behind the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }
}

impl Picture {
    /// The picture of these pieces.
    ///
    /// # Errors
    /// Two of them overlap; both are named.
    pub fn new(mut pieces: Vec<Piece>) -> Result<Self, Error> {
        pieces.retain(|piece| !piece.bytes.is_empty());
        pieces.sort_by_key(|piece| piece.address);
        for pair in pieces.windows(2) {
            if let [first, second] = pair
                && first.end() > second.address
            {
                return Err(Error::new(
                    format!(
                        "{} up to {:#010x} and {} from {:#010x} on",
                        first.name,
                        first.end(),
                        second.name,
                        second.address
                    ),
                    "pieces that do not overlap",
                    "give each address once",
                ));
            }
        }
        Ok(Self { pieces })
    }

    /// In the order of the addresses.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What should lie in `length` bytes from `address` on, with `erased` where nothing is said.
    pub(crate) fn at(&self, address: u64, length: usize, erased: u8) -> Vec<u8> {
        let mut bytes = vec![erased; length];
        for piece in &self.pieces {
            let start = piece.address.max(address);
            let end = piece.end().min(address + length as u64);
            if start < end {
                let from = (start - piece.address) as usize..(end - piece.address) as usize;
                let to = (start - address) as usize..(end - address) as usize;
                bytes[to].copy_from_slice(&piece.bytes[from]);
            }
        }
        bytes
    }

    /// The name of what lies at `address`.
    pub(crate) fn name(&self, address: u64) -> &str {
        let piece = self.pieces.iter().rfind(|piece| piece.address <= address);
        piece.map_or("erased flash", |piece| &piece.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(address: u64, bytes: &[u8]) -> Piece {
        Piece {
            name: format!("the piece at {address}"),
            address,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn between_the_pieces_flash_is_erased() {
        let picture = Picture::new(vec![piece(6, &[3]), piece(1, &[1, 2])]).expect("no overlap");
        assert_eq!(
            picture.at(0, 8, 0xFF),
            [0xFF, 1, 2, 0xFF, 0xFF, 0xFF, 3, 0xFF]
        );
        assert_eq!(picture.at(2, 1, 0xFF), [2]);
    }

    #[test]
    fn pieces_that_overlap_are_refused_and_both_are_named() {
        let refused = Picture::new(vec![piece(0, &[1, 2]), piece(1, &[3])]).err();
        let found = refused.expect("they overlap").found;
        assert!(
            found.contains("piece at 0") && found.contains("piece at 1"),
            "{found}"
        );
    }
}
