//! The witness: whatever happens to its ledger, receipts are a chain that never forks, and none is given out that
//! was not kept.

use bistable_core::digest::Digest;
use bistable_core::handover::{JournalHealth, Standing};
use bistable_core::layout::{JournalLayout, Slot};
use bistable_core::ledger::{Entry, Ledger};
use bistable_core::reset::ResetReason;
use bistable_core::state::{Budget, SlotState};
use bistable_core::version::Version;
use bistable_tests::board::Fed;
use bistable_tests::flash::{Extent, Fault, Flash};
use bistable_tests::states::image;
use bistable_updater::Device;
use bistable_updater::device_key::{DeviceKey, NoSignature, SoftwareKey};
use bistable_updater::drift::{Drift, Finding};
use bistable_updater::identity::Serial;
use bistable_updater::locks::{Lock, Locks};
use bistable_updater::receipt::{Challenge, Receipt, Signed};
use bistable_updater::witness::{NoReceipt, Witness, owner};

/// A sector holds five copies and some room.
const SECTOR: usize = 2048;

/// In milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// A confirmed device, nothing measured yet.
fn device() -> Device {
    Device {
        running: Slot::A,
        standing: Standing::Confirmed,
        digest: Digest::of(b"image"),
        version: Version::default(),
        sequence: 10,
        slots: [SlotState::Confirmed(image(1)), SlotState::Empty],
        bootloader: Version::default(),
        reset: ResetReason::PowerOn,
        resets: 0,
        journal: JournalHealth::Whole,
        refused: None,
        last_rejection: None,
        last_words: None,
        floor: 0,
        abnormal_resets: 0,
        schema: 0,
        uptime: 1,
        locks: Locks::default(),
        drift: Drift::default(),
    }
}

/// A unit with a ledger between two sectors that are none of its business.
struct Unit<const W: usize> {
    flash: Flash<W, SECTOR>,
    sectors: u8,
    seed: u8,
    serial: &'static str,
    watchdog: Fed,
}

impl<const W: usize> Unit<W> {
    fn fresh(sectors: u8) -> Self {
        let mut flash = Flash::new(usize::from(sectors) + 2);
        flash.seed(7);
        Self {
            flash,
            sectors,
            seed: 7,
            serial: "BST-000042",
            watchdog: Fed::default(),
        }
    }

    /// One that has given out as many receipts.
    fn with_receipts(sectors: u8, count: u32) -> Self {
        let mut unit = Self::fresh(sectors);
        let mut witness = unit.boot();
        for _ in 0..count {
            unit.receipt(&mut witness).unwrap();
        }
        unit
    }

    fn key(&self) -> SoftwareKey {
        SoftwareKey::from_seed([self.seed; 32])
    }

    fn boot(&mut self) -> Witness<SoftwareKey> {
        self.flash.power_on();
        let key = self.key();
        self.open(key)
    }

    fn open<K: DeviceKey>(&mut self, key: K) -> Witness<K> {
        let place = JournalLayout {
            offset: SECTOR as u32,
            sector_size: SECTOR as u32,
            sectors: self.sectors,
        };
        let serial = Serial::try_from(self.serial).unwrap();
        Witness::open(serial, key, place, 0, &mut self.flash, &mut self.watchdog)
    }

    /// One that nobody asked for, at the beginning of this boot.
    fn receipt<K: DeviceKey>(&mut self, witness: &mut Witness<K>) -> Result<Signed, NoReceipt> {
        self.answer(witness, None, 0)
    }

    fn answer<K: DeviceKey>(
        &mut self,
        witness: &mut Witness<K>,
        challenge: Option<Challenge>,
        now: u64,
    ) -> Result<Signed, NoReceipt> {
        let (flash, watchdog) = (&mut self.flash, &mut self.watchdog);
        witness.receipt(&device(), challenge, now, flash, watchdog)
    }

    fn kept<K: DeviceKey>(&mut self, witness: &Witness<K>) -> Vec<Signed> {
        witness.kept(&mut self.flash).collect()
    }

