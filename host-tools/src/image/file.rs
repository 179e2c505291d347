//! A whole image file, taken apart and checked against itself.
//!
//! ```text
//!   0        1 KiB
//!   │ header │ page │ its chunks … │ page │ its chunks … │
//! ```
//!
//! What comes out is what the manifest names: each page and each chunk, for both slots, has the digest
//! that it should. Whether anybody trusted signed the manifest is for [`super::check`].

use std::fmt;
use std::ops::Range;
use std::path::Path;

use bistable_core::digest::Digest;
use bistable_core::header::Header;
use bistable_core::layout::{HEADER_LEN, Layout, Slot};
use bistable_core::manifest::Manifest;
use bistable_core::page::{Page, PageRef};
use bistable_core::refusal::Refusal;

use crate::Error;
use crate::refusals::refusal::explain;

/// An image file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageFile {
    header: [u8; HEADER_LEN],
    manifest: Manifest,
    pages: Vec<PageSpan>,
    payloads: [Vec<u8>; 2],
}

/// Where a page lies in the file, and what it speaks of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageSpan {
    /// The bytes of the page, from the file's start.
    pub bytes: Range<usize>,
    /// The chunks that follow it.
    pub chunks: Range<u32>,
    /// How many fix-ups they have.
    pub fixups: usize,
    /// Of the page.
    pub digest: Digest,
}

/// What is wrong with a file, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Defect {
    /// The part of the file: "header", "page 0", "chunk 3 in slot B".
    pub part: String,
    /// Where that part begins, from the file's start.
    pub offset: usize,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a part of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// A device would refuse it.
    Refused(Refusal),
    /// The file ends within it; so many bytes are missing.
    Truncated(usize),
    /// So many bytes follow where the file should end.
    Trailing(usize),
}

impl ImageFile {
    /// Takes a file apart, all of it.
    ///
    /// # Errors
    /// The first part that is not what it should be.
    pub fn parse(bytes: &[u8]) -> Result<Self, Defect> {
        match Self::survey(bytes) {
            (Some(image), defects) => defects.into_iter().next().map_or(Ok(image), Err),
            (None, defects) => Err(defects.into_iter().next().unwrap_or_else(Defect::unknown)),
        }
    }

    /// Takes a file apart as far as that goes: all that is wrong with it, in the order of the file. The
    /// image is there if only chunks, or bytes behind the last one, are wrong; it holds what is there.
    #[must_use]
    pub fn survey(bytes: &[u8]) -> (Option<Self>, Vec<Defect>) {
        let mut defects = Vec::new();
        let image = Self::read(bytes, &mut defects);
        match image {
            Ok(image) => (Some(image), defects),
            Err(last) => {
                defects.push(last);
                (None, defects)
            }
        }
    }

    fn read(bytes: &[u8], defects: &mut Vec<Defect>) -> Result<Self, Defect> {
        let mut reader = Reader { bytes, offset: 0 };
        let header = *reader.header()?;
        let manifest = *Header::new_checked(&header)
            .map_err(|refusal| Defect::refused("header", 0, refusal))?
            .manifest();
        let mut pages = Vec::new();
        let mut payloads = [Vec::new(), Vec::new()];
        let mut next = Some(PageRef::first(&manifest));
        let mut chunk = 0;
        while let Some(expected) = next {
            let part = format!("page {}", pages.len());
            let offset = reader.offset;
            let page_bytes = reader.take(&part, expected.len as usize)?;
            let page = Page::new_checked(page_bytes, expected, &manifest, chunk)
                .map_err(|refusal| Defect::refused(part, offset, refusal))?;
            let mut fixups = 0;
            for index in page.chunks() {
                fixups += reader.chunk(&page, index, &manifest, &mut payloads, defects)?;
            }
            chunk = page.chunks().end;
            next = page.next();
            pages.push(PageSpan {
                bytes: offset..offset + page_bytes.len(),
                chunks: page.chunks(),
                fixups,
                digest: expected.digest,
            });
        }
        defects.extend(reader.finish().err());
        Ok(Self {
            header,
            manifest,
            pages,
            payloads,
        })
    }

    /// The bytes of the header.
    #[must_use]
    pub const fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// What it says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pages.
    #[must_use]
    pub fn pages(&self) -> &[PageSpan] {
        &self.pages
    }

    /// The payload as it lies in `slot`.
    #[must_use]
    pub fn payload(&self, slot: Slot) -> &[u8] {
        slot.of::<Vec<u8>>(&self.payloads)
    }

    /// How many bytes differ between the slots.
    #[must_use]
    pub fn fixups(&self) -> usize {
        self.pages.iter().map(|page| page.fixups).sum()
    }

    /// Length of all pages together, in bytes.
    #[must_use]
    pub fn pages_len(&self) -> usize {
        self.pages.iter().map(|page| page.bytes.len()).sum()
    }

    /// Puts header and payload where they lie on a flash; `None` if they do not fit there.
    pub fn install(&self, flash: &mut [u8], layout: &Layout, slot: Slot) -> Option<()> {
        let start = slot.of(&layout.slots).offset as usize;
        let region = flash.get_mut(start..start.checked_add(layout.slot_size as usize)?)?;
        region.get_mut(..HEADER_LEN)?.copy_from_slice(&self.header);
        let payload = self.payload(slot);
        let room = region.get_mut(layout.payload_offset as usize..)?;
        room.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(())
    }
}

/// Walks through a file.
struct Reader<'f> {
    bytes: &'f [u8],
    offset: usize,
}

