//! The updater: what the application holds, and how its state becomes durable.

use bistable_core::admit::Terms;
use bistable_core::digest::Digest;
use bistable_core::fuses::Fuses as _;
use bistable_core::handover::{Handover, JournalHealth, Standing};
use bistable_core::header::Header;
use bistable_core::journal::{Journal, Opened};
use bistable_core::keys::KeyRing;
use bistable_core::layout::{Layout, Slot};
use bistable_core::manifest::{MANIFEST_LEN, Manifest};
use bistable_core::refusal::Refusal;
use bistable_core::state::{Image, Origin, Rejection, SlotState, Snapshot};
use bistable_core::transition::{Event, transition};
use bistable_core::verify::{Entry, Rules, Verified, read_header, verify};

use crate::device::Device;
use crate::drift::{Drift, Survey};
use crate::health::{Health, Policy};
use crate::install::Progress;
use crate::log::info;
use crate::platform::Platform;
use crate::throttle::Throttle;

/// The facts of a product, all of them generated from its `layout.toml`.
#[derive(Clone, Copy)]
pub struct Product {
    /// Where things lie.
    pub layout: &'static Layout,
    /// Whose signatures count.
    pub ring: &'static KeyRing<'static>,
    /// How the architecture starts an image.
    pub entry: Entry<'static>,
    /// What it asks of its images.
    pub policy: Policy,
}

/// The updater. `PAGE` is the length of its page buffer in bytes: the layout's chunk size.
pub struct Updater<P, const PAGE: usize> {
    pub(crate) platform: P,
    pub(crate) product: Product,
    pub(crate) handover: Handover,
    pub(crate) journal: Journal,
    pub(crate) journal_health: JournalHealth,
    /// Whether a write has failed in this boot.
    journal_failed: bool,
    pub(crate) snapshot: Snapshot,
    pub(crate) running: Slot,
    pub(crate) manifest: Manifest,
    pub(crate) health: Health,
    /// The floor that the fuses hold.
    fused_floor: u32,
    pub(crate) throttle: Throttle,
    pub(crate) progress: Option<Progress>,
    pub(crate) drift: Drift,
    pub(crate) survey: Survey,
    /// When the last new chunk of any download came, in milliseconds since this boot.
    pub(crate) last_new_chunk: Option<u64>,
    pub(crate) page: [u8; PAGE],
}

impl<P: Platform, const PAGE: usize> Updater<P, PAGE> {
    /// Starts the updater of the application that `running_address`, the address of anything in it,
    /// lies in. Opens the journal, and heals it if that is needed.
    ///
    /// # Errors
    /// [`Refusal::RunningSlotUnclear`] if the address lies in neither slot, [`Refusal::NotAManifest`]
    /// and the like if there is no header before the application that runs, [`Refusal::ChunkSize`] if
    /// the page buffer is smaller than the layout's chunks.
    pub fn start(mut platform: P, product: Product, running_address: u32) -> Result<Self, Refusal> {
        let layout = product.layout;
        if PAGE < layout.chunk_size as usize {
            return Err(Refusal::ChunkSize);
        }
        let running = layout
            .slot_at(running_address)
            .ok_or(Refusal::RunningSlotUnclear)?;
        let header = read_header(platform.slot_flash(running).0, layout, running)?;
        let manifest = header
            .first_chunk::<MANIFEST_LEN>()
            .ok_or(Refusal::NotAManifest)?;
        let manifest = Manifest::new_checked(manifest)?;
        let handover = Handover::decode(&platform.load_handover()).unwrap_or_default();
        // What stands while the journal cannot be read; nothing is ever written from it.
        let assumed = Image {
            digest: manifest.digest(),
            sequence: manifest.sequence(),
            origin: Origin::Found,
        };
        let now = platform.now();
        let fused_floor = platform.fuses().floor();
        let mut updater = Self {
            platform,
            product,
            handover,
            journal: Journal::new(layout.journal, layout.digest),
            journal_health: JournalHealth::Whole,
            journal_failed: false,
            snapshot: Snapshot::with_confirmed(running, assumed, layout.factory_floor),
            running,
            manifest,
            health: Health::new(product.policy),
            fused_floor,
            throttle: Throttle::new(now),
            progress: None,
            drift: Drift::default(),
            survey: Survey::of(running),
            last_new_chunk: None,
            page: [0; PAGE],
        };
        updater.open_journal();
        updater.mirror_floor();
        Ok(updater)
    }

