//! The bootloader on a board in memory: what it boots, what it writes down, and what it says of it.

use bistable_bootloader::Ready;
use bistable_core::choose::Role;
use bistable_core::digest::Digest;
use bistable_core::handover::{Handover, JournalHealth, Standing};
use bistable_core::journal::Opened;
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::manifest::Fields;
use bistable_core::refusal::Refusal;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Origin, Reason, SlotState, Snapshot};
use bistable_core::transition::{Charge, Event};
use bistable_core::version::Version;
use bistable_tests::board::Bench;
use bistable_tests::fixtures::{
    BOOTLOADER, CRASH_LOOP, STRANGER, fields, image_of, layout, program,
};
use bistable_tests::flash::{Extent, Fault};
use bistable_tests::images::Built;
use bistable_tests::random::Random;

use ResetReason::{BrownOut, PowerOn, Software, Unknown, Watchdog};

// ---- Devices ----

fn confirmed(image: &Built) -> SlotState {
    SlotState::Confirmed(image_of(&image.manifest, Origin::Factory))
}

/// As it leaves the factory: an image in A, confirmed.
fn from_the_factory() -> (Bench, Built) {
    let image = Built::ordinary(10);
    let mut bench = Bench::new();
    image.put_into(Slot::A, &mut bench.slots);
    let snapshot = Snapshot::with_confirmed(Slot::A, image_of(&image.manifest, Origin::Factory), 1);
    (bench.with_journal(&snapshot), image)
}

/// The same, with an update in B that waits for its trial.
fn with_a_trial() -> (Bench, Built, Built) {
    let (mut bench, old) = from_the_factory();
    let new = Built::ordinary(11);
    install(&mut bench, Slot::B, &new);
    (bench, old, new)
}

/// What the updater does, in short.
fn install(bench: &mut Bench, target: Slot, image: &Built) {
    let manifest = &image.manifest;
    bench.happens(Event::Receive {
        running: target.other(),
        image: image_of(manifest, Origin::Network),
        live: false,
    });
    image.put_into(target, &mut bench.slots);
    bench.happens(Event::Activate {
        target,
        image: image_of(manifest, Origin::Network),
        attempts: manifest.trial_attempts(),
    });
}

/// Two confirmed images, and A is active.
fn with_two_confirmed(active: &Built, other: &Built) -> Bench {
    with_two_confirmed_and(active, other, |_| ())
}

fn with_two_confirmed_and(active: &Built, other: &Built, change: impl Fn(&mut Snapshot)) -> Bench {
    let mut bench = Bench::new();
    active.put_into(Slot::A, &mut bench.slots);
    other.put_into(Slot::B, &mut bench.slots);
    let image = image_of(&active.manifest, Origin::Factory);
    let mut snapshot =
        Snapshot::with_confirmed(Slot::A, image, 1).with_slot(Slot::B, confirmed(other));
    change(&mut snapshot);
    bench.with_journal(&snapshot)
}

/// Boots, and sees to it that no slot is written.
fn boot(bench: &mut Bench, reset: ResetReason) -> Option<Ready> {
    let ready = bench.boot(reset);
    let slots = &bench.slots.counts;
    assert_eq!(slots.operations, 0, "the bootloader never writes a slot");
    if let Some(ready) = &ready {
        assert_eq!(bench.handover(), Some(ready.handover));
        assert_eq!(ready.handover.running, Some(ready.image.slot()));
        assert_eq!(ready.handover.digest, ready.image.digest());
        assert_eq!(ready.handover.note, None, "verification has ended");
        assert_eq!(ready.handover.bootloader, BOOTLOADER);
        assert_eq!(ready.handover.reset, reset);
    }
    ready
}

/// Boots, and says which slot as what.
fn boots(bench: &mut Bench, reset: ResetReason) -> Option<(Slot, Role)> {
    boot(bench, reset).map(|ready| (ready.image.slot(), ready.role))
}

fn state(bench: &Bench) -> Snapshot {
    match bench.state() {
        Opened::Sound {
            snapshot,
            rewrites: 0,
        } => snapshot,
        opened => panic!("{opened:?}"),
    }
}

fn operations(bench: &Bench) -> u64 {
    bench.journal.counts.operations
}

/// Where the payload in `slot` lies on the slots' flash.
fn payload_at(slot: Slot) -> usize {
    let layout = layout();
    (slot.of(&layout.slots).offset + layout.payload_offset) as usize
}

const ACTIVE_A: Option<(Slot, Role)> = Some((Slot::A, Role::Active));
const OTHER_B: Option<(Slot, Role)> = Some((Slot::B, Role::Other));
const TRIAL_B: Option<(Slot, Role)> = Some((Slot::B, Role::Trial(Charge::Attempt)));

// ---- A confirmed image ----

#[test]
fn the_factory_image_boots_confirmed_and_writes_nothing() {
    let (mut bench, image) = from_the_factory();
    let before = operations(&bench);
    for reset in [PowerOn, BrownOut, Software, Watchdog, Unknown, PowerOn] {
        let ready = boot(&mut bench, reset).expect("it boots");
        assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
        assert_eq!(ready.image.digest(), image.manifest.digest());
        assert_eq!(ready.image.address(), layout().payload_address(Slot::A));
        let handover = ready.handover;
        assert_eq!(handover.standing, Standing::Confirmed);
        assert_eq!(handover.journal, JournalHealth::Whole);
        assert_eq!(handover.refused, None);
        assert_eq!(ready.snapshot, state(&bench));
    }
    assert_eq!(operations(&bench), before);
}

#[test]
fn abnormal_resets_of_a_confirmed_image_are_counted_until_the_power_goes() {
    let (mut bench, _) = from_the_factory();
    for (reset, abnormal, resets) in [
        (PowerOn, 0, 1),
        (Watchdog, 1, 2),
        (Software, 1, 3),
        (Unknown, 2, 4),
        (PowerOn, 0, 1),
    ] {
        let handover = boot(&mut bench, reset).expect("it boots").handover;
        assert_eq!((handover.abnormal, handover.resets), (abnormal, resets));
    }
}

#[test]
fn abnormal_resets_of_a_trial_are_not_counted_against_the_confirmed_image() {
    let (mut bench, _, _) = with_a_trial();
    for _ in 0..3 {
        let ready = boot(&mut bench, Watchdog).expect("it boots");
        assert_eq!(ready.handover.abnormal, 0);
    }
}

#[test]
fn messages_to_the_next_boot_are_read_once() {
    let (mut bench, _) = from_the_factory();
    boot(&mut bench, PowerOn);
    let told = Handover {
        announced: true,
        barked: true,
        last_words: 0x0801_2345,
        ..bench.handover().expect("a handover")
    };
    bench.retained = told.encode();
    let handover = boot(&mut bench, Watchdog).expect("it boots").handover;
    assert!(!handover.announced && !handover.barked);
    assert_eq!(handover.last_words, 0x0801_2345);
}

