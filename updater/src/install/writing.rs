//! Writing: what is recorded, erased and programmed, and in which order.

use bistable_core::digest::Digest;
use bistable_core::plan::{Beginning, beginning};
use bistable_core::refusal::Refusal;
use bistable_core::state::Image;
use bistable_core::transition::{Event, transition};
use bistable_core::verify::hash_payload;
use bistable_core::watchdog::Watchdog as _;
use embedded_storage::nor_flash::NorFlash;

use super::{Installation, Stage, Wanted};
use crate::platform::Platform;

impl<P: Platform, const PAGE: usize> Installation<'_, '_, P, PAGE> {
    pub(super) fn take_chunk(&mut self, bytes: &mut [u8], index: u32) -> Result<(), Refusal> {
        let record = self.record_of(index)?;
        let digest = record.digest(self.target);
        record.apply(self.target, bytes);
        if Digest::of(bytes) != digest {
            return Err(Refusal::BadChunk);
        }
        let outcome = self.write_chunk(bytes, index, digest);
        if outcome.is_err() {
            // What lies in the slot now is for the next begin to find out, by hashing.
            self.updater.progress = None;
            self.progress.wanted = Wanted::Nothing;
        }
        outcome
    }

    fn write_chunk(&mut self, bytes: &[u8], index: u32, digest: Digest) -> Result<(), Refusal> {
        self.begin_writing()?;
        let place = self.plan.chunk(index);
        self.program(place.start, bytes)?;
        let layout = self.updater.product.layout;
        let start = place.start.saturating_sub(layout.payload_offset);
        let range = start..start.saturating_add(bytes.len() as u32);
        let (flash, watchdog) = self.updater.platform.slot_flash(self.target);
        if hash_payload(flash, layout, self.target, range, watchdog)? != digest {
            return Err(Refusal::ReadBack);
        }
        let page = self.page().ok_or(Refusal::MalformedPage)?;
        let (end, next) = (page.chunks().end, page.next());
        let behind = self.progress.offset.saturating_add(bytes.len() as u32);
        self.updater.last_new_chunk = Some(self.updater.platform.now());
        self.want_after(index.saturating_add(1), end, next, behind);
        Ok(())
    }

    /// Before the first chunk: the journal says that the slot receives this image, and its header is
    /// there.
    fn begin_writing(&mut self) -> Result<(), Refusal> {
        let Stage::Writing {
            frontier, begun, ..
        } = self.progress.stage
        else {
            return Err(Refusal::Impossible);
        };
        if begun {
            return Ok(());
        }
        let event = self.updater.receive(self.image);
        if frontier.first() == 0 {
            transition(&self.updater.snapshot, event)?;
            self.begin_from_the_start(event)?;
        } else {
            self.updater.record(event)?;
        }
        if let Stage::Writing { begun, .. } = &mut self.progress.stage {
            *begun = true;
        }
        Ok(())
    }

    fn begin_from_the_start(&mut self, event: Event) -> Result<(), Refusal> {
        let lies_there = self.updater.holds_header_of(self.target, self.image);
        match beginning(&self.updater.snapshot.slot(self.target), lies_there) {
            Beginning::Record => {}
            Beginning::Erase => self.erase_up_to(0)?,
            Beginning::DisownAndErase => {
                let nameless = Image {
                    digest: Digest::NONE,
                    ..self.image
                };
                let event = self.updater.receive(nameless);
                self.updater.record(event)?;
                self.erase_up_to(0)?;
            }
        }
        self.updater.record(event)?;
        let header = *self.authentic.as_bytes();
        self.program(0, &header)?;
        if !self.updater.holds_header_of(self.target, self.image) {
            return Err(Refusal::ReadBack);
        }
        Ok(())
    }

    /// Programs `bytes` at `offset` from the slot's start, and erases one sector ahead before that.
    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refusal> {
        let last = offset.saturating_add(bytes.len() as u32).saturating_sub(1);
        self.erase_up_to(self.plan.sector_of(last))?;
        let at = self.slot_start().saturating_add(offset);
        let (flash, watchdog) = self.updater.platform.slot_flash(self.target);
        watchdog.feed();
        flash.write(at, bytes).map_err(|_| Refusal::FlashProgram)
    }

    /// Erases what must be erased before something that ends in sector `filling` is written.
    fn erase_up_to(&mut self, filling: u32) -> Result<(), Refusal> {
        let start = self.slot_start();
        while let Stage::Writing { frontier, .. } = &mut self.progress.stage
            && let Some((sectors, after)) = frontier.step(&self.plan, filling)
        {
            for sector in sectors.into_iter().flatten() {
                for from in self.plan.sector(sector).step_by(P::SlotFlash::ERASE_SIZE) {
                    let from = start.saturating_add(from);
                    let to = from.saturating_add(P::SlotFlash::ERASE_SIZE as u32);
                    let (flash, watchdog) = self.updater.platform.slot_flash(self.target);
                    watchdog.feed();
                    flash.erase(from, to).map_err(|_| Refusal::FlashErase)?;
                }
            }
            *frontier = after;
        }
        Ok(())
    }

    fn slot_start(&self) -> u32 {
        self.target.of(&self.updater.product.layout.slots).offset
    }
}
