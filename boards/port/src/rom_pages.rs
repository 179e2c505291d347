//! Flash behind a ROM that programs whole pages and erases whole sectors, as on Raspberry Pi's chips: a driver that writes any
//! number of bytes.
//!
//! ```text
//!   page   0x100         0x200                0x300
//!          │ FF FF FF 12 │ 34 … all of it … 56 │ 78 9A FF FF … │
//!                     └─────── what is written ──────┘
//! ```
//!
//! What the caller did not ask for is programmed with ones, which changes nothing: plain NOR flash clears bits only.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Bytes that are programmed at once, from a multiple of as many.
pub const PAGE: usize = 256;

/// Bytes that are erased at once, from a multiple of as many.
pub const SECTOR: usize = 4096;

/// What the chip's ROM, or code in RAM, does to the flash. Offsets are from the flash's first byte; they are
/// multiples of what they name, and lie in the flash.
pub trait Rom {
    /// Copies the bytes at `offset`.
    fn read(&mut self, offset: u32, bytes: &mut [u8]);

    /// Erases the sector at `offset`.
    fn erase(&mut self, offset: u32);

    /// Programs the page at `offset`. It does not lie in flash.
    fn program(&mut self, offset: u32, page: &[u8; PAGE]);
}

/// The driver.
#[derive(Debug)]
pub struct RomFlash<R> {
    rom: R,
    size: u32,
}

impl<R> RomFlash<R> {
    /// The flash of `size` bytes that `rom` reaches.
    pub const fn new(rom: R, size: u32) -> Self {
        Self { rom, size }
    }
}

impl<R> ErrorType for RomFlash<R> {
    type Error = NorFlashErrorKind;
}

impl<R: Rom> ReadNorFlash for RomFlash<R> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        self.rom.read(offset, bytes);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl<R: Rom> NorFlash for RomFlash<R> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        (from..to)
            .step_by(SECTOR)
            .for_each(|sector| self.rom.erase(sector));
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let mut offset = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let before = offset as usize % PAGE;
            let mut page = [0xFF; PAGE];
            let asked = page.get_mut(before..).unwrap_or_default();
            let count = asked.len().min(rest.len());
            let (part, after) = rest.split_at_checked(count).unwrap_or_default();
            asked
                .iter_mut()
                .zip(part)
                .for_each(|(to, from)| *to = *from);
            self.rom
                .program(offset.saturating_sub(before as u32), &page);
            offset = offset.saturating_add(count as u32);
            rest = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use bistable_conformance::{SecondProgram, flash};
    use bistable_core::watchdog::Watchdog;

    use super::*;

    const SIZE: u32 = 8 * SECTOR as u32;

    /// Plain NOR flash, and what was asked of it.
    #[derive(Default)]
    struct Chip {
        bytes: Vec<u8>,
        programmed: Vec<u32>,
        erased: Vec<u32>,
    }

    impl Rom for Chip {
        fn read(&mut self, offset: u32, bytes: &mut [u8]) {
            let start = offset as usize;
            bytes.copy_from_slice(&self.bytes[start..start + bytes.len()]);
        }

        fn erase(&mut self, offset: u32) {
            assert!((offset as usize).is_multiple_of(SECTOR));
            self.bytes[offset as usize..][..SECTOR].fill(0xFF);
            self.erased.push(offset);
        }

        fn program(&mut self, offset: u32, page: &[u8; PAGE]) {
            assert!((offset as usize).is_multiple_of(PAGE));
            let place = &mut self.bytes[offset as usize..][..PAGE];
            place
                .iter_mut()
                .zip(page)
                .for_each(|(to, from)| *to &= from);
            self.programmed.push(offset);
        }
    }

    struct Unwatched;

    impl Watchdog for Unwatched {
        fn feed(&mut self) {}
    }

    fn erased() -> RomFlash<Chip> {
        let bytes = std::vec![0xFF; SIZE as usize];
        let chip = Chip {
            bytes,
            ..Chip::default()
        };
        RomFlash::new(chip, SIZE)
    }

    #[test]
    fn it_keeps_the_contract_of_a_flash() {
        let mut driver = erased();
        let sector = SECTOR as u32;
        for scratch in [sector..3 * sector, SIZE - 2 * sector..SIZE] {
            let facts = flash(&mut driver, scratch, &mut Unwatched).unwrap();
            assert_eq!(facts.capacity, SIZE);
            assert_eq!(facts.second_program, SecondProgram::ClearsBits);
        }
    }

    #[test]
    fn a_write_changes_the_bytes_it_is_asked_for_and_no_other_wherever_it_begins_and_ends() {
        let sizes = [1, 2, 255, 256, 257, 511, 512, 513, 1000];
        for before in [0, 1, 3, 254, 255, 256, 257, 300] {
            for length in sizes {
                let mut driver = erased();
                let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
                driver.write(0x1000 + before, &bytes).unwrap();
                let start = 0x1000 + before as usize;
                let mut expected = std::vec![0xFF; SIZE as usize];
                expected[start..start + length].copy_from_slice(&bytes);
                assert_eq!(driver.rom.bytes, expected, "{length} bytes at {before}");
                let pages = (start + length).div_ceil(PAGE) - start / PAGE;
                assert_eq!(driver.rom.programmed.len(), pages);
            }
        }
    }

    #[test]
    fn what_lies_beside_a_write_in_its_page_stays() {
        let mut driver = erased();
        driver.write(0x110, &[0x5A; 16]).unwrap();
        driver.write(0x120, &[0xA5; 16]).unwrap();
        driver.write(0x100, &[0; 16]).unwrap();
        let mut page = [0; 64];
        driver.read(0x100, &mut page).unwrap();
        let expected = [[0; 16], [0x5A; 16], [0xA5; 16], [0xFF; 16]];
        assert_eq!(page.as_slice(), expected.as_flattened());
    }

    #[test]
    fn a_write_may_end_at_the_last_byte_and_not_behind_it() {
        let mut driver = erased();
        driver.write(SIZE - 3, &[1, 2, 3]).unwrap();
        assert_eq!(driver.rom.bytes[SIZE as usize - 3..], [1, 2, 3]);
        let behind = driver.write(SIZE - 3, &[1, 2, 3, 4]);
        assert_eq!(behind, Err(NorFlashErrorKind::OutOfBounds));
        let far = driver.write(u32::MAX, &[1, 2]);
        assert_eq!(far, Err(NorFlashErrorKind::OutOfBounds));
        assert_eq!(driver.rom.programmed.len(), 1);
    }

    #[test]
    fn half_a_sector_is_not_erased_and_whole_ones_are_one_by_one() {
        let mut driver = erased();
        let sector = SECTOR as u32;
        let half = driver.erase(sector, sector + sector / 2);
        assert_eq!(half, Err(NorFlashErrorKind::NotAligned));
        assert_eq!(driver.rom.erased, []);
        driver.erase(sector, 3 * sector).unwrap();
        assert_eq!(driver.rom.erased, [sector, 2 * sector]);
    }
}
