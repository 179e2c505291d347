//! The proof: what a unit's receipts say through the lives of its images, and what they never say.
//!
//! An update server may report success when an image was written (hawkBit, issue 3185). A receipt says what runs, and
//! how it stands; so an image that never was healthy is never confirmed in one, whatever happens.

use bistable_core::choose::Role;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::{JournalLayout, Slot};
use bistable_core::reset::ResetReason;
use bistable_core::state::{POWER_BUDGET, Reason};
use bistable_tests::board::Fed;
use bistable_tests::device::{Device, DeviceUpdater, install};
use bistable_tests::fixtures::{CRASH_LOOP, product};
use bistable_tests::flash::{Extent, Fault, Flash};
use bistable_tests::images::Built;
use bistable_updater::device_key::{DeviceKey as _, SoftwareKey};
use bistable_updater::drift::Finding;
use bistable_updater::health::Verdict;
use bistable_updater::identity::Serial;
use bistable_updater::receipt::{Challenge, Receipt, Rejected, Signed, State};
use bistable_updater::witness::Witness;

use ResetReason::{PowerOn, Software, Unknown, Watchdog};

/// The test product: a trial has a minute and three attempts.
type Board = Device<8, 1024>;

/// The sequence of the image from the factory.
const RUNNING: u32 = 10;

/// Attempts of a trial.
const ATTEMPTS: u8 = 3;

/// Where the ledger lies, on a flash of its own.
const LEDGER: JournalLayout = JournalLayout {
    offset: 0,
    sector_size: 2048,
    sectors: 4,
};

const SEED: [u8; 32] = [0x42; 32];

/// A unit with its ledger, and all receipts that anybody ever got from it, in their order.
struct Unit {
    device: Board,
    ledger: Flash<8, 2048>,
    given: Vec<Signed>,
}

impl Unit {
    fn new() -> Self {
        Self {
            device: Board::new(product().layout, Slot::A, &good()),
            ledger: Flash::new(LEDGER.sectors.into()),
            given: Vec::new(),
        }
    }

    /// Resets it, and lets the bootloader start what it chooses.
    fn boots(&mut self, reset: ResetReason) -> Role {
        if reset == PowerOn {
            self.ledger.power_on();
        }
        let ready = self.device.restart(reset).expect("something boots");
        ready.role
    }

    /// The application says what it is, and that is all that it does. `None`: the power went.
    fn says(&mut self, challenge: Option<Challenge>) -> Option<Receipt> {
        let device = self.device.updater().device();
        let mut witness = self.witness();
        let signed = witness
            .receipt(&device, challenge, 0, &mut self.ledger, &mut Fed::default())
            .ok()?;
        self.given.push(signed.clone());
        let (_, receipt) = Signed::new_checked(signed.as_bytes()).expect("a receipt");
        Some(receipt)
    }

    fn witness(&mut self) -> Witness<SoftwareKey> {
        let serial = Serial::try_from("BST-000042").expect("it is short");
        let key = SoftwareKey::from_seed(SEED);
        let (ledger, watchdog) = (&mut self.ledger, &mut Fed::default());
        Witness::open(serial, key, LEDGER, 0, ledger, watchdog)
    }

    /// Installs and activates what was built; the reset into its trial is the caller's.
    fn installs(&mut self, image: &Built) -> bool {
        install(&mut self.device.updater(), image).is_ok()
    }

