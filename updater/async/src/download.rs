//! Moves an image from an async source into the slot that does not run.

use bistable_core::layout::HEADER_LEN;
use bistable_core::refusal::Refusal;
use bistable_core::state::Origin;
use bistable_updater::download::DownloadError;
use bistable_updater::{Platform, Updater};
use embassy_futures::yield_now;

use crate::source::Source;

/// Installs and activates the image that `source` holds: [`bistable_updater::download::download`] in a task. `chunk` must be as long as the
/// layout's chunks; `progress` is called with the offset of each part in the file, in bytes, before it is read.
///
/// It waits for the source, and between two parts it lets the other tasks of its executor go on. It does not
/// wait while a part is hashed and written, nor while, in the end, the whole slot is verified; [`Blocking`](crate::Blocking) says who
/// runs then.
///
/// It may be dropped wherever it waits, for example by a timeout: what was written stays and is not fetched again, as
/// after an error.
///
/// # Errors
/// Why it stopped. What was written stays and is not fetched again.
pub async fn download<P: Platform, S: Source, const PAGE: usize>(
    updater: &mut Updater<P, PAGE>,
    source: &mut S,
    origin: Origin,
    chunk: &mut [u8],
    mut progress: impl FnMut(u32),
) -> Result<(), DownloadError<S::Error>> {
    let refused = |offset: u32| move |refusal| DownloadError::Refused { refusal, offset };
    let mut header = [0; HEADER_LEN];
    progress(0);
    source.read(0, &mut header).await?;
    let mut installation = updater.begin(&header, origin).map_err(refused(0))?;
    while let Some(part) = installation.wants() {
        let refused = refused(part.offset);
        let buffer = chunk.get_mut(..part.len as usize);
        let buffer = buffer.ok_or_else(|| refused(Refusal::ChunkSize))?;
        progress(part.offset);
        source.read(part.offset, buffer).await?;
        installation.write(buffer).map_err(refused)?;
        yield_now().await;
    }
    let checked = installation.finish().map_err(refused(0))?;
    yield_now().await;
    checked.activate().map_err(refused(0))
}
