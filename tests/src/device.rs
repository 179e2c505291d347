//! A device in memory on which an application with the updater in it runs, and whose flash remembers what
//! a cut tore.
//!
//! [`Flash`] alone never goes back to what a sector was before its erase was cut. [`Fickle`] does: at each
//! boot such a sector reads as it was, as erased, or as something between, until it is erased.

use bistable_bootloader::Ready;
use bistable_core::handover::{HANDOVER_LEN, Handover, Standing};
use bistable_core::journal::{Journal, Opened};
use bistable_core::layout::{HEADER_LEN, Layout, Slot, SlotLayout};
use bistable_core::manifest::Fields;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Origin, SlotState, Snapshot};
use bistable_core::transition::{Event, transition};
use bistable_core::verify::{Entry, Rules, Verified, verify};
use bistable_core::{admit::Terms, refusal::Refusal};
use bistable_updater::health::{Check, Policy};
use bistable_updater::{Installation, Platform, Product, Updater};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use crate::board::{Bench, Fed, JournalFlash, MemoryFuses};
use crate::fixtures::{BOOTLOADER, RAM, fields, image_of, layout, product, program_for, ring};
use crate::flash::{Error, Extent, Fault, Flash};
use crate::images::Built;
use crate::random::Random;

/// Length of the updater's page buffer, in bytes: fits every chunk size.
pub const PAGE: usize = 4096;

/// The updater in the application of a [`Device`].
pub type DeviceUpdater<'d, const W: usize, const E: usize> = Updater<Hardware<'d, W, E>, PAGE>;

/// The application's health checks.
pub static CHECKS: [Check; 3] = [
    Check::required("self-test"),
    Check::update_source("update-source"),
    Check::required("humidity").advisory(),
];

/// What the application asks of itself: no soak on trial.
pub const POLICY: Policy = Policy {
    checks: &CHECKS,
    trial_soak_seconds: 0,
    soak_seconds: 60,
    forgives_resets: true,
};

/// The facts that an updater on this layout is given.
#[must_use]
pub fn application(layout: &'static Layout) -> Product {
    Product {
        layout,
        ring: product().ring,
        entry: product().entry,
        policy: POLICY,
    }
}

/// The test product's layout with other sizes: two slots of `slot_size` bytes, the payload 4 KiB behind
/// a slot's start.
#[must_use]
pub fn layout_with(chunk_size: u32, slot_size: u32) -> Layout {
    let slot = |number: u32| SlotLayout {
        offset: number * slot_size,
        address: 0x0801_0000 + number * slot_size,
    };
    Layout {
        slots: [slot(0), slot(1)],
        slot_size,
        payload_offset: 4096,
        chunk_size,
        ..layout()
    }
}

/// An ordinary image for `layout` with a payload of `len` bytes, which follows from `seed` alone.
#[must_use]
pub fn image_for(layout: &Layout, sequence: u32, seed: u64, len: usize) -> Built {
    let fields = Fields {
        chunk_size: layout.chunk_size,
        ..fields(sequence)
    };
    Built::new(fields, program_for(layout, seed, len), &[0])
}

/// How an operation of the slots' flash is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// As [`Flash`] does it.
    Plain(Extent),
    /// All units but the last are programmed; that one is torn. An erase leaves the sector as it was. What is
    /// torn comes and goes.
    Fickle,
}

/// What was torn and comes and goes.
#[derive(Clone, Debug)]
struct Torn {
    at: usize,
    was: Vec<u8>,
    becomes: Vec<u8>,
    by_erase: bool,
}

/// A flash whose torn units and sectors may read as they were before, at any later boot.
#[derive(Clone, Debug)]
pub struct Fickle<const WRITE: usize, const ERASE: usize> {
    /// What it is made of.
    pub flash: Flash<WRITE, ERASE>,
    torn: Vec<Torn>,
    fickle_at: Option<u64>,
    random: Random,
}

impl<const WRITE: usize, const ERASE: usize> Fickle<WRITE, ERASE> {
    /// A flash of `sectors` sectors, erased.
    #[must_use]
    pub fn new(sectors: usize) -> Self {
        Self {
            flash: Flash::new(sectors),
            torn: Vec::new(),
            fickle_at: None,
            random: Random::new(0),
        }
    }

    /// Decides what torn units and sectors will read as.
    pub const fn seed(&mut self, seed: u64) {
        self.flash.seed(seed);
        self.random = Random::new(!seed);
    }

