//! Installing an image: verified before it is written, resumable without bookkeeping.
//!
//! ```text
//!   begin(header) ─▶ Installation ── wants / write ──▶ … ── finish ─▶ Checked ── activate
//! ```
//!
//! Here is the way through these; [`pages`] says what is wanted next, [`writing`] acts on flash.
//!
//! Nothing is recorded or erased before a verified chunk is in RAM. Within one boot an installation
//! that is begun again goes on where it was. After a reset, what is already there is found by hashing
//! the slot against the signed pages. `bistable_core::plan` says what is kept and what is erased.

mod pages;
mod writing;

use bistable_core::handover::JournalHealth;
use bistable_core::header::{Authentic, Header, authenticate_for_install};
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::page::PageRef;
use bistable_core::plan::{Frontier, Plan};
use bistable_core::refusal::Refusal;
use bistable_core::state::{Image, Origin, SlotState};
use bistable_core::transition::{Event, transition};
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
///
/// ```
/// # use bistable_updater::{Checked, Platform};
/// fn patient<P: Platform>(whole: Checked<'_, P, 4096>) { let _ = whole.activate(); }
/// ```
/// ```compile_fail,E0599
/// # use bistable_updater::{Installation, Platform};
/// fn hasty<P: Platform>(half: Installation<'_, '_, P, 4096>) { let _ = half.activate(); }
/// ```
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
        }
    }

    /// The event of receiving this image now.
    fn receive(&self, image: Image) -> Event {
        let now = self.platform.now();
        let live = self
            .last_new_chunk
            .is_some_and(|at| now.saturating_sub(at) < LIVE_MS);
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
