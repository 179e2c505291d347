//! Where an image comes from: something that can be read at an offset.
//!
//! The installer does not know whether that is an HTTP server, a serial line or a file. It asks for
//! the bytes that it can use next and checks every one of them, so a source is trusted with nothing:
//! a wrong byte costs time, and so does a lie about where the file ends.

use core::convert::Infallible;
use core::fmt;

/// An image file that can be read piece by piece, at any offset, any number of times.
pub trait Source {
    /// What can go wrong other than the file's end: a broken connection, a refused request.
    type Error: fmt::Debug;

    /// Fills all of `buffer` with the bytes of the file that begin at `offset` (in bytes).
    ///
    /// An empty `buffer` is filled by reading nothing, wherever the file ends.
    ///
    /// # Errors
    ///
    /// [`ReadError::EndsAt`] if the file ends before `buffer` is full: trying again at once is of no
    /// use. [`ReadError::Failed`] for everything else. After either, `buffer` holds nothing of use.
    fn read(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), ReadError<Self::Error>>;
}

/// Why a [`Source`] did not fill a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReadError<E> {
    /// The file is this many bytes long, for now, and less than offset and length of the buffer
    /// together. A file that is still being uploaded may have grown when it is asked for again.
    EndsAt(u32),
    /// The source failed. Nothing is known about the file.
    Failed(E),
}

impl<E: fmt::Display> fmt::Display for ReadError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndsAt(length) => write!(formatter, "the file ends after {length} bytes"),
            Self::Failed(error) => error.fmt(formatter),
        }
    }
}

impl<E: core::error::Error> core::error::Error for ReadError<E> {}

/// A whole file in memory.
impl Source for &[u8] {
    type Error = Infallible;

    fn read(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), ReadError<Infallible>> {
        if buffer.is_empty() {
            return Ok(());
        }
        let wanted = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..))
            .and_then(|rest| rest.get(..buffer.len()));
        match wanted {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            // Only a slice that offsets of 32 bits cannot reach to its end is longer than this says.
            None => Err(ReadError::EndsAt(
                u32::try_from(self.len()).unwrap_or(u32::MAX),
            )),
        }
    }
}

/// What is borrowed reads like what it is borrowed from.
impl<S: Source + ?Sized> Source for &mut S {
    type Error = S::Error;

    fn read(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        (**self).read(offset, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"0123456789";

    #[test]
    fn a_slice_is_read_at_any_offset() {
        let mut file = FILE;
        let mut buffer = [0; 4];
        file.read(3, &mut buffer).unwrap();
        assert_eq!(&buffer, b"3456");
        file.read(0, &mut buffer).unwrap();
        assert_eq!(&buffer, b"0123");
        file.read(6, &mut buffer).unwrap();
        assert_eq!(&buffer, b"6789");
    }

    #[test]
    fn a_slice_that_ends_too_early_says_where() {
        let mut file = FILE;
        for offset in [7, 10, 11, u32::MAX] {
            let answer = file.read(offset, &mut [0; 4]);
            assert_eq!(answer, Err(ReadError::EndsAt(10)), "{offset}");
        }
    }

    #[test]
    fn nothing_can_be_read_anywhere() {
        let mut file = FILE;
        assert_eq!(file.read(10, &mut []), Ok(()));
        assert_eq!(file.read(u32::MAX, &mut []), Ok(()));
    }
}
