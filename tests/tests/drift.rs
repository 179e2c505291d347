//! Drift: what lies in the slots is measured again while the application runs.

use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::reset::ResetReason;
use bistable_core::state::{Origin, Reason, SlotState};
use bistable_tests::device::{Device, DeviceUpdater, give, give_one, install};
use bistable_tests::fixtures::{fields, image_of, product, program};
use bistable_tests::images::Built;
use bistable_updater::drift::{Drift, Finding};

use Finding::{Differs, Intact, NoImage, NotYet};

/// The test product: chunks, and so pieces, of 1 KiB.
type Board = Device<8, 1024>;

const RUNNING: u32 = 10;

/// Of three chunks, as an ordinary image has.
const CHUNKS: usize = 3;

/// Calls that a whole round takes: a header and three chunks on either side.
const ROUND: usize = 2 * (1 + CHUNKS);

fn drift(own: Finding, other: Finding) -> Drift {
    Drift { own, other }
}

/// A device whose running image came by an update: the one before it is still in the other slot, confirmed.
fn updated(running: Slot) -> Board {
    let [new, old] = [RUNNING, RUNNING - 1].map(Built::ordinary);
    let mut device = Board::new(product().layout, running, &new);
    device.put(running.other(), &old);
    let old = image_of(&old.manifest, Origin::Factory);
    device.change_state(|state| {
        *state.slots.get_mut(place(running.other())).unwrap() = SlotState::Confirmed(old);
    });
    device.power_on();
    device
}

/// A device from the factory.
fn new() -> Board {
    Board::new(product().layout, Slot::A, &Built::ordinary(RUNNING))
}

fn place(slot: Slot) -> usize {
    *slot.of(&[0, 1])
}

fn after(updater: &mut DeviceUpdater<'_, 8, 1024>, calls: usize) -> Drift {
    for _ in 0..calls {
        updater.measure();
    }
    updater.device().drift
}

/// Flips a bit at rest, `at` bytes from the start of `slot`: one bit or another.
fn flip(device: &mut Board, slot: Slot, at: usize) {
    let start = slot.of(&device.layout.slots).offset as usize;
    device.slots.flash.flip(start + at, (at % 8) as u8);
}

#[test]
fn a_whole_round_takes_one_call_for_each_header_and_each_chunk() {
    for running in Slot::BOTH {
        let mut device = updated(running);
        let mut updater = device.updater();
        assert_eq!(updater.device().drift, drift(NotYet, NotYet));
        for (calls, expected) in [
            (ROUND / 2 - 1, drift(NotYet, NotYet)),
            (1, drift(Intact, NotYet)),
            (ROUND / 2 - 1, drift(Intact, NotYet)),
            (1, drift(Intact, Intact)),
            (100 * ROUND, drift(Intact, Intact)),
        ] {
            assert_eq!(after(&mut updater, calls), expected);
        }
    }
}

#[test]
fn a_bit_that_flips_at_rest_in_either_slot_is_found_within_a_round() {
    // The payload begins where the header ends, so that every byte is some image's.
    assert_eq!(product().layout.payload_offset as usize, HEADER_LEN);
    let image = HEADER_LEN + Built::ordinary(RUNNING).payload[0].len();
    for at in (0..image).step_by(5).chain([HEADER_LEN, image - 1]) {
        for (slot, expected) in [
            (Slot::A, drift(Differs, Intact)),
            (Slot::B, drift(Intact, Differs)),
        ] {
            let mut device = updated(Slot::A);
            let mut updater = device.updater();
            assert_eq!(after(&mut updater, ROUND), drift(Intact, Intact));
            flip(updater.platform().0, slot, at);
            let found = after(&mut updater, ROUND);
            assert_eq!(found, expected, "byte {at} of slot {slot:?}");
        }
    }
}

#[test]
fn a_bit_that_flips_behind_the_piece_that_is_measured_is_found_in_the_next_round() {
    let mut device = updated(Slot::A);
    let mut updater = device.updater();
    after(&mut updater, 2); // the header and the first chunk
    flip(updater.platform().0, Slot::A, HEADER_LEN + 5);
    assert_eq!(after(&mut updater, ROUND - 2), drift(Intact, Intact));
    assert_eq!(after(&mut updater, ROUND), drift(Differs, Intact));
}

#[test]
fn what_differed_once_differs_until_the_next_boot_even_if_it_reads_well_again() {
    let mut device = updated(Slot::A);
    let start = Slot::B.of(&device.layout.slots).offset as usize;
    // The fourth byte of the payload reads wrong once, and then never again.
    device.slots.flash.misread(start + HEADER_LEN + 3, 0, 0);
    let mut updater = device.updater();
    assert_eq!(after(&mut updater, ROUND), drift(Intact, Differs));
    assert_eq!(after(&mut updater, 3 * ROUND), drift(Intact, Differs));
    device.power_on();
    assert_eq!(after(&mut device.updater(), ROUND), drift(Intact, Intact));
}

