//! A device whose slots may lie in different flashes, of other sectors than the journal's: all of it, bootloader and
//! application, on one supply that can be cut at any operation of any of its flashes.
//!
//! ```text
//!   journal  │ J
//!   slot A   │ Either::First(Part<Shared<A>>)           one sector behind the start of its flash
//!   slot B   │ Either::Second(Part<Words<Shared<B>>>)   at the start of its flash, which is read in words, as QSPI is
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bistable_bootloader::{Board, Product, Ready, prepare};
use bistable_core::fuses::NoFuses;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::journal::{Journal, Opened};
use bistable_core::layout::{JournalLayout, Layout, Slot, SlotLayout};
use bistable_core::refusal::Refusal;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Origin, SlotState, Snapshot};
use bistable_core::verify::Verified;
use bistable_port::flash::{Either, Part, Shared};
use bistable_updater::health::Verdict;
use bistable_updater::{Platform, Updater};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use bistable_tests::board::Fed;
use bistable_tests::device::{Cut, Fickle, PAGE, application, install};
use bistable_tests::fixtures::{image_of, layout, product};
use bistable_tests::flash::{Error, Extent};
use bistable_tests::images::Built;

/// Sectors of the journal.
const JOURNAL_SECTORS: u8 = 2;

/// Sectors, of the larger size, of a slot.
const SLOT_SECTORS: u32 = 3;

/// What feeds all flashes of a device.
#[derive(Debug, Default)]
pub(crate) struct Supply {
    /// Operations so far: erased sectors and program calls.
    operations: Cell<u64>,
    /// The operation at which it is cut, and how.
    cut: Cell<Option<(u64, Cut)>>,
    is_off: Cell<bool>,
}

/// A flash in memory, of which a device is made.
pub(crate) trait Medium: NorFlash {
    /// Erased, `size` bytes, fed by `supply`; where `is_fickle`, what a cut erase held may come back.
    fn new(size: u32, supply: &Rc<Supply>, is_fickle: bool) -> Self;
    /// Decides what is torn reads as.
    fn seed(&mut self, seed: u64);
    /// Brings the power back.
    fn power_on(&mut self);
    /// Makes it read as these bytes at `offset`.
    fn put(&mut self, offset: usize, bytes: &[u8]);
    /// What all of it reads as.
    fn bytes(&self) -> &[u8];
    /// How often each sector was erased.
    fn erases(&self) -> &[u64];
}

/// A flash on a supply that others share.
#[derive(Debug)]
pub(crate) struct Chip<const W: usize, const E: usize> {
    flash: Fickle<W, E>,
    supply: Rc<Supply>,
    is_fickle: bool,
}

impl<const W: usize, const E: usize> Medium for Chip<W, E> {
    fn new(size: u32, supply: &Rc<Supply>, is_fickle: bool) -> Self {
        Self {
            flash: Fickle::new(size as usize / E),
            supply: Rc::clone(supply),
            is_fickle,
        }
    }

    fn seed(&mut self, seed: u64) {
        self.flash.seed(seed);
    }

    fn power_on(&mut self) {
        self.flash.power_on();
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.flash.flash.put(offset, bytes);
    }

    fn bytes(&self) -> &[u8] {
        self.flash.flash.bytes()
    }

    fn erases(&self) -> &[u64] {
        &self.flash.flash.counts.erases
    }
}

