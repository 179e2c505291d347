//! The bytes of a program at their addresses, flattened to what lies in a slot.
//!
//! Gaps, and the end up to a multiple of 32 bytes, are filled with 0xFF: what erased flash reads as.

use std::borrow::Cow;
use std::path::Path;

use bistable_core::layout::Slot;
use bistable_layout::Product;
use bistable_layout::build::SLOT_VARIABLE;

use crate::Error;
use crate::memory_flash::ERASED;

/// Payloads are multiples of this, in bytes: the largest write unit that a layout allows.
pub const PAYLOAD_UNIT: usize = 32;

/// Bytes of a program that lie together.
pub(crate) struct Piece<'d> {
    /// What it is called in the file that it comes from, such as "segment 1".
    pub(crate) name: String,
    /// Where the processor sees its first byte.
    pub(crate) address: u32,
    /// The bytes, at least one.
    pub(crate) data: Cow<'d, [u8]>,
}

impl Piece<'_> {
    /// Past the 32-bit range it lies outside every slot, which is how it will be refused.
    fn end(&self) -> u64 {
        u64::from(self.address) + self.data.len() as u64
    }

    fn place(&self) -> String {
        format!("{} at {:#x}..{:#x}", self.name, self.address, self.end())
    }
}

/// The payload in `slot` that these pieces make; `path` held them.
pub(crate) fn flatten(
    path: &Path,
    mut pieces: Vec<Piece<'_>>,
    product: &Product,
    slot: Slot,
) -> Result<Vec<u8>, Error> {
    pieces.sort_by_key(|piece| piece.address);
    let start = product.layout.payload_address(slot);
    let capacity = product.layout.payload_capacity() as usize;
    let end = u64::from(start) + capacity as u64;
    let room = format!("{start:#x}..{end:#x} of slot {slot:?}");
    let linked_elsewhere =
        format!("link it with {SLOT_VARIABLE}={slot:?} and the memory.x of this layout");
    let Some(first) = pieces.first() else {
        let expected = "a segment to program";
        return Err(Error::unexpected(
            path,
            "no loadable bytes",
            expected,
            linked_elsewhere,
        ));
    };
    let mut payload = Vec::new();
    for piece in &pieces {
        if piece.address < start || u64::from(piece.address) >= end {
            let expected = format!("it to lie in the payload {room}");
            return Err(Error::unexpected(
                path,
                piece.place(),
                expected,
                linked_elsewhere,
            ));
        }
        let offset = (piece.address - start) as usize;
        if piece.end() > end {
            let over = piece.end() - end;
            return Err(Error::unexpected(
                path,
                format!("{}, {over} bytes too long", piece.place()),
                format!("an end within the payload {room}"),
                "make the program smaller, or the slots larger in the layout",
            ));
        }
        if offset < payload.len() {
            let expected = "segments that do not overlap";
            return Err(Error::unexpected(
                path,
                piece.place(),
                expected,
                linked_elsewhere,
            ));
        }
        payload.resize(offset, ERASED);
        payload.extend_from_slice(&piece.data);
    }
    if first.address != start {
        let expected = format!("the first one at the payload's start {start:#x}");
        return Err(Error::unexpected(
            path,
            first.place(),
            expected,
            linked_elsewhere,
        ));
    }
    let padded = payload.len().next_multiple_of(PAYLOAD_UNIT);
    if padded > capacity {
        return Err(Error::unexpected(
            path,
            format!("a payload of {} bytes, padded to {padded}", payload.len()),
            format!("at most {capacity}, the room in slot {slot:?}"),
            format!(
                "it is {} bytes too long: make the program smaller",
                padded - capacity
            ),
        ));
    }
    payload.resize(padded, ERASED);
    Ok(payload)
}