    /// Plans that the operation after `operations` others from now on is cut.
    pub fn cut(&mut self, operations: u64, cut: Cut) {
        match cut {
            Cut::Plain(extent) => self.flash.plan(operations, Fault::Cut(extent)),
            Cut::Fickle => self.fickle_at = Some(self.flash.counts.operations + operations),
        }
    }

    /// Brings the power back; what is torn reads as it pleases.
    pub fn power_on(&mut self) {
        self.flash.power_on();
        self.fickle_at = None;
        for torn in self.torn.iter().filter(|torn| torn.by_erase) {
            self.flash.put(torn.at, &torn.was);
        }
        for torn in self.torn.iter().filter(|torn| !torn.by_erase) {
            let reads_as = match self.random.below(2) {
                0 => &torn.was,
                _ => &torn.becomes,
            };
            self.flash.put(torn.at, reads_as);
        }
        for torn in self.torn.iter().filter(|torn| torn.by_erase) {
            match self.random.below(4) {
                0 => self.flash.put(torn.at, &torn.becomes),
                1 => {
                    let half = torn.becomes.len() / 2;
                    self.flash.put(torn.at, &torn.becomes[half..]);
                }
                _ => {}
            }
        }
    }

    fn is_fickle_now(&self) -> bool {
        self.flash.has_power() && self.fickle_at == Some(self.flash.counts.operations)
    }

    fn tears(&mut self, at: usize, becomes: &[u8], by_erase: bool) {
        let was = self.flash.bytes()[at..][..becomes.len()].to_vec();
        // Torn again while it was torn: what it was at first is still in it.
        let torn_before = self.torn.iter().any(|torn| torn.by_erase && torn.at == at);
        if !(by_erase && torn_before) {
            self.torn.push(Torn {
                at,
                was,
                becomes: becomes.to_vec(),
                by_erase,
            });
        }
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Fickle<WRITE, ERASE> {
    type Error = Error;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Fickle<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Fickle<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        if !from.is_multiple_of(ERASE as u32) || !to.is_multiple_of(ERASE as u32) {
            return Err(Error::NotAligned);
        }
        for at in (from..to).step_by(ERASE) {
            if self.is_fickle_now() {
                self.tears(at as usize, &[0xff; ERASE], true);
                self.flash.plan(0, Fault::Cut(Extent::Nothing));
            }
            self.flash.erase(at, at + ERASE as u32)?;
            let sector = at as usize..at as usize + ERASE;
            self.torn.retain(|torn| !sector.contains(&torn.at));
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        if self.is_fickle_now() {
            let (last, at) = (bytes.len() - WRITE, offset as usize + bytes.len() - WRITE);
            self.tears(at, &bytes[last..], false);
            self.flash.plan(0, Fault::Cut(Extent::Everything));
        }
        self.flash.write(offset, bytes)
    }
}

/// A device, with the power on or off.
#[derive(Clone, Debug)]
pub struct Device<const W: usize, const E: usize> {
    /// Three sectors.
    pub journal: JournalFlash,
    /// Both slots.
    pub slots: Fickle<W, E>,
    /// The watchdog.
    pub watchdog: Fed,
    /// The fuses.
    pub fuses: MemoryFuses,
    /// The supply in millivolts, if it can be measured.
    pub supply: Option<u16>,
    /// Bytes of the stack that were never used, if it is known.
    pub free_stack: Option<u32>,
    /// RAM that survives a reset.
    pub retained: [u8; HANDOVER_LEN],
    /// Milliseconds since this boot.
    pub now: u64,
    /// How often the application reset it.
    pub resets: u32,
    /// Where things lie.
    pub layout: &'static Layout,
    /// The slot that runs.
    pub running: Slot,
}

impl<const W: usize, const E: usize> Device<W, E> {
    /// A device on which `image` runs in `running`, confirmed, from the factory.
    #[must_use]
    pub fn new(layout: &'static Layout, running: Slot, image: &Built) -> Self {
        let mut device = Self {
            journal: Flash::new(3),
            slots: Fickle::new(2 * layout.slot_size as usize / E),
            watchdog: Fed::default(),
            fuses: MemoryFuses::default(),
            supply: None,
            free_stack: None,
            retained: [0; HANDOVER_LEN],
            now: 0,
            resets: 0,
            layout,
            running,
        };
        device.put(running, image);
        let confirmed = image_of(&image.manifest, Origin::Factory);
        let factory = Snapshot::with_confirmed(running, confirmed, layout.factory_floor);
        device.set_state(&factory);
        device.power_on();
        device
    }

    /// Makes `slot` read as holding this image.
    pub fn put(&mut self, slot: Slot, image: &Built) {
        let start = slot.of(&self.layout.slots).offset as usize;
        let payload = start + self.layout.payload_offset as usize;
        self.slots.flash.put(start, &image.header);
        let bytes = slot.of::<Vec<u8>>(&image.payload);
        self.slots.flash.put(payload, bytes);
    }

    /// Makes `snapshot` the state.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn set_state(&mut self, snapshot: &Snapshot) {
        let mut journal = self.open_journal();
        let formatted = journal.format(&mut self.journal, &mut self.watchdog, snapshot);
        formatted.expect("a journal that can be formatted");
    }

    /// Changes the state, as [`Self::set_state`] does.
    pub fn change_state(&mut self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = self.state();
        change(&mut snapshot);
        self.set_state(&snapshot);
    }

    /// What the journal says; a copy is opened, so that looking changes nothing.
    ///
    /// # Panics
    /// If it is not sound, and cannot be healed.
    #[must_use]
    pub fn state(&self) -> Snapshot {
        let opened = self
            .open_journal()
            .open(&mut self.journal.clone(), &mut Fed::default());
        match opened {
            Opened::Sound { snapshot, .. } => snapshot,
            other => panic!("the journal is not sound: {other:?}"),
        }
    }

    /// Makes `event` durable, as the bootloader does.
    ///
    /// # Panics
    /// If the event cannot happen.
    pub fn happens(&mut self, event: Event) {
        let after = transition(&self.state(), event).expect("an event that can happen");
        self.set_state(&after.expect("an event that changes something"));
    }

    /// Power off, power on, and the bootloader starts the running slot again.
    pub fn power_on(&mut self) {
        self.journal.power_on();
        self.slots.power_on();
        self.boots(self.running);
    }

    /// The bootloader starts what lies in `slot`.
    pub fn boots(&mut self, slot: Slot) {
        self.running = slot;
        self.now = 0;
        let standing = match self.state().slot(slot) {
            SlotState::Confirmed(_) => Standing::Confirmed,
            SlotState::Trial(..) => Standing::Trial,
            _ => Standing::None,
        };
        self.retained = Handover {
            running: Some(slot),
            standing,
            reset: ResetReason::PowerOn,
            resets: 1,
            bootloader: BOOTLOADER,
            ..Handover::default()
        }
        .encode();
    }

    /// The facts that the updater is given.
    #[must_use]
    pub fn product(&self) -> Product {
        application(self.layout)
    }

    /// An address in the running application.
    #[must_use]
    pub const fn address(&self) -> u32 {
        self.layout.payload_address(self.running) + 100
    }

    /// Starts the updater of the running application.
    ///
    /// # Panics
    /// If it does not start.
    pub fn updater(&mut self) -> DeviceUpdater<'_, W, E> {
        let (product, address) = (self.product(), self.address());
        let updater = Updater::start(Hardware(self), product, address);
        updater.unwrap_or_else(|refusal| panic!("no updater: {refusal:?}"))
    }