impl<const W: usize, const E: usize> Chip<W, E> {
    /// One operation, which the supply may not survive.
    fn operate(
        &mut self,
        operation: impl FnOnce(&mut Fickle<W, E>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let supply = &self.supply;
        if supply.is_off.get() {
            return Err(Error::Cut);
        }
        let number = supply.operations.get();
        supply.operations.set(number + 1);
        if let Some((at, cut)) = supply.cut.get()
            && at == number
        {
            let cut = match cut {
                Cut::Fickle if !self.is_fickle => Cut::Plain(Extent::Seeded(2)),
                cut => cut,
            };
            supply.cut.set(None);
            self.flash.cut(0, cut);
        }
        let outcome = operation(&mut self.flash);
        if !self.flash.flash.has_power() {
            supply.is_off.set(true);
        }
        outcome
    }
}

impl<const W: usize, const E: usize> ErrorType for Chip<W, E> {
    type Error = Error;
}

impl<const W: usize, const E: usize> ReadNorFlash for Chip<W, E> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        match self.supply.is_off.get() {
            true => Err(Error::Cut),
            false => self.flash.read(offset, bytes),
        }
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<const W: usize, const E: usize> NorFlash for Chip<W, E> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = E;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        (from..to)
            .step_by(E)
            .try_for_each(|at| self.operate(|flash| flash.erase(at, at + E as u32)))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.operate(|flash| flash.write(offset, bytes))
    }
}

/// A flash that is read in words of four bytes.
#[derive(Debug)]
pub(crate) struct Words<F>(F);

impl<F: ErrorType> ErrorType for Words<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for Words<F> {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        assert!(offset.is_multiple_of(4) && bytes.len().is_multiple_of(4));
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> NorFlash for Words<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.0.write(offset, bytes)
    }
}

type InA<'f, A> = Part<Shared<'f, A>>;

type InB<'f, B> = Part<Words<Shared<'f, B>>>;

/// A device with its journal, slot A and slot B in flashes of these kinds.
#[derive(Debug)]
pub(crate) struct Mixed<J, A, B> {
    journal: J,
    a: RefCell<A>,
    b: RefCell<B>,
    supply: Rc<Supply>,
    retained: [u8; HANDOVER_LEN],
    layout: &'static Layout,
}

/// How a boot went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Boot {
    /// The power was cut.
    Cut,
    /// There is more to do.
    GoesOn,
    /// The last image runs, confirmed.
    Done,
}

