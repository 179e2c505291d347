//! Builds signed images: header, pages and payload, in the order in which they travel.

use bistable_core::digest::Digest;
use bistable_core::header::assemble;
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::manifest::{Fields, Manifest};
use bistable_core::page::{HEAD_LEN, TAIL_LEN};

use crate::fixtures::{fields, layout, program, sign};
use crate::flash::Flash;

/// A signed image.
#[derive(Clone, Debug)]
pub struct Built {
    /// What was signed.
    pub manifest: Manifest,
    /// Manifest and signatures.
    pub header: [u8; HEADER_LEN],
    /// The pages, in order.
    pub pages: Vec<Vec<u8>>,
    /// The payload as it lies in A and in B.
    pub payload: [Vec<u8>; 2],
    /// Header, page, its chunks, page, its chunks, and so on.
    pub file: Vec<u8>,
}

impl Built {
    /// The image that `fields` describe, with this payload, signed by these keys. Lengths and digests
    /// in `fields` are filled in.
    ///
    /// # Panics
    /// If the format does not allow it.
    #[must_use]
    pub fn new(fields: Fields, payload: [Vec<u8>; 2], signers: &[u8]) -> Self {
        let chunk_size = fields.chunk_size as usize;
        let pages = pages(&payload, chunk_size);
        let first = pages.first().expect("a payload has a page");
        let manifest = Manifest::new(&Fields {
            payload_len: payload[0].len() as u32,
            payload: [Digest::of(&payload[0]), Digest::of(&payload[1])],
            first_page_len: first.bytes.len() as u32,
            first_page: Digest::of(&first.bytes),
            ..fields
        });
        let manifest = manifest.expect("fields that make a manifest");
        let mut signatures: Vec<_> = signers.iter().map(|key| sign(&manifest, *key)).collect();
        let header = assemble(&manifest, &mut signatures).expect("few signatures, all different");

        let mut file = header.to_vec();
        let mut chunks = payload[0].chunks(chunk_size);
        for page in &pages {
            file.extend(&page.bytes);
            chunks
                .by_ref()
                .take(page.chunks)
                .for_each(|chunk| file.extend(chunk));
        }
        Self {
            manifest,
            header,
            pages: pages.into_iter().map(|page| page.bytes).collect(),
            payload,
            file,
        }
    }

    /// An ordinary image, signed by the first release key.
    #[must_use]
    pub fn ordinary(sequence: u32) -> Self {
        Self::new(fields(sequence), program(sequence.into(), 3000), &[0])
    }

    /// Makes `slot` read as holding this image, as it is after an installation.
    pub fn put_into<const W: usize, const E: usize>(&self, slot: Slot, flash: &mut Flash<W, E>) {
        let layout = layout();
        let start = slot.of(&layout.slots).offset as usize;
        flash.put(start, &self.header);
        flash.put(
            start + layout.payload_offset as usize,
            slot.of::<Vec<u8>>(&self.payload),
        );
    }
}

struct Page {
    bytes: Vec<u8>,
    chunks: usize,
}

/// As many records to a page as fit; the last page is made first, because each names the next one.
fn pages(payload: &[Vec<u8>; 2], chunk_size: usize) -> Vec<Page> {
    let [a, b] = payload;
    assert_eq!(a.len(), b.len(), "links for A and B differ in length");
    let records: Vec<_> = a
        .chunks(chunk_size)
        .zip(b.chunks(chunk_size))
        .map(|(in_a, in_b)| record(in_a, in_b, a == b))
        .collect();
    let mut groups: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    for record in records {
        let group = groups.last().expect("never empty");
        let held: usize = group.iter().map(Vec::len).sum();
        if HEAD_LEN + held + record.len() + TAIL_LEN > chunk_size {
            assert!(held > 0, "too many fix-ups in one chunk");
            groups.push(Vec::new());
        }
        groups.last_mut().expect("never empty").push(record);
    }
    let mut pages: Vec<Page> = Vec::new();
    for group in groups.iter().rev() {
        let next = pages.last().map(|page| page.bytes.as_slice());
        pages.push(Page {
            bytes: page(group, next),
            chunks: group.len(),
        });
    }
    pages.reverse();
    pages
}

/// One page, with these records, followed by `next`.
#[must_use]
pub fn page(records: &[Vec<u8>], next: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = (records.len() as u16).to_le_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes.extend(records.concat());
    bytes.extend((next.map_or(0, <[u8]>::len) as u32).to_le_bytes());
    bytes.extend(next.map_or(Digest::NONE, Digest::of).0);
    bytes
}

/// What a page says of one chunk; `alone` leaves out what a payload that is the same in both slots does
/// not need.
#[must_use]
pub fn record(in_a: &[u8], in_b: &[u8], alone: bool) -> Vec<u8> {
    let mut bytes = Digest::of(in_a).0.to_vec();
    if !alone {
        bytes.extend(Digest::of(in_b).0);
        let differing = in_a.iter().zip(in_b).map(|(a, b)| a ^ b);
        let fixups: Vec<_> = (0_u16..)
            .zip(differing)
            .filter(|(_, xor)| *xor != 0)
            .collect();
        bytes.extend((fixups.len() as u16).to_le_bytes());
        for (offset, xor) in fixups {
            bytes.extend(offset.to_le_bytes());
            bytes.push(xor);
        }
    }
    bytes
}