#[test]
fn the_watchdog_is_fed_at_once_and_for_each_piece_that_is_hashed() {
    let (mut bench, image) = from_the_factory();
    let before = bench.watchdog.0;
    boot(&mut bench, PowerOn);
    let pieces = image.payload[0].len().div_ceil(256) as u64;
    assert!(bench.watchdog.0 - before > pieces);
}

#[test]
fn whatever_ram_holds_the_image_boots() {
    let (mut bench, _) = from_the_factory();
    let mut random = Random::new(3);
    for _ in 0..50 {
        let junk = random.bytes(bench.retained.len());
        bench.retained.copy_from_slice(&junk);
        assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A);
    }
}

// ---- A trial ----

#[test]
fn a_trial_is_charged_before_it_is_started() {
    let (mut bench, _, new) = with_a_trial();
    let before = bench.journal.counts.clone();
    let ready = boot(&mut bench, Software).expect("it boots");
    assert_eq!(ready.role, Role::Trial(Charge::Attempt));
    assert_eq!(ready.image.digest(), new.manifest.digest());
    let SlotState::Trial(_, budget) = state(&bench).slot(Slot::B) else {
        panic!("{:?}", state(&bench));
    };
    assert_eq!((budget.attempts, budget.power), (2, 16));
    assert!(budget.booted);
    assert_eq!(ready.handover.standing, Standing::Trial);
    assert_eq!(state(&bench).active, Slot::A, "until it is confirmed");
    assert_eq!(ready.snapshot, state(&bench));
    assert_eq!(operations(&bench) - before.operations, 6, "one snapshot");
}

#[test]
fn a_trial_whose_attempts_are_used_up_is_rejected_and_the_active_image_boots() {
    let (mut bench, old, new) = with_a_trial();
    for _ in 0..3 {
        assert_eq!(boots(&mut bench, Watchdog), TRIAL_B);
    }
    assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A);
    let now = state(&bench);
    let tried = image_of(&new.manifest, Origin::Network);
    assert_eq!(
        now.slot(Slot::B),
        SlotState::Rejected(tried, Reason::AttemptsUsedUp.code())
    );
    assert_eq!(now.slot(Slot::A), confirmed(&old));
    let entry = now.rejection(new.manifest.digest()).expect("remembered");
    assert_eq!(entry.reason, Reason::AttemptsUsedUp);
    let before = operations(&bench);
    assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A);
    assert_eq!(operations(&bench), before, "it is rejected once");
}

#[test]
fn losses_of_power_spend_their_own_budget() {
    let (mut bench, _, _) = with_a_trial();
    for start in 0..16_u8 {
        let reset = if start % 2 == 0 { PowerOn } else { BrownOut };
        let ready = boot(&mut bench, reset).expect("it boots");
        assert_eq!(ready.role, Role::Trial(Charge::Power), "{start}");
        let SlotState::Trial(_, budget) = state(&bench).slot(Slot::B) else {
            panic!("{:?}", state(&bench));
        };
        assert_eq!((budget.attempts, budget.power), (3, 15 - start));
    }
    let mut another = bench.clone();
    assert_eq!(boots(&mut another, Watchdog), TRIAL_B, "attempts are left");
    assert_eq!(boots(&mut bench, PowerOn), ACTIVE_A);
    let is_the_reason = |reason| reason == Reason::PowerBudgetUsedUp;
    let now = state(&bench).slot(Slot::B);
    assert!(matches!(now, SlotState::Rejected(_, reason) if is_the_reason(reason)));
}

#[test]
fn a_confirmed_trial_is_the_active_image_from_then_on() {
    let (mut bench, _, new) = with_a_trial();
    boot(&mut bench, Software);
    bench.happens(Event::Confirm {
        running: Slot::B,
        revoke_below: new.manifest.revoke_below(),
        revokes: Revoked::default(),
    });
    let before = operations(&bench);
    for reset in [Watchdog, PowerOn, Software] {
        assert_eq!(boots(&mut bench, reset), Some((Slot::B, Role::Active)));
    }
    assert_eq!(operations(&bench), before);
    assert_eq!(state(&bench).floor, 3);
}

#[test]
fn a_start_that_could_not_be_recorded_does_not_happen() {
    for operation in 0..6 {
        for extent in Extent::SOME {
            for fault in [Fault::Cut(extent), Fault::Fails(extent)] {
                let (mut bench, _, _) = with_a_trial();
                bench.journal.plan(operation, fault);
                let ready = boot(&mut bench, Software).expect("something boots");
                // Without power nobody would jump anywhere; with power, it was recorded after all.
                if ready.role != Role::Active {
                    assert!(matches!(fault, Fault::Fails(_)), "{operation} {fault:?}");
                    assert_eq!(state(&bench), ready.snapshot);
                }
                bench.journal.power_on();
                // What was torn is healed, and the trial has its turn: charged once, or twice if the
                // record was whole.
                assert_eq!(boots(&mut bench, Software), TRIAL_B);
                let SlotState::Trial(_, budget) = state(&bench).slot(Slot::B) else {
                    panic!("{:?}", state(&bench));
                };
                assert!([1, 2].contains(&budget.attempts));
            }
        }
    }
}

#[test]
fn a_trial_that_does_not_verify_is_forgotten_and_may_be_offered_again() {
    let broken = |spoil: &dyn Fn(&mut Bench)| {
        let (mut bench, old, new) = with_a_trial();
        spoil(&mut bench);
        let ready = boot(&mut bench, Software).expect("the old one boots");
        assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
        let now = state(&bench);
        assert_eq!(now.slot(Slot::B), SlotState::Empty);
        assert_eq!(now.slot(Slot::A), confirmed(&old));
        assert_eq!(now.rejection(new.manifest.digest()), None);
        let (slot, refusal) = ready.handover.refused.expect("a refusal");
        assert_eq!(slot, Slot::B);
        refusal
    };
    let header = slot_at(Slot::B);
    let payload = payload_at(Slot::B);
    let refusal = broken(&|bench| bench.slots.flip(payload + 100, 3));
    assert_eq!(refusal, Refusal::BadPayload);
    let refusal = broken(&|bench| bench.slots.flip(payload + 2999, 0));
    assert_eq!(refusal, Refusal::BadPayload, "the last byte");
    let refusal = broken(&|bench| bench.slots.flip(header + 84, 0));
    assert_eq!(refusal, Refusal::BadSignature);
    let refusal = broken(&|bench| bench.slots.flip(header, 0));
    assert_eq!(refusal, Refusal::NotAManifest);
    let refusal = broken(&|bench| bench.slots.make_unreadable(payload + 512));
    assert_eq!(refusal, Refusal::FlashRead);
    let refusal = broken(&|bench| Built::ordinary(12).put_into(Slot::B, &mut bench.slots));
    assert_eq!(refusal, Refusal::OtherImage, "a good one, and not this one");
}

fn slot_at(slot: Slot) -> usize {
    slot.of(&layout().slots).offset as usize
}

