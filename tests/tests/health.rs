//! Health checks on a device in memory: what is measured, what a trial must live through, and what is
//! forgiven.

use bistable_core::choose::Role;
use bistable_core::handover::{Handover, Standing};
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Origin, Reason, SlotState};
use bistable_tests::device::{Device, DeviceUpdater, Hardware, POLICY, give_one};
use bistable_tests::fixtures::{CRASH_LOOP, image_of, product};
use bistable_tests::images::Built;
use bistable_updater::health::{Check, Outcome, Policy, Verdict};
use bistable_updater::{Product, Updater};

use ResetReason::{BrownOut, LockUp, Pin, PowerOn, Software, Unknown, Watchdog};

/// The test product: an ordinary image has a minute and three attempts.
type Board = Device<8, 1024>;

/// The sequence of the image that runs.
const RUNNING: u32 = 10;

/// When the time of an ordinary image's trial is over.
const DEADLINE: u64 = 60_000;

fn board() -> Board {
    Device::new(product().layout, Slot::A, &Built::ordinary(RUNNING))
}

/// The updater of an application that asks this of itself.
fn updater_with(device: &mut Board, policy: Policy) -> DeviceUpdater<'_, 8, 1024> {
    let product = Product {
        policy,
        ..device.product()
    };
    let address = device.address();
    Updater::start(Hardware(device), product, address)
        .unwrap_or_else(|refusal| panic!("no updater: {refusal:?}"))
}

const fn with_checks(checks: &'static [Check]) -> Policy {
    Policy { checks, ..POLICY }
}

/// Installs `image` beside the running one.
fn install(device: &mut Board, image: &Built, origin: Origin) -> Result<(), Refusal> {
    let mut updater = device.updater();
    let mut installation = updater.begin(&image.header, origin)?;
    while give_one(&mut installation, &image.file)? {}
    installation.finish()?.activate()
}

/// A device that runs an ordinary update from B, on trial, after this reset.
fn trial_after(origin: Origin, reset: ResetReason) -> Board {
    let mut device = board();
    install(&mut device, &update(), origin).unwrap();
    starts_trial(&mut device, reset);
    device
}

fn trial(origin: Origin) -> Board {
    trial_after(origin, Software)
}

fn update() -> Built {
    Built::ordinary(RUNNING + 1)
}

fn starts_trial(device: &mut Board, reset: ResetReason) {
    let ready = device.restart(reset).expect("it boots");
    assert!(matches!(ready.role, Role::Trial(_)), "{reset:?}");
    assert_eq!(ready.image.slot(), Slot::B);
}

fn boots_active(device: &mut Board, slot: Slot) {
    let ready = device.restart(Software).expect("it boots");
    assert_eq!((ready.image.slot(), ready.role), (slot, Role::Active));
}

fn reason_of(device: &Board) -> Option<Reason> {
    match device.state().slot(Slot::B) {
        SlotState::Rejected(_, reason) => reason.reason(),
        _ => None,
    }
}

fn outcome(updater: &DeviceUpdater<'_, 8, 1024>, name: &str) -> Outcome {
    let mut checks = updater.health().iter();
    let (_, _, outcome) = checks.find(|(_, check, _)| check.name == name).unwrap();
    outcome
}

// ---- What the updater measures ----

static SUPPLY: [Check; 2] = [Check::required("self-test"), Check::supply("supply", 3000)];
static STACK: [Check; 2] = [
    Check::required("self-test"),
    Check::free_stack("free stack", 256),
];

#[test]
fn a_supply_that_was_too_low_once_rejects_even_if_it_recovers() {
    let mut device = trial(Origin::Local);
    let mut updater = updater_with(&mut device, with_checks(&SUPPLY));
    updater.platform().0.supply = Some(3000);
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    assert_eq!(outcome(&updater, "supply"), Outcome::Passed);
    updater.platform().0.supply = Some(2999);
    updater.check("self-test", true);
    assert_eq!(updater.confirm(), Err(Refusal::CheckOpen), "it is measured");
    updater.platform().0.supply = Some(3300);
    assert_eq!(
        updater.confirm(),
        Err(Refusal::CheckOpen),
        "a failure stays"
    );
    let failed = Verdict::Unhealthy(Reason::CheckFailed(2));
    assert_eq!(updater.judge(), Ok(failed));
    assert_eq!(reason_of(&device), Some(Reason::CheckFailed(2)));
}