impl<J: Medium, A: Medium, B: Medium> Mixed<J, A, B> {
    /// A layout for such a device, with chunks of 4 KiB: slot A one sector behind the start of a flash at 0x0802_0000,
    /// slot B at the start of one at 0x9000_0000.
    #[must_use]
    pub(crate) fn layout() -> &'static Layout {
        let sector = A::ERASE_SIZE.max(B::ERASE_SIZE) as u32;
        let slot = |address, offset| SlotLayout {
            offset,
            address: address + offset,
        };
        Box::leak(Box::new(Layout {
            journal: JournalLayout {
                offset: 0,
                sector_size: J::ERASE_SIZE.max(2048) as u32,
                sectors: JOURNAL_SECTORS,
            },
            slots: [slot(0x0802_0000, sector), slot(0x9000_0000, 0)],
            slot_size: SLOT_SECTORS * sector,
            payload_offset: 4096,
            chunk_size: 4096,
            ..layout()
        }))
    }

    /// A device in whose slot A `image` runs, confirmed, from the factory.
    ///
    /// # Panics
    /// If its journal cannot be formatted.
    #[must_use]
    pub(crate) fn new(layout: &'static Layout, image: &Built) -> Self {
        let supply = Rc::new(Supply::default());
        let size = layout.journal.sector_size * u32::from(JOURNAL_SECTORS);
        let mut journal = J::new(size, &supply, false);
        let [in_a, in_b] = layout.slots.map(|slot| slot.offset + layout.slot_size);
        let (mut a, b) = (A::new(in_a, &supply, true), B::new(in_b, &supply, true));
        let start = layout.slots[0].offset as usize;
        a.put(start, &image.header);
        a.put(start + layout.payload_offset as usize, &image.payload[0]);
        let confirmed = image_of(&image.manifest, Origin::Factory);
        let factory = Snapshot::with_confirmed(Slot::A, confirmed, layout.factory_floor);
        let formatted = Journal::new(layout.journal, layout.digest).format(
            &mut journal,
            &mut Fed::default(),
            &factory,
        );
        formatted.expect("a journal that can be formatted");
        supply.operations.set(0);
        Self {
            journal,
            a: RefCell::new(a),
            b: RefCell::new(b),
            supply,
            retained: [0; HANDOVER_LEN],
            layout,
        }
    }

    /// Decides what is torn reads as.
    pub(crate) fn seed(&mut self, seed: u64) {
        self.journal.seed(seed);
        self.a.get_mut().seed(seed);
        self.b.get_mut().seed(seed);
    }

    /// Plans that the power is cut at the operation with this number, from the start of the device's life.
    pub(crate) fn cut(&self, operation: u64, cut: Cut) {
        self.supply.cut.set(Some((operation, cut)));
    }

    /// Operations so far, of all flashes.
    #[must_use]
    pub(crate) fn operations(&self) -> u64 {
        self.supply.operations.get()
    }

    /// How often each sector of `slot`'s flash was erased.
    #[must_use]
    pub(crate) fn erases(&self, slot: Slot) -> Vec<u64> {
        match slot {
            Slot::A => self.a.borrow().erases().to_vec(),
            Slot::B => self.b.borrow().erases().to_vec(),
        }
    }

    /// Switches it on again and again until the last of `images` runs, confirmed: the first is the factory's, each
    /// installs the next, and each passes its checks. `after` is called after each cut, with how many there were so far, and may plan
    /// another one. Returns how many there were.
    ///
    /// # Panics
    /// If nothing boots, if a slot does not hold what the journal says, or if it takes no end.
    pub(crate) fn lives(&mut self, images: &[Built], mut after: impl FnMut(&mut Self, u64)) -> u64 {
        let mut cuts = 0;
        for _ in 0..16 {
            match self.boot(images) {
                Boot::Done => return cuts,
                Boot::GoesOn => {}
                Boot::Cut => {
                    cuts += 1;
                    after(self, cuts);
                }
            }
        }
        panic!("sixteen boots, and the last image is not confirmed");
    }

    /// The power comes, the bootloader runs, and the application of what it starts, until it is done or the power goes.
    fn boot(&mut self, images: &[Built]) -> Boot {
        self.supply.is_off.set(false);
        self.journal.power_on();
        self.a.get_mut().power_on();
        self.b.get_mut().power_on();
        self.retained = [0xA5; HANDOVER_LEN];
        let layout = self.layout;
        let facts = Product {
            layout,
            ..product()
        };
        let ready = prepare(&mut self.hardware(), &facts);
        if self.supply.is_off.get() {
            return Boot::Cut;
        }
        let ready = ready.expect("something boots");
        self.known_good_stays(images);
        let outcome = runs(self.hardware(), &ready, layout, images);
        match outcome {
            _ if self.supply.is_off.get() => Boot::Cut,
            Ok(true) => Boot::Done,
            Ok(false) | Err(Refusal::AlreadyWaiting) => Boot::GoesOn,
            Err(refusal) => panic!("refused as {refusal:?}, with the power on"),
        }
    }

    /// Each slot that the journal calls confirmed, or a trial, holds that image.
    fn known_good_stays(&mut self, images: &[Built]) {
        let mut journal = Journal::new(self.layout.journal, self.layout.digest);
        let opened = journal.open(&mut self.journal, &mut Fed::default());
        let Opened::Sound { snapshot, rewrites } = opened else {
            panic!("the journal is not sound: {opened:?}");
        };
        assert_eq!(rewrites, 0, "the bootloader has healed it");
        for slot in Slot::BOTH {
            if let SlotState::Confirmed(image) | SlotState::Trial(image, _) = snapshot.slot(slot) {
                let mut all = images.iter();
                let named = all.find(|it| it.manifest.digest() == image.digest);
                let named = named.expect("an image that was offered");
                assert!(self.holds(slot, named), "slot {slot:?} is not its image");
            }
        }
    }

    /// Whether `slot` holds this image, byte for byte.
    fn holds(&self, slot: Slot, image: &Built) -> bool {
        let start = slot.of(&self.layout.slots).offset as usize;
        let payload_offset = self.layout.payload_offset as usize;
        let holds = |bytes: &[u8]| {
            let payload = slot.of::<Vec<u8>>(&image.payload);
            bytes[start..].starts_with(&image.header)
                && bytes[start + payload_offset..].starts_with(payload)
        };
        match slot {
            Slot::A => holds(self.a.borrow().bytes()),
            Slot::B => holds(self.b.borrow().bytes()),
        }
    }

    fn hardware(&mut self) -> Hardware<'_, J, A, B> {
        Hardware {
            journal: &mut self.journal,
            slots: [
                Either::First(Part::whole(Shared::new(&self.a))),
                Either::Second(Part::whole(Words(Shared::new(&self.b)))),
            ],
            retained: &mut self.retained,
            watchdog: Fed::default(),
            fuses: NoFuses,
        }
    }
}

