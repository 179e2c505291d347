//! A board that keeps the contract comes to the end; one that breaks it is caught at the step that it breaks.

mod model;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use bistable_bootloader::Board;
use bistable_conformance::board::{Learnt, Then};
use bistable_conformance::{Check, board, platform};
use bistable_core::digest::Digest;
use bistable_core::fuses::{Fuses, NotRaised};
use bistable_core::handover::{HANDOVER_LEN, Handover};
use bistable_core::layout::{JournalLayout, Layout, Slot, SlotLayout};
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::watchdog::Watchdog;
use bistable_updater::Platform;
use model::{Model, Second};

type Flash = Model<1, 4, 1024>;

const LAYOUT: Layout = Layout {
    digest: Digest([0; 32]),
    vendor_id: [0; 16],
    class_id: [0; 16],
    journal: JournalLayout {
        offset: 0,
        sector_size: 1024,
        sectors: 3,
    },
    slots: [slot(0), slot(8 * 1024)],
    slot_size: 8 * 1024,
    payload_offset: 1024,
    chunk_size: 1024,
    factory_floor: 0,
};

const fn slot(offset: u32) -> SlotLayout {
    SlotLayout { offset, address: 0 }
}

const SCRATCH: std::ops::Range<u32> = 0x1000..0x2000;

/// What a board does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Nothing,
    NeverBites,
    StopsWhenItHangs,
    BitesWhoFeeds,
    ResetsInTheFirstBoot,
    LosesAByteOfTheHandoverAtReset,
    LosesTheHandoverAtTheWatchdog,
    StoresAByteTooFew,
    KeepsThePowerOnFlag,
    TellsTheThirdResetAsBrownOut,
    TellsTheWatchdogAsPin,
    TellsPowerAsWatchdog,
    ReadsAnotherFloorEachTime,
    HasAShortSlot,
}

/// What lives longer than a boot.
struct World {
    fault: Fault,
    knows_reasons: bool,
    /// Milliseconds without food after which the watchdog bites.
    period: u64,
    time: u64,
    fed_at: Option<u64>,
    booted_at: u64,
    chip: ResetReason,
    resets: u32,
    ram: [u8; HANDOVER_LEN],
    floor: u32,
}

const PERIOD: u64 = 2_000;

struct Bite;

impl World {
    /// A millisecond goes by.
    fn tick(&mut self) -> u64 {
        self.time += 1;
        let starved = self.fed_at.is_some_and(|at| self.time - at > self.period);
        let age = self.time - self.booted_at;
        let bites = match self.fault {
            Fault::NeverBites => false,
            Fault::BitesWhoFeeds => starved || age > self.period + 100,
            Fault::ResetsInTheFirstBoot => starved || (self.resets == 0 && age > 50),
            _ => starved,
        };
        if bites {
            resume_unwind(Box::new(Bite));
        }
        self.time
    }

    fn reset(&mut self, reason: ResetReason) {
        self.resets += 1;
        self.booted_at = self.time;
        self.fed_at = None;
        self.chip = reason;
        let watchdog = reason == ResetReason::Watchdog;
        if watchdog && !self.knows_reasons {
            Handover::note_watchdog(&mut self.ram, 0x1234);
        }
        match self.fault {
            Fault::LosesAByteOfTheHandoverAtReset => self.ram[100] ^= 0xFF,
            Fault::LosesTheHandoverAtTheWatchdog if watchdog => self.ram = [0; HANDOVER_LEN],
            Fault::KeepsThePowerOnFlag => self.chip = ResetReason::PowerOn,
            Fault::TellsTheThirdResetAsBrownOut if self.resets == 3 => {
                self.chip = ResetReason::BrownOut;
            }
            Fault::TellsTheWatchdogAsPin if watchdog => self.chip = ResetReason::Pin,
            Fault::TellsPowerAsWatchdog if reason.is_loss_of_power() => {
                self.chip = ResetReason::Watchdog;
            }
            _ => {}
        }
        if reason.is_loss_of_power() {
            self.ram = [0xA5; HANDOVER_LEN];
        }
    }
}

#[derive(Clone)]
struct Mock {
    world: Rc<RefCell<World>>,
    journal: Flash,
    slots: Flash,
    watchdog: Dog,
}

#[derive(Clone)]
struct Dog(Rc<RefCell<World>>);

impl Watchdog for Dog {
    fn feed(&mut self) {
        let mut world = self.0.borrow_mut();
        world.fed_at = Some(world.time);
    }
}

impl Mock {
    fn new(fault: Fault, knows_reasons: bool) -> Self {
        let world = Rc::new(RefCell::new(World {
            fault,
            knows_reasons,
            period: PERIOD,
            time: 0,
            fed_at: None,
            booted_at: 0,
            chip: ResetReason::PowerOn,
            resets: 0,
            ram: [0; HANDOVER_LEN],
            floor: 3,
        }));
        let sectors = match fault {
            Fault::HasAShortSlot => 12,
            _ => 16,
        };
        Self {
            watchdog: Dog(world.clone()),
            world,
            journal: Model::new(16, Second::Refused),
            slots: Model::new(sectors, Second::Refused),
        }
    }