#[test]
fn a_failure_is_believed_only_when_it_happens_twice() {
    let (mut bench, _, _) = with_a_trial();
    bench.slots.misread(payload_at(Slot::B) + 100, 3, 0);
    assert_eq!(boots(&mut bench, Software), TRIAL_B);
    bench.slots.misread(slot_at(Slot::B) + 84, 3, 0);
    assert_eq!(boots(&mut bench, Software), TRIAL_B);
}

#[test]
fn a_trial_with_nothing_to_go_back_to_goes_on_uncharged() {
    let (mut bench, _, _) = with_a_trial();
    for _ in 0..3 {
        boot(&mut bench, Watchdog);
    }
    bench.slots.flip(payload_at(Slot::A), 0);
    let before = operations(&bench);
    for _ in 0..3 {
        let ready = boot(&mut bench, Watchdog).expect("it boots");
        assert_eq!(
            (ready.image.slot(), ready.role),
            (Slot::B, Role::LastResort)
        );
        assert_eq!(ready.handover.standing, Standing::Trial);
    }
    assert_eq!(operations(&bench), before);
    assert!(matches!(state(&bench).slot(Slot::B), SlotState::Trial(..)));
}

#[test]
fn a_rejected_image_does_not_boot_even_if_it_is_the_last_that_verifies() {
    let (mut bench, _, _) = with_a_trial();
    for _ in 0..4 {
        boot(&mut bench, Watchdog);
    }
    bench.slots.flip(payload_at(Slot::A), 0);
    assert_eq!(boots(&mut bench, Watchdog), None);
}

// ---- What does not verify ----

#[test]
fn a_broken_active_image_is_chosen_around_and_stays_what_it_is() {
    let (active, other) = (Built::ordinary(11), Built::ordinary(10));
    let mut bench = with_two_confirmed(&active, &other);
    let before = (operations(&bench), state(&bench));
    bench.slots.flip(payload_at(Slot::A) + 7, 0);
    for reset in [PowerOn, Watchdog, Software] {
        let ready = boot(&mut bench, reset).expect("the other boots");
        assert_eq!((ready.image.slot(), ready.role), (Slot::B, Role::Other));
        assert_eq!(ready.handover.standing, Standing::Confirmed);
        assert!(
            ready
                .handover
                .refused
                .is_some_and(|(slot, _)| slot == Slot::A)
        );
    }
    assert_eq!((operations(&bench), state(&bench)), before);
    bench.slots.flip(payload_at(Slot::A) + 7, 0);
    assert_eq!(boots(&mut bench, PowerOn), ACTIVE_A);
}

#[test]
fn when_nothing_verifies_nothing_boots_and_nothing_is_written() {
    let (active, other) = (Built::ordinary(11), Built::ordinary(10));
    let mut bench = with_two_confirmed(&active, &other);
    let before = operations(&bench);
    for slot in Slot::BOTH {
        bench.slots.flip(payload_at(slot) + 50, 0);
    }
    assert_eq!(boots(&mut bench, PowerOn), None);
    assert_eq!(boots(&mut bench, Watchdog), None);
    assert_eq!(operations(&bench), before);
    // Recovery is asked, and then it is tried again without a reset.
    bench.slots.flip(payload_at(Slot::B) + 50, 0);
    assert_eq!(boots(&mut bench, Watchdog), OTHER_B);
}

/// Why the active image with these fields, signed by these keys, does not boot where this is remembered.
fn refusal_of(
    change: impl Fn(&mut Fields),
    signers: &[u8],
    remember: impl Fn(&mut Snapshot),
) -> Option<Refusal> {
    let mut changed = fields(11);
    change(&mut changed);
    let active = Built::new(changed, program(11, 3000), signers);
    refusal_of_image(&active, remember)
}

fn refusal_of_image(active: &Built, remember: impl Fn(&mut Snapshot)) -> Option<Refusal> {
    // The other one is acceptable whatever is remembered.
    let acceptable = Fields {
        security_counter: 100,
        schemas: (0, 100),
        ..fields(10)
    };
    let other = Built::new(acceptable, program(10, 3000), &[1]);
    let mut bench = with_two_confirmed_and(active, &other, remember);
    let ready = boot(&mut bench, PowerOn).expect("one of them boots");
    let refused = ready.handover.refused;
    let expected = if refused.is_some() { Slot::B } else { Slot::A };
    assert_eq!(ready.image.slot(), expected);
    refused.map(|(slot, refusal)| {
        assert_eq!(slot, Slot::A);
        refusal
    })
}

#[test]
fn an_image_that_is_not_for_this_board_does_not_boot() {
    let as_it_is = |_: &mut Snapshot| ();
    let refused = |change: &dyn Fn(&mut Fields)| refusal_of(change, &[0], as_it_is);
    assert_eq!(refused(&|_| ()), None);
    let vendor = refused(&|fields| fields.vendor_id[0] ^= 1);
    assert_eq!(vendor, Some(Refusal::OtherVendor));
    let class = refused(&|fields| fields.class_id[15] ^= 1);
    assert_eq!(class, Some(Refusal::OtherClass));
    let layout = refused(&|fields| fields.layout = Digest::of(b"another"));
    assert_eq!(layout, Some(Refusal::OtherLayout));
    let bootloader = refused(&|fields| fields.oldest_bootloader = Version::new(1, 2, 1));
    assert_eq!(bootloader, Some(Refusal::BootloaderTooOld));
    assert_eq!(
        refused(&|fields| fields.oldest_bootloader = BOOTLOADER),
        None
    );
}

#[test]
fn an_image_below_the_floor_does_not_boot() {
    let floor = |floor| refusal_of(|_| (), &[0], |snapshot| snapshot.floor = floor);
    assert_eq!(floor(0), None);
    assert_eq!(floor(5), None);
    assert_eq!(floor(6), Some(Refusal::BelowFloor));
    // The factory's floor counts even where the journal has a lower one.
    let below_the_factory = refusal_of(
        |fields| (fields.security_counter, fields.revoke_below) = (0, 0),
        &[0],
        |snapshot| snapshot.floor = 0,
    );
    assert_eq!(below_the_factory, Some(Refusal::BelowFloor));
}

#[test]
fn an_image_that_cannot_read_the_present_data_does_not_boot() {
    let schema = |schema| refusal_of(|_| (), &[0], |snapshot| snapshot.schema = schema);
    assert_eq!(schema(1), None);
    assert_eq!(schema(2), Some(Refusal::OtherSchema));
}

#[test]
fn an_image_that_nobody_trusted_signed_does_not_boot() {
    let signed_by = |signers: &[u8]| refusal_of(|_| (), signers, |_| ());
    assert_eq!(signed_by(&[2]), None);
    assert_eq!(signed_by(&[]), Some(Refusal::TooFewReleaseSignatures));
    assert_eq!(
        signed_by(&[STRANGER]),
        Some(Refusal::TooFewReleaseSignatures)
    );
    assert_eq!(
        signed_by(&[3]),
        Some(Refusal::TooFewReleaseSignatures),
        "root"
    );
    let revoked = |places| refusal_of(|_| (), &[0], |snapshot| snapshot.revoked = Revoked(places));
    assert_eq!(revoked(0b100), None);
    assert_eq!(revoked(0b1), Some(Refusal::TooFewReleaseSignatures));
}

