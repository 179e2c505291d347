//! The sizes of a flash, and the part of it that holds the journal.

use std::ops::Range;
use std::rc::Rc;

use bistable_core::digest::Digest;
use bistable_core::snapshot::SNAPSHOT_LEN;

use super::content::Content;

/// A flash's sizes, and the part of it that holds the journal.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Write unit in bytes.
    pub write: u32,
    /// Erase sector in bytes.
    pub erase: u32,
    /// In bytes.
    pub size: u32,
    /// Where the journal lies, if it does.
    pub journal: Range<u32>,
    /// Length of a journal sector in bytes: one or several erase sectors.
    pub journal_sector: u32,
    /// The layout that the journal's copies name.
    pub layout: Digest,
}

impl Shape {
    /// Erase sectors on it.
    pub(super) const fn sectors(&self) -> u32 {
        self.size / self.erase
    }

    /// The journal's sector with this number.
    pub(super) const fn journal_sector(&self, number: u32) -> Range<u32> {
        let start = self.journal.start + number * self.journal_sector;
        start..start + self.journal_sector
    }

    /// What is programmed at `at`.
    #[must_use]
    pub fn content(&self, at: u32, bytes: &[u8]) -> Rc<Content> {
        let place = self.journal.contains(&at).then(|| {
            let in_sector = (at - self.journal.start) % self.journal_sector;
            (in_sector % SNAPSHOT_LEN as u32, self.layout)
        });
        Content::new(bytes, place)
    }
    /// A journal of two sectors with two sectors behind it.
    #[cfg(test)]
    pub(super) fn example() -> Rc<Self> {
        Rc::new(Self {
            write: 8,
            erase: 2048,
            size: 4 * 2048,
            journal: 0..2 * 2048,
            journal_sector: 2048,
            layout: Digest([7; Digest::LEN]),
        })
    }
}
