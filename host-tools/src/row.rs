//! The flashes on which a device keeps its state, laid one behind the other: one row of bytes, however many they are.
//!
//! Journal, slots and identity may lie on one flash, on several runs of uneven sectors, or in different chips. What runs over
//! them here, the device's own functions, takes one flash and a layout that counts from its start: the row, and
//! [`Row::layout`]. Where everything lies on one flash, the row is that flash.
//!
//! ```text
//!   addresses   internal 0x0 ─────── 0x10_0000            qspi 0x1200_0000 ───── 0x1280_0000
//!   row         0 ────────────────── 0x10_0000 ─────────────────────────────────── 0x90_0000
//! ```

use std::ops::Range;

use bistable_core::layout::{JournalLayout, Layout, Slot, SlotLayout};
use bistable_layout::product::{Flash, Units};
use bistable_layout::{Product, Region};

use crate::factory::IDENTITY_PARTITION;

/// The flashes on which a device keeps its state, by rising addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    flashes: Vec<InRow>,
    layout: Layout,
}

/// A flash in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InRow {
    /// As the layout calls it.
    pub name: String,
    /// Where it lies, and its sizes.
    pub flash: Flash,
    /// Its first byte in the row.
    pub start: usize,
}

impl Row {
    /// That of `product`.
    #[must_use]
    pub fn of(product: &Product) -> Self {
        let identity = product.partitions.get(IDENTITY_PARTITION);
        let state = [&product.journal_flash]
            .into_iter()
            .chain(&product.slot_flashes)
            .chain(identity.map(|partition| &partition.flash));
        let mut names: Vec<_> = state.collect();
        names.sort_by_key(|name| product.flash.get(*name).map(|flash| flash.address));
        names.dedup();
        let mut start = 0;
        let mut flashes = Vec::new();
        for name in names {
            let Some(flash) = product.flash.get(name) else {
                continue; // Every name in a product is one of its flashes.
            };
            let (name, flash) = (name.clone(), *flash);
            flashes.push(InRow { name, flash, start });
            start += flash.size as usize;
        }
        let row = Self {
            flashes,
            layout: product.layout,
        };
        row.with_layout(product)
    }

    fn with_layout(self, product: &Product) -> Self {
        let layout = product.layout;
        let behind = |flash: &String, offset: u32| {
            let start = self.start(flash).unwrap_or_default();
            u32::try_from(start)
                .unwrap_or(u32::MAX)
                .saturating_add(offset)
        };
        let slot = |slot: Slot| {
            let place = *slot.of(&layout.slots);
            SlotLayout {
                offset: behind(product.slot_flash(slot), place.offset),
                ..place
            }
        };
        let layout = Layout {
            journal: JournalLayout {
                offset: behind(&product.journal_flash, layout.journal.offset),
                ..layout.journal
            },
            slots: Slot::BOTH.map(slot),
            ..layout
        };
        Self { layout, ..self }
    }

    /// The flashes, by rising addresses.
    #[must_use]
    pub fn flashes(&self) -> &[InRow] {
        &self.flashes
    }

    /// The flash, if it is one.
    #[must_use]
    pub fn only(&self) -> Option<&InRow> {
        match self.flashes.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The product's layout with offsets in the row.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Length of the row in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.flashes.last().map_or(0, InRow::end)
    }

    /// The smallest erase size of the flashes, and the largest write size: what the journal and slots are made of are
    /// multiples of both.
    #[must_use]
    pub fn units(&self) -> Units {
        let erase = self.flashes.iter().map(|it| it.flash.erase_size).min();
        let write = self.flashes.iter().map(|it| it.flash.write_size).max();
        Units {
            erase_size: erase.unwrap_or(1),
            write_size: write.unwrap_or(1),
        }
    }

    /// The first byte of the flash with this name.
    #[must_use]
    pub fn start(&self, flash: &str) -> Option<usize> {
        let flash = self.flashes.iter().find(|it| it.name == flash)?;
        Some(flash.start)
    }

    /// Where `region` lies in the row, if it is on one of its flashes.
    #[must_use]
    pub fn place(&self, region: &Region) -> Option<Range<usize>> {
        let start = self.start(&region.device)?;
        Some(start + region.start as usize..start + region.end as usize)
    }

    /// Where the processor sees a byte of the row.
    #[must_use]
    pub fn address(&self, at: usize) -> u64 {
        let flash = self.flashes.iter().rev().find(|it| it.start <= at);
        flash.map_or(at as u64, |it| {
            u64::from(it.flash.address) + (at - it.start) as u64
        })
    }