#[test]
fn an_image_that_cannot_start_does_not_boot() {
    let starting_with = |stack: u32, reset: u32| {
        let mut payload = program(11, 3000);
        for bytes in &mut payload {
            bytes[..4].copy_from_slice(&stack.to_le_bytes());
            bytes[4..8].copy_from_slice(&reset.to_le_bytes());
        }
        refusal_of_image(&Built::new(fields(11), payload, &[0]), |_| ())
    };
    let start = layout().payload_address(Slot::A);
    let (ram, behind) = (0x2000_0000, 0x2001_0000);
    assert_eq!(starting_with(behind, start | 1), None);
    assert_eq!(starting_with(ram + 8, (start + 2998) | 1), None);
    for stack in [0, ram - 8, behind + 8, behind - 4, ram + 12, u32::MAX] {
        let refusal = starting_with(stack, start | 1);
        assert_eq!(refusal, Some(Refusal::BadStackPointer), "{stack:#x}");
    }
    for reset in [
        start,
        start + 3000 + 1,
        start - 1,
        1,
        u32::MAX,
        start + 0x4001,
    ] {
        let refusal = starting_with(behind, reset);
        assert_eq!(refusal, Some(Refusal::BadResetVector), "{reset:#x}");
    }
}

#[test]
fn an_image_linked_for_the_other_slot_does_not_boot() {
    let image = Built::ordinary(11);
    let [a, _] = &image.payload;
    let mut bench = with_two_confirmed(&Built::ordinary(10), &image);
    bench.slots.put(payload_at(Slot::B), a);
    bench.slots.flip(payload_at(Slot::A), 0);
    assert_eq!(boots(&mut bench, PowerOn), None);
    bench.slots.put(payload_at(Slot::B), &image.payload[1]);
    assert_eq!(boots(&mut bench, PowerOn), OTHER_B);
}

#[test]
fn a_payload_that_does_not_fit_is_refused_and_one_that_just_fits_boots() {
    let capacity = layout().payload_capacity() as usize;
    let just = Built::new(fields(11), program(11, capacity), &[0]);
    assert_eq!(refusal_of_image(&just, |_| ()), None);
    let too_large = Built::new(fields(11), program(11, capacity + 8), &[0]);
    assert_eq!(
        refusal_of_image(&too_large, |_| ()),
        Some(Refusal::TooLarge)
    );
}

// ---- Verification that ends in a reset ----

/// The device resets while it verifies `slot`: RAM holds what it held then.
fn resets_while_verifying(bench: &mut Bench, slot: Slot, reset: ResetReason) {
    boot(bench, reset);
    let noted = bench.stored.iter().find(|it| it.note == Some(slot));
    bench.retained = noted.expect("a note of what is verified").encode();
}

#[test]
fn two_abnormal_resets_while_a_trial_is_verified_are_a_failure_of_it() {
    let (mut bench, _, _) = with_a_trial();
    resets_while_verifying(&mut bench, Slot::B, Software);
    resets_while_verifying(&mut bench, Slot::B, Watchdog);
    let ready = boot(&mut bench, Watchdog).expect("the old one boots");
    assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
    let refused = Some((Slot::B, Refusal::ResetWhileVerifying));
    assert_eq!(ready.handover.refused, refused);
    assert_eq!(state(&bench).slot(Slot::B), SlotState::Empty);
}

#[test]
fn two_abnormal_resets_while_the_active_image_is_verified_let_the_other_boot_once() {
    let mut bench = with_two_confirmed(&Built::ordinary(11), &Built::ordinary(10));
    let before = operations(&bench);
    resets_while_verifying(&mut bench, Slot::A, PowerOn);
    resets_while_verifying(&mut bench, Slot::A, Unknown);
    assert_eq!(boots(&mut bench, Watchdog), OTHER_B);
    assert_eq!(boots(&mut bench, Software), ACTIVE_A, "it is tried again");
    assert_eq!(operations(&bench), before);
}

#[test]
fn one_abnormal_reset_while_verifying_or_any_ordinary_one_is_no_failure() {
    let mut bench = with_two_confirmed(&Built::ordinary(11), &Built::ordinary(10));
    resets_while_verifying(&mut bench, Slot::A, PowerOn);
    assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A);
    for ordinary in [PowerOn, BrownOut, Software, ResetReason::Pin] {
        resets_while_verifying(&mut bench, Slot::A, Software);
        resets_while_verifying(&mut bench, Slot::A, Watchdog);
        assert_eq!(boots(&mut bench, ordinary), ACTIVE_A, "{ordinary:?}");
    }
}

#[test]
fn a_device_with_one_image_tries_it_again_although_its_verification_was_reset_twice() {
    let (mut bench, _) = from_the_factory();
    resets_while_verifying(&mut bench, Slot::A, PowerOn);
    resets_while_verifying(&mut bench, Slot::A, Watchdog);
    // This may count as a failure once; without further faults the image runs within three resets.
    let booted = (0..3).any(|_| boots(&mut bench, Watchdog) == ACTIVE_A);
    assert!(booted);
}

#[test]
fn recovery_that_returns_lets_the_only_image_be_tried_again_without_a_reset() {
    let (mut bench, _) = from_the_factory();
    resets_while_verifying(&mut bench, Slot::A, PowerOn);
    resets_while_verifying(&mut bench, Slot::A, Watchdog);
    let first = boots(&mut bench, Watchdog);
    let second = boots(&mut bench, Watchdog);
    assert!(first == ACTIVE_A || second == ACTIVE_A);
}

// ---- A lost journal ----

fn found(image: &Built) -> SlotState {
    SlotState::Confirmed(image_of(&image.manifest, Origin::Found))
}

#[test]
fn a_lost_journal_without_an_acceptable_image_boots_nothing_and_writes_nothing() {
    let mut bench = Bench::new();
    assert_eq!(boots(&mut bench, PowerOn), None);
    assert_eq!(operations(&bench), 0);
}

#[test]
fn a_lost_journal_with_one_acceptable_image_makes_it_confirmed_wherever_it_lies() {
    let image = Built::ordinary(10);
    for slot in Slot::BOTH {
        let mut bench = Bench::new();
        image.put_into(slot, &mut bench.slots);
        let ready = boot(&mut bench, PowerOn).expect("it boots");
        assert_eq!((ready.image.slot(), ready.role), (slot, Role::Active));
        assert_eq!(ready.handover.journal, JournalHealth::Rebuilt);
        let now = state(&bench);
        assert_eq!((now.active, now.slot(slot)), (slot, found(&image)));
        assert_eq!(now.slot(slot.other()), SlotState::Empty);
        assert_eq!(now.floor, layout().factory_floor);
        let ready = boot(&mut bench, PowerOn).expect("it boots");
        assert_eq!(ready.handover.journal, JournalHealth::Whole);
    }
}