#[test]
fn a_supply_that_is_too_low_rejects_at_once() {
    let mut device = trial(Origin::Local);
    let mut updater = updater_with(&mut device, with_checks(&SUPPLY));
    updater.platform().0.supply = Some(2999);
    let failed = Verdict::Unhealthy(Reason::CheckFailed(2));
    assert_eq!(updater.judge(), Ok(failed));
}

#[test]
fn a_stack_that_is_nearly_used_up_rejects() {
    for (free, verdict) in [
        (u32::MAX, Verdict::Healthy),
        (256, Verdict::Healthy),
        (255, Verdict::Unhealthy(Reason::CheckFailed(2))),
        (0, Verdict::Unhealthy(Reason::CheckFailed(2))),
    ] {
        let mut device = trial(Origin::Local);
        let mut updater = updater_with(&mut device, with_checks(&STACK));
        updater.check("self-test", true);
        updater.platform().0.free_stack = Some(free);
        assert_eq!(updater.judge(), Ok(verdict), "{free}");
    }
}

#[test]
fn what_the_device_cannot_measure_is_open_until_its_deadline() {
    static SOON: [Check; 2] = [
        Check::required("self-test"),
        Check::supply("supply", 3000).within(10),
    ];
    static SOON_STACK: [Check; 2] = [
        Check::required("self-test"),
        Check::free_stack("free stack", 256).within(10),
    ];
    for (checks, deadline, reason) in [
        (&SUPPLY, DEADLINE, Reason::DeadlineOver),
        (&STACK, DEADLINE, Reason::DeadlineOver),
        (&SOON, 10_000, Reason::CheckFailed(2)),
        (&SOON_STACK, 10_000, Reason::CheckFailed(2)),
    ] {
        let mut device = trial(Origin::Local);
        let mut updater = updater_with(&mut device, with_checks(checks));
        updater.check("self-test", true);
        for now in [0, deadline - 1] {
            updater.platform().0.now = now;
            assert_eq!(updater.judge(), Ok(Verdict::Pending), "{now}");
            assert_eq!(updater.confirm(), Err(Refusal::CheckOpen));
        }
        updater.platform().0.now = deadline;
        assert_eq!(updater.judge(), Ok(Verdict::Unhealthy(reason)));
        assert_eq!(reason_of(&device), Some(reason));
    }
}

#[test]
fn an_advisory_measurement_is_told_and_decides_nothing() {
    static ADVISORY: [Check; 2] = [
        Check::required("self-test"),
        Check::supply("supply", 3000).advisory(),
    ];
    for supply in [None, Some(1)] {
        let mut device = trial(Origin::Local);
        let mut updater = updater_with(&mut device, with_checks(&ADVISORY));
        updater.platform().0.supply = supply;
        updater.check("self-test", true);
        assert_eq!(updater.judge(), Ok(Verdict::Healthy));
        let told = supply.map_or(Outcome::Open, |_| Outcome::Failed);
        assert_eq!(outcome(&updater, "supply"), told);
    }
}

#[test]
fn a_confirmed_image_is_not_measured() {
    let mut device = board();
    device.supply = Some(1);
    let mut updater = updater_with(&mut device, with_checks(&SUPPLY));
    assert_eq!(updater.judge(), Ok(Verdict::Healthy));
    assert_eq!(updater.confirm(), Ok(()));
    assert_eq!(outcome(&updater, "supply"), Outcome::Open);
}

// ---- The update source ----