    /// Which byte of the row the processor sees at `address`.
    #[must_use]
    pub fn at_address(&self, address: u32) -> Option<usize> {
        self.flashes.iter().find_map(|it| {
            let offset = address.checked_sub(it.flash.address)?;
            (offset < it.flash.size).then(|| it.start + offset as usize)
        })
    }

    /// The flashes' names, for people.
    #[must_use]
    pub fn names(&self) -> String {
        names(&self.flashes)
    }
}

/// As in "`internal`, `qspi`".
#[must_use]
pub fn names<'f>(flashes: impl IntoIterator<Item = &'f InRow>) -> String {
    let names = flashes.into_iter().map(|it| format!("`{}`", it.name));
    names.collect::<Vec<_>>().join(", ")
}

impl InRow {
    /// One past its last byte in the row.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.start.saturating_add(self.flash.size as usize)
    }

    /// Its bytes in the row.
    #[must_use]
    pub const fn range(&self) -> Range<usize> {
        self.start..self.end()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const LAYOUT: &str = include_str!("../layout/tests/golden/layout.toml");

    fn row(changes: &[(&str, &str)]) -> (Product, Row) {
        let text = changes.iter().fold(LAYOUT.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "the layout does not say {from}");
            text.replacen(from, to, 1)
        });
        let product = Product::parse(&text, Path::new("/product")).unwrap();
        let row = Row::of(&product);
        (product, row)
    }

    /// Slot A in a flash that lies below `main`.
    const BELOW: [(&str, &str); 2] = [
        (
            "[flash.main]",
            "[flash.low]\naddress = 0x1000_0000\nsize = 0x10_0000\nerase_size = 0x8000\nwrite_size = 8\n\n[flash.main]",
        ),
        (
            "[slots]\nflash = \"main\"\na = 0x2_0000",
            "[slots]\nflash = { a = \"low\", b = \"main\" }\na = 0x8_0000",
        ),
    ];

    #[test]
    fn a_row_of_one_flash_is_that_flash() {
        let (product, row) = row(&[]);
        assert_eq!(row.only().unwrap().name, "main");
        assert_eq!(*row.layout(), product.layout);
        assert_eq!(row.size(), product.flash["main"].size as usize);
        assert_eq!(row.units(), product.flash["main"].units());
        assert_eq!(row.address(0x3000), 0x2100_3000);
        assert_eq!(row.at_address(0x2100_3000), Some(0x3000));
        assert_eq!(
            row.at_address(0),
            None,
            "the bootloader's flash is no part of it"
        );
    }

    #[test]
    fn a_row_of_two_begins_with_the_lower_one_and_the_layout_counts_through() {
        let (product, row) = row(&BELOW);
        assert_eq!(row.names(), "`low`, `main`");
        assert_eq!((row.only(), row.size()), (None, 0x30_0000));
        let [a, b] = row.layout().slots;
        let [own_a, own_b] = product.layout.slots;
        assert_eq!((a.offset, b.offset), (0x8_0000, 0x10_0000 + own_b.offset));
        assert_eq!((a.address, b.address), (own_a.address, own_b.address));
        assert_eq!(row.layout().journal.offset, 0x10_0000);
        assert_eq!((row.units().erase_size, row.units().write_size), (4096, 8));
    }

    #[test]
    fn addresses_and_places_at_the_seam_belong_to_the_right_flash() {
        let (product, row) = row(&BELOW);
        assert_eq!(row.address(0xF_FFFF), 0x100F_FFFF);
        assert_eq!(row.address(0x10_0000), 0x2100_0000);
        assert_eq!(row.at_address(0x100F_FFFF), Some(0xF_FFFF));
        assert_eq!(row.at_address(0x1010_0000), None);
        assert_eq!(row.at_address(0x2100_0000), Some(0x10_0000));
        assert_eq!(row.at_address(0x2120_0000), None);
        let places = product.regions();
        let places: Vec<_> = places
            .iter()
            .map(|it| (it.name.as_str(), row.place(it)))
            .collect();
        assert!(places.contains(&("slot A", Some(0x8_0000..0x10_0000))));
        assert!(places.contains(&("the journal", Some(0x10_0000..0x10_3000))));
        assert!(places.contains(&("the bootloader", None)));
    }
}