    /// The application does something with its updater, and speaks afterwards, in the same boot.
    fn after<T>(&mut self, act: impl FnOnce(&mut DeviceUpdater<'_, 8, 1024>) -> T) -> (T, Receipt) {
        let mut witness = self.witness();
        let mut updater = self.device.updater();
        let outcome = act(&mut updater);
        let device = updater.device();
        let (ledger, watchdog) = (&mut self.ledger, &mut Fed::default());
        let signed = witness.receipt(&device, None, 0, ledger, watchdog);
        let signed = signed.expect("a receipt");
        self.given.push(signed.clone());
        (outcome, receipt(&signed))
    }

    /// Everything that anybody can know of this unit by its receipts: those given out, and those in the ledger.
    fn receipts(&mut self) -> Vec<Receipt> {
        let kept: Vec<_> = self.witness().kept(&mut self.ledger).collect();
        self.given.iter().chain(&kept).map(receipt).collect()
    }

    /// Fails if a receipt calls this image confirmed; or if they are no chain.
    fn never_confirmed(&mut self, bad: &Built) {
        self.is_a_chain();
        for receipt in self.receipts() {
            if receipt.digest == bad.manifest.digest().0 {
                let state = receipt.state;
                let is_honest = matches!(state, State::Trial { .. } | State::Rejected { .. });
                assert!(is_honest, "receipt {}: {state:?}", receipt.number);
            }
        }
    }

    /// Numbers go up by one, each receipt names the one before it, and the unit's key has signed them all.
    fn is_a_chain(&self) {
        let public = SoftwareKey::from_seed(SEED).public();
        let mut previous = [0; 32];
        for (number, signed) in (1..).zip(&self.given) {
            let receipt = receipt(signed);
            assert!(signed.is_signed_by(&public), "receipt {number}");
            assert_eq!((receipt.number, receipt.previous), (number, previous));
            previous = signed.digest().0;
        }
    }

    fn states_of(&mut self, image: &Built) -> Vec<State> {
        let digest = image.manifest.digest().0;
        let of_it = |receipt: &Signed| {
            let receipt = self::receipt(receipt);
            (receipt.digest == digest).then_some(receipt.state)
        };
        self.given.iter().filter_map(of_it).collect()
    }
}

fn receipt(signed: &Signed) -> Receipt {
    let (_, receipt) = Signed::new_checked(signed.as_bytes()).expect("a receipt");
    receipt
}

fn good() -> Built {
    Built::ordinary(RUNNING)
}

fn update() -> Built {
    Built::ordinary(RUNNING + 1)
}

/// On trial, with what is left.
const fn trial(attempts: u8, power: u8) -> State {
    State::Trial { attempts, power }
}

fn reverted(from: &Built, reason: Reason) -> State {
    State::Reverted(Rejected {
        digest: from.manifest.digest().0,
        reason: reason.code().get(),
    })
}

/// A unit that wrote `image`, said so, and was reset into its trial.
fn on_trial(image: &Built) -> Unit {
    let mut unit = Unit::new();
    unit.boots(PowerOn);
    assert_eq!(unit.says(None).unwrap().state, State::Confirmed);
    assert!(unit.installs(image));
    // Written, verified and activated: and yet what runs is still the other one.
    let written = unit.says(None).unwrap();
    assert_eq!(written.digest, good().manifest.digest().0);
    assert_eq!(written.state, State::Confirmed);
    assert!(matches!(unit.boots(Software), Role::Trial(_)));
    unit
}

// ---- Never healthy, so never confirmed ----

#[test]
fn an_image_that_was_only_written_is_in_no_receipt() {
    let mut unit = Unit::new();
    unit.boots(PowerOn);
    assert!(unit.installs(&update()));
    for _ in 0..3 {
        unit.says(None).unwrap();
    }
    assert_eq!(unit.states_of(&update()), []);
}

#[test]
fn an_image_that_hangs_is_on_trial_until_it_is_gone() {
    let mut unit = on_trial(&update());
    for left in (0..ATTEMPTS).rev() {
        // It speaks, then it hangs.
        assert_eq!(unit.says(None).unwrap().state, trial(left, POWER_BUDGET));
        unit.boots(Watchdog);
    }
    let back = unit.says(None).unwrap();
    assert_eq!(back.digest, good().manifest.digest().0);
    assert_eq!(back.state, reverted(&update(), Reason::AttemptsUsedUp));
    unit.never_confirmed(&update());
    assert_eq!(unit.states_of(&update()).len(), ATTEMPTS.into());
}

#[test]
fn an_image_that_crashes_on_trial_is_on_trial_until_it_is_gone() {
    let mut unit = on_trial(&update());
    while unit.device.running == Slot::B {
        unit.says(None).unwrap();
        unit.boots(Unknown);
    }
    let back = unit.says(None).unwrap();
    assert_eq!(back.state, reverted(&update(), Reason::AttemptsUsedUp));
    unit.never_confirmed(&update());
    assert_eq!(unit.states_of(&update()).len(), ATTEMPTS.into());
}

#[test]
fn an_image_whose_power_fails_again_and_again_is_on_trial_until_it_is_gone() {
    let mut unit = on_trial(&update());
    let mut starts = 0;
    while unit.device.running == Slot::B {
        let state = unit.says(None).unwrap().state;
        assert_eq!(state, trial(ATTEMPTS - 1, POWER_BUDGET - starts));
        unit.boots(PowerOn);
        starts += 1;
    }
    let back = unit.says(None).unwrap();
    assert_eq!(back.state, reverted(&update(), Reason::PowerBudgetUsedUp));
    unit.never_confirmed(&update());
}

#[test]
fn an_image_whose_self_test_fails_is_rejected_before_it_is_gone() {
    let mut unit = on_trial(&update());
    let failed = Reason::CheckFailed(1);
    let (verdict, last_word) = unit.after(|updater| {
        updater.check("self-test", false);
        updater.judge().unwrap()
    });
    assert_eq!(verdict, Verdict::Unhealthy(failed));
    assert_eq!(last_word.digest, update().manifest.digest().0);
    let reason = failed.code().get();
    assert_eq!(last_word.state, State::Rejected { reason });
    unit.boots(Software);
    assert_eq!(unit.says(None).unwrap().state, reverted(&update(), failed));
    unit.never_confirmed(&update());
}

#[test]
fn an_image_whose_time_is_over_is_rejected() {
    let mut unit = on_trial(&update());
    unit.says(None).unwrap();
    unit.device.now = 60_000;
    let (verdict, last_word) = unit.after(|updater| updater.judge().unwrap());
    let Verdict::Unhealthy(over) = verdict else {
        panic!("{verdict:?}");
    };
    let reason = over.code().get();
    assert_eq!(last_word.state, State::Rejected { reason });
    unit.boots(Software);
    assert_eq!(unit.says(None).unwrap().state, reverted(&update(), over));
    unit.never_confirmed(&update());
}

/// The whole life of an image that fails its self-test, with the power cut within one operation of one of the three
/// flashes, at each operation and in each way.
#[test]
fn wherever_the_power_is_cut_an_image_that_fails_is_never_confirmed() {
    let whole = fails(Unit::new());
    let operations = [
        whole.device.journal.counts.operations,
        whole.device.slots.flash.counts.operations,
        whole.ledger.counts.operations,
    ];
    let before = Unit::new();
    let at_first = [
        before.device.journal.counts.operations,
        before.device.slots.flash.counts.operations,
        before.ledger.counts.operations,
    ];
    let mut cuts = 0;
    for flash in 0..3 {
        for operation in 0..operations[flash] - at_first[flash] {
            for extent in [
                Extent::Nothing,
                Extent::FirstHalf,
                Extent::AllTorn,
                Extent::Everything,
            ] {
                let mut unit = Unit::new();
                let cut = Fault::Cut(extent);
                match flash {
                    0 => unit.device.journal.plan(operation, cut),
                    1 => unit.device.slots.flash.plan(operation, cut),
                    _ => unit.ledger.plan(operation, cut),
                }
                let mut unit = fails(unit);
                unit.never_confirmed(&update());
                cuts += 1;
                let last = receipt(unit.given.last().unwrap());
                let failed = reverted(&update(), Reason::CheckFailed(1));
                assert_eq!(last.state, failed, "flash {flash}, {operation}, {extent:?}");
            }
        }
    }
    assert!(cuts > 300, "{cuts} cuts");
}

/// Installs the update, which fails its self-test, until that was rejected and the unit has said so; whenever the power
/// went, it comes again. The unit speaks as often as it can.
fn fails(mut unit: Unit) -> Unit {
    let mut reset = PowerOn;
    for _ in 0..20 {
        unit.boots(reset);
        reset = PowerOn; // unless all goes well
        let digest = update().manifest.digest();
        if unit.says(None).is_none() || !unit.has_power() {
            continue;
        }
        if unit.device.running == Slot::B {
            let mut updater = unit.device.updater();
            updater.check("self-test", false);
            let judged = updater.judge();
            if judged.is_ok() && unit.has_power() && unit.says(None).is_some() {
                reset = Software;
            }
        } else if unit.device.state().rejection(digest).is_some() {
            return unit;
        } else if unit.installs(&update()) && unit.has_power() && unit.says(None).is_some() {
            reset = Software;
        }
    }
    panic!("it does not come to an end");
}

impl Unit {
    fn has_power(&self) -> bool {
        let Device { journal, slots, .. } = &self.device;
        journal.has_power() && slots.flash.has_power() && self.ledger.has_power()
    }
}

// ---- Through the lives of images ----

#[test]
fn an_update_that_is_kept_goes_from_trial_to_confirmed() {
    let mut unit = on_trial(&update());
    let first = unit.says(None).unwrap();
    assert_eq!(first.state, trial(ATTEMPTS - 1, POWER_BUDGET));
    let (verdict, kept) = unit.after(|updater| {
        updater.check("self-test", true);
        updater.source_answered();
        updater.judge().unwrap()
    });
    assert_eq!(verdict, Verdict::Healthy);
    assert_eq!((kept.state, kept.slot), (State::Confirmed, 1));
    assert_eq!(kept.floor, 3, "what the image revokes");
    assert_eq!(unit.boots(PowerOn), Role::Active);
    assert_eq!(unit.says(None).unwrap().state, State::Confirmed);
    unit.is_a_chain();
}

#[test]
fn an_image_that_is_confirmed_and_crashes_is_reverted_with_that_reason() {
    let mut unit = on_trial(&update());
    unit.after(|updater| {
        updater.check("self-test", true);
        updater.source_answered();
        updater.judge().unwrap()
    });
    for crashes in 1..CRASH_LOOP {
        unit.boots(Watchdog);
        let receipt = unit.says(None).unwrap();
        assert_eq!(
            (receipt.state, receipt.abnormal),
            (State::Confirmed, crashes)
        );
        assert_eq!(receipt.reset, Watchdog as u8);
    }
    unit.boots(Watchdog);
    let back = unit.says(None).unwrap();
    assert_eq!(back.digest, good().manifest.digest().0);
    assert_eq!(back.state, reverted(&update(), Reason::CrashLoop));
    unit.is_a_chain();
}

#[test]
fn a_receipt_answers_the_challenge_that_was_made_and_none_otherwise() {
    let mut unit = Unit::new();
    unit.boots(PowerOn);
    for challenge in [None, Some([7; 32]), Some([8; 32]), None] {
        assert_eq!(unit.says(challenge).unwrap().challenge, challenge);
    }
    unit.is_a_chain();
}

#[test]
fn the_chain_goes_on_over_resets_and_a_handover_that_is_lost() {
    let mut unit = Unit::new();
    let mut resets = Vec::new();
    for reset in [PowerOn, Software, Watchdog, PowerOn, Software] {
        unit.boots(reset);
        let receipt = unit.says(None).unwrap();
        assert_eq!(receipt.reset, reset as u8);
        resets.push(receipt.resets);
    }
    assert_eq!(resets, [1, 2, 3, 1, 2], "starts since the power came");
    // The RAM that should survive a reset did not.
    unit.device.retained = [0; HANDOVER_LEN];
    let blank = unit.says(None).unwrap();
    assert_eq!((blank.number, blank.state), (6, State::Confirmed));
    unit.is_a_chain();
}

#[test]
fn what_is_kept_is_the_end_of_the_chain() {
    let mut unit = Unit::new();
    unit.boots(PowerOn);
    for _ in 0..7 {
        unit.says(None).unwrap();
    }
    let kept: Vec<_> = unit.witness().kept(&mut unit.ledger).collect();
    assert!(kept.len() >= 3, "{} are kept", kept.len());
    assert_eq!(kept, unit.given[unit.given.len() - kept.len()..]);
}

#[test]
fn drift_is_news_and_said_in_the_next_receipt() {
    let mut unit = Unit::new();
    unit.boots(PowerOn);
    let (_, intact) = unit.after(measured);
    assert_eq!(intact.drift.own, Finding::Intact);
    let payload = unit.device.layout.payload_offset as usize;
    unit.device.slots.flash.flip(payload + 1000, 3);
    let witness = unit.witness();
    let mut updater = unit.device.updater();
    assert!(!witness.is_due(&updater.device(), 0), "not measured yet");
    measured(&mut updater);
    assert!(witness.is_due(&updater.device(), 0));
    let (_, drifted) = unit.after(measured);
    assert_eq!(drifted.drift.own, Finding::Differs);
}

/// More than a round.
fn measured(updater: &mut DeviceUpdater<'_, 8, 1024>) {
    for _ in 0..10 {
        updater.measure();
    }
}
