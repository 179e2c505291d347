//! Pages: the digests of the chunks, and the fix-ups that move the payload from slot A to slot B.
//!
//! ```text
//!   0       2       4                                                 length - 36
//!   │ count │ 00    │ record │ record │ …                             │ next length │ next digest │
//!
//!   record:  digest in A · digest in B · number of fix-ups (u16) · (offset u16, byte to XOR)…
//! ```
//!
//! A payload that is the same in both slots ([`Manifest::is_position_free`]) has records of one digest.
//! Pages are believed only after their digest was compared with the one that the manifest, or the page
//! before, gives; the parser holds against anything all the same.

use crate::digest::Digest;
use crate::layout::Slot;
use crate::manifest::Manifest;
use crate::refusal::Refusal;
use crate::wire;

/// Length of what stands before the records, in bytes.
pub const HEAD_LEN: usize = 4;

/// Length of what stands behind the records, in bytes.
pub const TAIL_LEN: usize = 4 + Digest::LEN;

/// Length of one fix-up, in bytes.
pub const FIXUP_LEN: usize = 3;

/// Where a page lies in the chain: what must follow is signed, one way or the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRef {
    /// In bytes.
    pub len: u32,
    /// Of the whole page.
    pub digest: Digest,
}

impl PageRef {
    /// The first page.
    #[must_use]
    pub fn first(manifest: &Manifest) -> Self {
        Self {
            len: manifest.first_page_len(),
            digest: manifest.first_page(),
        }
    }
}

/// One fix-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixup {
    /// From the chunk's start, in bytes.
    pub offset: u16,
    /// What the byte as linked for A is XORed with to be as linked for B; never 0.
    pub xor: u8,
}

/// What a page says of one chunk.
#[derive(Clone, Copy, Debug)]
pub struct Record<'p> {
    digests: [Digest; 2],
    fixups: &'p [u8],
}

impl Record<'_> {
    /// Of the chunk as it lies in `slot`.
    #[must_use]
    pub const fn digest(&self, slot: Slot) -> Digest {
        *slot.of(&self.digests)
    }

    /// In ascending order of offset.
    pub fn fixups(&self) -> impl Iterator<Item = Fixup> + '_ {
        let (fixups, _) = self.fixups.as_chunks::<FIXUP_LEN>();
        fixups.iter().map(|&[low, high, xor]| Fixup {
            offset: u16::from_le_bytes([low, high]),
            xor,
        })
    }

    /// Turns `chunk`, which is as linked for A, into what lies in `slot`.
    pub fn apply(&self, slot: Slot, chunk: &mut [u8]) {
        if slot == Slot::B {
            for fixup in self.fixups() {
                if let Some(byte) = chunk.get_mut(usize::from(fixup.offset)) {
                    *byte ^= fixup.xor;
                }
            }
        }
    }

    fn is_sound(&self, chunk_len: u32) -> bool {
        self.fixups().is_sorted_by(|a, b| a.offset < b.offset)
            && self
                .fixups()
                .all(|fixup| u32::from(fixup.offset) < chunk_len && fixup.xor != 0)
    }
}

/// A page that is the one it should be.
#[derive(Clone, Copy, Debug)]
pub struct Page<'p> {
    records: &'p [u8],
    count: u32,
    first_chunk: u32,
    digests_per_record: usize,
    next: Option<PageRef>,
}

impl<'p> Page<'p> {
    /// Checks that `bytes` are the page named by `expected` and that all of it makes sense for the
    /// chunks of `manifest` from `first_chunk` on.
    ///
    /// # Errors
    /// [`Refusal::BadPage`] or [`Refusal::MalformedPage`].
    pub fn new_checked(
        bytes: &'p [u8],
        expected: PageRef,
        manifest: &Manifest,
        first_chunk: u32,
    ) -> Result<Self, Refusal> {
        if bytes.len() != expected.len as usize || Digest::of(bytes) != expected.digest {
            return Err(Refusal::BadPage);
        }
        Self::parse(bytes, manifest, first_chunk).ok_or(Refusal::MalformedPage)
    }

    /// The page in bytes that [`Self::new_checked`] accepted before.
    #[must_use]
    pub fn parse(bytes: &'p [u8], manifest: &Manifest, first_chunk: u32) -> Option<Self> {
        let (rest, tail) = bytes.split_last_chunk::<TAIL_LEN>()?;
        let (head, records) = rest.split_first_chunk::<HEAD_LEN>()?;
        let count = u32::from(wire::half(head, 0));
        let behind = first_chunk.checked_add(count)?;
        let next = PageRef {
            len: wire::word(tail, 0),
            digest: Digest(wire::bytes(tail, 4)),
        };
        let page = Self {
            records,
            count,
            first_chunk,
            digests_per_record: if manifest.is_position_free() { 1 } else { 2 },
            next: (next.len > 0).then_some(next),
        };
        let is_last = behind == manifest.chunks();
        let chain_is_sound = match page.next {
            None => is_last && next.digest == Digest::NONE,
            Some(next) => !is_last && next.len <= manifest.chunk_size(),
        };
        let mut records = page.records();
        let records_are_sound = (first_chunk..behind).all(|index| {
            records
                .next()
                .is_some_and(|record| record.is_sound(manifest.chunk_len(index)))
        });
        let nothing_behind = records.rest.is_empty();
        let sound = count > 0
            && behind <= manifest.chunks()
            && wire::half(head, 2) == 0
            && chain_is_sound
            && records_are_sound
            && nothing_behind;
        sound.then_some(page)
    }

    /// The chunks that this page speaks of.
    #[must_use]
    pub fn chunks(&self) -> core::ops::Range<u32> {
        self.first_chunk..self.first_chunk.saturating_add(self.count)
    }

    /// The page that follows.
    #[must_use]
    pub const fn next(&self) -> Option<PageRef> {
        self.next
    }

    /// What it says of the chunk at `index`, counted from the payload's start.
    #[must_use]
    pub fn record(&self, index: u32) -> Option<Record<'p>> {
        let place = index.checked_sub(self.first_chunk)?;
        self.records().nth(place as usize)
    }

    fn records(&self) -> Records<'p> {
        Records {
            rest: self.records,
            digests: self.digests_per_record,
        }
    }
}

/// Walks over records, and stops where one is not whole.
struct Records<'p> {
    rest: &'p [u8],
    digests: usize,
}

impl<'p> Iterator for Records<'p> {
    type Item = Record<'p>;

    fn next(&mut self) -> Option<Record<'p>> {
        let (a, mut rest) = self.rest.split_first_chunk::<{ Digest::LEN }>()?;
        let mut digests = [Digest(*a); 2];
        let mut fixups: &[u8] = &[];
        if self.digests == 2 {
            let (b, behind) = rest.split_first_chunk::<{ Digest::LEN }>()?;
            let (count, behind) = behind.split_first_chunk::<2>()?;
            digests = [Digest(*a), Digest(*b)];
            let len = usize::from(u16::from_le_bytes(*count)).checked_mul(FIXUP_LEN)?;
            (fixups, rest) = behind.split_at_checked(len)?;
        }
        self.rest = rest;
        Some(Record { digests, fixups })
    }
}
