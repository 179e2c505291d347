//! Where things lie on the flash of one product.
//!
//! A product's `layout.toml` is the one place for these facts; the constants of bootloader and
//! application are generated from it, and [`Layout::digest`] ties an image to it.
//!
//! ```text
//!   journal          slot A                              slot B
//!   ├───┬───┬───┤    ├────────┬───────┬──────────────┤   ├────────┬───────┬──────────────┤
//!   │ n sectors │    │ header │ blank │ payload …    │   │ header │ blank │ payload …    │
//!   └───┴───┴───┘    └────────┴───────┴──────────────┘   └────────┴───────┴──────────────┘
//!                    0        1 KiB   payload_offset
//! ```

use crate::digest::Digest;

/// Length of a header, in the file and in the slot, in bytes.
pub const HEADER_LEN: usize = 1024;

/// One of the two equal flash regions that hold an image each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// The lower one.
    A,
    /// The upper one.
    B,
}

impl Slot {
    /// Both, in the order of their addresses.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The entry of a pair that belongs to this slot.
    #[expect(clippy::indexing_slicing, reason = "0 or 1, in a pair")]
    pub const fn of<T>(self, pair: &[T; 2]) -> &T {
        &pair[self as usize]
    }

    /// The same, to change it.
    #[expect(clippy::indexing_slicing, reason = "0 or 1, in a pair")]
    pub const fn of_mut<T>(self, pair: &mut [T; 2]) -> &mut T {
        &mut pair[self as usize]
    }
}

/// A range of bytes on a flash device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition {
    /// First byte, from the start of the device.
    pub offset: u32,
    /// Length in bytes.
    pub size: u32,
}

/// The journal's place. A journal sector is one erase sector, or several where they are small.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalLayout {
    /// First byte, from the start of the journal's flash device.
    pub offset: u32,
    /// Length of one journal sector in bytes: a multiple of the flash's erase size.
    pub sector_size: u32,
    /// How many of them, at least 2.
    pub sectors: u8,
}

/// One slot's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotLayout {
    /// First byte, from the start of the slot's flash device.
    pub offset: u32,
    /// Where the processor sees that byte.
    pub address: u32,
}

/// What one product's bootloader, images and tools agree on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// What images depend on, as one digest: see `bistable_layout`.
    pub digest: Digest,
    /// RFC 9124 §3.3: a UUID (RFC 9562).
    pub vendor_id: [u8; 16],
    /// RFC 9124 §3.4: a UUID (RFC 9562).
    pub class_id: [u8; 16],
    /// The journal.
    pub journal: JournalLayout,
    /// Slot A and slot B.
    pub slots: [SlotLayout; 2],
    /// Length of each slot in bytes.
    pub slot_size: u32,
    /// From a slot's first byte to the payload's, in bytes: a multiple of chunk size, write size and
    /// vector-table alignment.
    pub payload_offset: u32,
    /// The largest chunk that the updater has RAM for, in bytes: 1024, 2048 or 4096.
    pub chunk_size: u32,
    /// The smallest security counter that a device boots whose journal was lost.
    pub factory_floor: u32,
}

impl Layout {
    /// The largest payload that a slot holds, in bytes.
    #[must_use]
    pub const fn payload_capacity(&self) -> u32 {
        self.slot_size.saturating_sub(self.payload_offset)
    }

    /// Where the processor sees the payload of the image in `slot`.
    #[must_use]
    pub const fn payload_address(&self, slot: Slot) -> u32 {
        slot.of(&self.slots)
            .address
            .saturating_add(self.payload_offset)
    }

    /// The slot in which the code or data at `address` lies.
    #[must_use]
    pub fn slot_at(&self, address: u32) -> Option<Slot> {
        Slot::BOTH.into_iter().find(|slot| {
            address
                .checked_sub(slot.of(&self.slots).address)
                .is_some_and(|distance| distance < self.slot_size)
        })
    }
}
