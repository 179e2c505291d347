//! The sizes of a flash, and the part of it that holds the journal.

use std::ops::Range;
use std::rc::Rc;

use bistable_core::digest::Digest;

use super::content::{Content, Keeps};

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
    /// Where the ledger lies, if it does, and whose it is. Its sectors are as long as the journal's.
    pub ledger: Option<(Range<u32>, Digest)>,
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

    /// The sector of the journal, or of the ledger, that lies at `at`.
    pub(super) fn sector_at(&self, at: u32) -> Option<Range<u32>> {
        let ledger = self.ledger.as_ref().map(|(place, _)| place);
        let mut kept = [Some(&self.journal), ledger].into_iter().flatten();
        let place = kept.find(|place| place.contains(&at))?;
        let start = at - (at - place.start) % self.journal_sector;
        Some(start..start + self.journal_sector)
    }

    /// What is programmed at `at`.
    #[must_use]
    pub fn content(&self, at: u32, bytes: &[u8]) -> Rc<Content> {
        let Some(sector) = self.sector_at(at) else {
            return Content::new(bytes, None);
        };
        let keeps = match &self.ledger {
            Some((place, owner)) if place.contains(&at) => Keeps::Receipts(*owner),
            _ => Keeps::Snapshots(self.layout),
        };
        let begin = (at - sector.start) % keeps.copy_len() as u32;
        Content::new(bytes, Some((begin, keeps)))
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
            ledger: None,
        })
    }
}