    /// What the device says of itself.
    #[must_use]
    pub fn device(&self) -> Device {
        let [last_rejection, ..] = self.snapshot.rejected;
        Device {
            running: self.running,
            standing: self.standing(),
            digest: self.manifest.digest(),
            version: self.manifest.version(),
            sequence: self.manifest.sequence(),
            slots: self.snapshot.slots,
            bootloader: self.handover.bootloader,
            reset: self.handover.reset,
            resets: self.handover.resets,
            journal: self.handover.journal.max(self.journal_health),
            refused: self.handover.refused,
            last_rejection,
            last_words: (self.handover.last_words != 0).then_some(self.handover.last_words),
            floor: self.terms().floor,
            abnormal_resets: self.handover.abnormal,
            schema: self.snapshot.schema,
            uptime: u32::try_from(self.platform.now() / 1000).unwrap_or(u32::MAX),
            locks: self.platform.locks(),
            drift: self.drift,
        }
    }

    /// Why the image with this name was rejected, if it was one of the last four.
    #[must_use]
    pub fn rejection(&self, digest: Digest) -> Option<Rejection> {
        self.snapshot.rejection(digest)
    }

    /// The platform, to reset it or to ask for the time.
    pub const fn platform(&mut self) -> &mut P {
        &mut self.platform
    }

    /// Announces a reset, so that the next boot knows that it was meant, and resets.
    pub fn reset(&mut self) -> ! {
        let handover = Handover {
            announced: true,
            ..self.handover
        };
        self.platform.store_handover(&handover.encode());
        self.platform.reset()
    }

    /// How the running image stands by the journal.
    pub(crate) fn standing(&self) -> Standing {
        match self.snapshot.slot(self.running) {
            SlotState::Confirmed(_) => Standing::Confirmed,
            SlotState::Trial(..) => Standing::Trial,
            _ => Standing::None,
        }
    }

    pub(crate) fn terms(&self) -> Terms<'static> {
        Terms::of_the_factory(
            self.product.layout,
            self.handover.bootloader,
            self.fused_floor,
        )
        .with(&self.snapshot)
    }

    /// Raises the fuses to the floor, unless the running image is on trial. If that fails, it is tried again
    /// at the next start: the journal holds the floor all the same.
    pub(crate) fn mirror_floor(&mut self) {
        if self.standing() != Standing::Confirmed || self.snapshot.floor <= self.fused_floor {
            return;
        }
        if self.platform.fuses().raise(self.snapshot.floor).is_ok() {
            self.fused_floor = self.snapshot.floor;
        } else {
            info!("the fuses do not hold floor {=u32}", self.snapshot.floor);
        }
    }

    /// Verifies what lies in `slot` just as the bootloader does.
    pub(crate) fn verify(&mut self, slot: Slot) -> Result<Verified, Refusal> {
        let image = self.snapshot.slot(slot).image();
        let image = image.ok_or(Refusal::Impossible)?;
        let rules = Rules {
            ring: self.product.ring,
            revoked: self.snapshot.revoked,
            terms: self.terms(),
            entry: self.product.entry,
        };
        let (flash, watchdog) = self.platform.slot_flash(slot);
        verify(flash, slot, Some(image.digest), &rules, watchdog)
    }

    /// Makes `event` durable. What is so already writes nothing.
    pub(crate) fn record(&mut self, event: Event) -> Result<(), Refusal> {
        let Some(after) = transition(&self.snapshot, event)? else {
            return Ok(());
        };
        if self.journal_health == JournalHealth::WornOut {
            return Err(Refusal::JournalWornOut);
        }
        let (flash, watchdog) = self.platform.journal_flash();
        if self.journal.write(flash, watchdog, &after).is_err() {
            self.open_journal();
            if core::mem::replace(&mut self.journal_failed, true) {
                // It may be a sector that keeps what it holds, and so looks whole: it takes nothing more.
                self.journal_health = JournalHealth::WornOut;
            }
            return Err(Refusal::Journal);
        }
        self.adopt(after);
        Ok(())
    }

    /// Whether the header in `slot` is signed by enough trusted keys and has this image's name.
    pub(crate) fn holds_header_of(&mut self, slot: Slot, image: Image) -> bool {
        let (flash, _) = self.platform.slot_flash(slot);
        let Ok(bytes) = read_header(flash, self.product.layout, slot) else {
            return false;
        };
        let header = Header::new_checked(&bytes);
        header
            .and_then(|header| header.authenticate(self.product.ring, self.snapshot.revoked))
            .is_ok_and(|found| found.digest() == image.digest)
    }

    fn open_journal(&mut self) {
        let (flash, watchdog) = self.platform.journal_flash();
        match self.journal.open(flash, watchdog) {
            Opened::Sound { snapshot, rewrites } => {
                self.adopt(snapshot);
                if rewrites > 0 {
                    self.journal_health = JournalHealth::Healed;
                }
            }
            Opened::GaveUp(snapshot) => {
                self.adopt(snapshot);
                self.journal_health = JournalHealth::WornOut;
            }
            Opened::Lost => self.journal_health = JournalHealth::WornOut,
        }
        info!("updater: journal {}", self.journal_health);
    }
}
