//! How large a flash is and how it is divided, and the boards that have one of that shape.

use crate::WRITE_UNIT;

/// The shape of a flash whose sectors are all of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of the flash: a multiple of the sector size.
    pub size: u32,
    /// Bytes that are erased together: a power of two, and 128 or more.
    pub sector_size: u32,
}

impl Geometry {
    /// Number of sectors.
    #[must_use]
    #[inline(always)] // a division by a constant, once it is inlined
    pub const fn sectors(self) -> u32 {
        match self.size.checked_div(self.sector_size) {
            Some(sectors) => sectors,
            None => 0,
        }
    }

    /// The sector in which `offset` lies.
    #[inline(always)] // as above
    pub(crate) const fn sector_of(self, offset: u32) -> u32 {
        match offset.checked_div(self.sector_size) {
            Some(sector) => sector,
            None => 0,
        }
    }

    /// Number of write units.
    pub(crate) const fn units(self) -> u32 {
        self.size / WRITE_UNIT
    }
}

/// The flash of `mps2-an385`: the board's PSRAM, a memory of the emulator that is a file of the host.
pub mod mps2_an385 {
    use super::Geometry;
    use crate::notes_size;

    /// The content, at the start of the PSRAM.
    pub const GEOMETRY: Geometry = Geometry {
        size: 2 << 20,
        sector_size: 4096,
    };

    /// Bytes of the PSRAM.
    pub const MEMORY_SIZE: u32 = 16 << 20;

    /// Where in it the notes start.
    pub const NOTES: u32 = 8 << 20;

    const _: () = assert!(GEOMETRY.size <= NOTES && notes_size(GEOMETRY) <= MEMORY_SIZE - NOTES);
}

/// The flash of `riscv32-virt`: two 16-bit chips beside each other, behind commands. The notes are in a memory
/// of their own.
pub mod riscv32_virt {
    use super::Geometry;
    use crate::notes_size;

    /// The chips together.
    pub const GEOMETRY: Geometry = Geometry {
        size: 32 << 20,
        sector_size: 256 << 10,
    };

    /// Bytes of the memory that holds the notes.
    pub const NOTES_SIZE: u32 = 4 << 20;

    const _: () = assert!(notes_size(GEOMETRY) <= NOTES_SIZE);
}