#[test]
fn an_update_source_that_answered_passes_its_check_and_no_other() {
    let mut device = trial(Origin::Network);
    let mut updater = device.updater();
    assert!(updater.source_answered());
    let outcomes: Vec<_> = updater.health().iter().map(|(.., it)| it).collect();
    let expected = [Outcome::Open, Outcome::Passed, Outcome::Open];
    assert_eq!(outcomes, expected);
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    updater.check("self-test", true);
    assert_eq!(updater.judge(), Ok(Verdict::Healthy));

    let mut device = trial(Origin::Network);
    let mut updater = updater_with(&mut device, with_checks(&SUPPLY));
    assert!(!updater.source_answered(), "there is no such check");
    assert_eq!(outcome(&updater, "self-test"), Outcome::Open);
}

#[test]
fn an_update_source_that_failed_its_check_does_not_pass_by_answering() {
    let mut device = trial(Origin::Network);
    let mut updater = device.updater();
    updater.check("self-test", true);
    updater.check("update-source", false);
    assert!(updater.source_answered());
    let failed = Verdict::Unhealthy(Reason::CheckFailed(2));
    assert_eq!(updater.judge(), Ok(failed));
}

/// A trial whose self-test passes and whose update source never answers.
fn never_reaches_its_source(device: &mut Board) -> Verdict {
    let mut updater = device.updater();
    updater.check("self-test", true);
    updater.platform().0.now = DEADLINE - 1;
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    updater.platform().0.now = DEADLINE;
    updater.judge().unwrap()
}

#[test]
fn an_image_that_only_lacked_its_update_source_may_be_installed_again_once() {
    let mut device = trial(Origin::Network);
    let first = Reason::SourceUnreachable(2);
    let verdict = never_reaches_its_source(&mut device);
    assert_eq!(verdict, Verdict::Unhealthy(first));
    assert_eq!(reason_of(&device), Some(first));
    boots_active(&mut device, Slot::A);
    let known = device.updater().rejection(update().manifest.digest());
    assert!(known.is_some_and(|it| it.is_forgiven() && it.reason == first));

    // While the doubt stands, it is no secret.
    install(&mut device, &update(), Origin::Network).unwrap();
    let known = device.updater().rejection(update().manifest.digest());
    assert_eq!(known.map(|it| it.reason), Some(first.code()));
    starts_trial(&mut device, Software);
    let mut reaches_it = device.clone();

    let second = Reason::CheckFailed(2);
    let verdict = never_reaches_its_source(&mut device);
    assert_eq!(verdict, Verdict::Unhealthy(second));
    assert_eq!(reason_of(&device), Some(second));
    boots_active(&mut device, Slot::A);
    let before = device.operations();
    let refused = install(&mut device, &update(), Origin::Network);
    assert_eq!(refused, Err(Refusal::RejectedBefore));
    assert_eq!(device.operations(), before);
    let entries = device.state().rejected.into_iter().flatten().count();
    assert_eq!(entries, 1, "one image, one entry");

    let mut updater = reaches_it.updater();
    updater.check("self-test", true);
    updater.source_answered();
    assert_eq!(updater.judge(), Ok(Verdict::Healthy));
    boots_active(&mut reaches_it, Slot::B);
}

#[test]
fn any_other_reason_forgives_nothing() {
    let named = image_of(&update().manifest, Origin::Network);
    for reason in [
        Reason::AttemptsUsedUp,
        Reason::PowerBudgetUsedUp,
        Reason::CheckFailed(2),
        Reason::DeadlineOver,
        Reason::OnRequest(2),
        Reason::CrashLoop,
        Reason::OnOrder(2),
        Reason::Crashed(5),
    ] {
        let mut device = board();
        device.change_state(|state| *state = state.remember_rejected(named, reason));
        let refused = install(&mut device, &update(), Origin::Network);
        assert_eq!(refused, Err(Refusal::RejectedBefore), "{reason:?}");
    }
    let mut device = board();
    device.change_state(|state| {
        *state = state.remember_rejected(named, Reason::SourceUnreachable(2));
    });
    assert_eq!(install(&mut device, &update(), Origin::Network), Ok(()));
}