    fn erases(&self) -> u64 {
        self.flash.counts.erases.iter().sum()
    }
}

fn says(signed: &Signed) -> Receipt {
    Signed::new_checked(signed.as_bytes()).unwrap().1
}

fn numbers(receipts: &[Signed]) -> Vec<u32> {
    receipts
        .iter()
        .map(|receipt| says(receipt).number)
        .collect()
}

/// Runs a check for every write size.
macro_rules! for_every_write_size {
    ($check:ident) => {
        $check::<1>();
        $check::<4>();
        $check::<8>();
        $check::<16>();
        $check::<32>();
    };
}

// ---- Without faults ----

#[test]
fn receipts_are_a_chain_that_the_units_key_signed() {
    fn check<const W: usize>() {
        let mut unit = Unit::<W>::fresh(3);
        let mut previous = Digest::NONE;
        for number in 1..=7 {
            let mut witness = unit.boot();
            let signed = unit.receipt(&mut witness).unwrap();
            assert!(signed.is_signed_by(&witness.public()));
            let receipt = says(&signed);
            assert_eq!((receipt.number, receipt.previous), (number, previous.0));
            assert_eq!(receipt.unit, "BST-000042");
            previous = signed.digest();
        }
    }
    for_every_write_size!(check);
}

#[test]
fn the_last_receipts_are_kept_oldest_first_one_in_each_sector() {
    for sectors in 2..=8 {
        let mut unit = Unit::<8>::fresh(sectors);
        let mut witness = unit.boot();
        let mut given = Vec::new();
        assert_eq!(unit.kept(&witness), []);
        for count in 1..=2 * usize::from(sectors) {
            given.push(unit.receipt(&mut witness).unwrap());
            let last = given.len() - count.min(sectors.into());
            assert_eq!(unit.kept(&witness), given[last..]);
            let again = unit.boot();
            assert_eq!(unit.kept(&again), given[last..]);
        }
    }
}

#[test]
fn a_receipt_erases_one_sector_and_the_first_one_each_sector_twice() {
    for sectors in 2..=4_u8 {
        let mut unit = Unit::<8>::fresh(sectors);
        let mut witness = unit.boot();
        assert_eq!(unit.flash.counts.operations, 0);
        unit.receipt(&mut witness).unwrap();
        assert_eq!(unit.erases(), 2 * u64::from(sectors));
        for _ in 0..10 * sectors {
            let before = unit.flash.counts.clone();
            let mut witness = unit.boot();
            unit.receipt(&mut witness).unwrap();
            assert_eq!(unit.flash.counts.programs, before.programs + 5);
            let before: u64 = before.erases.iter().sum();
            assert_eq!(unit.erases(), before + 1);
        }
        let mut even = vec![2 + 10; usize::from(sectors) + 2];
        (even[0], even[usize::from(sectors) + 1]) = (0, 0);
        assert_eq!(unit.flash.counts.erases, even, "and nothing beside it");
    }
}

// ---- What is news ----

/// Whether a receipt is due once a device that said `before` says `now`.
fn is_due_after(before: &Device, now: &Device) -> bool {
    let mut unit = Unit::<8>::fresh(2);
    let mut witness = unit.boot();
    let (flash, watchdog) = (&mut unit.flash, &mut unit.watchdog);
    witness.receipt(before, None, 0, flash, watchdog).unwrap();
    // What is due is the same for the one that wrote it and for one that finds it.
    let is_due = witness.is_due(now, 0);
    assert_eq!(unit.boot().is_due(now, 0), is_due);
    is_due
}

