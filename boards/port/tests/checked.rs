//! Flash whose bad units are faults, as an STM32H7's: through `Checked` they are errors, and nothing else is.

mod hal;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use bistable_conformance::{Seen, flash};
use bistable_core::digest::Digest;
use bistable_core::journal::{COPIES, Journal, Opened};
use bistable_core::layout::{JournalLayout, Slot};
use bistable_core::snapshot::SNAPSHOT_LEN;
use bistable_core::state::{Image, Origin, Snapshot};
use bistable_core::watchdog::Watchdog;
use bistable_port::checked::{Checked, Error, Errors};
use bistable_port::flash::Part;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind};
use embedded_storage::nor_flash::{ReadNorFlash, check_read};
use hal::{Chip, Failed, Stm32};

const UNIT: u32 = 32;
const SECTOR: u32 = 4096;
const SECTORS: u32 = 5;

/// How the chip tells of a unit that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Tells {
    #[default]
    Both,
    Fault,
    Flag,
}

/// What an STM32H7's flash controller and processor do, as far as `Checked` has to do with it.
#[derive(Default)]
struct Controller {
    /// Units whose code does not fit.
    bad: BTreeSet<u32>,
    /// The first one that was read since the flag was cleared.
    flag: Option<u32>,
    tells: Tells,
    /// Faults of loads are held back.
    shielded: bool,
    faulted: bool,
    /// What the data cache holds: units as they were when they were read.
    cache: BTreeMap<u32, [u8; UNIT as usize]>,
}

impl Controller {
    fn notice(&mut self, unit: u32) {
        if self.bad.contains(&unit) && self.tells != Tells::Fault {
            self.flag.get_or_insert(unit);
        }
    }
}

type Shared = Rc<RefCell<Controller>>;

/// embassy-stm32's driver on that chip: reads are plain copies; a flag that is set is an error of whatever is done next,
/// for it clears none.
struct Driver {
    flash: Stm32<{ UNIT as usize }, { SECTOR as usize }>,
    controller: Shared,
}

impl ErrorType for Driver {
    type Error = Failed;
}

impl ReadNorFlash for Driver {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        check_read(self, offset, bytes.len()).map_err(|_| Failed::Size)?;
        let mut controller = self.controller.borrow_mut();
        for (at, byte) in (offset..).zip(bytes) {
            let unit = at - at % UNIT;
            controller.notice(unit);
            if controller.bad.contains(&unit) {
                assert!(controller.shielded, "a bus fault at {unit:#x}");
                controller.faulted = controller.tells != Tells::Flag;
                *byte = 0x5A;
                continue;
            }
            let mut line = [0; UNIT as usize];
            self.flash.read(unit, &mut line)?;
            let line = controller.cache.entry(unit).or_insert(line);
            *byte = line[(at - unit) as usize];
            // The processor is ahead, and what it finds there is no fault yet.
            controller.notice(unit + UNIT);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl Driver {
    fn begin(&self) -> Result<(), Failed> {
        match self.controller.borrow().flag {
            None => Ok(()),
            Some(_) => Err(Failed::Chip),
        }
    }
}

impl NorFlash for Driver {
    const WRITE_SIZE: usize = UNIT as usize;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        self.begin()?;
        self.flash.erase(from, to)?;
        let bad = &mut self.controller.borrow_mut().bad;
        bad.retain(|unit| !(from..to).contains(unit));
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        self.begin()?;
        self.flash.write(offset, bytes)
    }
}

struct Noticed(Shared);

impl Errors for Noticed {
    fn clear(&mut self) {
        self.0.borrow_mut().flag = None;
    }

    fn shielded<T>(&mut self, read: impl FnOnce() -> T) -> (T, bool) {
        {
            let mut controller = self.0.borrow_mut();
            assert!(!controller.shielded, "the shield is not taken twice");
            (controller.shielded, controller.faulted) = (true, false);
        }
        let value = read();
        let mut controller = self.0.borrow_mut();
        controller.shielded = false;
        (value, controller.faulted)
    }

    fn flagged(&mut self, offset: u32) -> bool {
        self.0.borrow().flag == Some(offset)
    }

