//! What an installation erases, and when: pure arithmetic over one slot.
//!
//! An image uses the sectors of its header and those of its payload; where the layout leaves room
//! between them, that is left alone. The erase stays one used sector ahead of what is filled, and a
//! resumed installation begins with the sector after the first that is not kept: so the sector in which
//! the unbroken run of matches ends was erased whole before anything beside it was written, and a
//! sector whose erase was cut is never taken for a match.
//!
//! A "sector" is never smaller than a chunk: several small erase sectors count as one. Otherwise a cut
//! in the erase of a later sector of one chunk would hide behind the next chunk, if that one was torn and
//! reads as it should for once: both match, and what was torn is kept.
//!
//! ```text
//!   kept        │ k: not kept │ k+1        │ …
//!   ████ ██████ │ ██ ?        │            │
//!                 erased 2nd    erased 1st   erased before k+1 is filled, and so on
//! ```

use core::ops::Range;

use crate::layout::{HEADER_LEN, Layout};
use crate::manifest::Manifest;
use crate::state::SlotState;

/// The sectors that one image uses in a slot of one flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    erase_size: u32,
    sector_size: u32,
    payload_offset: u32,
    chunk_size: u32,
    end: u32,
}

impl Plan {
    /// For this image; `erase_size` is the flash's, in bytes.
    #[must_use]
    pub fn new(layout: &Layout, manifest: &Manifest, erase_size: u32) -> Self {
        Self::with_sizes(
            erase_size,
            layout.payload_offset,
            manifest.chunk_size(),
            manifest.payload_len(),
        )
    }

    fn with_sizes(erase_size: u32, payload_offset: u32, chunk_size: u32, payload: u32) -> Self {
        let erase_size = erase_size.max(1);
        let sector_size = chunk_size.checked_next_multiple_of(erase_size);
        Self {
            erase_size,
            sector_size: sector_size.unwrap_or(erase_size),
            payload_offset,
            chunk_size,
            end: payload_offset.saturating_add(payload),
        }
    }

    /// Where the chunk at `index` lies, from the slot's start.
    #[must_use]
    pub fn chunk(&self, index: u32) -> Range<u32> {
        let start = index
            .saturating_mul(self.chunk_size)
            .saturating_add(self.payload_offset);
        start..start.saturating_add(self.chunk_size).min(self.end)
    }

    /// The first sector that is not kept, when the header and `matches` chunks from the first on were
    /// found in the slot: the one in which the last of them begins, for that one may have been cut.
    #[must_use]
    pub fn first_not_kept(&self, matches: u32) -> u32 {
        matches
            .checked_sub(1)
            .map_or(0, |last| self.sector_of(self.chunk(last).start))
    }

    /// The first chunk that must be written when sectors from `first_not_kept` on are erased.
    #[must_use]
    pub fn first_chunk(&self, first_not_kept: u32) -> u32 {
        let start = first_not_kept.saturating_mul(self.sector_size);
        start
            .saturating_sub(self.payload_offset)
            .checked_div(self.chunk_size)
            .unwrap_or(0)
    }

    /// The sector that holds the byte at `offset` from the slot's start.
    #[must_use]
    pub fn sector_of(&self, offset: u32) -> u32 {
        offset.checked_div(self.sector_size).unwrap_or(0)
    }

    /// Where `sector` lies, from the slot's start: whole erase sectors, and none behind the payload's end.
    #[must_use]
    pub fn sector(&self, sector: u32) -> Range<u32> {
        let start = sector.saturating_mul(self.sector_size);
        let end = start.saturating_add(self.sector_size);
        let used = self.end.checked_next_multiple_of(self.erase_size);
        start..end.min(used.unwrap_or(end))
    }

    /// The first used sector behind `sector`.
    #[must_use]
    pub fn next_used(&self, sector: u32) -> Option<u32> {
        let next = sector.saturating_add(1);
        let start = self.sector(next).start;
        if start < HEADER_LEN as u32 {
            return Some(next);
        }
        let payload = self.sector_of(self.payload_offset);
        let next = next.max(payload);
        (self.sector(next).start < self.end).then_some(next)
    }
}

/// What comes first when an installation begins from the slot's start, before it is recorded that the
/// slot receives the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beginning {
    /// Nothing: the slot keeps every byte until the record is durable.
    Record,
    /// The first two sectors are erased.
    Erase,
    /// It is recorded that the slot receives an image without a name; then as [`Self::Erase`].
    DisownAndErase,
}

/// Which of these.
///
/// Two things must hold. A slot that the journal calls Confirmed or Trial keeps every byte until it is
/// recorded that it does not. And "receiving this" never stands beside an old header of this very image,
/// before a sector whose erase was cut: resuming would take what that sector happens to read as for a
/// match. So an old header of this image is erased before the record, and where another image was being
/// received, that one's record (which stands while the erase may be cut) must not be beside *its* header
/// either: there the record comes first.
#[must_use]
pub const fn beginning(target: &SlotState, header_lies_there: bool) -> Beginning {
    match (target, header_lies_there) {
        (SlotState::Empty | SlotState::Rejected(..), _) | (SlotState::Receiving(_), true) => {
            Beginning::Erase
        }
        (SlotState::Receiving(_) | SlotState::Confirmed(_) | SlotState::Trial(..), false) => {
            Beginning::Record
        }
        (SlotState::Confirmed(_) | SlotState::Trial(..), true) => Beginning::DisownAndErase,
    }
}