impl<'f> Reader<'f> {
    /// What is no image at all says so, however short it is.
    fn header(&mut self) -> Result<&'f [u8; HEADER_LEN], Defect> {
        let missing = HEADER_LEN.saturating_sub(self.bytes.len());
        let header = self.bytes.first_chunk();
        self.offset = HEADER_LEN;
        header.ok_or_else(|| Defect {
            part: "header".into(),
            offset: 0,
            wrong: Wrong::Truncated(missing),
        })
    }

    fn take(&mut self, part: &str, len: usize) -> Result<&'f [u8], Defect> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        let taken = rest.get(..len).ok_or_else(|| Defect {
            part: part.into(),
            offset: self.offset,
            wrong: Wrong::Truncated(len - rest.len()),
        })?;
        self.offset += len;
        Ok(taken)
    }

    /// Takes one chunk, for both slots, and says how many fix-ups it has.
    fn chunk(
        &mut self,
        page: &Page<'_>,
        index: u32,
        manifest: &Manifest,
        payloads: &mut [Vec<u8>; 2],
        defects: &mut Vec<Defect>,
    ) -> Result<usize, Defect> {
        let part = format!("chunk {index}");
        let offset = self.offset;
        let chunk = self.take(&part, manifest.chunk_len(index) as usize)?;
        let malformed = || Defect::refused(part.clone(), offset, Refusal::MalformedPage);
        let record = page.record(index).ok_or_else(malformed)?;
        for slot in Slot::BOTH {
            let mut chunk = chunk.to_vec();
            record.apply(slot, &mut chunk);
            if Digest::of(&chunk) != record.digest(slot) {
                let part = format!("{part} in slot {slot:?}");
                defects.push(Defect::refused(part, offset, Refusal::BadChunk));
            }
            slot.of_mut(payloads).extend_from_slice(&chunk);
        }
        Ok(record.fixups().count())
    }

    fn finish(&self) -> Result<(), Defect> {
        match self.bytes.len() - self.offset {
            0 => Ok(()),
            trailing => Err(Defect {
                part: "the end".into(),
                offset: self.offset,
                wrong: Wrong::Trailing(trailing),
            }),
        }
    }
}

impl Defect {
    pub(crate) fn refused(part: impl Into<String>, offset: usize, refusal: Refusal) -> Self {
        Self {
            part: part.into(),
            offset,
            wrong: Wrong::Refused(refusal),
        }
    }

    /// What is no image says why: this is for the case that there is not.
    pub(crate) fn unknown() -> Self {
        Self::refused("header", 0, Refusal::NotAManifest)
    }

    /// As the line that a command prints about the file at `path`.
    #[must_use]
    pub fn at(&self, path: &Path) -> Error {
        let (expected, hint) = self.mend();
        Error::unexpected(path, self, expected, hint)
    }

    /// What was expected, and what to do.
    #[must_use]
    pub fn mend(&self) -> (String, &'static str) {
        match self.wrong {
            Wrong::Refused(refusal) => {
                let explanation = explain(refusal);
                (explanation.expected.into(), explanation.mend)
            }
            Wrong::Truncated(missing) => (
                format!("{missing} bytes more"),
                "the file was cut: copy it, or build it, again",
            ),
            Wrong::Trailing(_) => (
                "the end of the file".into(),
                "nothing belongs behind an image: copy it, or build it, again",
            ),
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, offset, .. } = self;
        match self.wrong {
            Wrong::Refused(refusal) => {
                write!(
                    formatter,
                    "{part} at offset {offset:#x}, refused as {refusal}"
                )
            }
            Wrong::Truncated(_) => {
                write!(
                    formatter,
                    "the end of the file within {part}, which begins at offset {offset:#x}"
                )
            }
            Wrong::Trailing(bytes) => {
                write!(
                    formatter,
                    "{bytes} trailing bytes at offset {offset:#x}, behind the last chunk"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bistable_core::header;
    use bistable_core::manifest::Fields;

    use super::*;
    use crate::image::assemble::Chain;
    use crate::image::pair::Pair;

    /// An image of these payloads that nobody signed, in chunks of 1 KiB.
    fn image(a: &[u8], b: &[u8]) -> Vec<u8> {
        let pair = Pair {
            payloads: [a.to_vec(), b.to_vec()],
        };
        let chain = Chain::new(&pair, 1024).unwrap();
        let fields = Fields {
            payload_len: a.len() as u32,
            payload: pair.digests(),
            chunk_size: 1024,
            first_page_len: chain.first().len,
            first_page: chain.first().digest,
            trial_attempts: 1,
            trial_seconds: 1,
            ..Fields::default()
        };
        let manifest = Manifest::new(&fields).unwrap();
        chain.file(&header::assemble(&manifest, &mut []).unwrap(), &pair)
    }

    #[test]
    fn what_is_put_together_is_taken_apart_again() {
        let a = vec![0x21; 50_000];
        let mut b = a.clone();
        for at in (0..b.len()).step_by(97) {
            b[at] = 0x22;
        }
        let image = ImageFile::parse(&image(&a, &b)).unwrap();
        assert!(image.payload(Slot::A) == a && image.payload(Slot::B) == b);
        assert!(image.pages().len() > 1);
        assert_eq!(image.fixups(), 50_000_usize.div_ceil(97));
    }

    #[test]
    fn a_payload_that_is_the_same_in_both_slots_needs_no_fixups() {
        let a = vec![0x21; 50_000];
        let image = ImageFile::parse(&image(&a, &a)).unwrap();
        assert!(image.manifest().is_position_free());
        assert!(image.payload(Slot::A) == a && image.payload(Slot::B) == a);
        assert_eq!(image.fixups(), 0);
    }
}
