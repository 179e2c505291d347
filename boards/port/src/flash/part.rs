//! A part of a flash, as if it were all of it.

use core::ops::Range;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, ReadNorFlash, check_erase, check_read, check_write,
};

use super::error::Error;

/// The bytes from `start` on, `length` of them, of the flash `F`; nothing outside is touched.
///
/// ```text
/// F     0           start               start + length      capacity
///       |-------------|=====================|-----------------|
/// Part                0                   length
/// ```
///
/// It checks bounds and alignment itself, without overflow, before the driver is asked.
#[derive(Clone, Copy, Debug)]
pub struct Part<F> {
    flash: F,
    start: u32,
    length: u32,
}

impl<F: ReadNorFlash> Part<F> {
    /// The bytes of `range`, in bytes from the start of `flash`; those beyond its end are left out. Where it begins
    /// within a sector or a unit, erases, writes or reads are refused as not aligned.
    #[must_use]
    pub fn new(flash: F, range: Range<u32>) -> Self {
        let capacity = u32::try_from(flash.capacity()).unwrap_or(u32::MAX);
        let end = range.end.min(capacity);
        Self {
            flash,
            start: range.start,
            length: end.saturating_sub(range.start),
        }
    }

    /// All of `flash`, behind the checks.
    #[must_use]
    pub fn whole(flash: F) -> Self {
        Self::new(flash, 0..u32::MAX)
    }

    /// Where `offset`, at most `length`, lies in the flash: not beyond its end, so that nothing overflows.
    const fn at(&self, offset: u32) -> u32 {
        self.start.saturating_add(offset)
    }

    fn starts_at(&self, size: usize) -> Result<(), Error<F::Error>> {
        match (self.start as usize).is_multiple_of(size) {
            true => Ok(()),
            false => Err(Error::NotAligned),
        }
    }
}

impl<F: ErrorType> ErrorType for Part<F> {
    type Error = Error<F::Error>;
}

impl<F: ReadNorFlash> ReadNorFlash for Part<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len()).map_err(Error::refused)?;
        self.starts_at(F::READ_SIZE)?;
        let at = self.at(offset);
        self.flash.read(at, bytes).map_err(Error::Flash)
    }

    fn capacity(&self) -> usize {
        self.length as usize
    }
}

impl<F: NorFlash> NorFlash for Part<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to).map_err(Error::refused)?;
        self.starts_at(F::ERASE_SIZE)?;
        let (from, to) = (self.at(from), self.at(to));
        self.flash.erase(from, to).map_err(Error::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len()).map_err(Error::refused)?;
        self.starts_at(F::WRITE_SIZE)?;
        let at = self.at(offset);
        self.flash.write(at, bytes).map_err(Error::Flash)
    }
}