    /// Does what it is told, until the end, a breach, or a hang for ever (`None`).
    fn run(&mut self, has_clock: bool) -> Option<Result<Vec<Learnt>, Check>> {
        let mut learnt = Vec::new();
        for _ in 0..20 {
            let world = self.world.clone();
            let mut clock = move || world.borrow_mut().tick();
            let step = catch_unwind(AssertUnwindSafe(|| {
                let clock = has_clock.then_some(&mut clock as &mut dyn FnMut() -> u64);
                board(self, &LAYOUT, SCRATCH, clock)
            }));
            let reset = |reason| self.world.borrow_mut().reset(reason);
            let step = match step {
                Err(bite) if bite.is::<Bite>() => {
                    reset(ResetReason::Watchdog);
                    continue;
                }
                Err(panic) => resume_unwind(panic),
                Ok(Err(breach)) => return Some(Err(breach.check)),
                Ok(Ok(step)) => step,
            };
            learnt.push(step.learnt);
            match step.then {
                Then::Reset => reset(ResetReason::Software),
                Then::Hang if self.world.borrow().fault == Fault::StopsWhenItHangs => return None,
                Then::Hang => reset(ResetReason::Watchdog),
                Then::AwaitPowerCut => reset(ResetReason::PowerOn),
                Then::Nothing => return Some(Ok(learnt)),
            }
        }
        panic!("it does not end: {learnt:?}");
    }
}

impl Board for Mock {
    type JournalFlash = Flash;
    type SlotFlash = Flash;
    type Watchdog = Dog;

    fn journal_flash(&mut self) -> (&mut Flash, &mut Dog) {
        (&mut self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut Flash, &mut Dog) {
        (&mut self.slots, &mut self.watchdog)
    }

    fn reset_reason(&mut self) -> Option<ResetReason> {
        let world = self.world.borrow();
        world.knows_reasons.then_some(world.chip)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        self.world.borrow().ram
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        let mut world = self.world.borrow_mut();
        let length = match world.fault {
            Fault::StoresAByteTooFew => HANDOVER_LEN - 1,
            _ => HANDOVER_LEN,
        };
        world.ram[..length].copy_from_slice(&block[..length]);
    }

    fn fused_floor(&mut self) -> u32 {
        let mut world = self.world.borrow_mut();
        if world.fault == Fault::ReadsAnotherFloorEachTime {
            world.floor += 1;
        }
        world.floor
    }

    fn recover(&mut self) {}

    fn jump(self, _: Verified, _: bool) -> ! {
        panic!("nothing is verified here")
    }
}

#[test]
fn a_board_that_keeps_the_contract_comes_to_the_end_and_can_begin_again() {
    for (knows_reasons, has_clock) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut mock = Mock::new(Fault::Nothing, knows_reasons);
        for _ in 0..2 {
            let learnt = mock.run(has_clock).unwrap().unwrap();
            let floor = match learnt[0] {
                Learnt::Tried { fused_floor, .. } => fused_floor,
                other => panic!("{other:?}"),
            };
            assert_eq!((floor, learnt[1]), (3, Learnt::HandoverSurvives));
            assert_eq!(learnt[2], Learnt::Told(ResetReason::Software));
            let watchdog = |learnt: &&Learnt| matches!(learnt, Learnt::Watchdog { .. });
            // In steps of an eighth of a second, and the last one was not over.
            let after_ms = has_clock.then_some(PERIOD as u32 - 125);
            let told = ResetReason::Watchdog;
            assert_eq!(
                learnt.iter().find(watchdog),
                Some(&Learnt::Watchdog { told, after_ms })
            );
            assert_eq!(learnt.last(), Some(&Learnt::Told(ResetReason::PowerOn)));
        }
    }
}

#[test]
fn a_watchdog_that_waits_long_is_fed_for_longer_than_it_waits() {
    // In 1 KiB there is room for 32 marks.
    for period in [1_000, 3_900, 4_100, 20_000, 59_000] {
        let with = |fault| {
            let mut mock = Mock::new(fault, true);
            mock.world.borrow_mut().period = period;
            mock.run(true).unwrap()
        };
        let learnt = with(Fault::Nothing).unwrap();
        let after = learnt.iter().find_map(|learnt| match learnt {
            Learnt::Watchdog { after_ms, .. } => *after_ms,
            _ => None,
        });
        let after = u64::from(after.unwrap());
        let coarse = 125.max(after / 4);
        assert!(
            (after..=after + coarse).contains(&period),
            "{period}: {after}"
        );
        assert_eq!(
            with(Fault::BitesWhoFeeds),
            Err(Check::WatchdogWaits),
            "{period}"
        );
    }
}

