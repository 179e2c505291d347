//! What images depend on, as one digest: an image for another layout is refused by it.
//!
//! Keys, names, trial defaults and the journal's place are left out: they may change without a new
//! link of the application. The architecture is not in it either: vendor and class in the manifest tell products apart,
//! so two of the same addresses and sizes need two names. The encoding, version 1; numbers are little-endian, four bytes each:
//!
//! ```text
//!   "bistable/layout/v1\0"
//!   address of slot A │ address of slot B │ slot size │ payload offset │ chunk size
//!   erase size │ write size                              of the slots' flash
//!   number of RAM regions │ start │ end │ start │ end …  in the order of their addresses
//!   start │ end                                          of the handover block
//! ```

use std::ops::Range;

use bistable_core::digest::{Digest, Hasher};
use bistable_core::layout::Layout;

const DOMAIN: &[u8] = b"bistable/layout/v1\0";

/// What goes into the digest.
pub struct Dependencies<'a> {
    /// Slots, payload offset and chunk size are taken from it.
    pub layout: &'a Layout,
    /// Of the slots' flash, in bytes.
    pub erase_size: u32,
    /// Of the slots' flash, in bytes.
    pub write_size: u32,
    /// The RAM regions, in the order of their addresses.
    pub ram: &'a [Range<u32>],
    /// The handover block.
    pub handover: Range<u32>,
}

/// The digest of what images depend on.
#[must_use]
pub fn of(dependencies: &Dependencies<'_>) -> Digest {
    let Dependencies {
        layout,
        erase_size,
        write_size,
        ram,
        handover,
    } = dependencies;
    let [a, b] = layout.slots;
    let mut hasher = Hasher::new();
    hasher.update(DOMAIN);
    let mut number = |value: u32| hasher.update(&value.to_le_bytes());
    number(a.address);
    number(b.address);
    number(layout.slot_size);
    number(layout.payload_offset);
    number(layout.chunk_size);
    number(*erase_size);
    number(*write_size);
    number(u32::try_from(ram.len()).unwrap_or(u32::MAX));
    for range in *ram {
        number(range.start);
        number(range.end);
    }
    number(handover.start);
    number(handover.end);
    hasher.finish()
}
