//! Installing an image: verified before it is written, resumable without bookkeeping.
//!
//! ```text
//!   begin(header) ─▶ Installation ── wants / write ──▶ … ── finish ─▶ Checked ── activate
//! ```
//!
//! Nothing is recorded or erased before a verified chunk is in RAM. Within one boot an installation
//! that is begun again goes on where it was. After a reset, what is already there is found by hashing
//! the slot against the signed pages. `bistable_core::plan` says what is kept and what is erased.

use bistable_core::digest::Digest;
use bistable_core::handover::JournalHealth;
use bistable_core::header::{Authentic, Header, authenticate_for_install};
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::page::{Page, PageRef, Record};
use bistable_core::plan::{Frontier, Plan};
use bistable_core::refusal::Refusal;
use bistable_core::state::{Image, Origin, SlotState};
use bistable_core::transition::{Event, transition};
use bistable_core::verify::{hash_payload, read_payload};
use bistable_core::watchdog::Watchdog as _;
use embedded_storage::nor_flash::NorFlash;

use crate::log::info;
use crate::platform::Platform;
use crate::updater::Updater;

/// A download is live for this long after its last new chunk, in milliseconds.
pub const LIVE_MS: u64 = 10 * 60 * 1000;

/// A piece of the image file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Part {
    /// From the file's start, in bytes.
    pub offset: u32,
    /// In bytes, at most a chunk.
    pub len: u32,
}

/// Where an installation stands. It outlives the [`Installation`], within one boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    image: Image,
    wanted: Wanted,
    /// Of what is wanted, from the file's start.
    offset: u32,
    /// The page that is in the buffer: its length and its first chunk.
    page: Option<(usize, u32)>,
    stage: Stage,
    /// When the last new chunk came, in milliseconds since this boot.
    last_new: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    Page { page: PageRef, first_chunk: u32 },
    Chunk(u32),
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Nothing was written in this boot; the slot's header is this image's. Pages are fetched to see
    /// how far the slot matches.
    Matching { matches: u32 },
    /// Chunks from `first_chunk` on are written.
    Writing {
        first_chunk: u32,
        frontier: Frontier,
        begun: bool,
    },
}

/// An installation under way. There is only one, for it borrows the updater.
pub struct Installation<'u, 'h, P, const PAGE: usize> {
    updater: &'u mut Updater<P, PAGE>,
    authentic: Authentic<'h>,
    image: Image,
    plan: Plan,
    target: Slot,
    progress: Progress,
}

/// An installation that was verified as it lies in its slot, all of it. Only this can be activated.
pub struct Checked<'u, P, const PAGE: usize> {
    updater: &'u mut Updater<P, PAGE>,
    image: Image,
    target: Slot,
    attempts: u8,
}

impl<P: Platform, const PAGE: usize> Updater<P, PAGE> {
    /// Begins, or goes on with, the installation of the image with this header, into the slot that
    /// does not run. Writes nothing.
    ///
    /// # Errors
    /// Why this image is not installed, or not now.
    pub fn begin<'h>(
        &mut self,
        header: &'h [u8; HEADER_LEN],
        origin: Origin,
    ) -> Result<Installation<'_, 'h, P, PAGE>, Refusal> {
        if self.handover.running != Some(self.running) {
            return Err(Refusal::RunningSlotUnclear);
        }
        if self.journal_health == JournalHealth::WornOut {
            return Err(Refusal::JournalWornOut);
        }
        let header = Header::new_checked(header)?;
        let authentic = authenticate_for_install(header, self.product.ring, self.snapshot.revoked)?;
        let manifest = authentic.manifest();
        self.terms()
            .installable(&authentic, &self.snapshot, self.running)?;
        if !manifest
            .payload_len()
            .is_multiple_of(P::SlotFlash::WRITE_SIZE as u32)
        {
            return Err(Refusal::UnalignedLength);
        }
        let image = Image {
            digest: authentic.digest(),
            sequence: manifest.sequence(),
            origin,
        };
        transition(&self.snapshot, self.receive(image))?;

        let target = self.running.other();
        let plan = Plan::new(
            self.product.layout,
            manifest,
            P::SlotFlash::ERASE_SIZE as u32,
        );
        let progress = match self.progress {
            Some(progress) if progress.image.digest == image.digest => progress,
            _ => {
                self.throttle = self.throttle.at(self.platform.now());
                if !self.throttle.has_token() {
                    return Err(Refusal::Throttled);
                }
                self.new_progress(&authentic, image, target)
            }
        };
        info!("installing {} into {}", image.digest, target);
        Ok(Installation {
            updater: self,
            authentic,
            image,
            plan,
            target,
            progress,
        })
    }

    fn new_progress(&mut self, authentic: &Authentic<'_>, image: Image, target: Slot) -> Progress {
        let receiving = matches!(
            self.snapshot.slot(target),
            SlotState::Receiving(present) if present.digest == image.digest
        );
        let stage = if receiving && self.holds_header_of(target, image) {
            Stage::Matching { matches: 0 }
        } else {
            Stage::from_the_start()
        };
        Progress {
            image,
            wanted: Wanted::Page {
                page: PageRef::first(authentic.manifest()),
                first_chunk: 0,
            },
            offset: HEADER_LEN as u32,
            page: None,
            stage,
            last_new: None,
        }
    }

    /// The event of receiving this image now.
    fn receive(&self, image: Image) -> Event {
        let now = self.platform.now();
        let live = self.progress.is_some_and(|progress| {
            let since = |at| now.saturating_sub(at) < LIVE_MS;
            progress.last_new.is_some_and(since)
        });
        Event::Receive {
            running: self.running,
            image,
            live,
        }
    }
}

