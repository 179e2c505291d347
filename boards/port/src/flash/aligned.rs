//! A buffer for a driver that wants one at a word boundary.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, ReadNorFlash, check_erase, check_read, check_write,
};

use super::error::Error;

/// The flash `F`, which is only ever given buffers of at most `N` bytes at addresses that are multiples of 4: DMA moves words, and
/// a driver such as embassy-nrf's QSPI panics at others.
///
/// `N` is a multiple of 4 and of the read and write size. One page of the chip, 256 bytes, makes a write of a chunk as many program
/// operations as the chip does anyway.
#[derive(Clone, Copy, Debug)]
pub struct Aligned<F, const N: usize = 256> {
    flash: F,
    buffer: Words<N>,
}

/// Bytes at a multiple of 4.
#[derive(Clone, Copy, Debug)]
#[repr(align(4))]
struct Words<const N: usize>([u8; N]);

impl<F, const N: usize> Aligned<F, N> {
    /// A buffer of `N` bytes before `flash`.
    #[must_use]
    pub const fn new(flash: F) -> Self {
        const { assert!(N > 0 && N.is_multiple_of(4)) };
        Self {
            flash,
            buffer: Words([0; N]),
        }
    }
}

impl<F: ErrorType, const N: usize> ErrorType for Aligned<F, N> {
    type Error = Error<F::Error>;
}

impl<F: ReadNorFlash, const N: usize> ReadNorFlash for Aligned<F, N> {
    const READ_SIZE: usize = {
        assert!(N.is_multiple_of(F::READ_SIZE));
        F::READ_SIZE
    };

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len()).map_err(Error::refused)?;
        for (at, piece) in (offset..).step_by(N).zip(bytes.chunks_mut(N)) {
            let words = self.buffer.0.get_mut(..piece.len());
            let words = words.ok_or(Error::OutOfBounds)?;
            self.flash.read(at, words).map_err(Error::Flash)?;
            piece.copy_from_slice(words);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash, const N: usize> NorFlash for Aligned<F, N> {
    const WRITE_SIZE: usize = {
        assert!(N.is_multiple_of(F::WRITE_SIZE));
        F::WRITE_SIZE
    };
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to).map_err(Error::refused)?;
        self.flash.erase(from, to).map_err(Error::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len()).map_err(Error::refused)?;
        for (at, piece) in (offset..).step_by(N).zip(bytes.chunks(N)) {
            let words = self.buffer.0.get_mut(..piece.len());
            let words = words.ok_or(Error::OutOfBounds)?;
            words.copy_from_slice(piece);
            self.flash.write(at, words).map_err(Error::Flash)?;
        }
        Ok(())
    }
}