// ---- Soak ----

const SOAKS: Policy = Policy {
    trial_soak_seconds: 20,
    ..POLICY
};

#[test]
fn a_trial_that_passed_everything_is_confirmed_only_after_the_soak() {
    let mut device = trial(Origin::Local);
    let before = device.operations();
    let mut updater = updater_with(&mut device, SOAKS);
    updater.check("self-test", true);
    for now in [0, 10_000, 19_999] {
        updater.platform().0.now = now;
        assert_eq!(updater.judge(), Ok(Verdict::Pending));
        assert_eq!(updater.confirm(), Err(Refusal::CheckOpen));
    }
    assert_eq!(updater.device().standing, Standing::Trial);
    assert_eq!(updater.platform().0.operations(), before);
    updater.platform().0.now = 20_000;
    assert_eq!(updater.judge(), Ok(Verdict::Healthy));
    assert_eq!(updater.device().standing, Standing::Confirmed);
    boots_active(&mut device, Slot::B);
}

#[test]
fn a_check_that_fails_during_the_soak_rejects() {
    let mut device = trial(Origin::Local);
    let mut updater = updater_with(&mut device, SOAKS);
    updater.check("self-test", true);
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    updater.platform().0.now = 19_999;
    updater.check("self-test", false);
    let failed = Verdict::Unhealthy(Reason::CheckFailed(1));
    assert_eq!(updater.judge(), Ok(failed));
    boots_active(&mut device, Slot::A);
}

#[test]
fn a_soak_period_clears_the_abnormal_resets_of_a_confirmed_image_once_and_costs_no_flash() {
    let mut device = board();
    for reset in [PowerOn, Watchdog, Watchdog] {
        device.restart(reset).expect("it boots");
    }
    let before = device.operations();
    let mut updater = device.updater();
    assert_eq!(updater.device().abnormal_resets, 2);
    let retained = updater.platform().0.retained;
    for now in [0, 30_000, 59_999] {
        updater.platform().0.now = now;
        assert!(updater.feed());
        assert_eq!(updater.platform().0.retained, retained, "{now}");
    }
    updater.platform().0.now = 60_000;
    assert!(updater.feed());
    let cleared = Handover {
        abnormal: 0,
        ..Handover::decode(&retained).unwrap()
    };
    let now = updater.platform().0.retained;
    assert_eq!(Handover::decode(&now), Some(cleared), "nothing else");
    assert_eq!(updater.device().abnormal_resets, 0);
    // From now on nothing is stored.
    updater.platform().0.retained = [0xa5; 128];
    for now in [60_000, 120_000, u64::MAX] {
        updater.platform().0.now = now;
        assert!(updater.feed());
        assert_eq!(updater.platform().0.retained, [0xa5; 128], "{now}");
    }
    assert_eq!(device.operations(), before);
}

#[test]
fn a_soak_period_clears_nothing_for_a_trial_or_a_rejected_image() {
    let mut device = trial(Origin::Local);
    let handover = Handover {
        abnormal: 2,
        ..Handover::decode(&device.retained).unwrap()
    };
    device.retained = handover.encode();
    let policy = Policy {
        soak_seconds: 1,
        ..POLICY
    };
    let mut updater = updater_with(&mut device, policy);
    for now in [0, 1000, DEADLINE - 1, DEADLINE, u64::MAX] {
        updater.platform().0.now = now;
        assert_eq!(updater.feed(), now < DEADLINE);
    }
    updater.reject(Reason::OnRequest(1)).unwrap();
    assert!(!updater.feed());
    assert_eq!(device.retained, handover.encode());
}

