//! Why an adapter refuses.

use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};

/// What an adapter refuses itself, and what the flash below it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error<E> {
    /// It does not lie in the flash; the flash below was not asked.
    OutOfBounds,
    /// It does not begin and end at multiples of the read, write or erase size; the flash below was not asked.
    NotAligned,
    /// Somebody else is using the flash at this moment.
    InUse,
    /// The flash below failed.
    Flash(E),
}

impl<E> Error<E> {
    /// What `embedded_storage`'s checks say.
    pub(super) const fn refused(kind: NorFlashErrorKind) -> Self {
        match kind {
            NorFlashErrorKind::NotAligned => Self::NotAligned,
            // They say nothing else.
            _ => Self::OutOfBounds,
        }
    }
}

impl<E: NorFlashError> NorFlashError for Error<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::InUse => NorFlashErrorKind::Other,
            Self::Flash(error) => error.kind(),
        }
    }
}