    /// Verifies what lies in `slot`, as the bootloader does.
    ///
    /// # Errors
    /// What speaks against it.
    pub fn verify(&mut self, slot: Slot) -> Result<Verified, Refusal> {
        let state = self.state();
        let expected = state.slot(slot).image().map(|image| image.digest);
        let rules = Rules {
            ring: &ring(),
            revoked: state.revoked,
            terms: Terms::of_the_factory(self.layout, BOOTLOADER, self.fuses.floor).with(&state),
            entry: Entry::CortexM { ram: &[RAM] },
        };
        verify(&mut self.slots, slot, expected, &rules, &mut self.watchdog)
    }

    /// What `slot` reads as.
    #[must_use]
    pub fn slot_bytes(&self, slot: Slot) -> &[u8] {
        let start = slot.of(&self.layout.slots).offset as usize;
        &self.slots.flash.bytes()[start..][..self.layout.slot_size as usize]
    }

    /// Whether `slot` holds this image, byte for byte.
    #[must_use]
    pub fn holds(&self, slot: Slot, image: &Built) -> bool {
        let bytes = self.slot_bytes(slot);
        let payload = slot.of::<Vec<u8>>(&image.payload);
        let held = &bytes[self.layout.payload_offset as usize..][..payload.len()];
        bytes[..HEADER_LEN] == image.header && held == payload
    }

