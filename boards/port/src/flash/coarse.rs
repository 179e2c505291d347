//! Several erase sectors as one.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, ReadNorFlash, check_erase, check_read, check_write,
};

use super::error::Error;

/// The flash `F` with erase sectors of `ERASE` bytes, a multiple of those that it has: uneven ones become even.
///
/// ```text
/// F        |16 |16 |16 |16 |      64       |              128              |
/// Coarse   |              128              |              128              |
/// ```
///
/// It is for a driver whose `ERASE_SIZE` is that of the smallest sector, and which erases ranges of whole sectors. One that
/// says its largest, as embassy-stm32's for the whole chip does, has done it already. Two runs of sectors that
/// are two objects become one by `embassy_embedded_hal::flash::ConcatFlash`.
///
/// A size that is not made of whole sectors does not compile:
///
/// ```compile_fail
/// use bistable_port::flash::Coarse;
/// use embedded_storage::nor_flash::NorFlash;
///
/// fn sector<F: NorFlash>(_: F) -> usize {
///     <Coarse<F, 6000> as NorFlash>::ERASE_SIZE
/// }
/// # use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind as Kind, ReadNorFlash};
/// # struct Small;
/// # impl ErrorType for Small { type Error = Kind; }
/// # impl ReadNorFlash for Small {
/// #     const READ_SIZE: usize = 1;
/// #     fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), Kind> { Ok(()) }
/// #     fn capacity(&self) -> usize { 0 }
/// # }
/// # impl NorFlash for Small {
/// #     const WRITE_SIZE: usize = 4;
/// #     const ERASE_SIZE: usize = 4096;
/// #     fn erase(&mut self, _: u32, _: u32) -> Result<(), Kind> { Ok(()) }
/// #     fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Kind> { Ok(()) }
/// # }
/// sector(Small);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Coarse<F, const ERASE: usize>(F);

impl<F, const ERASE: usize> Coarse<F, ERASE> {
    /// All of `flash` that makes whole sectors.
    #[must_use]
    pub const fn new(flash: F) -> Self {
        Self(flash)
    }
}

impl<F: ErrorType, const ERASE: usize> ErrorType for Coarse<F, ERASE> {
    type Error = Error<F::Error>;
}

impl<F: ReadNorFlash, const ERASE: usize> ReadNorFlash for Coarse<F, ERASE> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len()).map_err(Error::refused)?;
        self.0.read(offset, bytes).map_err(Error::Flash)
    }

    fn capacity(&self) -> usize {
        let capacity = self.0.capacity();
        let rest = capacity.checked_rem(ERASE).unwrap_or(capacity);
        capacity.saturating_sub(rest)
    }
}

impl<F: NorFlash, const ERASE: usize> NorFlash for Coarse<F, ERASE> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = {
        assert!(
            ERASE > 0 && ERASE.is_multiple_of(F::ERASE_SIZE),
            "ERASE must be a multiple of the flash's own erase size"
        );
        ERASE
    };

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to).map_err(Error::refused)?;
        self.0.erase(from, to).map_err(Error::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len()).map_err(Error::refused)?;
        self.0.write(offset, bytes).map_err(Error::Flash)
    }
}