#[test]
fn what_a_receipt_says_makes_one_due_when_it_changes() {
    let trial = |attempts| SlotState::Trial(image(1), Budget::new(attempts));
    let changes: [fn(&mut Device); 9] = [
        |device| device.digest = Digest::of(b"another image"),
        |device| device.running = Slot::B,
        |device| device.standing = Standing::None,
        |device| device.floor = 1,
        |device| device.locks.key = Lock::Locked,
        |device| device.drift.own = Finding::Intact,
        |device| device.drift.other = Finding::Differs,
        |device| device.journal = JournalHealth::Healed,
        |device| device.abnormal_resets = 1,
    ];
    assert!(!is_due_after(&device(), &device()));
    for (number, change) in changes.into_iter().enumerate() {
        let mut now = device();
        change(&mut now);
        assert!(is_due_after(&device(), &now), "change {number}");
    }
    let on_trial = |attempts| Device {
        standing: Standing::Trial,
        slots: [trial(attempts), SlotState::Empty],
        ..device()
    };
    assert!(is_due_after(&on_trial(3), &on_trial(2)));
}

#[test]
fn another_boot_of_the_same_is_no_news() {
    let mut before = device();
    before.drift.own = Finding::Intact;
    before.abnormal_resets = 2;
    let now = Device {
        uptime: 100,
        resets: 7,
        reset: ResetReason::Watchdog,
        abnormal_resets: 0,
        drift: Drift::default(),
        ..before
    };
    assert!(!is_due_after(&before, &now));
}

#[test]
fn a_receipt_is_due_once_a_day_and_at_once_if_there_is_none() {
    let mut unit = Unit::<8>::fresh(2);
    let mut witness = unit.boot();
    assert!(witness.is_due(&device(), 0));
    unit.answer(&mut witness, None, 5).unwrap();
    assert!(!witness.is_due(&device(), DAY + 4));
    assert!(witness.is_due(&device(), DAY + 5));
    unit.answer(&mut witness, Some([1; 32]), DAY + 5).unwrap();
    assert!(!witness.is_due(&device(), 2 * DAY + 4));
}

#[test]
fn a_unit_that_is_switched_off_every_night_is_heard_of_every_day() {
    let mut unit = Unit::<8>::with_receipts(2, 1);
    let mut witness = unit.boot();
    let minutes = |minutes: u64| minutes * 60 * 1000;
    assert!(!witness.is_due(&device(), minutes(10) - 1));
    assert!(witness.is_due(&device(), minutes(10)));
    unit.answer(&mut witness, None, minutes(10)).unwrap();
    assert!(!witness.is_due(&device(), minutes(8 * 60)));
    assert!(unit.boot().is_due(&device(), minutes(10)));
}

#[test]
fn a_crash_loop_that_nothing_ends_does_not_wear_the_ledger_out() {
    let mut unit = Unit::<8>::with_receipts(2, 1);
    let before = unit.erases();
    for crashes in 1..=5000 {
        let says = Device {
            abnormal_resets: crashes,
            ..device()
        };
        let mut witness = unit.boot();
        if witness.is_due(&says, 0) {
            let (flash, watchdog) = (&mut unit.flash, &mut unit.watchdog);
            witness.receipt(&says, None, 0, flash, watchdog).unwrap();
        }
    }
    assert!((2..=16).contains(&(unit.erases() - before)));
}

#[test]
fn what_comes_and_goes_wears_the_ledger_eight_times_in_a_boot_and_once_a_day() {
    let mut unit = Unit::<8>::with_receipts(2, 1);
    let mut witness = unit.boot();
    let before = unit.erases();
    for hour in 0..10 * 24 {
        let mut says = device();
        says.floor = hour;
        let now = u64::from(hour) * DAY / 24;
        if witness.is_due(&says, now) {
            let (flash, watchdog) = (&mut unit.flash, &mut unit.watchdog);
            witness.receipt(&says, None, now, flash, watchdog).unwrap();
        }
    }
    assert_eq!(unit.erases() - before, 8 + 9);
}

