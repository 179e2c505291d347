//! The same update with Bistable's own bootloader and updater.

use bistable_bootloader::{Board, Product as Boot, Ready, prepare};
use bistable_core::fuses::NoFuses;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::journal::Journal;
use bistable_core::layout::{JournalLayout, Layout, Slot};
use bistable_core::manifest::Fields;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Origin, Snapshot};
use bistable_core::verify::Verified;
use bistable_tests::board::Fed;
use bistable_tests::device::{CHECKS, PAGE as PAGE_BUFFER, application, install, layout_with};
use bistable_tests::fixtures::{fields, image_of, product, program_for};
use bistable_tests::images::Built;
use bistable_updater::{Platform, Updater};

use crate::life::PAGE;
use crate::operations::{Chip, Cost, Costs, IMAGE, SLOT};

/// Bootloader and application, one after the other.
#[derive(Clone)]
struct Machine {
    layout: &'static Layout,
    journal: Chip,
    slots: Chip,
    watchdog: Fed,
    fuses: NoFuses,
    retained: [u8; HANDOVER_LEN],
    reset: ResetReason,
}

/// What the updater holds of it.
struct Running<'m>(&'m mut Machine);

/// What an update costs.
pub(crate) fn costs(of: &str) -> Costs {
    let layout: &'static Layout = Box::leak(Box::new(Layout {
        journal: JournalLayout {
            offset: 0,
            sector_size: PAGE,
            sectors: 3,
        },
        ..layout_with(PAGE, SLOT)
    }));
    let [old, new] = [1, 2].map(|sequence| image(layout, sequence));

    let mut machine = Machine::from_the_factory(layout, &old);
    let started = machine.boot(ResetReason::PowerOn);
    assert_eq!(started.image.slot(), Slot::A);
    let before = machine.clone();
    machine.with_updater(Slot::A, |updater| {
        install(updater, &new).expect("an update")
    });
    let started = machine.boot(ResetReason::Software);
    assert_eq!(started.image.slot(), Slot::B, "the new image is tried");
    let on_trial = machine.clone();
    machine.with_updater(Slot::B, |updater| {
        for check in &CHECKS {
            updater.check(check.name, true);
        }
        updater.confirm().expect("it is confirmed");
    });
    let update = machine.cost_since(&before);
    let started = machine.boot(ResetReason::PowerOn);
    assert_eq!(started.image.slot(), Slot::B, "the new image stays");

    let mut machine = on_trial.clone();
    let started = machine.boot(ResetReason::Watchdog);
    assert_eq!(started.image.slot(), Slot::A, "the old image runs");
    Costs {
        of: of.to_owned(),
        update,
        revert: machine.cost_since(&on_trial),
    }
}

/// An image that is tried once, as embassy-boot tries it.
fn image(layout: &Layout, sequence: u32) -> Built {
    let fields = Fields {
        chunk_size: layout.chunk_size,
        trial_attempts: 1,
        ..fields(sequence)
    };
    Built::new(fields, program_for(layout, sequence.into(), IMAGE), &[0])
}

impl Machine {
    fn from_the_factory(layout: &'static Layout, image: &Built) -> Self {
        let mut machine = Self {
            layout,
            journal: Chip::new(layout.journal.sectors.into()),
            slots: Chip::new((2 * SLOT / PAGE) as usize),
            watchdog: Fed::default(),
            fuses: NoFuses,
            retained: [0; HANDOVER_LEN],
            reset: ResetReason::PowerOn,
        };
        machine.slots.put(0, &image.header);
        machine
            .slots
            .put(layout.payload_offset as usize, &image.payload[0]);
        let confirmed = image_of(&image.manifest, Origin::Factory);
        let factory = Snapshot::with_confirmed(Slot::A, confirmed, layout.factory_floor);
        Journal::new(layout.journal, layout.digest)
            .format(&mut machine.journal, &mut machine.watchdog, &factory)
            .expect("a journal that can be formatted");
        machine
    }

    fn boot(&mut self, reset: ResetReason) -> Ready {
        self.reset = reset;
        let product = Boot {
            layout: self.layout,
            ..product()
        };
        prepare(self, &product).expect("an image boots")
    }

    fn with_updater(
        &mut self,
        running: Slot,
        task: impl FnOnce(&mut Updater<Running<'_>, PAGE_BUFFER>),
    ) {
        let product = application(self.layout);
        let address = self.layout.payload_address(running) + 100;
        let updater = Updater::start(Running(self), product, address);
        let mut updater = updater.unwrap_or_else(|refusal| panic!("no updater: {refusal:?}"));
        task(&mut updater);
    }

    fn cost_since(&self, before: &Self) -> Cost {
        let journal = Cost::between(&before.journal.counts, &self.journal.counts);
        journal.and(Cost::between(&before.slots.counts, &self.slots.counts))
    }
}

impl Board for Machine {
    type JournalFlash = Chip;
    type SlotFlash = Chip;
    type Watchdog = Fed;

    fn journal_flash(&mut self) -> (&mut Chip, &mut Fed) {
        (&mut self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut Chip, &mut Fed) {
        (&mut self.slots, &mut self.watchdog)
    }

    fn reset_reason(&mut self) -> Option<ResetReason> {
        Some(self.reset)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        self.retained
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        self.retained = *block;
    }

    fn recover(&mut self) {}

    fn jump(self, _: Verified, _: bool) -> ! {
        panic!("what would be jumped to is only looked at");
    }
}

impl Platform for Running<'_> {
    type JournalFlash = Chip;
    type SlotFlash = Chip;
    type Watchdog = Fed;
    type Fuses = NoFuses;

    fn journal_flash(&mut self) -> (&mut Chip, &mut Fed) {
        (&mut self.0.journal, &mut self.0.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut Chip, &mut Fed) {
        (&mut self.0.slots, &mut self.0.watchdog)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        self.0.retained
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        self.0.retained = *block;
    }

    fn fuses(&mut self) -> &mut NoFuses {
        &mut self.0.fuses
    }

    fn now(&self) -> u64 {
        0
    }

    fn reset(&mut self) -> ! {
        panic!("nobody asks for a reset here");
    }
}
