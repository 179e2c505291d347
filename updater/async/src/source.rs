//! Where an image comes from, for who can wait: the async twin of [`bistable_updater::source::Source`].

use core::fmt;

use bistable_updater::source::ReadError;

/// An image file that can be read piece by piece, at any offset, any number of times.
#[expect(
    async_fn_in_trait,
    reason = "whether a future may move between threads is up to who implements it"
)]
pub trait Source {
    /// What can go wrong other than the file's end: a broken connection, a refused request.
    type Error: fmt::Debug;

    /// Fills all of `buffer` with the bytes of the file that begin at `offset` (in bytes). An empty `buffer` is filled by reading
    /// nothing, wherever the file ends. Dropped before it is ready, it has put anything into `buffer`, and the source can be
    /// read again.
    ///
    /// # Errors
    ///
    /// [`ReadError::EndsAt`] if the file ends before `buffer` is full: trying again at once is of no
    /// use. [`ReadError::Failed`] for everything else. After either, `buffer` holds nothing of use.
    async fn read(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), ReadError<Self::Error>>;
}

impl<S: Source + ?Sized> Source for &mut S {
    type Error = S::Error;

    async fn read(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        (**self).read(offset, buffer).await
    }
}