#[test]
fn a_lost_journal_with_two_makes_the_older_one_confirmed_and_tries_the_newer_one() {
    for (in_a, in_b, older) in [(10, 11, Slot::A), (11, 10, Slot::B), (10, 10, Slot::A)] {
        let images = [
            Built::ordinary(in_a),
            Built::new(
                Fields {
                    version: Version::new(9, 9, 9),
                    ..fields(in_b)
                },
                program(5, 2000),
                &[1],
            ),
        ];
        let mut bench = Bench::new();
        for slot in Slot::BOTH {
            slot.of::<Built>(&images).put_into(slot, &mut bench.slots);
        }
        let newer = older.other();
        let trial = Role::Trial(Charge::Attempt);
        assert_eq!(boots(&mut bench, Watchdog), Some((newer, trial)));
        let now = state(&bench);
        assert_eq!(now.active, older);
        assert_eq!(now.slot(older), found(older.of(&images)));
        for _ in 0..2 {
            assert_eq!(boots(&mut bench, Watchdog), Some((newer, trial)));
        }
        assert_eq!(boots(&mut bench, Watchdog), Some((older, Role::Active)));
    }
}

#[test]
fn a_lost_journal_believes_only_acceptable_images() {
    let other_class = Fields {
        class_id: [7; 16],
        ..fields(12)
    };
    let below_the_floor = Fields {
        security_counter: 0,
        revoke_below: 0,
        ..fields(12)
    };
    for (fields, signer) in [
        (other_class, 0),
        (below_the_floor, 0),
        (fields(12), STRANGER),
    ] {
        let mut bench = Bench::new();
        Built::ordinary(10).put_into(Slot::B, &mut bench.slots);
        let unacceptable = Built::new(fields, program(12, 3000), &[signer]);
        unacceptable.put_into(Slot::A, &mut bench.slots);
        assert_eq!(boots(&mut bench, PowerOn), Some((Slot::B, Role::Active)));
        assert_eq!(state(&bench).slot(Slot::A), SlotState::Empty);
    }
}

/// A lost journal, with an older image in A and a newer one in B.
fn lost_with_two() -> (Bench, Built, Built) {
    let (older, newer) = (Built::ordinary(10), Built::ordinary(11));
    let mut bench = Bench::new();
    older.put_into(Slot::A, &mut bench.slots);
    newer.put_into(Slot::B, &mut bench.slots);
    (bench, older, newer)
}

#[test]
fn a_lost_journal_believes_a_failure_only_when_it_happens_twice() {
    let (mut bench, older, _) = lost_with_two();
    bench.slots.misread(payload_at(Slot::A) + 100, 3, 0);
    boot(&mut bench, Watchdog);
    let now = state(&bench);
    assert_eq!((now.active, now.slot(Slot::A)), (Slot::A, found(&older)));
}

#[test]
fn an_image_that_resets_the_device_while_it_is_verified_hides_no_other_when_the_journal_is_lost() {
    let (mut bench, _, _) = lost_with_two();
    resets_while_verifying(&mut bench.clone(), Slot::B, PowerOn);
    resets_while_verifying(&mut bench, Slot::A, PowerOn);
    bench.journal = Bench::new().journal; // the reset came before anything was written
    resets_while_verifying(&mut bench, Slot::A, Watchdog);
    bench.journal = Bench::new().journal;
    let booted = boots(&mut bench, Watchdog);
    assert_eq!(booted, Some((Slot::B, Role::Active)));
}

#[test]
fn a_cut_while_a_lost_journal_is_rebuilt_is_repaired_by_the_next_boot() {
    let (whole, older, _) = lost_with_two();
    let mut done = whole.clone();
    boot(&mut done, PowerOn);
    for operation in 0..operations(&done) {
        for extent in Extent::SOME {
            let mut bench = whole.clone();
            bench.journal.plan(operation, Fault::Cut(extent));
            boot(&mut bench, PowerOn);
            let booted = boots(&mut bench, PowerOn);
            let trial = Role::Trial(Charge::Power);
            assert_eq!(booted, Some((Slot::B, trial)), "{operation} {extent:?}");
            assert_eq!(state(&bench).slot(Slot::A), found(&older));
        }
    }
}

#[test]
fn a_lost_journal_that_cannot_be_written_lets_the_older_image_boot() {
    for dead in [&[0, 1, 2][..], &[0], &[1], &[2]] {
        let (mut bench, older, _) = lost_with_two();
        for sector in dead {
            bench.journal.kill(*sector);
        }
        for _ in 0..3 {
            let ready = boot(&mut bench, PowerOn).expect("it boots");
            assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
            assert_eq!(ready.image.digest(), older.manifest.digest());
            assert_eq!(ready.handover.journal, JournalHealth::WornOut);
        }
    }
}

#[test]
fn a_lost_journal_with_a_dead_sector_keeps_what_was_made_of_it_and_wears_no_good_sector_out() {
    for dead in 0..3 {
        let (mut bench, _, _) = lost_with_two();
        bench.journal.kill(dead);
        let first = boot(&mut bench, PowerOn).expect("it boots").snapshot;
        let (before, erases) = (operations(&bench), bench.journal.counts.erases.clone());
        for _ in 0..10 {
            assert_eq!(boot(&mut bench, PowerOn).expect("it boots").snapshot, first);
        }
        assert_eq!(bench.state(), Opened::GaveUp(first), "{dead}");
        assert_eq!(
            operations(&bench) - before,
            10,
            "a refused erase at each boot"
        );
        for (sector, (now, then)) in bench.journal.counts.erases.iter().zip(erases).enumerate() {
            assert!(
                sector == dead || *now == then,
                "sector {sector}, {dead} is dead"
            );
        }
    }
}

// ---- A journal that wears out ----

/// The sector that the next write erases.
fn next_target(bench: &Bench) -> usize {
    let mut trial_run = bench.clone();
    let before = trial_run.journal.counts.erases.clone();
    boot(&mut trial_run, Software);
    let worn = trial_run.journal.counts.erases.iter().zip(before);
    worn.into_iter()
        .position(|(now, before)| *now > before)
        .expect("a write")
}

#[test]
fn a_trial_does_not_start_where_the_journal_cannot_be_written_and_the_application_is_told() {
    let (mut bench, _, _) = with_a_trial();
    bench.journal.kill(next_target(&bench));
    for _ in 0..3 {
        let ready = boot(&mut bench, Software).expect("the old one boots");
        assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
        assert_eq!(ready.handover.journal, JournalHealth::WornOut);
    }
}

#[test]
fn a_journal_with_a_sector_that_cannot_be_made_whole_starts_no_trial_and_says_so() {
    let (mut bench, old, _) = with_a_trial();
    let dead = next_target(&bench);
    bench.journal.put(dead * 2048, &[0x5a; 2048]);
    bench.journal.kill(dead);
    for _ in 0..3 {
        let before = operations(&bench);
        let ready = boot(&mut bench, Software).expect("the old one boots");
        assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
        assert_eq!(ready.image.digest(), old.manifest.digest());
        assert_eq!(ready.handover.journal, JournalHealth::WornOut);
        assert!(matches!(ready.snapshot.slot(Slot::B), SlotState::Trial(..)));
        assert_eq!(operations(&bench) - before, 1, "a refused erase");
    }
}