#[test]
fn an_image_that_lives_through_soak_periods_is_in_no_crash_loop_and_one_that_does_not_is() {
    let mut device = trial(Origin::Local);
    let mut updater = device.updater();
    updater.check("self-test", true);
    updater.confirm().unwrap();
    boots_active(&mut device, Slot::B);
    let before = device.operations();
    for _ in 0..20 {
        for _ in 1..CRASH_LOOP {
            let ready = device.restart(Watchdog).expect("it boots");
            assert_eq!((ready.image.slot(), ready.role), (Slot::B, Role::Active));
        }
        let mut updater = device.updater();
        updater.platform().0.now = 60_000;
        assert!(updater.feed());
    }
    assert_eq!(device.operations(), before);
    for reset in 1..CRASH_LOOP {
        device.restart(Watchdog).expect("it boots");
        let mut updater = device.updater();
        assert_eq!(updater.device().abnormal_resets, reset);
        updater.platform().0.now = 59_999;
        assert!(updater.feed());
    }
    let ready = device.restart(Watchdog).expect("the other boots");
    assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Other));
    assert_eq!(reason_of(&device), Some(Reason::CrashLoop));
    assert_eq!(device.updater().device().abnormal_resets, 0);
}

// ---- Resets of a trial ----

const STRICT: Policy = Policy {
    forgives_resets: false,
    ..POLICY
};

#[test]
fn where_no_reset_is_forgiven_a_trial_that_is_reset_abnormally_is_rejected_at_its_second_start() {
    for (reset, number) in [(Unknown, 0), (Watchdog, 5), (LockUp, 6)] {
        let mut device = trial(Origin::Local);
        let mut updater = updater_with(&mut device, STRICT);
        assert_eq!(updater.judge(), Ok(Verdict::Pending));
        starts_trial(&mut device, reset);
        let mut lenient = device.clone();
        let mut updater = updater_with(&mut device, STRICT);
        updater.check("self-test", true);
        assert_eq!(updater.confirm(), Err(Refusal::CheckOpen));
        let crashed = Verdict::Unhealthy(Reason::Crashed(number));
        assert_eq!(updater.judge(), Ok(crashed), "{reset:?}");
        assert_eq!(reason_of(&device), Some(Reason::Crashed(number)));
        boots_active(&mut device, Slot::A);
        let refused = install(&mut device, &update(), Origin::Local);
        assert_eq!(refused, Err(Refusal::RejectedBefore));

        let mut updater = lenient.updater();
        updater.check("self-test", true);
        assert_eq!(updater.judge(), Ok(Verdict::Healthy), "{reset:?}");
    }
}

#[test]
fn a_trial_with_nothing_to_go_back_to_is_forgiven_its_reset_and_judged_by_its_checks() {
    let mut device = trial(Origin::Local);
    // The confirmed image has lost a bit.
    let payload = device.layout.payload_offset as usize;
    device.slots.flash.flip(payload + 9, 1);
    starts_trial(&mut device, Watchdog);
    let mut updater = updater_with(&mut device, STRICT);
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    updater.check("self-test", true);
    assert_eq!(updater.judge(), Ok(Verdict::Healthy));
    assert_eq!(reason_of(&device), None);
}

#[test]
fn the_first_start_of_a_trial_is_not_to_blame_for_the_reset_before_it() {
    for reset in ResetReason::ALL {
        let mut device = trial_after(Origin::Local, reset);
        let mut updater = updater_with(&mut device, STRICT);
        assert_eq!(updater.judge(), Ok(Verdict::Pending), "{reset:?}");
        updater.check("self-test", true);
        assert_eq!(updater.judge(), Ok(Verdict::Healthy), "{reset:?}");
    }
}

#[test]
fn an_ordinary_reset_of_a_trial_needs_no_forgiveness() {
    for reset in [PowerOn, BrownOut, Pin, Software] {
        let mut device = trial(Origin::Local);
        starts_trial(&mut device, reset);
        let mut updater = updater_with(&mut device, STRICT);
        assert_eq!(updater.judge(), Ok(Verdict::Pending), "{reset:?}");
        // It is no first start any more, either.
        starts_trial(&mut device, Watchdog);
        let mut updater = updater_with(&mut device, STRICT);
        let crashed = Verdict::Unhealthy(Reason::Crashed(5));
        assert_eq!(updater.judge(), Ok(crashed), "{reset:?}");
    }
}
