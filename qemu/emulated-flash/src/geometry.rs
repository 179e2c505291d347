//! How large a flash is and how it is divided, and the boards that have one of that shape.

use crate::{WRITE_UNIT, notes_size};

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

/// Flash in a memory of the emulator that is a file of the host: the content at its start, the notes from its
/// middle on.
///
/// Board and host take it from the same numbers: the board's port as a constant, the host from the product's
/// `layout.toml` and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InMemory {
    /// The content.
    pub geometry: Geometry,
    /// Bytes of the memory, and of the file: a power of two.
    pub memory_size: u32,
}

impl InMemory {
    /// Where in the memory the notes start.
    #[must_use]
    #[inline(always)] // a constant, once it is inlined
    pub const fn notes(self) -> u32 {
        self.memory_size / 2
    }

    /// Whether content and notes have room, and the sizes are what they have to be.
    #[must_use]
    pub const fn fits(self) -> bool {
        let Geometry { size, sector_size } = self.geometry;
        self.memory_size.is_power_of_two()
            && sector_size.is_power_of_two()
            && sector_size >= 128
            && size > 0
            && size.is_multiple_of(sector_size)
            && size <= self.notes()
            && notes_size(self.geometry) <= self.notes()
    }
}

/// The flash of `mps2-an385`: the board's PSRAM, a memory of the emulator that is a file of the host.
pub mod mps2_an385 {
    use super::{Geometry, InMemory};

    /// The PSRAM.
    pub const MEMORY: InMemory = InMemory {
        geometry: GEOMETRY,
        memory_size: 16 << 20,
    };

    /// The content, at its start.
    pub const GEOMETRY: Geometry = Geometry {
        size: 2 << 20,
        sector_size: 4096,
    };

    const _: () = assert!(MEMORY.fits());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(size: u32, sector_size: u32, memory_size: u32) -> bool {
        let geometry = Geometry { size, sector_size };
        InMemory {
            geometry,
            memory_size,
        }
        .fits()
    }

    #[test]
    fn content_and_notes_have_half_of_the_memory_each() {
        assert!(fits(8 << 20, 4096, 16 << 20));
        assert!(!fits((8 << 20) + 4096, 4096, 16 << 20));
        // A bit for each word is a thirty-second of the content, but two words for each sector can be a lot.
        assert!(fits(64 << 10, 128, 128 << 10));
        assert!(!fits(4096, 4096, 8192));
    }

    #[test]
    fn sizes_that_nothing_can_be_divided_into_are_refused() {
        assert!(!fits(0, 4096, 16 << 20));
        assert!(!fits(1 << 20, 0, 16 << 20));
        assert!(!fits(1 << 20, 64, 16 << 20));
        assert!(!fits(1 << 20, 3000, 16 << 20));
        assert!(!fits((1 << 20) + 2048, 4096, 16 << 20));
        assert!(!fits(1 << 20, 4096, (16 << 20) + 4096));
    }
}
