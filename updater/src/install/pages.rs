//! Pages: which chunk is wanted next, and how far the slot matches already.

use bistable_core::layout::HEADER_LEN;
use bistable_core::page::{Page, PageRef, Record};
use bistable_core::plan::Frontier;
use bistable_core::refusal::Refusal;
use bistable_core::verify::{hash_payload, read_payload};

use super::{Installation, Stage, Wanted};
use crate::log::info;
use crate::platform::Platform;

impl<P: Platform, const PAGE: usize> Installation<'_, '_, P, PAGE> {
    pub(super) fn take_page(
        &mut self,
        bytes: &[u8],
        page: PageRef,
        first_chunk: u32,
    ) -> Result<(), Refusal> {
        let manifest = *self.authentic.manifest();
        Page::new_checked(bytes, page, &manifest, first_chunk)?;
        let buffer = self.updater.page.get_mut(..bytes.len());
        buffer.ok_or(Refusal::ChunkSize)?.copy_from_slice(bytes);
        self.own_the_progress();

        let chunks_at = self.progress.offset.saturating_add(page.len);
        self.progress.page = Some((bytes.len(), first_chunk));
        let go_on_at = match self.progress.stage {
            Stage::Writing {
                first_chunk: from, ..
            } => from.max(first_chunk),
            Stage::Matching { .. } => self.count_matches()?,
        };
        if go_on_at < first_chunk {
            // The first sector that is not kept begins before this page: walk there again.
            self.want_first_page();
            return Ok(());
        }
        let page = self.page().ok_or(Refusal::MalformedPage)?;
        let (chunks, next) = (page.chunks(), page.next());
        let index = go_on_at.min(chunks.end);
        let skipped = index
            .saturating_sub(chunks.start)
            .saturating_mul(manifest.chunk_size());
        self.want_after(index, chunks.end, next, chunks_at.saturating_add(skipped));
        Ok(())
    }

    /// Makes this installation the one whose progress counts, which costs a token unless it is so
    /// already.
    fn own_the_progress(&mut self) {
        let updater = &mut *self.updater;
        if updater.progress.map(|progress| progress.image.digest) != Some(self.image.digest) {
            updater.throttle = updater.throttle.spend();
            updater.progress = Some(self.progress);
        }
    }

    /// Hashes the slot against the page in the buffer, as long as the run of matches is unbroken.
    /// Returns the chunk to go on at: behind the page while everything matches; else the first one in
    /// the first sector that is not kept, and the stage is [`Stage::Writing`].
    fn count_matches(&mut self) -> Result<u32, Refusal> {
        let page = self.page().ok_or(Refusal::MalformedPage)?;
        let (chunks, is_last) = (page.chunks(), page.next().is_none());
        let mut matches = chunks.start;
        for index in chunks.clone() {
            if !self.chunk_matches(index)? {
                break;
            }
            matches = index.saturating_add(1);
        }
        if matches == chunks.end && !is_last {
            self.progress.stage = Stage::Matching { matches };
            return Ok(matches);
        }
        let first_sector = self.plan.first_not_kept(matches);
        let first_chunk = self.plan.first_chunk(first_sector);
        info!(
            "resuming: {} chunks match, writing from {}",
            matches, first_chunk
        );
        self.progress.stage = Stage::Writing {
            first_chunk,
            frontier: Frontier::new(first_sector),
            begun: false,
        };
        Ok(first_chunk)
    }

    /// Whether the chunk at `index` lies in the slot, and is not what erased flash reads as.
    fn chunk_matches(&mut self, index: u32) -> Result<bool, Refusal> {
        let layout = self.updater.product.layout;
        let expected = self.record_of(index)?.digest(self.target);
        let start = index.saturating_mul(self.authentic.manifest().chunk_size());
        let end = start.saturating_add(self.authentic.manifest().chunk_len(index));
        let (flash, watchdog) = self.updater.platform.slot_flash(self.target);
        // A unit that does not read is no match.
        let found = hash_payload(flash, layout, self.target, start..end, watchdog);
        if found != Ok(expected) {
            return Ok(false);
        }
        let mut piece = [0; 64];
        for offset in (start..end).step_by(piece.len()) {
            let len = (end.saturating_sub(offset) as usize).min(piece.len());
            let piece = piece.get_mut(..len).unwrap_or_default();
            if read_payload(flash, layout, self.target, offset, piece).is_err() {
                return Ok(false);
            }
            if piece.iter().any(|byte| *byte != 0xFF) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The page in the buffer, which was checked when it came.
    pub(super) fn page(&self) -> Option<Page<'_>> {
        let (len, first_chunk) = self.progress.page?;
        let bytes = self.updater.page.get(..len)?;
        Page::parse(bytes, self.authentic.manifest(), first_chunk)
    }

    pub(super) fn record_of(&self, index: u32) -> Result<Record<'_>, Refusal> {
        let record = self.page().and_then(|page| page.record(index));
        record.ok_or(Refusal::MalformedPage)
    }

    /// Wants the chunk at `index`, which the file has at `offset`, or what follows the page's `end`.
    pub(super) fn want_after(&mut self, index: u32, end: u32, next: Option<PageRef>, offset: u32) {
        self.progress.offset = offset;
        self.progress.wanted = match next {
            _ if index < end => Wanted::Chunk(index),
            Some(page) => Wanted::Page {
                page,
                first_chunk: end,
            },
            None => Wanted::Nothing,
        };
        self.updater.progress = Some(self.progress);
    }

    fn want_first_page(&mut self) {
        self.progress.offset = HEADER_LEN as u32;
        self.progress.page = None;
        self.progress.wanted = Wanted::Page {
            page: PageRef::first(self.authentic.manifest()),
            first_chunk: 0,
        };
        self.updater.progress = Some(self.progress);
    }
}
