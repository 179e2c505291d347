//! The traits by which updater and bootloader know the flash.
//!
//! `MultiwriteNorFlash` is not among them: a unit is programmed once per erase.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use crate::{Chip, EmulatedFlash, Error, WRITE_UNIT};

impl<F: NorFlashError> NorFlashError for Error<F> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Error::OutOfBounds { .. } => NorFlashErrorKind::OutOfBounds,
            Error::NotAligned { .. } => NorFlashErrorKind::NotAligned,
            Error::AlreadyProgrammed { .. } | Error::Cut => NorFlashErrorKind::Other,
            Error::Chip(failure) => failure.kind(),
        }
    }
}

impl<C: Chip<Failure: NorFlashError>> ErrorType for EmulatedFlash<C> {
    type Error = Error<C::Failure>;
}

impl<C: Chip<Failure: NorFlashError>> ReadNorFlash for EmulatedFlash<C> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error<C::Failure>> {
        EmulatedFlash::read(self, offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.size() as usize
    }
}

impl<C: Chip<Failure: NorFlashError>> NorFlash for EmulatedFlash<C> {
    const WRITE_SIZE: usize = WRITE_UNIT as usize;
    const ERASE_SIZE: usize = C::ERASE_SIZE as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error<C::Failure>> {
        EmulatedFlash::erase(self, from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error<C::Failure>> {
        self.program(offset, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{formatted, in_both_geometries};

    fn rewrite(flash: &mut impl NorFlash, start: u32, sector_size: u32) -> [u8; 8] {
        flash.erase(start, start + sector_size).unwrap();
        flash.write(start + 4, b"flash123").unwrap();
        let mut found = [0; 8];
        flash.read(start + 4, &mut found).unwrap();
        found
    }

    #[test]
    fn it_works_through_the_traits() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[0; 8]);
            assert_eq!(rewrite(&mut flash, 0, geometry.sector_size), *b"flash123");
            assert_eq!(flash.capacity(), geometry.size as usize);
            let refusal = NorFlash::write(&mut flash, 4, &[0xFF; 4]).unwrap_err();
            assert_eq!(refusal.kind(), NorFlashErrorKind::Other);
        });
    }
}
