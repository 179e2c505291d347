//! Payload and fix-ups into pages and a file.
//!
//! Pages are filled from the first on, each with as many chunks as fit, and then chained from the last
//! one backwards: each holds length and digest of the next. The format is `bistable_core::page`'s.

use std::fmt;

use bistable_core::digest::Digest;
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::page::{FIXUP_LEN, HEAD_LEN, PageRef, TAIL_LEN};

use crate::image::pair::Pair;

/// The pages of one payload, and how many chunks each of them speaks of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    pages: Vec<(Vec<u8>, usize)>,
    chunk_size: usize,
    fixups: usize,
}

/// A chunk with so many fix-ups that no page holds them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyFixups {
    /// Its place in the payload.
    pub chunk: usize,
    /// How many it has.
    pub fixups: usize,
    /// Its length in bytes, which is the longest page's.
    pub chunk_size: usize,
}

impl fmt::Display for TooManyFixups {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} fix-ups in chunk {} of {} bytes",
            self.fixups, self.chunk, self.chunk_size
        )
    }
}

impl Chain {
    /// The pages for this payload in chunks of `chunk_size` bytes.
    ///
    /// # Errors
    /// A chunk has more fix-ups than a page holds: larger chunks have room for more.
    pub fn new(pair: &Pair, chunk_size: u32) -> Result<Self, TooManyFixups> {
        let chunk_size = chunk_size as usize;
        let [in_a, in_b] = &pair.payloads;
        let position_free = in_a == in_b;
        let room = chunk_size - HEAD_LEN - TAIL_LEN;
        let mut fixups = 0;
        let mut pages: Vec<(Vec<u8>, usize)> = Vec::new();
        let chunks = in_a.chunks(chunk_size).zip(in_b.chunks(chunk_size));
        for (chunk, (a, b)) in chunks.enumerate() {
            let count = fixups_between(a, b).count();
            fixups += count;
            let record = match position_free {
                true => Digest::of(a).0.to_vec(),
                false => record(a, b, count),
            };
            if record.len() > room {
                return Err(TooManyFixups {
                    chunk,
                    fixups: count,
                    chunk_size,
                });
            }
            match pages.last_mut() {
                Some((records, chunks)) if records.len() + record.len() <= room => {
                    records.extend_from_slice(&record);
                    *chunks += 1;
                }
                _ => pages.push((record, 1)),
            }
        }
        link(&mut pages);
        Ok(Self {
            pages,
            chunk_size,
            fixups,
        })
    }

    /// Length and digest of the first page, for the manifest.
    #[must_use]
    pub fn first(&self) -> PageRef {
        let none = PageRef {
            len: 0,
            digest: Digest::NONE,
        };
        self.pages.first().map_or(none, |(page, _)| page_ref(page))
    }

    /// How many pages there are.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Length of all pages together, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.iter().map(|(page, _)| page.len()).sum()
    }

    /// Whether there is no page, because there is no payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// How many bytes differ between the slots.
    #[must_use]
    pub const fn fixups(&self) -> usize {
        self.fixups
    }

    /// The whole file: header, and each page with its chunks as linked for A.
    #[must_use]
    pub fn file(&self, header: &[u8; HEADER_LEN], pair: &Pair) -> Vec<u8> {
        let mut file = header.to_vec();
        let mut chunks = pair.payload(Slot::A).chunks(self.chunk_size);
        for (page, count) in &self.pages {
            file.extend_from_slice(page);
            for chunk in chunks.by_ref().take(*count) {
                file.extend_from_slice(chunk);
            }
        }
        file
    }
}

/// Puts head and tail around the records, from the last page backwards.
fn link(pages: &mut [(Vec<u8>, usize)]) {
    let mut next = PageRef {
        len: 0,
        digest: Digest::NONE,
    };
    for (page, chunks) in pages.iter_mut().rev() {
        let count = (*chunks as u16).to_le_bytes();
        let records = std::mem::take(page);
        *page = [
            count.as_slice(),
            &[0; 2],
            &records,
            &next.len.to_le_bytes(),
            &next.digest.0,
        ]
        .concat();
        next = page_ref(page);
    }
}

fn page_ref(page: &[u8]) -> PageRef {
    PageRef {
        len: page.len() as u32,
        digest: Digest::of(page),
    }
}

fn record(a: &[u8], b: &[u8], fixups: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(2 * Digest::LEN + 2 + fixups * FIXUP_LEN);
    record.extend_from_slice(&Digest::of(a).0);
    record.extend_from_slice(&Digest::of(b).0);
    record.extend_from_slice(&(fixups as u16).to_le_bytes());
    for (offset, xor) in fixups_between(a, b) {
        record.extend_from_slice(&offset.to_le_bytes());
        record.push(xor);
    }
    record
}

/// Where a chunk differs between the slots, and by what.
fn fixups_between(a: &[u8], b: &[u8]) -> impl Iterator<Item = (u16, u8)> {
    let pairs = a.iter().zip(b).zip(0_u16..);
    pairs.filter_map(|((a, b), offset)| (a != b).then_some((offset, a ^ b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(len: usize, differs: impl Fn(usize) -> bool) -> Pair {
        let a: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let flip = |(at, byte): (usize, &u8)| if differs(at) { byte ^ 0x10 } else { *byte };
        let b = a.iter().enumerate().map(flip).collect();
        Pair { payloads: [a, b] }
    }

    #[test]
    fn no_page_is_longer_than_a_chunk_and_none_could_take_a_chunk_more() {
        let chain = Chain::new(&pair(1024 * 40, |at| at % 300 == 7), 1024).unwrap();
        assert!(chain.pages() > 2);
        for (page, chunks) in &chain.pages {
            assert!(page.len() <= 1024 && *chunks > 0);
        }
        let full = chain.pages.iter().rev().skip(1);
        for (page, _) in full {
            assert!(page.len() + 66 + 4 * FIXUP_LEN > 1024 - 3 * FIXUP_LEN);
        }
        assert_eq!(chain.fixups(), (1024_usize * 40).div_ceil(300));
    }

    #[test]
    fn a_payload_without_addresses_has_one_digest_for_each_chunk() {
        let chain = Chain::new(&pair(1024 * 3, |_| false), 1024).unwrap();
        assert_eq!(chain.len(), HEAD_LEN + 3 * Digest::LEN + TAIL_LEN);
        assert_eq!(chain.fixups(), 0);
    }

    #[test]
    fn a_chunk_whose_fixups_fit_into_no_page_is_refused() {
        let refused = Chain::new(&pair(2048, |at| at >= 1024), 1024).unwrap_err();
        assert_eq!(refused.to_string(), "1024 fix-ups in chunk 1 of 1024 bytes");
        assert!(Chain::new(&pair(2048, |at| at % 4 == 0), 1024).is_ok());
    }
}