#[test]
fn what_cannot_be_read_differs() {
    for (slot, expected) in [
        (Slot::A, drift(Differs, Intact)),
        (Slot::B, drift(Intact, Differs)),
    ] {
        let mut device = updated(Slot::A);
        let payload = slot.of(&device.layout.slots).offset as usize + HEADER_LEN;
        device.slots.flash.make_unreadable(payload + 1500);
        let found = after(&mut device.updater(), ROUND);
        assert_eq!(found, expected);
    }
}

#[test]
fn a_device_from_the_factory_has_no_other_image() {
    let mut device = new();
    assert_eq!(after(&mut device.updater(), ROUND), drift(Intact, NoImage));
}

#[test]
fn an_image_that_was_rejected_is_not_measured() {
    let mut device = updated(Slot::A);
    flip(&mut device, Slot::B, HEADER_LEN + 40);
    device.change_state(|state| {
        let other = state.slots.get_mut(place(Slot::B)).unwrap();
        let image = other.image().unwrap();
        *other = SlotState::Rejected(image, Reason::AttemptsUsedUp.code());
    });
    device.power_on();
    assert_eq!(after(&mut device.updater(), ROUND), drift(Intact, NoImage));
}

#[test]
fn intact_slots_never_differ_while_an_update_is_installed() {
    let update = Built::new(fields(RUNNING + 1), program(3, 9000), &[0]);
    let parts = update.pages.len() + update.manifest.chunks() as usize;
    // Measuring is at another place of its round each time when the installation begins.
    for head_start in 0..ROUND {
        let mut device = updated(Slot::A);
        let mut updater = device.updater();
        after(&mut updater, head_start);
        for part in 0..parts {
            give(&mut updater, &update, 1).unwrap();
            // The page is not written; from the first chunk on the slot receives an image.
            let found = after(&mut updater, 3);
            assert_ne!(found.own, Differs);
            match part {
                0 => assert_ne!(found.other, Differs),
                _ => assert_eq!(found.other, NoImage, "after part {part}"),
            }
        }
        install(&mut updater, &update).unwrap();
        assert_eq!(updater.device().drift.other, NotYet, "it is a new one");
        let whole_round = ROUND + 1 + update.manifest.chunks() as usize;
        let found = after(&mut updater, whole_round);
        assert_eq!(found, drift(Intact, Intact), "after {head_start} calls");
    }
}

/// The very image that lies there already, written again: half of the sum is of before, half of afterwards.
#[test]
fn a_slot_that_was_written_again_is_measured_from_its_start() {
    let old = Built::ordinary(RUNNING - 1);
    let update = Built::ordinary(RUNNING + 1);
    let mut device = updated(Slot::A);
    flip(&mut device, Slot::B, HEADER_LEN + 1);
    let mut updater = device.updater();
    after(&mut updater, ROUND / 2 + 2); // the other's header, and its first chunk, which has drifted
    install(&mut updater, &update).unwrap();
    let found = after(&mut updater, ROUND);
    assert_eq!(found, drift(Intact, Intact));
    assert!(!device.holds(Slot::B, &old) && device.holds(Slot::B, &update));
}

#[test]
fn another_image_wipes_away_what_was_found_of_the_one_before() {
    let mut device = updated(Slot::A);
    flip(&mut device, Slot::B, HEADER_LEN + 2000);
    let mut updater = device.updater();
    assert_eq!(after(&mut updater, ROUND), drift(Intact, Differs));
    let update = Built::ordinary(RUNNING + 1);
    let mut installation = updater.begin(&update.header, Origin::Network).unwrap();
    while give_one(&mut installation, &update.file).unwrap() {}
    assert_eq!(updater.device().drift, drift(Intact, NoImage));
    install(&mut updater, &update).unwrap();
    assert_eq!(after(&mut updater, ROUND), drift(Intact, Intact));
}

#[test]
fn a_key_that_was_revoked_since_has_changed_no_bit() {
    let mut device = updated(Slot::A);
    device.change_state(|state| state.revoked = state.revoked.with(0));
    device.power_on();
    assert_eq!(after(&mut device.updater(), ROUND), drift(Intact, Intact));
}

#[test]
fn measuring_writes_nothing_and_does_not_feed_the_watchdog() {
    let mut device = updated(Slot::A);
    let mut updater = device.updater();
    let seen = |updater: &mut DeviceUpdater<'_, 8, 1024>| {
        let device = &updater.platform().0;
        (device.operations(), device.watchdog)
    };
    let before = seen(&mut updater);
    after(&mut updater, 5 * ROUND);
    assert_eq!(seen(&mut updater), before);
}

#[test]
fn the_trial_is_measured_too() {
    let mut device = new();
    install(&mut device.updater(), &Built::ordinary(RUNNING + 1)).unwrap();
    device.restart(ResetReason::Software).unwrap();
    assert_eq!(device.running, Slot::B);
    assert_eq!(after(&mut device.updater(), ROUND), drift(Intact, Intact));
}