#[test]
fn a_trial_runs_as_the_last_resort_where_nothing_can_be_recorded() {
    let (mut bench, _, new) = with_a_trial();
    let dead = next_target(&bench);
    bench.journal.put(dead * 2048, &[0x5a; 2048]);
    bench.journal.kill(dead);
    bench.slots.flip(payload_at(Slot::A) + 9, 1);
    for _ in 0..20 {
        let ready = boot(&mut bench, Watchdog).expect("the new one boots");
        assert_eq!(
            (ready.image.slot(), ready.role),
            (Slot::B, Role::LastResort)
        );
        assert_eq!(ready.image.digest(), new.manifest.digest());
        assert!(matches!(ready.snapshot.slot(Slot::B), SlotState::Trial(..)));
    }
}

#[test]
fn a_confirmed_image_boots_from_a_worn_out_journal_and_so_does_the_other() {
    let mut bench = with_two_confirmed(&Built::ordinary(11), &Built::ordinary(10));
    bench.journal.put(2048, &[0; 2048]);
    bench.journal.kill(1);
    assert_eq!(boots(&mut bench, PowerOn), ACTIVE_A);
    bench.slots.flip(payload_at(Slot::A) + 9, 1);
    assert_eq!(boots(&mut bench, PowerOn), OTHER_B);
}

#[test]
fn a_torn_journal_is_healed_before_anything_boots_and_the_application_is_told() {
    let (mut bench, _) = from_the_factory();
    bench.journal.flip(100, 2);
    let handover = boot(&mut bench, PowerOn).expect("it boots").handover;
    assert_eq!(handover.journal, JournalHealth::Healed);
    state(&bench);
    let handover = boot(&mut bench, Software).expect("it boots").handover;
    assert_eq!(handover.journal, JournalHealth::Whole);
}

// ---- A crash loop ----

/// Two confirmed images, A active and running since the power came.
fn that_may_crash() -> Bench {
    let mut bench = with_two_confirmed(&Built::ordinary(11), &Built::ordinary(10));
    assert_eq!(boots(&mut bench, PowerOn), ACTIVE_A);
    bench
}

/// The same, and one abnormal reset more is a crash loop.
fn about_to_crash() -> Bench {
    let mut bench = that_may_crash();
    for crash in 1..CRASH_LOOP {
        assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A, "{crash}");
    }
    bench
}

#[test]
fn as_many_abnormal_resets_as_the_product_says_make_the_other_image_active_with_one_snapshot() {
    for reset in [Watchdog, Unknown, ResetReason::LockUp] {
        let mut bench = about_to_crash();
        let (before, was) = (operations(&bench), state(&bench));
        let ready = boot(&mut bench, reset).expect("the other boots");
        assert_eq!((ready.image.slot(), ready.role), (Slot::B, Role::Other));
        assert_eq!(ready.handover.standing, Standing::Confirmed);
        assert_eq!((ready.handover.abnormal, ready.handover.refused), (0, None));
        assert!(ready.is_another);
        assert_eq!(operations(&bench) - before, 6, "one snapshot");
        let crashed = was.slot(Slot::A).image().expect("an image");
        let rejected = SlotState::Rejected(crashed, Reason::CrashLoop.code());
        let now = state(&bench);
        let expected = Snapshot {
            active: Slot::B,
            ..was.remember_rejected(crashed, Reason::CrashLoop)
        };
        assert_eq!(now, expected.with_slot(Slot::A, rejected));
        assert_eq!(ready.snapshot, now);
    }
}

#[test]
fn an_image_with_no_other_to_go_to_may_crash_a_thousand_times_and_nothing_is_written() {
    let mut bench = about_to_crash();
    assert_eq!(boots(&mut bench, Watchdog), OTHER_B);
    let (before, was) = (operations(&bench), state(&bench));
    for crash in 1..=1000 {
        let ready = boot(&mut bench, Watchdog).expect("it boots");
        assert_eq!((ready.image.slot(), ready.role), (Slot::B, Role::Active));
        assert_eq!(ready.handover.abnormal, crash);
        assert!(!ready.is_another);
    }
    assert_eq!((operations(&bench), state(&bench)), (before, was));
}

#[test]
fn the_count_of_abnormal_resets_does_not_start_again_from_nothing() {
    let (mut bench, _) = from_the_factory();
    boot(&mut bench, PowerOn);
    let told = Handover {
        abnormal: u16::MAX,
        ..bench.handover().expect("a handover")
    };
    bench.retained = told.encode();
    let ready = boot(&mut bench, Watchdog).expect("it boots");
    assert_eq!(ready.handover.abnormal, u16::MAX);
}

#[test]
fn an_image_that_crashes_goes_on_where_the_other_is_not_acceptable_and_nothing_is_written() {
    let other = SlotState::Rejected(
        image_of(&Built::ordinary(10).manifest, Origin::Network),
        Reason::DeadlineOver.code(),
    );
    let changed_to = |slot: SlotState| {
        let mut bench = about_to_crash();
        let changed = state(&bench).with_slot(Slot::B, slot);
        bench = bench.with_journal(&changed);
        bench
    };
    let broken = {
        let mut bench = about_to_crash();
        bench.slots.flip(payload_at(Slot::B) + 9, 1);
        bench
    };
    let with_other = |change: &dyn Fn(&mut Fields), remember: &dyn Fn(&mut Snapshot)| {
        let mut changed = fields(10);
        change(&mut changed);
        let other = Built::new(changed, program(10, 3000), &[0]);
        let mut bench = with_two_confirmed_and(&Built::ordinary(11), &other, remember);
        boot(&mut bench, PowerOn);
        (1..CRASH_LOOP).for_each(|_| assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A));
        bench
    };
    let below_the_floor = with_other(
        &|fields| (fields.security_counter, fields.revoke_below) = (4, 3),
        &|snapshot| snapshot.floor = 5,
    );
    let other_schema = with_other(&|fields| fields.schemas = (0, 0), &|snapshot| {
        snapshot.schema = 1;
    });
    let by_a_revoked_key = {
        let active = Built::new(fields(11), program(11, 3000), &[1]);
        let mut bench = with_two_confirmed_and(&active, &Built::ordinary(10), |snapshot| {
            snapshot.revoked = Revoked(0b1);
        });
        boot(&mut bench, PowerOn);
        (1..CRASH_LOOP).for_each(|_| assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A));
        bench
    };
    let below_the_fuses = {
        let mut bench = with_other(
            &|fields| (fields.security_counter, fields.revoke_below) = (4, 3),
            &|_| (),
        );
        bench.fuses.floor = 5;
        bench
    };
    for (mut bench, refused) in [
        (changed_to(other), None),
        (changed_to(SlotState::Empty), None),
        (broken, Some(Refusal::BadPayload)),
        (below_the_floor, Some(Refusal::BelowFloor)),
        (below_the_fuses, Some(Refusal::BelowFloor)),
        (other_schema, Some(Refusal::OtherSchema)),
        (by_a_revoked_key, Some(Refusal::TooFewReleaseSignatures)),
    ] {
        let (before, was) = (operations(&bench), state(&bench));
        for _ in 0..10 {
            let ready = boot(&mut bench, Watchdog).expect("it boots");
            assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
            let why = ready.handover.refused;
            assert_eq!(why, refused.map(|refusal| (Slot::B, refusal)));
        }
        assert_eq!((operations(&bench), state(&bench)), (before, was));
    }
}