#[test]
fn every_broken_board_is_caught_by_the_check_that_it_breaks() {
    let caught = |fault| Mock::new(fault, true).run(true).unwrap().unwrap_err();
    for (fault, check) in [
        (Fault::NeverBites, Check::WatchdogBites),
        (Fault::BitesWhoFeeds, Check::WatchdogWaits),
        (Fault::ResetsInTheFirstBoot, Check::NoOtherReset),
        (
            Fault::LosesAByteOfTheHandoverAtReset,
            Check::HandoverSoftware,
        ),
        (
            Fault::LosesTheHandoverAtTheWatchdog,
            Check::HandoverWatchdog,
        ),
        (Fault::StoresAByteTooFew, Check::Handover),
        (Fault::KeepsThePowerOnFlag, Check::ReasonSoftware),
        (Fault::TellsTheThirdResetAsBrownOut, Check::ReasonCrash),
        (Fault::TellsTheWatchdogAsPin, Check::ReasonWatchdog),
        (Fault::TellsPowerAsWatchdog, Check::ReasonPower),
        (Fault::ReadsAnotherFloorEachTime, Check::Fuses),
        (Fault::HasAShortSlot, Check::SlotFlash),
    ] {
        assert_eq!(caught(fault), check, "{fault:?}");
    }
}

#[test]
fn a_watchdog_that_stops_when_the_board_hangs_is_waited_for_by_whoever_called() {
    assert_eq!(Mock::new(Fault::StopsWhenItHangs, true).run(true), None);
}

#[test]
fn after_a_breach_everything_begins_again() {
    let mut mock = Mock::new(Fault::TellsTheWatchdogAsPin, true);
    for _ in 0..2 {
        assert_eq!(mock.run(true), Some(Err(Check::ReasonWatchdog)));
    }
    mock.world.borrow_mut().fault = Fault::Nothing;
    mock.run(true).unwrap().unwrap();
}

#[test]
fn the_first_breach_is_the_one_that_is_told_even_if_it_cannot_be_recorded() {
    let mut mock = Mock::new(Fault::Nothing, true);
    mock.journal.dead = true;
    assert_eq!(mock.run(true), Some(Err(Check::Erase)));
}

/// A platform with a clock of its own.
struct Hardware {
    mock: Mock,
    clock: RefCell<Box<dyn FnMut() -> u64>>,
    fuses: Floor,
}

struct Floor {
    held: u32,
    creeps: bool,
}

impl Fuses for Floor {
    fn floor(&mut self) -> u32 {
        self.held
    }

    fn raise(&mut self, floor: u32) -> Result<(), NotRaised> {
        self.held = floor + u32::from(self.creeps);
        Ok(())
    }
}

impl Platform for Hardware {
    type JournalFlash = Flash;
    type SlotFlash = Flash;
    type Watchdog = Dog;
    type Fuses = Floor;

    fn journal_flash(&mut self) -> (&mut Flash, &mut Dog) {
        self.mock.journal_flash()
    }

    fn slot_flash(&mut self, slot: Slot) -> (&mut Flash, &mut Dog) {
        self.mock.slot_flash(slot)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        self.mock.load_handover()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        self.mock.store_handover(block);
    }

    fn fuses(&mut self) -> &mut Floor {
        &mut self.fuses
    }

    fn now(&self) -> u64 {
        (self.clock.borrow_mut())()
    }

    fn reset(&mut self) -> ! {
        panic!("nobody asked for it")
    }
}

fn hardware(clock: impl FnMut() -> u64 + 'static, creeps: bool, fault: Fault) -> Hardware {
    Hardware {
        mock: Mock::new(fault, true),
        clock: RefCell::new(Box::new(clock)),
        fuses: Floor { held: 5, creeps },
    }
}

/// Steps of half a millisecond.
fn sound() -> impl FnMut() -> u64 {
    let mut steps = 0;
    move || {
        steps += 1;
        steps / 2
    }
}

#[test]
fn a_platform_that_keeps_the_contract_passes_and_has_the_handover_that_it_had() {
    let mut hardware = hardware(sound(), false, Fault::Nothing);
    hardware.mock.world.borrow_mut().ram = [0x42; HANDOVER_LEN];
    let facts = platform(&mut hardware, 0x800..0x1000, 0x2000..0x2800).unwrap();
    assert_eq!((facts.fused_floor, facts.slots.erase_size), (5, 1024));
    assert_eq!(hardware.load_handover(), [0x42; HANDOVER_LEN]);
}

#[test]
fn every_broken_platform_is_caught_by_the_check_that_it_breaks() {
    let mut wraps = sound();
    let wraps = move || wraps() % 8;
    let mut leaps = sound();
    let leaps = move || leaps() * 100_000;
    for (mut hardware, check) in [
        (hardware(wraps, false, Fault::Nothing), Check::Clock),
        (hardware(leaps, false, Fault::Nothing), Check::Clock),
        (hardware(sound(), true, Fault::Nothing), Check::Fuses),
        (
            hardware(sound(), false, Fault::StoresAByteTooFew),
            Check::Handover,
        ),
    ] {
        let found = platform(&mut hardware, 0x800..0x1000, 0x2000..0x2800);
        assert_eq!(found.map_err(|breach| breach.check), Err(check));
    }
}