/// How far an installation has erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frontier {
    first: u32,
    last: Option<u32>,
}

impl Frontier {
    /// Nothing is erased yet; `first` is the first sector that will be.
    #[must_use]
    pub const fn new(first: u32) -> Self {
        Self { first, last: None }
    }

    /// The first sector that is not kept.
    #[must_use]
    pub const fn first(&self) -> u32 {
        self.first
    }

    /// The sectors to erase next, in this order, before anything is written that ends in sector
    /// `filling`, and the frontier when that is done. No more than two, so that the caller can feed a
    /// watchdog in between and ask again; `None`: go ahead and write.
    #[must_use]
    pub fn step(self, plan: &Plan, filling: u32) -> Option<([Option<u32>; 2], Self)> {
        let Some(last) = self.last else {
            let ahead = plan.next_used(self.first);
            let after = Self {
                last: Some(ahead.unwrap_or(self.first)),
                ..self
            };
            return Some(([ahead, Some(self.first)], after));
        };
        let next = plan.next_used(last)?;
        (last <= filling).then_some((
            [Some(next), None],
            Self {
                last: Some(next),
                ..self
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// What is erased, and after how many chunks, when `chunks` chunks are written from `from` on.
    fn erases(plan: &Plan, first: u32, chunks: Range<u32>) -> Vec<(u32, u32)> {
        let mut frontier = Frontier::new(first);
        let mut erased = Vec::new();
        for chunk in chunks {
            let filling = plan.sector_of(plan.chunk(chunk).end - 1);
            while let Some((sectors, after)) = frontier.step(plan, filling) {
                erased.extend(sectors.into_iter().flatten().map(|sector| (chunk, sector)));
                frontier = after;
            }
        }
        erased
    }

    fn plan(erase_size: u32, payload_offset: u32, chunk_size: u32, payload: u32) -> Plan {
        Plan::with_sizes(erase_size, payload_offset, chunk_size, payload)
    }

    #[test]
    fn the_erase_stays_one_sector_ahead_and_begins_with_the_second() {
        let plan = plan(4096, 4096, 4096, 4 * 4096);
        assert_eq!(
            erases(&plan, 0, 0..4),
            [(0, 1), (0, 0), (0, 2), (1, 3), (2, 4)]
        );
        assert_eq!(erases(&plan, 2, 1..4), [(1, 3), (1, 2), (2, 4)]);
    }

    #[test]
    fn every_used_sector_is_erased_once_and_before_it_is_filled_whatever_the_sizes() {
        for sector_size in [256, 1024, 2048, 4096, 16384, 131_072] {
            for payload_offset in [1024, 4096] {
                for chunk_size in [1024, 4096] {
                    for payload in [64, 1024, 5000, 40_000, 300_000] {
                        if payload_offset % chunk_size != 0 {
                            continue;
                        }
                        let plan = plan(sector_size, payload_offset, chunk_size, payload);
                        let chunks = payload.div_ceil(chunk_size);
                        let erased = erases(&plan, 0, 0..chunks);
                        let mut used = Vec::new();
                        let mut sector = Some(0);
                        while let Some(this) = sector {
                            used.push(this);
                            sector = plan.next_used(this);
                        }
                        let mut once: Vec<u32> = erased.iter().map(|(_, sector)| *sector).collect();
                        once.sort_unstable();
                        assert_eq!(once, used);
                        for chunk in 0..chunks {
                            let range = plan.chunk(chunk);
                            let first = plan.sector_of(range.start);
                            let last = plan.sector_of(range.end - 1);
                            let ahead = plan.next_used(last).unwrap_or(last);
                            for sector in first..=ahead {
                                assert!(erased.iter().any(|(at, s)| *s == sector && *at <= chunk));
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_was_found_last_is_written_again() {
        let small_chunks = plan(4096, 1024, 1024, 40_000);
        // header, three chunks | four chunks | …
        for (matches, sector, chunk) in [(0, 0, 0), (3, 0, 0), (4, 1, 3), (7, 1, 3), (8, 2, 7)] {
            assert_eq!(small_chunks.first_not_kept(matches), sector, "{matches}");
            assert_eq!(small_chunks.first_chunk(sector), chunk, "{matches}");
        }
        let small_sectors = plan(1024, 4096, 4096, 40_000);
        for (matches, sector, chunk) in [(0, 0, 0), (1, 1, 0), (2, 2, 1)] {
            assert_eq!(small_sectors.first_not_kept(matches), sector, "{matches}");
            assert_eq!(small_sectors.first_chunk(sector), chunk, "{matches}");
        }
    }

    #[test]
    fn a_gap_between_header_and_payload_is_left_alone() {
        let plan = plan(1024, 4096, 1024, 4096);
        assert_eq!(plan.next_used(0), Some(4));
        assert_eq!(plan.next_used(7), None);
    }

    #[test]
    fn small_sectors_count_as_one_for_each_chunk_and_end_with_the_payload() {
        let plan = plan(256, 4096, 4096, 5000);
        assert_eq!(plan.sector(1), 4096..8192);
        assert_eq!(plan.sector(2), 8192..8192 + 1024);
        assert_eq!(plan.next_used(2), None);
    }
}
