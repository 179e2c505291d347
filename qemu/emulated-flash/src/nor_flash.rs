//! The traits by which updater and bootloader know the flash.
//!
//! `MultiwriteNorFlash` is not among them: a unit is programmed once per erase.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use crate::{EmulatedFlash, Error, Memory, SECTOR_SIZE, WRITE_UNIT};

impl NorFlashError for Error {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Error::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Error::NotAligned => NorFlashErrorKind::NotAligned,
            Error::AlreadyProgrammed { .. } | Error::Cut => NorFlashErrorKind::Other,
        }
    }
}

impl<M: Memory> ErrorType for EmulatedFlash<M> {
    type Error = Error;
}

impl<M: Memory> ReadNorFlash for EmulatedFlash<M> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        EmulatedFlash::read(self, offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.size() as usize
    }
}

impl<M: Memory> NorFlash for EmulatedFlash<M> {
    const WRITE_SIZE: usize = WRITE_UNIT as usize;
    const ERASE_SIZE: usize = SECTOR_SIZE as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        EmulatedFlash::erase(self, from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.program(offset, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::formatted;

    fn rewrite(flash: &mut impl NorFlash, sector: u32) -> [u8; 8] {
        let start = sector * SECTOR_SIZE;
        flash.erase(start, start + SECTOR_SIZE).unwrap();
        flash.write(start + 4, b"flash123").unwrap();
        let mut found = [0; 8];
        flash.read(start + 4, &mut found).unwrap();
        found
    }

    #[test]
    fn it_works_through_the_traits() {
        let mut memory = formatted(&[0; SECTOR_SIZE as usize]);
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        assert_eq!(rewrite(&mut flash, 0), *b"flash123");
        let refusal = NorFlash::write(&mut flash, 4, &[0xFF; 4]).unwrap_err();
        assert_eq!(refusal.kind(), NorFlashErrorKind::Other);
    }
}