    fn changed(&mut self, range: Range<u32>) {
        let cache = &mut self.0.borrow_mut().cache;
        cache.retain(|unit, _| !range.contains(unit));
    }
}

/// A chip, whose sectors hold something, and its controller.
fn chip() -> (Checked<Driver, Noticed>, Shared) {
    let controller = Shared::default();
    let flash = Stm32 {
        chip: Chip::new(&[SECTOR as usize; SECTORS as usize]),
        base: 0,
        size: SECTORS * SECTOR,
    };
    let driver = Driver {
        flash,
        controller: controller.clone(),
    };
    (
        Checked::new(driver, Noticed(controller.clone())),
        controller,
    )
}

struct Unwatched;

impl Watchdog for Unwatched {
    fn feed(&mut self) {}
}

#[test]
fn exactly_the_reads_that_touch_a_bad_unit_fail_however_the_chip_tells() {
    for tells in [Tells::Both, Tells::Fault, Tells::Flag] {
        check_reads(tells);
    }
}

fn check_reads(tells: Tells) {
    let (mut flash, controller) = chip();
    controller.borrow_mut().tells = tells;
    let mut whole = [0; 128];
    flash.read(0, &mut whole).unwrap();
    // Side by side with good ones, and with each other.
    let bad = [1, 2];
    controller.borrow_mut().bad = bad.map(|unit| unit * UNIT).into();
    for from in 0..128 {
        for to in from..=128 {
            let mut bytes = vec![0xEE; to - from];
            let touched = (from..to).any(|at| bad.contains(&(at as u32 / UNIT)));
            match flash.read(from as u32, &mut bytes) {
                Ok(()) => {
                    assert!(!touched, "{from}..{to}");
                    assert_eq!(bytes, whole[from..to]);
                }
                Err(error) => {
                    assert!(touched, "{from}..{to}");
                    assert_eq!(error, Error::Unreadable);
                    assert_eq!(error.kind(), NorFlashErrorKind::Other);
                }
            }
        }
    }
}

#[test]
fn a_bad_unit_that_was_read_fails_no_operation_after_it_and_is_good_once_it_is_erased() {
    let (mut flash, controller) = chip();
    let mut unit = [0; UNIT as usize];
    controller.borrow_mut().bad.insert(SECTOR);
    assert_eq!(flash.read(SECTOR, &mut unit), Err(Error::Unreadable));
    flash.erase(0, SECTOR).unwrap();
    flash.read(0, &mut unit).unwrap();
    assert_eq!(flash.read(SECTOR, &mut unit), Err(Error::Unreadable));
    flash.write(0, &[0x11; UNIT as usize]).unwrap();
    flash.erase(SECTOR, 2 * SECTOR).unwrap();
    flash.read(SECTOR, &mut unit).unwrap();
    assert_eq!(unit, [0xFF; UNIT as usize]);
}

#[test]
fn what_was_erased_or_written_is_read_and_not_what_a_cache_held() {
    let (mut flash, _) = chip();
    let mut bytes = [0; 2 * UNIT as usize];
    flash.read(0, &mut bytes).unwrap();
    assert_ne!(bytes, [0xFF; 64]);
    flash.erase(0, SECTOR).unwrap();
    flash.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0xFF; 64]);
    flash.write(0, &[0x77; 64]).unwrap();
    flash.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0x77; 64]);
    // A write that fails may have written.
    assert_eq!(flash.write(0, &[0; 64]), Err(Error::Flash(Failed::Chip)));
    flash.read(0, &mut bytes).unwrap();
}

#[test]
fn the_conformance_suite_passes_and_a_bad_unit_is_a_breach_and_no_fault() {
    let (checked, controller) = chip();
    let mut part = Part::whole(checked);
    let mut run = || flash(&mut part, SECTOR..3 * SECTOR, &mut Unwatched);
    match run() {
        Ok(facts) => assert_eq!((facts.read_size, facts.write_size), (1, UNIT)),
        Err(breach) => panic!("{breach}"),
    }
    controller.borrow_mut().bad.insert(4 * SECTOR + UNIT);
    let breach = run().unwrap_err();
    assert_eq!(breach.found, Seen::Error(NorFlashErrorKind::Other));
}

fn state(number: u32) -> Snapshot {
    let image = Image {
        digest: Digest::of(b"image"),
        sequence: 1,
        origin: Origin::Network,
    };
    Snapshot::with_confirmed(Slot::A, image, number)
}

#[test]
fn a_journal_opens_and_heals_whichever_of_its_units_cannot_be_read() {
    let place = JournalLayout {
        offset: SECTOR,
        sector_size: SECTOR,
        sectors: 2,
    };
    let copies = u32::from(COPIES) * SNAPSHOT_LEN as u32;
    for sector in 1..3 {
        for unit in (0..copies).step_by(UNIT as usize) {
            let (mut flash, controller) = chip();
            let mut journal = Journal::new(place, Digest::of(b"layout"));
            let format = journal.format(&mut flash, &mut Unwatched, &state(1));
            format.unwrap();
            journal
                .write(&mut flash, &mut Unwatched, &state(2))
                .unwrap();
            controller.borrow_mut().bad.insert(sector * SECTOR + unit);
            let Opened::Sound { snapshot, rewrites } = journal.open(&mut flash, &mut Unwatched)
            else {
                panic!("sector {sector}, unit {unit}");
            };
            assert_eq!(snapshot, state(2));
            assert!(rewrites > 0);
            assert!(controller.borrow().bad.is_empty());
        }
    }
}

#[test]
fn a_cut_that_left_a_whole_sector_unreadable_costs_that_sector_only() {
    let place = JournalLayout {
        offset: 0,
        sector_size: SECTOR,
        sectors: 3,
    };
    let (mut flash, controller) = chip();
    let mut journal = Journal::new(place, Digest::of(b"layout"));
    let format = journal.format(&mut flash, &mut Unwatched, &state(1));
    format.unwrap();
    for number in 2..=4 {
        let write = journal.write(&mut flash, &mut Unwatched, &state(number));
        write.unwrap();
    }
    let newest = journal
        .inspect(&mut flash)
        .position(|sector| sector.current)
        .unwrap() as u32;
    // The erase of the oldest one was cut.
    let oldest = (newest + 1) % 3 * SECTOR;
    let units = (oldest..oldest + SECTOR).step_by(UNIT as usize);
    controller.borrow_mut().bad.extend(units);
    let opened = journal.open(&mut flash, &mut Unwatched);
    assert!(matches!(opened, Opened::Sound { snapshot, .. } if snapshot == state(4)));
}
