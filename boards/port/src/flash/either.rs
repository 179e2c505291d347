//! One type for two kinds of flash.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

use super::error::Error;

/// A flash of the kind `A`, or one of the kind `B`: the slots of a device whose slots lie in different flashes, say internal
/// and QSPI, are of one type, as `Board::slot_flash` and `Platform::slot_flash` want it.
///
/// Either has the larger read, write and erase size of both, and refuses what is no multiple of them: what the updater
/// does in one slot, it can do in the other. The layout's `slots.flash = { a = "…", b = "…" }` reckons with the same.
///
/// ```
/// # use bistable_port::flash::Either;
/// # use embedded_storage::nor_flash::NorFlash;
/// fn slots<Internal: NorFlash, Qspi: NorFlash>(a: Internal, b: Qspi) -> [Either<Internal, Qspi>; 2] {
///     [Either::First(a), Either::Second(b)]
/// }
/// ```
///
/// Sizes of which the larger is no multiple of the smaller do not compile:
///
/// ```compile_fail
/// use bistable_port::flash::Either;
/// use embedded_storage::nor_flash::NorFlash;
/// # use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind as Kind, ReadNorFlash};
/// # struct Of<const ERASE: usize>;
/// # impl<const ERASE: usize> ErrorType for Of<ERASE> { type Error = Kind; }
/// # impl<const ERASE: usize> ReadNorFlash for Of<ERASE> {
/// #     const READ_SIZE: usize = 1;
/// #     fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), Kind> { Ok(()) }
/// #     fn capacity(&self) -> usize { 0 }
/// # }
/// # impl<const ERASE: usize> NorFlash for Of<ERASE> {
/// #     const WRITE_SIZE: usize = 4;
/// #     const ERASE_SIZE: usize = ERASE;
/// #     fn erase(&mut self, _: u32, _: u32) -> Result<(), Kind> { Ok(()) }
/// #     fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Kind> { Ok(()) }
/// # }
///
/// const SECTOR: usize = <Either<Of<4096>, Of<6144>> as NorFlash>::ERASE_SIZE;
/// # println!("{SECTOR}");
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Either<A, B> {
    /// One of the first kind.
    First(A),
    /// One of the second kind.
    Second(B),
}

/// Why one of two kinds of flash failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EitherError<A, B> {
    /// What one of the first kind says.
    First(A),
    /// What one of the second kind says.
    Second(B),
}

/// The larger of two sizes, of which one is a multiple of the other.
const fn common(a: usize, b: usize) -> usize {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    assert!(
        small > 0 && large.is_multiple_of(small),
        "of the sizes of two kinds of flash, the larger must be a multiple of the smaller"
    );
    large
}

impl<A: ErrorType, B: ErrorType> ErrorType for Either<A, B> {
    type Error = Error<EitherError<A::Error, B::Error>>;
}

impl<A: ReadNorFlash, B: ReadNorFlash> ReadNorFlash for Either<A, B> {
    const READ_SIZE: usize = common(A::READ_SIZE, B::READ_SIZE);

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len()).map_err(Error::refused)?;
        match self {
            Self::First(flash) => flash.read(offset, bytes).map_err(EitherError::First),
            Self::Second(flash) => flash.read(offset, bytes).map_err(EitherError::Second),
        }
        .map_err(Error::Flash)
    }

    fn capacity(&self) -> usize {
        match self {
            Self::First(flash) => flash.capacity(),
            Self::Second(flash) => flash.capacity(),
        }
    }
}

impl<A: NorFlash, B: NorFlash> NorFlash for Either<A, B> {
    const WRITE_SIZE: usize = common(A::WRITE_SIZE, B::WRITE_SIZE);
    const ERASE_SIZE: usize = common(A::ERASE_SIZE, B::ERASE_SIZE);

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to).map_err(Error::refused)?;
        match self {
            Self::First(flash) => flash.erase(from, to).map_err(EitherError::First),
            Self::Second(flash) => flash.erase(from, to).map_err(EitherError::Second),
        }
        .map_err(Error::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len()).map_err(Error::refused)?;
        match self {
            Self::First(flash) => flash.write(offset, bytes).map_err(EitherError::First),
            Self::Second(flash) => flash.write(offset, bytes).map_err(EitherError::Second),
        }
        .map_err(Error::Flash)
    }
}

impl<A: NorFlashError, B: NorFlashError> NorFlashError for EitherError<A, B> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::First(error) => error.kind(),
            Self::Second(error) => error.kind(),
        }
    }
}