#[test]
fn a_loss_of_power_forgets_the_count_and_an_ordinary_reset_does_not() {
    let mut bench = about_to_crash();
    assert_eq!(boots(&mut bench, PowerOn), ACTIVE_A);
    for _ in 1..CRASH_LOOP {
        assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A);
    }
    for ordinary in [Software, ResetReason::Pin] {
        assert_eq!(boots(&mut bench, ordinary), ACTIVE_A, "{ordinary:?}");
    }
    assert_eq!(boots(&mut bench, Watchdog), OTHER_B);

    // RAM survives a short brown-out, and the count is forgotten all the same.
    let mut bench = about_to_crash();
    assert_eq!(boots(&mut bench, BrownOut), ACTIVE_A);
    for _ in 1..CRASH_LOOP {
        assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A);
    }
    assert_eq!(boots(&mut bench, Watchdog), OTHER_B);
}

#[test]
fn a_count_that_is_full_is_acted_upon_after_any_reset_that_keeps_it() {
    // Something spoke against the other image when the count was full, and no longer does.
    let mut bench = about_to_crash();
    bench.slots.flip(payload_at(Slot::B) + 9, 1);
    assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A);
    bench.slots.flip(payload_at(Slot::B) + 9, 1);
    assert_eq!(boots(&mut bench, Software), OTHER_B);
    assert_eq!(state(&bench).active, Slot::B);
}

#[test]
fn the_count_starts_anew_for_another_image() {
    // The other image runs once in between, because the active one does not verify.
    let mut bench = about_to_crash();
    bench.slots.flip(payload_at(Slot::A) + 9, 1);
    let ready = boot(&mut bench, Software).expect("the other boots");
    assert_eq!((ready.image.slot(), ready.role), (Slot::B, Role::Other));
    assert_eq!((ready.handover.abnormal, ready.is_another), (0, true));
    bench.slots.flip(payload_at(Slot::A) + 9, 1);
    for _ in 1..CRASH_LOOP {
        assert_eq!(boots(&mut bench, Software), ACTIVE_A);
        assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A);
    }
    assert_eq!(boots(&mut bench, Watchdog), OTHER_B);

    // Another image in the same slot.
    let mut bench = about_to_crash();
    let newer = Built::ordinary(12);
    let changed = Snapshot {
        active: Slot::B,
        ..state(&bench)
    };
    bench = bench.with_journal(&changed);
    boot(&mut bench, Software);
    install(&mut bench, Slot::A, &newer);
    let ready = boot(&mut bench, Software).expect("it boots");
    assert_eq!(ready.image.digest(), newer.manifest.digest());
    assert_eq!((ready.handover.abnormal, ready.is_another), (0, true));
}

#[test]
fn crashes_of_the_other_image_never_reject_the_active_one() {
    let mut bench = with_two_confirmed(&Built::ordinary(11), &Built::ordinary(10));
    let (before, was) = (operations(&bench), state(&bench));
    bench.slots.flip(payload_at(Slot::A) + 9, 1);
    for _ in 0..3 * CRASH_LOOP {
        assert_eq!(boots(&mut bench, Watchdog), OTHER_B);
    }
    let full = bench.handover().expect("a handover").abnormal;
    assert!(full >= CRASH_LOOP);
    // The active one verifies again, and the count was not its own.
    bench.slots.flip(payload_at(Slot::A) + 9, 1);
    let ready = boot(&mut bench, Watchdog).expect("it boots");
    assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
    assert_eq!(ready.handover.abnormal, 0);
    for _ in 1..CRASH_LOOP {
        assert_eq!(boots(&mut bench, Watchdog), ACTIVE_A);
    }
    assert_eq!((operations(&bench), state(&bench)), (before, was));
}

#[test]
fn a_worn_out_journal_rejects_no_image_that_crashes() {
    for dead in 0..3 {
        let mut bench = about_to_crash();
        bench.journal.put(dead * 2048, &[0x5a; 2048]);
        bench.journal.kill(dead);
        for _ in 0..2 * CRASH_LOOP {
            let ready = boot(&mut bench, Watchdog).expect("it boots");
            assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
            assert_eq!(ready.handover.journal, JournalHealth::WornOut);
            assert!(matches!(
                ready.snapshot.slot(Slot::A),
                SlotState::Confirmed(_)
            ));
        }
    }
}

#[test]
fn a_rejection_that_cannot_be_recorded_does_not_happen() {
    let mut bench = about_to_crash();
    bench.journal.kill(0);
    bench.journal.kill(1);
    bench.journal.kill(2);
    for _ in 0..2 * CRASH_LOOP {
        let ready = boot(&mut bench, Watchdog).expect("it boots");
        assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
        assert_eq!(ready.handover.journal, JournalHealth::WornOut);
        assert!(ready.snapshot.is_sound() && ready.snapshot.active == Slot::A);
    }
}

#[test]
fn a_rejection_that_was_cut_leaves_one_image_or_the_other_active() {
    for operation in 0..6 {
        for extent in Extent::SOME {
            let mut bench = about_to_crash();
            bench.journal.seed(operation);
            bench.journal.plan(operation, Fault::Cut(extent));
            let was = state(&bench);
            boot(&mut bench, Watchdog);
            let booted = boots(&mut bench, PowerOn);
            let now = state(&bench);
            let rejected = matches!(now.slot(Slot::A), SlotState::Rejected(..));
            let active = if rejected { Slot::B } else { Slot::A };
            assert_eq!(
                booted,
                Some((active, Role::Active)),
                "{operation} {extent:?}"
            );
            assert_eq!(now.active, active);
            assert!(rejected || now == was, "the power took the count with it");
        }
    }
}

#[test]
fn a_trial_that_waits_comes_before_an_image_that_crashes() {
    let (mut bench, _, _) = with_a_trial();
    let was = state(&bench);
    let crashing = Handover {
        running: Some(Slot::A),
        standing: Standing::Confirmed,
        abnormal: 2 * CRASH_LOOP,
        ..Handover::default()
    };
    bench.retained = crashing.encode();
    assert_eq!(boots(&mut bench, Watchdog), TRIAL_B);
    assert_eq!(state(&bench).slot(Slot::A), was.slot(Slot::A));
    let ready = boot(&mut bench, Watchdog).expect("it boots");
    assert_eq!(
        (ready.role, ready.handover.abnormal),
        (Role::Trial(Charge::Attempt), 0)
    );
}