    /// How often each sector of `slot` was erased.
    #[must_use]
    pub fn erases(&self, slot: Slot) -> &[u64] {
        let sectors = self.layout.slot_size as usize / E;
        let first = slot.of(&self.layout.slots).offset as usize / E;
        &self.slots.flash.counts.erases[first..][..sectors]
    }

    /// How often a sector of the journal was erased.
    #[must_use]
    pub fn journal_erases(&self) -> u64 {
        self.journal.counts.erases.iter().sum()
    }

    /// Operations so far: of the journal's flash, of the slots' flash.
    #[must_use]
    pub const fn operations(&self) -> [u64; 2] {
        [
            self.journal.counts.operations,
            self.slots.flash.counts.operations,
        ]
    }

    fn open_journal(&self) -> Journal {
        Journal::new(self.layout.journal, self.layout.digest)
    }
}

impl Device<8, 1024> {
    /// Resets a device with the test product's layout, and runs the bootloader: what it starts, if anything
    /// verifies.
    pub fn restart(&mut self, reset: ResetReason) -> Option<Ready> {
        if reset == ResetReason::PowerOn {
            self.journal.power_on();
            self.slots.power_on();
        }
        let mut bench = Bench {
            journal: self.journal.clone(),
            slots: self.slots.flash.clone(),
            fuses: self.fuses,
            retained: self.retained,
            ..Bench::new()
        };
        let ready = bench.boot(reset);
        self.journal = bench.journal;
        self.retained = bench.retained;
        self.now = 0;
        self.running = ready.as_ref()?.image.slot();
        ready
    }
}

/// What the updater holds of a [`Device`]; a reset panics with `"reset"`.
#[derive(Debug)]
pub struct Hardware<'d, const W: usize, const E: usize>(pub &'d mut Device<W, E>);

impl<const W: usize, const E: usize> Platform for Hardware<'_, W, E> {
    type JournalFlash = JournalFlash;
    type SlotFlash = Fickle<W, E>;
    type Watchdog = Fed;
    type Fuses = MemoryFuses;

    fn journal_flash(&mut self) -> (&mut JournalFlash, &mut Fed) {
        (&mut self.0.journal, &mut self.0.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut Fickle<W, E>, &mut Fed) {
        (&mut self.0.slots, &mut self.0.watchdog)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        self.0.retained
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        self.0.retained = *block;
    }

    fn fuses(&mut self) -> &mut MemoryFuses {
        &mut self.0.fuses
    }

    fn supply_millivolts(&mut self) -> Option<u16> {
        self.0.supply
    }

    fn free_stack(&mut self) -> Option<u32> {
        self.0.free_stack
    }

    fn now(&self) -> u64 {
        self.0.now
    }

    fn reset(&mut self) -> ! {
        self.0.resets += 1;
        panic!("reset");
    }
}

/// Gives `installation` the next part of `file` that it wants; `false` if it wants nothing.
///
/// # Errors
/// Why the part was refused.
pub fn give_one<P: Platform, const N: usize>(
    installation: &mut Installation<'_, '_, P, N>,
    file: &[u8],
) -> Result<bool, Refusal> {
    let Some(part) = installation.wants() else {
        return Ok(false);
    };
    let mut bytes = file[part.offset as usize..][..part.len as usize].to_vec();
    installation.write(&mut bytes).map(|()| true)
}

/// Begins, or goes on, gives at most `parts` parts of the image, and leaves it there.
///
/// # Errors
/// Why the image, or one of its parts, was refused.
pub fn give<P: Platform, const N: usize>(
    updater: &mut Updater<P, N>,
    image: &Built,
    parts: usize,
) -> Result<(), Refusal> {
    let mut installation = updater.begin(&image.header, Origin::Network)?;
    for _ in 0..parts {
        give_one(&mut installation, &image.file)?;
    }
    Ok(())
}

/// Installs and activates an image.
///
/// # Errors
/// Why it was refused.
///
/// # Panics
/// If the updater wants every part several times.
pub fn install<P: Platform, const N: usize>(
    updater: &mut Updater<P, N>,
    image: &Built,
) -> Result<(), Refusal> {
    let mut installation = updater.begin(&image.header, Origin::Network)?;
    let parts = image.pages.len() + image.manifest.chunks() as usize;
    let mut given = 0;
    while give_one(&mut installation, &image.file)? {
        given += 1;
        assert!(given <= 3 * parts, "the installation walks in circles");
    }
    installation.finish()?.activate()
}