#[test]
fn an_update_that_is_confirmed_at_its_first_boot_makes_four_receipts_and_later_boots_none() {
    let intact = Drift {
        own: Finding::Intact,
        other: Finding::Intact,
    };
    let trial = SlotState::Trial(image(2), Budget::new(3));
    let on_trial = Device {
        digest: Digest::of(b"new image"),
        running: Slot::B,
        standing: Standing::Trial,
        slots: [SlotState::Confirmed(image(1)), trial],
        ..device()
    };
    let confirmed = Device {
        standing: Standing::Confirmed,
        slots: [1, 2].map(|number| SlotState::Confirmed(image(number))),
        ..on_trial
    };
    let measured = |drift| Device { drift, ..confirmed };
    let half = Drift {
        other: Finding::NotYet,
        ..intact
    };
    let life = [on_trial, confirmed, measured(half), measured(intact)];
    let mut unit = Unit::<8>::with_receipts(2, 1);
    let before = unit.erases();
    let mut witness = unit.boot();
    for says in &life {
        while witness.is_due(says, 0) {
            let (flash, watchdog) = (&mut unit.flash, &mut unit.watchdog);
            witness.receipt(says, None, 0, flash, watchdog).unwrap();
        }
    }
    assert_eq!(unit.erases() - before, 4);
    for says in &life[1..] {
        assert!(!unit.boot().is_due(says, 0));
    }
}

#[test]
fn a_newer_images_receipts_are_counted_on_by_an_image_that_cannot_read_them() {
    let mut unit = Unit::<8>::with_receipts(2, 1);
    let serial = Serial::try_from(unit.serial).unwrap();
    let place = JournalLayout {
        offset: SECTOR as u32,
        sector_size: SECTOR as u32,
        sectors: 2,
    };
    let unknown = [9; 50];
    let mut ledger = Ledger::new(place, owner(&unit.key().public(), &serial));
    ledger.open(&mut unit.flash, &mut unit.watchdog);
    let entry = Entry::new(2, &unknown).unwrap();
    let written = ledger.write(&mut unit.flash, &mut unit.watchdog, &entry);
    written.unwrap();
    let mut witness = unit.boot();
    assert_eq!(unit.kept(&witness)[0].as_bytes(), unknown);
    assert!(witness.is_due(&device(), 0));
    let next = says(&unit.receipt(&mut witness).unwrap());
    assert_eq!(next.number, 3);
    assert_eq!(next.previous, Digest::of(&unknown).0);
    assert_eq!(unit.kept(&witness).len(), 2);
}

// ---- Challenges ----

#[test]
fn an_answer_names_its_challenge() {
    let mut unit = Unit::<8>::fresh(2);
    let mut witness = unit.boot();
    let answer = unit.answer(&mut witness, Some([9; 32]), 0).unwrap();
    assert_eq!(says(&answer).challenge, Some([9; 32]));
    assert_eq!(says(&unit.receipt(&mut witness).unwrap()).challenge, None);
}

#[test]
fn a_strangers_challenges_cannot_wear_the_ledger_out() {
    let mut unit = Unit::<8>::with_receipts(2, 1);
    let mut witness = unit.boot();
    let before = unit.erases();
    let mut answered = 0;
    // Ten days, a challenge every minute.
    for minute in 0..10 * 24 * 60_u64 {
        match unit.answer(&mut witness, Some([1; 32]), minute * 60_000) {
            Ok(_) => answered += 1,
            Err(error) => assert_eq!(error, NoReceipt::TooManyChallenges),
        }
    }
    assert_eq!(answered, 8 + 9);
    assert_eq!(unit.erases() - before, answered);
    // Meanwhile the unit speaks for itself.
    unit.answer(&mut witness, None, 10 * DAY - 1).unwrap();
}

// ---- Cuts ----

/// Every operation of one receipt is cut in every way: then the ledger says the receipts before it or those and it, stays
/// with that, and what follows is a chain with what was given out.
#[test]
fn a_receipt_that_was_cut_is_kept_or_gone_and_its_number_names_one_receipt() {
    fn check<const W: usize>() {
        for sectors in 2..=3 {
            for operation in 0..6 {
                for extent in Extent::SOME {
                    let mut unit = Unit::<W>::with_receipts(sectors, 5);
                    let mut witness = unit.boot();
                    let given = unit.receipt(&mut witness).unwrap();
                    unit.flash.plan(operation, Fault::Cut(extent));
                    let cut = unit.receipt(&mut witness);
                    assert_eq!(cut, Err(NoReceipt::NotKept));
                    goes_on_from(&mut unit, &given);
                }
            }
        }
    }
    for_every_write_size!(check);
}

