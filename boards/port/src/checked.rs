//! Flash with error correction: a unit that cannot be read is an error, as it must be, and no fault.
//!
//! Flash such as the STM32H7's keeps a correction code beside each write unit. A program or an erase that the power cut
//! short leaves units whose code does not fit them, and reading one is a **bus fault** (an NMI on other chips). After a
//! power cut that would be the end: the bootloader reads such a unit at every boot. So [`Checked`] reads unit by unit with
//! faults held back, and asks afterwards.
//!
//! ```text
//!   clear the flags ─► read one unit, shielded ─► did the load fault? is this unit flagged? ─► the next one
//! ```
//!
//! Unit by unit, because a flag has room for one address only, and because the processor may have fetched ahead: the bad unit
//! behind a good one flags an error, but the good one can be read.

use core::ops::Range;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// What a chip knows about errors in its flash. Offsets are those of the flash that is checked.
pub trait Errors {
    /// Forgets all errors that are flagged: those of reads, and those of operations, which some drivers take for errors of
    /// the next one.
    fn clear(&mut self);

    /// Calls `read`, which loads from flash; a load that fails has any value. Says whether the processor noticed one.
    fn shielded<T>(&mut self, read: impl FnOnce() -> T) -> (T, bool);

    /// Whether the flash has flagged the unit at `offset` as unreadable since [`Self::clear`]. What was corrected was read.
    fn flagged(&mut self, offset: u32) -> bool;

    /// These bytes hold something else now, or anything if that failed: what caches hold of them is old.
    fn changed(&mut self, range: Range<u32>) {
        let _ = range;
    }
}

/// The flash `F` with correction codes over each of its write units, whose errors `E` knows.
#[derive(Clone, Copy, Debug)]
pub struct Checked<F, E> {
    flash: F,
    errors: E,
}

impl<F, E> Checked<F, E> {
    /// Checks what is read from `flash`.
    #[must_use]
    pub const fn new(flash: F, errors: E) -> Self {
        Self { flash, errors }
    }
}

/// Why reading or writing failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error<F> {
    /// A unit has more wrong bits than can be corrected.
    Unreadable,
    /// The flash below failed.
    Flash(F),
}

impl<F: NorFlashError> NorFlashError for Error<F> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Unreadable => NorFlashErrorKind::Other,
            Self::Flash(error) => error.kind(),
        }
    }
}

impl<F: ErrorType, E> ErrorType for Checked<F, E> {
    type Error = Error<F::Error>;
}

impl<F: NorFlash, E: Errors> ReadNorFlash for Checked<F, E> {
    const READ_SIZE: usize = {
        assert!(F::WRITE_SIZE.is_multiple_of(F::READ_SIZE));
        F::READ_SIZE
    };

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let mut at = offset;
        let mut rest = bytes;
        loop {
            let to_the_end = (!at & Self::WITHIN).wrapping_add(1) as usize;
            let (piece, after) = rest.split_at_mut(to_the_end.min(rest.len()));
            self.read_within_unit(at, piece)?;
            if after.is_empty() {
                return Ok(());
            }
            // Where this overflows, there is no flash, and the driver says so.
            at = at.saturating_add(piece.len() as u32);
            rest = after;
        }
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash, E: Errors> Checked<F, E> {
    /// The bits of an offset that say where in its unit it is.
    const WITHIN: u32 = {
        assert!(F::WRITE_SIZE.is_power_of_two());
        (F::WRITE_SIZE as u32).wrapping_sub(1)
    };

    /// Reads bytes of one unit only.
    fn read_within_unit(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), Error<F::Error>> {
        let Self { flash, errors } = self;
        errors.clear();
        let (outcome, faulted) = errors.shielded(|| flash.read(at, bytes));
        let is_unreadable = faulted || errors.flagged(at & !Self::WITHIN);
        outcome.map_err(Error::Flash)?;
        match is_unreadable {
            true => Err(Error::Unreadable),
            false => Ok(()),
        }
    }

    /// Changes what lies in the flash.
    fn change(
        &mut self,
        range: Range<u32>,
        operation: impl FnOnce(&mut F) -> Result<(), F::Error>,
    ) -> Result<(), Error<F::Error>> {
        self.errors.clear();
        let outcome = operation(&mut self.flash);
        self.errors.changed(range);
        outcome.map_err(Error::Flash)
    }
}

impl<F: NorFlash, E: Errors> NorFlash for Checked<F, E> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.change(from..to, |flash| flash.erase(from, to))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let end = offset.saturating_add(bytes.len() as u32);
        self.change(offset..end, |flash| flash.write(offset, bytes))
    }
}