#[test]
fn a_product_without_a_threshold_knows_no_crash_loop() {
    let (mut bench, _) = from_the_factory();
    boot(&mut bench, PowerOn);
    let handover = Handover {
        abnormal: u16::MAX,
        ..bench.handover().expect("a handover")
    };
    assert!(!handover.crashes(Slot::A, 0));
    assert!(handover.crashes(Slot::A, u16::MAX) && handover.crashes(Slot::A, 1));
    assert!(!handover.crashes(Slot::B, 1), "it is not the one that ran");
}

// ---- Another image than the last one ----

#[test]
fn an_image_that_runs_for_the_first_time_since_the_power_came_is_another() {
    let (mut bench, _) = from_the_factory();
    for _ in 0..2 {
        assert!(boot(&mut bench, PowerOn).expect("it boots").is_another);
        for reset in [Watchdog, Software, Unknown, BrownOut, ResetReason::Pin] {
            let ready = boot(&mut bench, reset).expect("it boots");
            assert!(!ready.is_another, "{reset:?}");
        }
    }
}

#[test]
fn what_ram_does_not_say_is_another() {
    let (mut bench, _) = from_the_factory();
    boot(&mut bench, PowerOn);
    bench.retained[30] ^= 1;
    assert!(boot(&mut bench, Software).expect("it boots").is_another);
    assert!(!boot(&mut bench, Software).expect("it boots").is_another);
}

#[test]
fn a_switch_to_a_trial_and_back_is_another_each_time_and_a_confirmation_is_not() {
    let (mut bench, _, _) = with_a_trial();
    let runs = |bench: &mut Bench| {
        let ready = boot(bench, Software).expect("it boots");
        (ready.image.slot(), ready.is_another)
    };
    bench.retained = Handover {
        running: Some(Slot::A),
        digest: Built::ordinary(10).manifest.digest(),
        ..Handover::default()
    }
    .encode();
    assert_eq!(runs(&mut bench), (Slot::B, true));
    assert_eq!(runs(&mut bench), (Slot::B, false), "the same trial");
    let mut confirmed = bench.clone();
    confirmed.happens(Event::Confirm {
        running: Slot::B,
        revoke_below: 0,
        revokes: Revoked::default(),
    });
    assert_eq!(runs(&mut confirmed), (Slot::B, false));
    assert_eq!(runs(&mut bench), (Slot::B, false));
    assert_eq!(runs(&mut bench), (Slot::A, true), "no attempt is left");
    assert_eq!(runs(&mut bench), (Slot::A, false));
}

// ---- Fuses ----

#[test]
fn an_image_below_the_floor_of_the_fuses_does_not_boot() {
    let (mut bench, _) = from_the_factory();
    bench.fuses.floor = 5;
    assert_eq!(boots(&mut bench, PowerOn), ACTIVE_A, "its counter is 5");
    bench.fuses.floor = 6;
    let before = operations(&bench);
    assert_eq!(boots(&mut bench, PowerOn), None);
    assert_eq!(operations(&bench), before);
}

/// An image with this security counter.
fn counting(sequence: u32, security_counter: u32) -> Built {
    let fields = Fields {
        security_counter,
        ..fields(sequence)
    };
    Built::new(fields, program(sequence.into(), 3000), &[0])
}

#[test]
fn the_fuses_hold_where_the_journal_is_lost_and_the_rebuilt_floor_is_theirs() {
    let (older, newer) = (counting(10, 5), counting(11, 7));
    for (fused, expected, slot_a, floor) in [
        (0, Some((Slot::B, Role::Trial(Charge::Power))), true, 1),
        (5, Some((Slot::B, Role::Trial(Charge::Power))), true, 5),
        (6, Some((Slot::B, Role::Active)), false, 6),
        (7, Some((Slot::B, Role::Active)), false, 7),
    ] {
        let mut bench = Bench::new();
        older.put_into(Slot::A, &mut bench.slots);
        newer.put_into(Slot::B, &mut bench.slots);
        bench.fuses.floor = fused;
        assert_eq!(boots(&mut bench, PowerOn), expected, "{fused}");
        let now = state(&bench);
        assert_eq!(now.floor, floor, "{fused}");
        assert_eq!(now.slot(Slot::A) != SlotState::Empty, slot_a, "{fused}");
    }
    let mut bench = Bench::new();
    older.put_into(Slot::A, &mut bench.slots);
    bench.fuses.floor = 8;
    assert_eq!(boots(&mut bench, PowerOn), None);
    assert_eq!(operations(&bench), 0);
}

#[test]
fn an_old_journal_that_is_written_back_does_not_bring_an_old_image_back_below_the_fuses() {
    let (old, new) = (counting(10, 5), counting(11, 7));
    let mut bench = with_two_confirmed_and(&old, &new, |snapshot| snapshot.floor = 5);
    bench.fuses.floor = 7;
    let ready = boot(&mut bench, PowerOn).expect("the newer boots");
    assert_eq!((ready.image.slot(), ready.role), (Slot::B, Role::Other));
    let refused = ready.handover.refused;
    assert_eq!(refused, Some((Slot::A, Refusal::BelowFloor)));
    bench.slots.flip(payload_at(Slot::B) + 9, 1);
    assert_eq!(boots(&mut bench, PowerOn), None);
}

// ---- A replay ----

#[test]
fn an_old_signed_image_in_the_place_of_a_confirmed_one_does_not_boot() {
    let (mut bench, _) = from_the_factory();
    for old in [Built::ordinary(9), Built::ordinary(11)] {
        old.put_into(Slot::A, &mut bench.slots);
        assert_eq!(boots(&mut bench, PowerOn), None, "it is another image");
    }
}

#[test]
fn the_image_before_does_not_boot_any_more_when_the_confirmed_one_revoked_it() {
    for (counter, expected) in [(2, None), (3, ACTIVE_A)] {
        let mut bench = with_two_confirmed(&counting(10, 5), &counting(10, 5));
        let old = {
            let fields = Fields {
                security_counter: counter,
                revoke_below: 0,
                ..fields(10)
            };
            Built::new(fields, program(10, 3000), &[0])
        };
        old.put_into(Slot::A, &mut bench.slots);
        let image = image_of(&old.manifest, Origin::Factory);
        bench = bench.with_journal(&Snapshot::with_confirmed(Slot::A, image, 1));
        let new = Built::ordinary(11); // it revokes all below 3
        install(&mut bench, Slot::B, &new);
        assert_eq!(boots(&mut bench, Software), TRIAL_B);
        bench.happens(Event::Confirm {
            running: Slot::B,
            revoke_below: new.manifest.revoke_below(),
            revokes: Revoked::default(),
        });
        assert_eq!(boots(&mut bench, Software), Some((Slot::B, Role::Active)));
        bench.slots.flip(payload_at(Slot::B) + 9, 1);
        let booted = boots(&mut bench, Software).map(|(slot, _)| slot);
        assert_eq!(booted, expected.map(|(slot, _)| slot), "{counter}");
    }
}