/// The same while the boot after a cut heals.
#[test]
fn a_second_cut_while_the_ledger_is_healed_changes_nothing() {
    for operation in 0..6 {
        for healing in 0..18 {
            for (extent, second) in [
                (Extent::AllTorn, Extent::AllTorn),
                (Extent::FirstHalf, Extent::Seeded(3)),
                (Extent::Everything, Extent::Nothing),
                (Extent::Seeded(1), Extent::EveryOther),
            ] {
                let mut unit = Unit::<8>::with_receipts(3, 5);
                let mut witness = unit.boot();
                let given = unit.receipt(&mut witness).unwrap();
                unit.flash.plan(operation, Fault::Cut(extent));
                assert!(unit.receipt(&mut witness).is_err());
                unit.flash.power_on();
                unit.flash.plan(healing, Fault::Cut(second));
                let key = unit.key();
                unit.open(key);
                goes_on_from(&mut unit, &given);
            }
        }
    }
}

/// What the unit says from now on follows `given`, the last receipt that it has given out.
fn goes_on_from<const W: usize>(unit: &mut Unit<W>, given: &Signed) {
    let (mut newest, number) = (given.clone(), says(given).number);
    for boot in 0..3 {
        let before = unit.erases();
        let mut witness = unit.boot();
        assert!(unit.erases() - before <= unit.sectors.into());
        let kept = unit.kept(&witness);
        // At the first boot, the one that was cut may have been finished, and all sectors made to say it.
        if *kept.last().unwrap() != newest {
            assert_eq!(boot, 0);
            let finished = kept.last().unwrap().clone();
            assert_eq!(says(&finished).previous, newest.digest().0);
            newest = finished;
        }
        let next = unit.receipt(&mut witness).unwrap();
        let receipt = says(&next);
        assert_eq!(receipt.number, says(&newest).number + 1);
        assert_eq!(receipt.previous, newest.digest().0);
        newest = next;
    }
    assert!(says(&newest).number <= number + 4);
    let witness = unit.boot();
    let numbers = numbers(&unit.kept(&witness));
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
fn a_first_receipt_that_was_cut_is_made_again() {
    // Two erases of the whole, two times a sector.
    for operation in 0..14 {
        for extent in Extent::SOME {
            let mut unit = Unit::<8>::fresh(2);
            let mut witness = unit.boot();
            unit.flash.plan(operation, Fault::Cut(extent));
            assert!(unit.receipt(&mut witness).is_err());
            let mut witness = unit.boot();
            let kept = unit.kept(&witness);
            assert!(kept.len() <= 1);
            let next = says(&unit.receipt(&mut witness).unwrap());
            let previous = kept.last().map_or(Digest::NONE, Signed::digest);
            assert_eq!(next.previous, previous.0);
            assert_eq!(next.number, 1 + kept.len() as u32);
        }
    }
}

#[test]
fn a_ledger_that_is_lost_begins_again_and_names_nothing_before() {
    let mut unit = Unit::<8>::with_receipts(2, 5);
    unit.flash.put(SECTOR, &[0; 2 * SECTOR]);
    let mut witness = unit.boot();
    assert_eq!(unit.kept(&witness), []);
    let first = says(&unit.receipt(&mut witness).unwrap());
    assert_eq!((first.number, first.previous), (1, [0; 32]));
    assert_eq!(unit.kept(&witness).len(), 1);
}

#[test]
fn the_ledger_of_another_key_or_another_serial_number_is_lost() {
    let changes: [fn(&mut Unit<8>); 2] = [|unit| unit.seed = 8, |unit| unit.serial = "BST-000043"];
    for change in changes {
        let mut unit = Unit::<8>::with_receipts(2, 5);
        change(&mut unit);
        let mut witness = unit.boot();
        assert_eq!(unit.kept(&witness), []);
        assert_eq!(says(&unit.receipt(&mut witness).unwrap()).number, 1);
    }
}

// ---- Failures ----

#[test]
fn a_write_that_failed_gives_nothing_out_and_the_next_one_follows_what_was_kept() {
    for operation in 0..6 {
        for extent in Extent::SOME {
            let mut unit = Unit::<8>::with_receipts(3, 5);
            let mut witness = unit.boot();
            let given = unit.receipt(&mut witness).unwrap();
            unit.flash.plan(operation, Fault::Fails(extent));
            assert_eq!(unit.receipt(&mut witness), Err(NoReceipt::NotKept));
            let newest = unit.kept(&witness).pop().unwrap();
            assert!(newest == given || says(&newest).previous == given.digest().0);
            let next = unit.receipt(&mut witness).unwrap();
            assert_eq!(says(&next).previous, newest.digest().0);
            goes_on_from(&mut unit, &next);
        }
    }
}

#[test]
fn a_dead_ledger_is_said_and_gives_nothing_out() {
    for sectors in 2..=3_u8 {
        for dead in 1..=sectors {
            let mut unit = Unit::<8>::with_receipts(sectors, 5);
            let mut witness = unit.boot();
            unit.flash.kill(dead.into());
            let mut given = Vec::new();
            let error = loop {
                match unit.receipt(&mut witness) {
                    Ok(receipt) => given.push(receipt),
                    Err(NoReceipt::NotKept) => {}
                    Err(error) => break error,
                }
                assert!(given.len() < sectors.into());
            };
            assert_eq!(error, NoReceipt::WornOut);
            assert!(!witness.is_due(&device(), 2 * DAY));
            assert_eq!(unit.kept(&witness), []);
            let operations = unit.flash.counts.operations;
            assert_eq!(unit.receipt(&mut witness), Err(NoReceipt::WornOut));
            assert_eq!(unit.flash.counts.operations, operations, "it stays alone");
        }
    }
}

#[test]
fn a_ledger_that_was_never_written_and_is_dead_gives_nothing_out() {
    let mut unit = Unit::<8>::fresh(2);
    unit.flash.kill(1);
    unit.flash.kill(2);
    let mut witness = unit.boot();
    assert_eq!(unit.receipt(&mut witness), Err(NoReceipt::NotKept));
    assert_eq!(unit.receipt(&mut witness), Err(NoReceipt::NotKept));
    assert_eq!(unit.receipt(&mut witness), Err(NoReceipt::WornOut));
    assert_eq!(unit.kept(&witness), []);
}

#[test]
fn a_key_that_does_not_answer_costs_the_flash_nothing() {
    struct Mute;
    impl DeviceKey for Mute {
        fn public(&self) -> [u8; 32] {
            SoftwareKey::from_seed([7; 32]).public()
        }
        fn sign(&mut self, _: &[u8]) -> Result<[u8; 64], NoSignature> {
            Err(NoSignature)
        }
    }
    let mut unit = Unit::<8>::with_receipts(2, 3);
    let operations = unit.flash.counts.operations;
    let mut witness = unit.open(Mute);
    assert_eq!(unit.receipt(&mut witness), Err(NoReceipt::NoSignature));
    assert_eq!(unit.flash.counts.operations, operations);
    assert_eq!(unit.kept(&witness).len(), 2);
}

#[test]
fn two_witnesses_of_one_ledger_do_not_fork_it() {
    let mut unit = Unit::<8>::with_receipts(3, 2);
    let (mut one, mut other) = (unit.boot(), unit.boot());
    let first = unit.receipt(&mut one).unwrap();
    let second = unit.receipt(&mut other).unwrap();
    assert_eq!(says(&second).previous, first.digest().0);
    assert_eq!(says(&second).number, says(&first).number + 1);
}
