//! Moves an image from a source into the slot that does not run.

use bistable_core::layout::HEADER_LEN;
use bistable_core::refusal::Refusal;
use bistable_core::state::Origin;

use crate::log::info;
use crate::platform::Platform;
use crate::source::{ReadError, Source};
use crate::updater::Updater;

/// Why a download stopped. Whatever the reason, it may be tried again: it goes on where it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DownloadError<E> {
    /// The image, or a part of it, was refused; the offset of that part in the file, in bytes.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The part's place in the file, in bytes.
        offset: u32,
    },
    /// The file ends, for now, before the image does; its length in bytes.
    EndsAt(u32),
    /// The source failed.
    Source(E),
}

impl<E> DownloadError<E> {
    fn refused(offset: u32) -> impl Fn(Refusal) -> Self {
        move |refusal| Self::Refused { refusal, offset }
    }
}

impl<E> From<ReadError<E>> for DownloadError<E> {
    fn from(error: ReadError<E>) -> Self {
        match error {
            ReadError::EndsAt(length) => Self::EndsAt(length),
            ReadError::Failed(error) => Self::Source(error),
        }
    }
}

/// Installs and activates the image that `source` holds. `chunk` must be as long as the layout's
/// chunks; `progress` is called with the offset of each part in the file, in bytes, before it is read.
///
/// # Errors
/// Why it stopped. What was written stays and is not fetched again.
pub fn download<P: Platform, S: Source, const PAGE: usize>(
    updater: &mut Updater<P, PAGE>,
    source: &mut S,
    origin: Origin,
    chunk: &mut [u8],
    mut progress: impl FnMut(u32),
) -> Result<(), DownloadError<S::Error>> {
    let mut header = [0; HEADER_LEN];
    progress(0);
    source.read(0, &mut header)?;
    let mut installation = updater
        .begin(&header, origin)
        .map_err(DownloadError::refused(0))?;
    while let Some(part) = installation.wants() {
        let refused = DownloadError::refused(part.offset);
        let buffer = chunk.get_mut(..part.len as usize);
        let buffer = buffer.ok_or_else(|| refused(Refusal::ChunkSize))?;
        progress(part.offset);
        source.read(part.offset, buffer)?;
        installation.write(buffer).map_err(refused)?;
    }
    info!("everything is there");
    let checked = installation.finish().map_err(DownloadError::refused(0))?;
    checked.activate().map_err(DownloadError::refused(0))
}