/// What an application does: passes its checks if it is on trial, and installs the image that comes next. Whether it is the
/// last one.
fn runs<P: Platform>(
    hardware: P,
    ready: &Ready,
    layout: &'static Layout,
    images: &[Built],
) -> Result<bool, Refusal> {
    let address = ready.image.address() + 100;
    let mut updater = Updater::<_, PAGE>::start(hardware, application(layout), address)?;
    for check in ["self-test", "update-source"] {
        updater.check(check, true);
    }
    assert_eq!(updater.judge()?, Verdict::Healthy);
    let digest = ready.image.digest();
    let mut later = images
        .iter()
        .skip_while(|it| it.manifest.digest() != digest);
    match later.nth(1) {
        None => Ok(true),
        Some(image) => install(&mut updater, image).map(|()| false),
    }
}

/// What the bootloader, and then the application, holds of a device.
struct Hardware<'f, J, A, B> {
    journal: &'f mut J,
    slots: [Either<InA<'f, A>, InB<'f, B>>; 2],
    retained: &'f mut [u8; HANDOVER_LEN],
    watchdog: Fed,
    fuses: NoFuses,
}

impl<'f, J: Medium, A: Medium, B: Medium> Board for Hardware<'f, J, A, B> {
    type JournalFlash = J;
    type SlotFlash = Either<InA<'f, A>, InB<'f, B>>;
    type Watchdog = Fed;

    fn journal_flash(&mut self) -> (&mut J, &mut Fed) {
        (self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, slot: Slot) -> (&mut Self::SlotFlash, &mut Fed) {
        (slot.of_mut(&mut self.slots), &mut self.watchdog)
    }

    fn reset_reason(&mut self) -> Option<ResetReason> {
        Some(ResetReason::PowerOn)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        *self.retained
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        *self.retained = *block;
    }

    fn recover(&mut self) {}

    fn jump(self, _: Verified, _: bool) -> ! {
        panic!("tests look at what would be jumped to");
    }
}

impl<'f, J: Medium, A: Medium, B: Medium> Platform for Hardware<'f, J, A, B> {
    type JournalFlash = J;
    type SlotFlash = Either<InA<'f, A>, InB<'f, B>>;
    type Watchdog = Fed;
    type Fuses = NoFuses;

    fn journal_flash(&mut self) -> (&mut J, &mut Fed) {
        (self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, slot: Slot) -> (&mut Self::SlotFlash, &mut Fed) {
        (slot.of_mut(&mut self.slots), &mut self.watchdog)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        *self.retained
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        *self.retained = *block;
    }

    fn fuses(&mut self) -> &mut NoFuses {
        &mut self.fuses
    }

    fn now(&self) -> u64 {
        0
    }

    fn reset(&mut self) -> ! {
        panic!("nothing here asks for a reset");
    }
}