impl Stage {
    const fn from_the_start() -> Self {
        Self::Writing {
            first_chunk: 0,
            frontier: Frontier::new(0),
            begun: false,
        }
    }
}

impl<'u, P: Platform, const PAGE: usize> Installation<'u, '_, P, PAGE> {
    /// The piece of the file that [`Self::write`] takes next; `None`: everything is there.
    #[must_use]
    pub fn wants(&self) -> Option<Part> {
        let offset = self.progress.offset;
        match self.progress.wanted {
            Wanted::Page { page, .. } => Some(Part {
                offset,
                len: page.len,
            }),
            Wanted::Chunk(index) => Some(Part {
                offset,
                len: self.authentic.manifest().chunk_len(index),
            }),
            Wanted::Nothing => None,
        }
    }

    /// Takes the piece that is wanted. A chunk is changed in place, if the slot asks for it, then
    /// checked, then written and read back.
    ///
    /// # Errors
    /// Why the piece was refused; it may be offered again. Nothing of it was written, unless flash or
    /// journal failed.
    pub fn write(&mut self, part: &mut [u8]) -> Result<(), Refusal> {
        let wanted = self.wants().ok_or(Refusal::WrongLength)?;
        if part.len() != wanted.len as usize {
            return Err(Refusal::WrongLength);
        }
        match self.progress.wanted {
            Wanted::Page { page, first_chunk } => self.take_page(part, page, first_chunk),
            Wanted::Chunk(index) => self.take_chunk(part, index),
            Wanted::Nothing => Err(Refusal::WrongLength),
        }
    }

    /// Verifies the whole installation as it lies in its slot, just as the bootloader will.
    ///
    /// # Errors
    /// [`Refusal::NotWhole`] if something is still wanted; else what speaks against the image.
    pub fn finish(self) -> Result<Checked<'u, P, PAGE>, Refusal> {
        if self.wants().is_some() {
            return Err(Refusal::NotWhole);
        }
        self.updater.verify(self.target).inspect_err(|_| {
            self.updater.progress = None;
        })?;
        Ok(Checked {
            updater: self.updater,
            image: self.image,
            target: self.target,
            attempts: self.authentic.manifest().trial_attempts(),
        })
    }

    fn take_page(&mut self, bytes: &[u8], page: PageRef, first_chunk: u32) -> Result<(), Refusal> {
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

    fn take_chunk(&mut self, bytes: &mut [u8], index: u32) -> Result<(), Refusal> {
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
        self.progress.last_new = Some(self.updater.platform.now());
        self.want_after(index.saturating_add(1), end, next, behind);
        Ok(())
    }

    /// Before the first chunk: the journal says that the slot receives this image, and its header is
    /// there.
    ///
    /// A slot that the journal calls Confirmed or Trial keeps every byte until the record is durable.
    /// In any other slot the first two sectors are erased *before* the record: then "Receiving this"
    /// never stands beside an old header of this very image, before a sector whose erase was cut.
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
        let from_the_start = frontier.first() == 0;
        let may_be_erased = !matches!(
            self.updater.snapshot.slot(self.target),
            SlotState::Confirmed(_) | SlotState::Trial(..)
        );
        if from_the_start && may_be_erased {
            transition(&self.updater.snapshot, event)?;
            self.erase_up_to(0)?;
        }
        self.updater.record(event)?;
        if from_the_start {
            let header = *self.authentic.as_bytes();
            self.program(0, &header)?;
            if !self.updater.holds_header_of(self.target, self.image) {
                return Err(Refusal::ReadBack);
            }
        }
        if let Stage::Writing { begun, .. } = &mut self.progress.stage {
            *begun = true;
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
                let range = self.plan.sector(sector);
                let from = start.saturating_add(range.start);
                let to = start.saturating_add(range.end);
                let (flash, watchdog) = self.updater.platform.slot_flash(self.target);
                watchdog.feed();
                flash.erase(from, to).map_err(|_| Refusal::FlashErase)?;
            }
            *frontier = after;
        }
        Ok(())
    }

    fn slot_start(&self) -> u32 {
        self.target.of(&self.updater.product.layout.slots).offset
    }

    /// The page in the buffer, which was checked when it came.
    fn page(&self) -> Option<Page<'_>> {
        let (len, first_chunk) = self.progress.page?;
        let bytes = self.updater.page.get(..len)?;
        Page::parse(bytes, self.authentic.manifest(), first_chunk)
    }

    fn record_of(&self, index: u32) -> Result<Record<'_>, Refusal> {
        let record = self.page().and_then(|page| page.record(index));
        record.ok_or(Refusal::MalformedPage)
    }

    /// Wants the chunk at `index`, which the file has at `offset`, or what follows the page's `end`.
    fn want_after(&mut self, index: u32, end: u32, next: Option<PageRef>, offset: u32) {
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

impl<P: Platform, const PAGE: usize> Checked<'_, P, PAGE> {
    /// Makes the installation the trial of the next boot: one snapshot.
    ///
    /// # Errors
    /// The journal's failure.
    pub fn activate(self) -> Result<(), Refusal> {
        self.updater.record(Event::Activate {
            target: self.target,
            image: self.image,
            attempts: self.attempts,
        })?;
        self.updater.progress = None;
        info!("activated {}", self.image.digest);
        Ok(())
    }
}
