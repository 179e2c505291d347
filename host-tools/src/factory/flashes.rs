//! Flashes with all that is on them, and what of it a programmer writes.

use std::path::Path;

use bistable_layout::Product;
use bistable_layout::product::Flash;

use crate::Error;
use crate::memory_flash::ERASED;

/// The largest page in bytes: what NOR flash programs in one go, and a UF2 block carries.
pub const PAGE: u32 = 256;

/// A flash, and all that is on it.
pub struct Contents {
    /// As the layout calls it.
    pub name: String,
    /// Where it lies, and its sizes.
    pub flash: Flash,
    /// All of its bytes.
    pub bytes: Vec<u8>,
}

impl Contents {
    /// The flash `name` of `product`, which holds `bytes`.
    ///
    /// # Errors
    /// `layout` has no such flash, or it has another size.
    pub fn new(
        layout: &Path,
        product: &Product,
        name: &str,
        bytes: Vec<u8>,
    ) -> Result<Self, Error> {
        match product.flash.get(name) {
            Some(flash) if flash.size as usize == bytes.len() => Ok(Self {
                name: name.into(),
                flash: *flash,
                bytes,
            }),
            _ => Err(Error::unexpected(
                layout,
                format!("no flash `{name}` of {} bytes", bytes.len()),
                "one for everything that is flashed",
                "check the layout's flash devices",
            )),
        }
    }

    /// The flash `name` of `product`, erased.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn erased(layout: &Path, product: &Product, name: &str) -> Result<Self, Error> {
        let size = product.flash.get(name).map_or(0, |flash| flash.size);
        Self::new(layout, product, name, vec![ERASED; size as usize])
    }

    /// The pages that hold something, each whole, with the address of its first byte. A page is [`PAGE`] bytes, or an erase
    /// sector where that is smaller: so none belongs to two regions, and what is not in here may stay as it was erased.
    pub fn pages(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let size = PAGE.min(self.flash.erase_size);
        let pages = (0_u32..).zip(self.bytes.chunks(size as usize));
        let pages = pages.map(move |(number, page)| {
            let offset = number.wrapping_mul(size);
            (self.flash.address.wrapping_add(offset), page)
        });
        pages.filter(|(_, page)| page.iter().any(|byte| *byte != ERASED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(erase_size: u32, written: &[usize]) -> Vec<(u32, usize)> {
        let flash = Flash {
            address: 0x1000,
            size: 0x400,
            erase_size,
            write_size: 1,
        };
        let mut bytes = vec![ERASED; 0x400];
        for place in written {
            bytes[*place] = 0;
        }
        let name = "main".into();
        let contents = Contents { name, flash, bytes };
        let pages = contents
            .pages()
            .map(|(address, page)| (address, page.len()));
        pages.collect()
    }

    #[test]
    fn a_page_is_there_as_soon_as_one_byte_of_it_is_and_an_erased_one_is_not() {
        assert_eq!(pages(0x400, &[]), []);
        let expected = [(0x1000, 256), (0x1300, 256)];
        assert_eq!(pages(0x400, &[255, 0x3FF]), expected);
        assert_eq!(pages(0x400, &[256]), [(0x1100, 256)]);
    }

    #[test]
    fn no_page_reaches_into_the_next_sector() {
        assert_eq!(pages(64, &[64, 200]), [(0x1040, 64), (0x10C0, 64)]);
    }
}
