//! The updater: what it takes and what it refuses, what that costs, and the verdict on a trial.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bistable_core::digest::Digest;
use bistable_core::handover::{Handover, JournalHealth, Standing};
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::manifest::{Fields, MAX_REVOKED};
use bistable_core::refusal::Refusal;
use bistable_core::reset::ResetReason;
use bistable_core::state::{
    Budget, Image, Origin, POWER_BUDGET, Reason, Rejection, SlotState, Snapshot,
};
use bistable_core::transition::{Charge, Event};
use bistable_core::version::Version;
use bistable_tests::device::{Device, DeviceUpdater, Hardware, give, give_one, install};
use bistable_tests::fixtures::{BOOTLOADER, STRANGER, fields, image_of, key_id, product, program};
use bistable_tests::flash::{Extent, Fault};
use bistable_tests::golden::is_golden;
use bistable_tests::images::Built;
use bistable_updater::download::{DownloadError, download};
use bistable_updater::health::{Outcome, Verdict};
use bistable_updater::identity::{Calibration, Identity, MAX_LEN as IDENTITY_LEN, Serial};
use bistable_updater::report::{MAX_LEN, Rejected, Report};
use bistable_updater::{LIVE_MS, Updater, report};

/// The test product: sectors as long as chunks, a header's sector and fifteen for the payload.
type Board = Device<8, 1024>;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// The sequence of the image that runs.
const RUNNING: u32 = 10;

fn board() -> Board {
    board_in(Slot::A)
}

fn board_in(slot: Slot) -> Board {
    Device::new(product().layout, slot, &Built::ordinary(RUNNING))
}

/// An image of two pages and fourteen chunks.
fn large(sequence: u32) -> Built {
    let payload = program(sequence.into(), 14_000);
    let image = Built::new(fields(sequence), payload, &[0]);
    assert_eq!(image.pages.len(), 2);
    image
}

/// An image that would be installed, but for these fields.
fn with(change: impl FnOnce(&mut Fields)) -> Built {
    let mut fields = fields(RUNNING + 1);
    change(&mut fields);
    Built::new(fields, program(1, 3000), &[0])
}

fn revoking(keys: &[u8], signers: &[u8]) -> Built {
    let mut ids: Vec<_> = keys.iter().map(|key| key_id(*key)).collect();
    ids.sort();
    let mut revoked = [None; MAX_REVOKED];
    for (place, id) in revoked.iter_mut().zip(ids) {
        *place = Some(id);
    }
    let fields = Fields {
        revoked,
        ..fields(RUNNING + 1)
    };
    Built::new(fields, program(1, 3000), signers)
}

/// Asserts that `begin` refuses this image for this reason, and touches nothing.
fn refuses(device: &mut Board, image: &Built, refusal: Refusal) {
    let before = device.operations();
    let mut updater = device.updater();
    let refused = updater.begin(&image.header, Origin::Network).err();
    assert_eq!(refused, Some(refusal));
    assert_eq!(device.operations(), before, "{refusal:?}");
}

fn accepts(device: &mut Board, image: &Built) {
    let mut updater = device.updater();
    let refused = updater.begin(&image.header, Origin::Network).err();
    assert_eq!(refused, None);
}

fn no_budget_used(attempts: u8) -> Budget {
    Budget {
        attempts,
        power: POWER_BUDGET,
        booted: false,
    }
}

// ---- Start ----

#[test]
fn the_running_slot_comes_from_the_address() {
    for slot in Slot::BOTH {
        let mut device = board_in(slot);
        let product = device.product();
        let start = slot.of(&product.layout.slots).address;
        for address in [start, start + 5000, start + product.layout.slot_size - 1] {
            let updater = DeviceUpdater::start(Hardware(&mut device), product, address);
            assert_eq!(
                updater.map(|updater| updater.device().running).ok(),
                Some(slot)
            );
        }
    }
}

#[test]
fn an_address_in_no_slot_is_refused() {
    let mut device = board();
    let product = device.product();
    let [a, _] = product.layout.slots;
    for address in [0, a.address - 1, a.address + 2 * product.layout.slot_size] {
        let updater = DeviceUpdater::start(Hardware(&mut device), product, address);
        assert_eq!(updater.err(), Some(Refusal::RunningSlotUnclear));
    }
}

#[test]
fn an_application_without_a_header_is_refused() {
    let mut device = board();
    let (product, address) = (device.product(), device.address());
    device.slots.flash.put(0, &[0; 4]);
    let updater = DeviceUpdater::start(Hardware(&mut device), product, address);
    assert_eq!(updater.err(), Some(Refusal::NotAManifest));
    device.slots.flash.make_unreadable(0);
    let updater = DeviceUpdater::start(Hardware(&mut device), product, address);
    assert_eq!(updater.err(), Some(Refusal::FlashRead));
}

#[test]
fn a_page_buffer_below_a_chunk_is_refused() {
    let mut device = board();
    let (product, address) = (device.product(), device.address());
    let updater = Updater::<_, 1023>::start(Hardware(&mut device), product, address);
    assert_eq!(updater.err(), Some(Refusal::ChunkSize));
    assert!(Updater::<_, 1024>::start(Hardware(&mut device), product, address).is_ok());
}

#[test]
fn nothing_is_installed_while_handover_and_address_name_different_slots() {
    let image = Built::ordinary(RUNNING + 1);
    for running in [Some(Slot::B), None] {
        let mut device = board();
        let handover = Handover {
            running,
            ..Handover::decode(&device.retained).unwrap()
        };
        device.retained = handover.encode();
        refuses(&mut device, &image, Refusal::RunningSlotUnclear);
    }
    let mut device = board();
    device.retained = [0xa5; 128];
    refuses(&mut device, &image, Refusal::RunningSlotUnclear);
}

#[test]
fn a_journal_that_cannot_be_written_takes_no_update() {
    let mut device = board();
    device.journal.flip(3, 0);
    (0..3).for_each(|sector| device.journal.kill(sector));
    let mut updater = device.updater();
    assert_eq!(updater.device().journal, JournalHealth::WornOut);
    let image = Built::ordinary(RUNNING + 1);
    let refused = updater.begin(&image.header, Origin::Network).err();
    assert_eq!(refused, Some(Refusal::JournalWornOut));
}

#[test]
fn a_journal_that_was_cut_is_healed_and_said_so() {
    let mut device = board();
    device.journal.flip(3, 0);
    let mut updater = device.updater();
    assert_eq!(updater.device().journal, JournalHealth::Healed);
    install(&mut updater, &Built::ordinary(RUNNING + 1)).unwrap();
}

#[test]
fn the_device_says_what_handover_journal_and_header_say() {
    let mut device = board();
    let handover = Handover {
        reset: ResetReason::Watchdog,
        resets: 7,
        refused: Some((Slot::B, Refusal::BadPayload)),
        last_words: 0x0801_0123,
        ..Handover::decode(&device.retained).unwrap()
    };
    device.retained = handover.encode();
    let running = Built::ordinary(RUNNING).manifest;
    let state = device.state();
    let said = device.updater().device();
    assert_eq!(
        (said.running, said.standing),
        (Slot::A, Standing::Confirmed)
    );
    assert_eq!((said.digest, said.sequence), (running.digest(), RUNNING));
    assert_eq!(
        (said.version, said.bootloader),
        (running.version(), BOOTLOADER)
    );
    assert_eq!((said.reset, said.resets), (ResetReason::Watchdog, 7));
    assert_eq!(said.refused, Some((Slot::B, Refusal::BadPayload)));
    assert_eq!(said.last_words, Some(0x0801_0123));
    assert_eq!((said.slots, said.floor), (state.slots, 1));
    assert_eq!(
        (said.journal, said.last_rejection),
        (JournalHealth::Whole, None)
    );
}

// ---- A whole installation ----

#[test]
fn an_image_is_installed_into_the_other_slot_as_it_is_linked_for_that_one() {
    for running in Slot::BOTH {
        let target = running.other();
        let image = large(RUNNING + 1);
        assert_ne!(image.payload[0], image.payload[1]);
        let mut device = board_in(running);
        let before = device.slot_bytes(running).to_vec();
        let journal_before = device.journal_erases();
        install(&mut device.updater(), &image).unwrap();

        assert!(device.holds(target, &image));
        assert!(device.verify(target).is_ok());
        assert_eq!(device.slot_bytes(running), before);
        let state = device.state();
        let waiting = image_of(&image.manifest, Origin::Network);
        let trial = SlotState::Trial(waiting, no_budget_used(3));
        assert_eq!((state.slot(target), state.active), (trial, running));

        // A header's sector and fourteen for the payload; the last one is not used.
        let mut once = [1; 16];
        once[15] = 0;
        assert_eq!(device.erases(target), once);
        assert_eq!(device.erases(running), [0; 16]);
        assert_eq!(device.journal_erases() - journal_before, 2);
    }
}

#[test]
fn a_payload_that_is_the_same_in_both_slots_is_installed() {
    let [payload, _] = program(1, 14_000);
    let both = [payload.clone(), payload];
    let image = Built::new(fields(RUNNING + 1), both, &[0]);
    assert!(image.manifest.is_position_free());
    let mut device = board_in(Slot::B);
    install(&mut device.updater(), &image).unwrap();
    assert!(device.holds(Slot::A, &image) && device.verify(Slot::A).is_ok());
}

#[test]
fn a_download_asks_for_the_file_in_ascending_order_and_once() {
    let image = large(RUNNING + 1);
    let mut device = board();
    let mut asked = Vec::new();
    let mut source = image.file.as_slice();
    let downloaded = download(
        &mut device.updater(),
        &mut source,
        Origin::Network,
        &mut [0; 1024],
        |offset| asked.push(offset),
    );
    assert_eq!(downloaded, Ok(()));
    assert_eq!(asked.len(), 1 + image.pages.len() + 14);
    assert!(asked.is_sorted_by(|a, b| a < b));
    assert!(device.holds(Slot::B, &image));
}

#[test]
fn a_download_of_a_file_that_ends_goes_on_when_it_has_grown() {
    let image = large(RUNNING + 1);
    let mut device = board();
    let mut updater = device.updater();
    let mut chunk = [0; 1024];
    for len in (0..image.file.len()).step_by(700) {
        let mut source = &image.file[..len];
        let ended = download(
            &mut updater,
            &mut source,
            Origin::Network,
            &mut chunk,
            |_| {},
        );
        assert_eq!(ended, Err(DownloadError::EndsAt(len as u32)));
    }
    let mut source = image.file.as_slice();
    download(
        &mut updater,
        &mut source,
        Origin::Network,
        &mut chunk,
        |_| {},
    )
    .unwrap();
    assert_eq!(device.erases(Slot::B)[..15], [1; 15]);
}

#[test]
fn an_image_with_another_signature_is_the_same_image() {
    let image = large(RUNNING + 1);
    let promoted = Built::new(fields(RUNNING + 1), image.payload.clone(), &[0, 1]);
    assert_ne!(image.header, promoted.header);
    let mut device = board();
    let mut updater = device.updater();
    give(&mut updater, &image, 6).unwrap();
    install(&mut updater, &promoted).unwrap();
    assert_eq!(device.erases(Slot::B)[..15], [1; 15]);
    assert!(device.verify(Slot::B).is_ok());
}

// ---- What is refused before anything is touched ----

#[test]
fn an_image_that_nobody_trusted_signed_is_refused() {
    let payload = program(1, 3000);
    let stranger = Built::new(fields(RUNNING + 1), payload.clone(), &[STRANGER]);
    refuses(&mut board(), &stranger, Refusal::TooFewReleaseSignatures);
    let unsigned = Built::new(fields(RUNNING + 1), payload.clone(), &[]);
    refuses(&mut board(), &unsigned, Refusal::TooFewReleaseSignatures);
    let root = Built::new(fields(RUNNING + 1), payload, &[3]);
    refuses(&mut board(), &root, Refusal::TooFewReleaseSignatures);
    let mut forged = Built::ordinary(RUNNING + 1);
    forged.header[360] ^= 1;
    refuses(&mut board(), &forged, Refusal::BadSignature);
    let mut changed = Built::ordinary(RUNNING + 1);
    changed.header[80] ^= 4;
    refuses(&mut board(), &changed, Refusal::BadSignature);
}

#[test]
fn an_image_for_another_board_is_refused() {
    let other = *b"another one uuid";
    let cases = [
        (
            with(|fields| fields.vendor_id = other),
            Refusal::OtherVendor,
        ),
        (with(|fields| fields.class_id = other), Refusal::OtherClass),
        (
            with(|fields| fields.layout = Digest::of(b"another")),
            Refusal::OtherLayout,
        ),
        (
            with(|fields| fields.oldest_bootloader = Version::new(1, 2, 1)),
            Refusal::BootloaderTooOld,
        ),
        (with(|fields| fields.schemas = (1, 2)), Refusal::OtherSchema),
        (
            with(|fields| (fields.security_counter, fields.revoke_below) = (0, 0)),
            Refusal::BelowFloor,
        ),
        (with(|fields| fields.chunk_size = 2048), Refusal::ChunkSize),
    ];
    for (image, refusal) in cases {
        refuses(&mut board(), &image, refusal);
    }
    accepts(
        &mut board(),
        &with(|fields| fields.oldest_bootloader = BOOTLOADER),
    );
    accepts(&mut board(), &with(|fields| fields.schemas = (0, 9)));
}

#[test]
fn a_payload_that_does_not_fit_is_refused() {
    let of_len = |len| Built::new(fields(RUNNING + 1), program(1, len), &[0]);
    accepts(&mut board(), &of_len(15 * 1024));
    refuses(&mut board(), &of_len(15 * 1024 + 8), Refusal::TooLarge);
    refuses(&mut board(), &of_len(3001), Refusal::UnalignedLength);
    refuses(&mut board(), &of_len(3004), Refusal::UnalignedLength);
}

#[test]
fn an_image_that_is_not_newer_is_refused() {
    let same_sequence = with(|fields| fields.sequence = RUNNING);
    refuses(&mut board(), &same_sequence, Refusal::NotNewer);
    let older = with(|fields| fields.sequence = RUNNING - 1);
    refuses(&mut board(), &older, Refusal::NotNewer);
    refuses(
        &mut board(),
        &Built::ordinary(RUNNING),
        Refusal::AlreadyRunning,
    );
}

#[test]
fn an_image_below_the_floor_of_the_journal_is_refused() {
    let mut device = board();
    device.change_state(|state| state.floor = 6);
    refuses(&mut device, &with(|_| {}), Refusal::BelowFloor);
    let mut device = board();
    device.change_state(|state| state.floor = 5);
    accepts(&mut device, &with(|_| {}));
}

#[test]
fn a_rejected_image_is_refused_and_the_reason_can_be_read() {
    let image = with(|_| {});
    let named = image_of(&image.manifest, Origin::Network);
    let mut device = board();
    device.change_state(|state| *state = state.remember_rejected(named, Reason::CheckFailed(2)));
    refuses(&mut device, &image, Refusal::RejectedBefore);
    let expected = Rejection {
        digest: named.digest,
        sequence: named.sequence,
        reason: Reason::CheckFailed(2).code(),
    };
    let updater = device.updater();
    assert_eq!(updater.rejection(named.digest), Some(expected));
    assert_eq!(updater.device().last_rejection, Some(expected));
    assert_eq!(updater.rejection(Digest::of(b"another")), None);
}

#[test]
fn an_image_not_above_the_forgotten_ones_is_refused() {
    let mut device = board();
    device.change_state(|state| state.forgotten = RUNNING + 1);
    refuses(&mut device, &with(|_| {}), Refusal::OlderThanForgotten);
    let above = with(|fields| fields.sequence = RUNNING + 2);
    accepts(&mut device, &above);
}

#[test]
fn revocations_hold_before_they_are_durable() {
    refuses(
        &mut board(),
        &revoking(&[0], &[0, 3]),
        Refusal::TooFewReleaseSignatures,
    );
    refuses(
        &mut board(),
        &revoking(&[0], &[1]),
        Refusal::TooFewRootSignatures,
    );
    refuses(
        &mut board(),
        &revoking(&[3], &[1, 3]),
        Refusal::TooFewRootSignatures,
    );
    refuses(
        &mut board(),
        &revoking(&[3, 4, 5, 6], &[1, 3]),
        Refusal::TooFewRootSignatures,
    );
    accepts(&mut board(), &revoking(&[0], &[1, 3]));
    accepts(&mut board(), &revoking(&[0, 3, 4, 5], &[6]));

    let mut device = board();
    device.change_state(|state| state.revoked = Revoked(0b1));
    refuses(&mut device, &with(|_| {}), Refusal::TooFewReleaseSignatures);
}

#[test]
fn nothing_is_installed_beside_a_trial_or_a_rejected_image() {
    let newer = with(|fields| fields.sequence = RUNNING + 2);
    let mut device = trial(Origin::Network, &Built::ordinary(RUNNING + 1));
    refuses(&mut device, &newer, Refusal::TrialNotFinished);
    device.updater().reject(Reason::OnRequest(1)).unwrap();
    refuses(&mut device, &newer, Refusal::ResetFirst);
    device.boots(Slot::A);
    accepts(&mut device, &newer);
}

#[test]
fn a_trial_that_was_started_is_not_overwritten_by_the_image_that_runs_meanwhile() {
    let mut device = trial(Origin::Network, &Built::ordinary(RUNNING + 1));
    device.boots(Slot::A);
    let newer = with(|fields| fields.sequence = RUNNING + 2);
    refuses(&mut device, &newer, Refusal::TrialNotFinished);
}

#[test]
fn what_waits_for_its_trial_gives_way_only_to_a_newer_one() {
    let image = with(|fields| fields.sequence = RUNNING + 2);
    let mut device = board();
    install(&mut device.updater(), &image).unwrap();
    refuses(&mut device, &image, Refusal::AlreadyWaiting);
    let older = Built::ordinary(RUNNING + 1);
    refuses(&mut device, &older, Refusal::NewerInProgress);
    let newer = Built::ordinary(RUNNING + 3);
    install(&mut device.updater(), &newer).unwrap();
    assert!(device.holds(Slot::B, &newer));
}

// ---- A stranger cannot wear the device out ----

#[test]
fn header_and_page_alone_touch_nothing() {
    let mut device = board();
    let before = device.operations();
    let mut updater = device.updater();
    for sequence in RUNNING + 1..RUNNING + 9 {
        give(&mut updater, &large(sequence), 1).unwrap();
    }
    assert_eq!(device.operations(), before);
}

#[test]
fn a_live_download_gives_way_only_to_a_newer_one() {
    let [older, image, newer] = [11, 12, 13].map(large);
    let mut device = board();
    let mut updater = device.updater();
    give(&mut updater, &image, 2).unwrap();
    for now in [0, LIVE_MS - 1] {
        updater.platform().0.now = now;
        let refused = updater.begin(&older.header, Origin::Network).err();
        assert_eq!(refused, Some(Refusal::NewerInProgress));
    }
    // A chunk keeps it live.
    give(&mut updater, &image, 1).unwrap();
    updater.platform().0.now = 2 * LIVE_MS - 2;
    let refused = updater.begin(&older.header, Origin::Network).err();
    assert_eq!(refused, Some(Refusal::NewerInProgress));
    updater.platform().0.now = 2 * LIVE_MS - 1;
    give(&mut updater, &older, 2).unwrap();
    let receiving = |updater: &DeviceUpdater<'_, 8, 1024>| updater.device().slots[1];
    let named = |image: &Built| SlotState::Receiving(image_of(&image.manifest, Origin::Network));
    assert_eq!(receiving(&updater), named(&older));
    give(&mut updater, &newer, 2).unwrap();
    assert_eq!(receiving(&updater), named(&newer));
}

#[test]
fn after_a_reset_no_download_is_live() {
    let mut device = board();
    give(&mut device.updater(), &large(12), 5).unwrap();
    device.power_on();
    install(&mut device.updater(), &large(11)).unwrap();
    assert!(device.holds(Slot::B, &large(11)));
}

#[test]
fn eight_downloads_are_begun_in_a_boot_and_one_more_a_day() {
    let mut device = board();
    let mut updater = device.updater();
    let images: Vec<_> = (11..22).map(large).collect();
    for image in &images[..8] {
        // Without a page, it costs nothing; nor does going on.
        for _ in 0..5 {
            give(&mut updater, image, 0).unwrap();
        }
        give(&mut updater, image, 2).unwrap();
        give(&mut updater, image, 2).unwrap();
    }
    let throttled = |updater: &mut DeviceUpdater<'_, 8, 1024>, image: &Built| {
        give(updater, image, 0) == Err(Refusal::Throttled)
    };
    assert!(throttled(&mut updater, &images[8]));
    give(&mut updater, &images[7], 1).unwrap();
    updater.platform().0.now = DAY - 1;
    assert!(throttled(&mut updater, &images[8]));
    updater.platform().0.now = DAY;
    give(&mut updater, &images[8], 2).unwrap();
    assert!(throttled(&mut updater, &images[9]));
    updater.platform().0.now = 2 * DAY;
    install(&mut updater, &images[9]).unwrap();
}

#[test]
fn resuming_by_hashing_costs_a_token() {
    let image = large(11);
    let mut device = board();
    let mut updater = device.updater();
    for _ in 0..8 {
        give(&mut updater, &image, 4).unwrap();
        let flash = &mut updater.platform().0.slots.flash;
        flash.plan(0, Fault::Fails(Extent::Nothing));
        assert!(install(&mut updater, &image).is_err());
    }
    assert_eq!(give(&mut updater, &image, 0), Err(Refusal::Throttled));
}

// ---- Parts ----

#[test]
fn a_part_of_another_length_is_refused() {
    let image = large(11);
    let mut device = board();
    let mut updater = device.updater();
    let mut installation = updater.begin(&image.header, Origin::Network).unwrap();
    for _ in 0..4 {
        let wanted = installation.wants().unwrap();
        for len in [0, wanted.len - 1, wanted.len + 1] {
            let refused = installation.write(&mut vec![0; len as usize]);
            assert_eq!(refused, Err(Refusal::WrongLength));
        }
        give_one(&mut installation, &image.file).unwrap();
    }
}

#[test]
fn a_wrong_page_or_chunk_writes_nothing_and_the_right_one_goes_on() {
    let image = large(11);
    let mut device = board();
    let mut updater = device.updater();
    let mut parts = 0;
    loop {
        let before = updater.platform().0.operations();
        let mut installation = updater.begin(&image.header, Origin::Network).unwrap();
        let Some(wanted) = installation.wants() else {
            break;
        };
        let right = &image.file[wanted.offset as usize..][..wanted.len as usize];
        let is_page = image.pages.iter().any(|page| page == right);
        let refusal = if is_page {
            Refusal::BadPage
        } else {
            Refusal::BadChunk
        };
        for (at, bit) in [
            (0, 0),
            (wanted.len as usize / 2, 3),
            (wanted.len as usize - 1, 7),
        ] {
            let mut wrong = right.to_vec();
            wrong[at] ^= 1 << bit;
            assert_eq!(installation.write(&mut wrong), Err(refusal));
        }
        assert_eq!(installation.wants(), Some(wanted));
        assert_eq!(updater.platform().0.operations(), before);
        give(&mut updater, &image, 1).unwrap();
        parts += 1;
    }
    assert_eq!(parts, 16);
    install(&mut updater, &image).unwrap();
    assert!(device.holds(Slot::B, &image));
}

#[test]
fn an_installation_that_is_not_whole_is_not_finished() {
    let image = large(11);
    let mut device = board();
    let mut updater = device.updater();
    for _ in 0..16 {
        let installation = updater.begin(&image.header, Origin::Network).unwrap();
        assert_eq!(installation.finish().err(), Some(Refusal::NotWhole));
        give(&mut updater, &image, 1).unwrap();
    }
    let mut installation = updater.begin(&image.header, Origin::Network).unwrap();
    assert_eq!(installation.wants(), None);
    assert_eq!(installation.write(&mut []), Err(Refusal::WrongLength));
    assert!(installation.finish().is_ok());
}

#[test]
fn what_changed_in_the_slot_meanwhile_is_not_activated() {
    let image = large(11);
    let mut device = board();
    let mut updater = device.updater();
    give(&mut updater, &image, 16).unwrap();
    updater.platform().0.slots.flash.flip(16 * 1024 + 5000, 2);
    let installation = updater.begin(&image.header, Origin::Network).unwrap();
    assert_eq!(installation.finish().err(), Some(Refusal::BadPayload));
    install(&mut updater, &image).unwrap();
    assert!(device.holds(Slot::B, &image));
}

#[test]
fn an_image_that_could_not_run_is_not_activated() {
    let mut payload = program(1, 3000);
    for bytes in &mut payload {
        bytes[4..8].copy_from_slice(&0x0800_0001_u32.to_le_bytes());
    }
    let image = Built::new(fields(11), payload, &[0]);
    let mut device = board();
    assert_eq!(
        install(&mut device.updater(), &image),
        Err(Refusal::BadResetVector)
    );
    assert!(matches!(
        device.state().slot(Slot::B),
        SlotState::Receiving(_)
    ));
}

// ---- Flash that fails ----

#[test]
fn any_operation_may_fail_and_the_installation_goes_on() {
    let image = large(11);
    let mut peaceful = board();
    let before = peaceful.operations();
    install(&mut peaceful.updater(), &image).unwrap();
    let cost = [0, 1].map(|flash| peaceful.operations()[flash] - before[flash]);
    for extent in Extent::SOME {
        for (flash, operations) in cost.into_iter().enumerate() {
            for operation in 0..operations {
                let mut device = board();
                match flash {
                    0 => device.journal.plan(operation, Fault::Fails(extent)),
                    _ => device.slots.flash.plan(operation, Fault::Fails(extent)),
                }
                let mut updater = device.updater();
                let refused = install(&mut updater, &image);
                let expected: &[Refusal] = match flash {
                    0 => &[Refusal::Journal],
                    _ => &[Refusal::FlashErase, Refusal::FlashProgram],
                };
                assert!(refused.is_err_and(|refusal| expected.contains(&refusal)));
                // An activation that failed may be durable all the same.
                let again = install(&mut updater, &image);
                assert!(matches!(again, Ok(()) | Err(Refusal::AlreadyWaiting)));
                for _ in 0..3 {
                    assert!(
                        device.holds(Slot::B, &image),
                        "{extent:?} {flash} {operation}"
                    );
                    assert!(device.verify(Slot::B).is_ok());
                    device.power_on();
                }
            }
        }
    }
}

#[test]
fn what_is_not_read_back_as_it_was_programmed_is_refused() {
    let image = large(11);
    // In the header, which may be looked at before it is written; in the first chunk, in the last one.
    for (offset, reads_before) in [(100, 0..2), (1024 + 7, 0..1), (14_900, 0..1)] {
        let refused: Vec<_> = reads_before
            .filter_map(|reads| {
                let mut device = board();
                device.slots.flash.misread(16 * 1024 + offset, 1, reads);
                let mut updater = device.updater();
                let refused = (0..16).find_map(|_| give(&mut updater, &image, 1).err());
                // The bit may be seen only now, when the whole is verified.
                let again = install(&mut updater, &image);
                again.or_else(|_| install(&mut updater, &image)).unwrap();
                assert!(device.holds(Slot::B, &image));
                refused
            })
            .collect();
        assert_eq!(refused, [Refusal::ReadBack], "{offset}");
    }
}

#[test]
fn a_journal_sector_that_keeps_what_it_holds_and_takes_no_more_stops_the_updates_of_a_boot() {
    let image = large(11);
    let mut device = board();
    (0..3).for_each(|sector| device.journal.kill(sector));
    let mut updater = device.updater();
    assert_eq!(updater.device().journal, JournalHealth::Whole);
    for _ in 0..2 {
        assert_eq!(install(&mut updater, &image), Err(Refusal::Journal));
    }
    assert_eq!(updater.device().journal, JournalHealth::WornOut);
    let before = device_operations(&mut updater);
    assert_eq!(install(&mut updater, &image), Err(Refusal::JournalWornOut));
    assert_eq!(device_operations(&mut updater), before);
}

fn device_operations(updater: &mut DeviceUpdater<'_, 8, 1024>) -> [u64; 2] {
    updater.platform().0.operations()
}

#[test]
fn a_header_that_was_changed_while_the_image_ran_is_not_confirmed() {
    let mut device = ordinary_trial(Origin::Local);
    let other = Built::ordinary(RUNNING + 2);
    let mut updater = device.updater();
    pass(&mut updater, &["self-test"]);
    updater.platform().0.put(Slot::B, &other);
    assert_eq!(updater.confirm(), Err(Refusal::OtherImage));
    assert!(matches!(device.state().slot(Slot::B), SlotState::Trial(..)));
}

#[test]
fn a_dead_sector_stops_the_update_and_harms_nothing() {
    let image = large(11);
    for sector in [0, 1, 7, 14] {
        let mut device = board();
        device.slots.flash.kill(16 + sector);
        let mut updater = device.updater();
        for _ in 0..8 {
            assert_eq!(install(&mut updater, &image), Err(Refusal::FlashErase));
        }
        assert_eq!(install(&mut updater, &image), Err(Refusal::Throttled));
        assert!(device.holds(Slot::A, &Built::ordinary(RUNNING)));
        assert_eq!(device.state().active, Slot::A);
    }
}

#[test]
fn a_slot_that_is_known_good_keeps_every_byte_until_the_record_is_durable() {
    // The second one is the very image that is offered: it is to be repaired.
    for confirmed in [Built::ordinary(RUNNING - 1), large(11)] {
        let mut device = board();
        device.put(Slot::B, &confirmed);
        let named = image_of(&confirmed.manifest, Origin::Factory);
        device.change_state(|state| *state = state.with_slot(Slot::B, SlotState::Confirmed(named)));
        let before = device.slots.flash.counts.clone();
        device.journal.plan(3, Fault::Cut(Extent::Nothing));
        let cut = install(&mut device.updater(), &large(11));
        assert_eq!(cut, Err(Refusal::Journal));
        assert_eq!(device.slots.flash.counts, before);
        device.power_on();
        assert_eq!(device.state().slot(Slot::B), SlotState::Confirmed(named));
        install(&mut device.updater(), &large(11)).unwrap();
        assert!(device.holds(Slot::B, &large(11)));
    }
}

// ---- The verdict on a trial ----

/// A device that runs `image` from B, on trial, started once.
fn trial(origin: Origin, image: &Built) -> Board {
    let mut device = board();
    let mut updater = device.updater();
    let mut installation = updater.begin(&image.header, origin).unwrap();
    while give_one(&mut installation, &image.file).unwrap() {}
    installation.finish().unwrap().activate().unwrap();
    device.happens(Event::BootTrial {
        slot: Slot::B,
        charge: Charge::Attempt,
    });
    device.boots(Slot::B);
    device
}

fn ordinary_trial(origin: Origin) -> Board {
    trial(origin, &Built::ordinary(RUNNING + 1))
}

fn pass(updater: &mut DeviceUpdater<'_, 8, 1024>, names: &[&str]) {
    for name in names {
        assert!(updater.check(name, true), "{name}");
    }
}

#[test]
fn a_trial_is_confirmed_when_every_required_check_has_passed() {
    let mut device = ordinary_trial(Origin::Network);
    let journal_before = device.journal_erases();
    let mut updater = device.updater();
    assert_eq!(updater.device().standing, Standing::Trial);
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    pass(&mut updater, &["self-test"]);
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    assert_eq!(updater.confirm(), Err(Refusal::CheckOpen));
    assert!(!updater.check("selftest", true));
    updater.check("humidity", false);
    pass(&mut updater, &["update-source"]);
    assert_eq!(updater.judge(), Ok(Verdict::Healthy));
    assert_eq!(updater.device().standing, Standing::Confirmed);
    let outcomes: Vec<_> = updater
        .health()
        .iter()
        .map(|(_, _, outcome)| outcome)
        .collect();
    assert_eq!(
        outcomes,
        [Outcome::Passed, Outcome::Passed, Outcome::Failed]
    );
    assert_eq!(device.journal_erases() - journal_before, 1);
    let state = device.state();
    assert!(matches!(state.slot(Slot::B), SlotState::Confirmed(_)));
    assert_eq!((state.active, state.floor), (Slot::B, 3));
}

#[test]
fn an_image_that_came_over_a_local_link_need_not_reach_the_update_source() {
    let mut device = ordinary_trial(Origin::Local);
    let mut updater = device.updater();
    updater.check("update-source", false);
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    pass(&mut updater, &["self-test"]);
    assert_eq!(updater.judge(), Ok(Verdict::Healthy));
}

#[test]
fn an_update_source_that_cannot_be_reached_rejects_an_image_that_came_from_there() {
    let mut device = ordinary_trial(Origin::Network);
    let mut updater = device.updater();
    pass(&mut updater, &["self-test"]);
    updater.check("update-source", false);
    let failed = Verdict::Unhealthy(Reason::CheckFailed(2));
    assert_eq!(updater.confirm(), Err(Refusal::CheckOpen));
    assert_eq!(updater.judge(), Ok(failed));
    let rejected = device.state().slot(Slot::B);
    let is_the_reason = |reason| reason == Reason::CheckFailed(2);
    assert!(matches!(rejected, SlotState::Rejected(_, reason) if is_the_reason(reason)));
}

#[test]
fn confirming_raises_the_floor_and_the_revocations_and_nothing_else_does() {
    let image = revoking(&[0, 4], &[1, 3]);
    let mut device = trial(Origin::Local, &image);
    assert_eq!(
        (device.state().floor, device.state().revoked),
        (1, Revoked(0))
    );
    let mut updater = device.updater();
    pass(&mut updater, &["self-test"]);
    updater.confirm().unwrap();
    assert_eq!(updater.device().floor, 3);
    let state = device.state();
    assert_eq!((state.floor, state.revoked), (3, Revoked(0b1_0001)));
    // The key that is revoked vouches for nothing any more.
    refuses(
        &mut device,
        &Built::ordinary(RUNNING + 5),
        Refusal::TooFewReleaseSignatures,
    );
}

#[test]
fn confirming_what_is_confirmed_writes_nothing() {
    let mut device = board();
    let before = device.operations();
    let mut updater = device.updater();
    updater.platform().0.now = 100 * DAY;
    updater.check("self-test", false);
    for _ in 0..3 {
        assert_eq!(updater.confirm(), Ok(()));
        assert_eq!(updater.judge(), Ok(Verdict::Healthy));
    }
    assert_eq!(device.operations(), before);
}

#[test]
fn the_deadline_is_the_manifests() {
    let mut device = ordinary_trial(Origin::Local);
    let mut in_time = device.clone();
    let mut updater = in_time.updater();
    pass(&mut updater, &["self-test"]);
    updater.platform().0.now = 59_999;
    assert_eq!(updater.confirm(), Ok(()));

    let mut updater = device.updater();
    pass(&mut updater, &["self-test"]);
    updater.platform().0.now = 60_000;
    assert_eq!(updater.confirm(), Err(Refusal::DeadlineOver));
    let over = Verdict::Unhealthy(Reason::DeadlineOver);
    assert_eq!(updater.judge(), Ok(over));
    let state = device.state();
    let is_the_reason = |reason| reason == Reason::DeadlineOver;
    assert!(matches!(state.slot(Slot::B), SlotState::Rejected(_, reason) if is_the_reason(reason)));
    assert_eq!((state.active, state.floor), (Slot::A, 1));
}

#[test]
fn a_rejected_image_is_remembered_and_never_confirmed() {
    let image = Built::ordinary(RUNNING + 1);
    let mut device = trial(Origin::Network, &image);
    let mut updater = device.updater();
    updater.reject(Reason::OnRequest(9)).unwrap();
    assert_eq!(updater.device().standing, Standing::None);
    let before = updater.platform().0.operations();
    assert_eq!(updater.reject(Reason::OnRequest(8)), Ok(()));
    pass(&mut updater, &["self-test", "update-source"]);
    assert_eq!(updater.confirm(), Err(Refusal::Impossible));
    assert_eq!(updater.platform().0.operations(), before);
    device.boots(Slot::A);
    refuses(&mut device, &image, Refusal::RejectedBefore);
    let rejection = device.updater().rejection(image.manifest.digest());
    assert_eq!(
        rejection.map(|entry| entry.reason),
        Some(Reason::OnRequest(9).code())
    );
}

#[test]
fn nothing_is_rejected_without_an_acceptable_image_to_go_back_to() {
    let broken: [fn(&mut Board); 3] = [
        |device| device.slots.flash.flip(1024 + 2000, 1),
        |device| device.slots.flash.flip(200, 1),
        |device| device.change_state(|state| state.floor = 6),
    ];
    for breaks in broken {
        let mut device = ordinary_trial(Origin::Network);
        breaks(&mut device);
        let (state, before) = (device.state(), device.operations());
        let mut updater = device.updater();
        let refused = updater.reject(Reason::DeadlineOver);
        assert_eq!(refused, Err(Refusal::NoAcceptableOther));
        updater.check("self-test", false);
        assert_eq!(updater.judge(), Err(Refusal::NoAcceptableOther));
        assert_eq!((device.state(), device.operations()), (state, before));
    }
    let mut alone = board();
    let refused = alone.updater().reject(Reason::OnRequest(0));
    assert_eq!(refused, Err(Refusal::NoAcceptableOther));
}

#[test]
fn a_confirmed_image_can_be_given_up_for_the_other_confirmed_one() {
    let mut device = ordinary_trial(Origin::Local);
    let mut updater = device.updater();
    pass(&mut updater, &["self-test"]);
    updater.confirm().unwrap();
    updater.reject(Reason::CrashLoop).unwrap();
    let state = device.state();
    assert_eq!(state.active, Slot::A);
    assert!(matches!(state.slot(Slot::B), SlotState::Rejected(..)));
}

#[test]
fn the_watchdog_is_fed_until_the_deadline_and_always_when_confirmed() {
    let mut device = ordinary_trial(Origin::Local);
    let mut updater = device.updater();
    let fed = |updater: &mut DeviceUpdater<'_, 8, 1024>, now| {
        updater.platform().0.now = now;
        let before = updater.platform().0.watchdog;
        let allowed = updater.feed();
        assert_eq!(
            updater.platform().0.watchdog.0 - before.0,
            u64::from(allowed)
        );
        allowed
    };
    assert!(fed(&mut updater, 0) && fed(&mut updater, 59_999));
    assert!(!fed(&mut updater, 60_000) && !fed(&mut updater, 100 * DAY));
    updater.platform().0.now = 59_999;
    pass(&mut updater, &["self-test"]);
    updater.confirm().unwrap();
    assert!(fed(&mut updater, 60_000) && fed(&mut updater, 100 * DAY));
    updater.reject(Reason::OnRequest(0)).unwrap();
    assert!(!fed(&mut updater, 100 * DAY));
}

#[test]
fn a_verdict_that_is_cut_is_made_again() {
    for confirm in [true, false] {
        for operation in 0..6 {
            for extent in Extent::SOME {
                let mut device = ordinary_trial(Origin::Local);
                device.journal.seed(operation);
                let before = device.state();
                device.journal.plan(operation, Fault::Cut(extent));
                let verdict = |updater: &mut DeviceUpdater<'_, 8, 1024>| {
                    assert!(updater.check("self-test", confirm));
                    updater.judge()
                };
                let cut = verdict(&mut device.updater());
                assert_eq!(cut, Err(Refusal::Journal));
                device.power_on();
                let after = device.state();
                let standing = device.updater().device().standing;
                if standing == Standing::Trial {
                    assert_eq!(after, before);
                    verdict(&mut device.updater()).unwrap();
                }
                let confirmed = matches!(device.state().slot(Slot::B), SlotState::Confirmed(_));
                assert_eq!(confirmed, confirm, "{operation} {extent:?}");
            }
        }
    }
}

#[test]
fn a_reset_is_announced() {
    let mut device = board();
    let reset = catch_unwind(AssertUnwindSafe(|| device.updater().reset()));
    let said = reset.err().and_then(|panic| panic.downcast::<&str>().ok());
    assert_eq!(said.as_deref(), Some(&"reset"));
    assert_eq!(device.resets, 1);
    let handover = Handover::decode(&device.retained).unwrap();
    assert!(handover.announced);
    assert_eq!(handover.running, Some(Slot::A));
}

// ---- Fuses ----

/// A trial of an image that revokes all below 3; the fuses hold the factory's floor already.
fn trial_with_fuses(image: &Built) -> Board {
    let mut device = board();
    device.fuses.floor = 1;
    let mut updater = device.updater();
    let mut installation = updater.begin(&image.header, Origin::Local).unwrap();
    while give_one(&mut installation, &image.file).unwrap() {}
    installation.finish().unwrap().activate().unwrap();
    assert_eq!((device.fuses.floor, device.fuses.raised), (1, 0));
    starts_from_b(&mut device);
    device
}

fn starts_from_b(device: &mut Board) {
    device.happens(Event::BootTrial {
        slot: Slot::B,
        charge: Charge::Attempt,
    });
    device.boots(Slot::B);
}

#[test]
fn the_fuses_are_raised_when_an_image_is_confirmed_and_by_nothing_before() {
    let mut device = trial_with_fuses(&with(|_| {}));
    let mut updater = device.updater();
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    assert_eq!(updater.confirm(), Err(Refusal::CheckOpen));
    assert!(updater.feed());
    pass(&mut updater, &["self-test"]);
    assert_eq!(updater.platform().0.fuses.raised, 0);
    updater.confirm().unwrap();
    let fuses = updater.platform().0.fuses;
    assert_eq!((fuses.floor, fuses.raised), (3, 1));
    // From then on they hold what they should.
    for _ in 0..3 {
        let mut updater = device.updater();
        assert_eq!(updater.confirm(), Ok(()));
        assert_eq!(updater.judge(), Ok(Verdict::Healthy));
        device.power_on();
    }
    assert_eq!(device.fuses, fuses);
}

#[test]
fn the_fuses_are_not_raised_by_a_verdict_against_an_image() {
    let mut device = trial_with_fuses(&with(|_| {}));
    device.updater().reject(Reason::OnRequest(1)).unwrap();
    device.updater();
    device.boots(Slot::A);
    device.updater();
    assert_eq!((device.fuses.floor, device.fuses.raised), (1, 0));
}

#[test]
fn fuses_that_the_power_was_cut_before_are_raised_at_the_next_start() {
    let mut device = board();
    device.fuses.floor = 1;
    device.change_state(|state| state.floor = 4);
    assert_eq!(device.updater().device().floor, 4);
    assert_eq!((device.fuses.floor, device.fuses.raised), (4, 1));
    device.updater();
    assert_eq!(device.fuses.raised, 1, "once");
}

#[test]
fn the_fuses_are_not_raised_while_the_running_image_is_on_trial() {
    let mut device = trial_with_fuses(&with(|_| {}));
    device.change_state(|state| state.floor = 4);
    let mut updater = device.updater();
    assert_eq!(updater.device().floor, 4);
    assert_eq!(updater.judge(), Ok(Verdict::Pending));
    assert_eq!(updater.platform().0.fuses.raised, 0);
    pass(&mut updater, &["self-test"]);
    updater.confirm().unwrap();
    assert_eq!((device.fuses.floor, device.fuses.raised), (4, 1));
}

#[test]
fn fuses_that_are_used_up_undo_no_confirmation_and_are_tried_again() {
    let mut device = trial_with_fuses(&with(|_| {}));
    device.fuses.used_up = true;
    let mut updater = device.updater();
    pass(&mut updater, &["self-test"]);
    assert_eq!(updater.judge(), Ok(Verdict::Healthy));
    assert_eq!(updater.device().standing, Standing::Confirmed);
    assert_eq!(
        updater.device().floor,
        3,
        "the journal's holds all the same"
    );
    let state = device.state();
    assert!(matches!(state.slot(Slot::B), SlotState::Confirmed(_)));
    assert_eq!((device.fuses.floor, state.floor), (1, 3));
    device.updater();
    assert_eq!(device.fuses.floor, 1);
    device.fuses.used_up = false;
    device.updater();
    assert_eq!((device.fuses.floor, device.fuses.raised), (3, 1));
}

#[test]
fn floor_and_revocations_are_durable_with_the_confirmation_or_not_at_all_and_the_fuses_only_after()
{
    for operation in 0..6 {
        for extent in Extent::SOME {
            let mut device = trial_with_fuses(&revoking(&[0, 4], &[1, 3]));
            device.journal.seed(operation);
            device.journal.plan(operation, Fault::Cut(extent));
            let mut updater = device.updater();
            pass(&mut updater, &["self-test"]);
            assert_eq!(updater.confirm(), Err(Refusal::Journal));
            assert_eq!(device.fuses.raised, 0, "{operation} {extent:?}");
            device.power_on();
            let state = device.state();
            let confirmed = matches!(state.slot(Slot::B), SlotState::Confirmed(_));
            let expected = match confirmed {
                true => (Slot::B, 3, Revoked(0b1_0001)),
                false => (Slot::A, 1, Revoked(0)),
            };
            assert_eq!((state.active, state.floor, state.revoked), expected);
            let standing = device.updater().device().standing;
            assert_eq!(standing == Standing::Confirmed, confirmed);
            assert_eq!(device.fuses.raised, u32::from(confirmed));
        }
    }
}

#[test]
fn an_image_below_the_floor_of_the_fuses_is_refused_and_nothing_goes_back_to_one() {
    let mut device = board();
    device.fuses.floor = 6;
    refuses(&mut device, &with(|_| {}), Refusal::BelowFloor);
    device.fuses.floor = 5;
    accepts(&mut device, &with(|_| {}));

    let higher = with(|fields| fields.security_counter = 7);
    let mut device = trial(Origin::Local, &higher);
    device.fuses.floor = 6;
    let refused = device.updater().reject(Reason::OnRequest(1));
    assert_eq!(refused, Err(Refusal::NoAcceptableOther));
}

// ---- Attackers ----

#[test]
fn an_image_that_takes_too_many_keys_away_is_refused_whoever_signed_it() {
    let everybody = [0, 1, 2, 3, 4, 5, 6];
    let few_release = Refusal::TooFewReleaseSignatures;
    let few_root = Refusal::TooFewRootSignatures;
    for (revokes, refusal) in [
        (&[0, 1, 2, 6][..], few_release),
        (&[3, 4, 5, 6], few_root),
        (&everybody, few_release),
    ] {
        refuses(&mut board(), &revoking(revokes, &everybody), refusal);
    }
    // One of each role is left.
    accepts(&mut board(), &revoking(&[0, 1, 3, 4, 5], &everybody));
    // Keys that were revoked before do not come back by not being named.
    let mut device = board();
    device.change_state(|state| state.revoked = Revoked(0b100_0110));
    refuses(&mut device, &revoking(&[0], &everybody), few_release);
    accepts(&mut device, &revoking(&[3], &everybody));
}

#[test]
fn an_image_that_revokes_its_own_signer_is_refused_unless_others_signed_it_too() {
    let few_release = Refusal::TooFewReleaseSignatures;
    for signer in [0, 1, 2] {
        refuses(
            &mut board(),
            &revoking(&[signer], &[signer, 3]),
            few_release,
        );
        accepts(&mut board(), &revoking(&[signer], &[0, 1, 3]));
    }
    // One key in both roles revokes itself.
    refuses(&mut board(), &revoking(&[6], &[6]), few_release);
    let few_root = Refusal::TooFewRootSignatures;
    refuses(&mut board(), &revoking(&[6], &[0, 6]), few_root);
}

#[test]
fn a_revocation_that_only_release_keys_signed_is_refused() {
    for revokes in [&[2][..], &[3], &[6], &[2, 3]] {
        let image = revoking(revokes, &[0, 1]);
        refuses(&mut board(), &image, Refusal::TooFewRootSignatures);
    }
    // A root key alone does not make a release.
    let image = revoking(&[2], &[3, 4, 5]);
    refuses(&mut board(), &image, Refusal::TooFewReleaseSignatures);
}

#[test]
fn revocations_bind_nobody_before_the_image_is_confirmed() {
    let image = revoking(&[0], &[1, 3]);
    let mut device = trial(Origin::Local, &image);
    assert_eq!(device.state().revoked, Revoked(0));
    device.updater().reject(Reason::OnRequest(1)).unwrap();
    assert_eq!(device.state().revoked, Revoked(0));
    device.boots(Slot::A);
    accepts(&mut device, &Built::ordinary(RUNNING + 5));
}

#[test]
fn an_old_release_that_is_offered_again_is_refused_and_touches_nothing() {
    // Whoever recorded every image that this device ever took has them all.
    let mut device = board();
    let taken: Vec<_> = (RUNNING..RUNNING + 4).map(Built::ordinary).collect();
    for image in &taken[1..] {
        install(&mut device.updater(), image).unwrap();
        let target = device.running.other();
        device.happens(Event::BootTrial {
            slot: target,
            charge: Charge::Attempt,
        });
        device.boots(target);
        let mut updater = device.updater();
        pass(&mut updater, &["self-test", "update-source"]);
        updater.confirm().unwrap();
    }
    let (newest, older) = taken.split_last().unwrap();
    refuses(&mut device, newest, Refusal::AlreadyRunning);
    for old in older {
        refuses(&mut device, old, Refusal::NotNewer);
    }
}

// ---- Report and identity ----

fn golden_report() -> Report {
    Report {
        serial: Serial::try_from("BST-000042").unwrap(),
        slot: 1,
        standing: report::Standing::Trial,
        digest: [0x5a; 32],
        version: (1, 2, 300),
        sequence: 0x0102_0304,
        reset: ResetReason::Watchdog as u8,
        resets: 1000,
        journal: JournalHealth::Healed as u8,
        refused: Some(Refusal::BadPayload.code()),
        rejected: Some(Rejected {
            digest: [0xa5; 32],
            reason: Reason::CheckFailed(2).code().get(),
        }),
        floor: 3,
    }
}

fn golden_identity() -> Identity {
    Identity {
        serial: Serial::try_from("BST-000042").unwrap(),
        hardware_revision: 300,
        calibration: Calibration::from_slice(&[-17, 1_000_003]).unwrap(),
    }
}

#[test]
fn the_messages_are_what_they_always_were() {
    is_golden(
        "report.bin",
        golden_report().encode(&mut [0; MAX_LEN]).unwrap(),
    );
    let mut buffer = [0; IDENTITY_LEN];
    is_golden(
        "identity.bin",
        golden_identity().encode(&mut buffer).unwrap(),
    );
}

#[test]
fn a_report_is_read_as_it_was_written_and_not_otherwise() {
    let none = Report {
        refused: None,
        rejected: None,
        ..golden_report()
    };
    for report in [golden_report(), none] {
        let mut buffer = [0; MAX_LEN];
        let bytes = report.encode(&mut buffer).unwrap().to_vec();
        assert_eq!(Report::decode(&bytes), Some(report.clone()));
        for len in 0..bytes.len() {
            assert_eq!(Report::decode(&bytes[..len]), None);
            assert_eq!(report.encode(&mut vec![0; len]), None);
        }
        assert_eq!(Report::decode(&[bytes.as_slice(), &[0]].concat()), None);
        let other_version = [&[bytes[0] + 1], &bytes[1..]].concat();
        assert_eq!(Report::decode(&other_version), None);
    }
}

#[test]
fn the_longest_report_and_the_longest_identity_fit() {
    let serial = Serial::try_from("0123456789abcdef0123456789abcdef").unwrap();
    let report = Report {
        serial: serial.clone(),
        version: (u16::MAX, u16::MAX, u16::MAX),
        sequence: u32::MAX,
        resets: u32::MAX,
        refused: Some(u16::MAX),
        floor: u32::MAX,
        ..golden_report()
    };
    assert!(report.encode(&mut [0; MAX_LEN]).is_some());
    let identity = Identity {
        serial,
        hardware_revision: u16::MAX,
        ..Identity::default()
    };
    let mut buffer = [0xff; IDENTITY_LEN];
    assert!(identity.encode(&mut buffer).is_some());
    assert_eq!(Identity::decode(&buffer), Some(identity));
}

#[test]
fn an_identity_is_read_as_it_was_written_and_not_otherwise() {
    let mut buffer = [0xff; IDENTITY_LEN];
    let len = golden_identity().encode(&mut buffer).unwrap().len();
    assert_eq!(Identity::decode(&buffer), Some(golden_identity()));
    for cut in 0..len {
        assert_eq!(Identity::decode(&buffer[..cut]), None);
    }
    for length in 0..=u8::MAX {
        if usize::from(length) + 2 != len {
            let mut wrong = buffer;
            wrong[0] = length;
            assert_eq!(Identity::decode(&wrong), None, "{length}");
        }
    }
    buffer[2] += 1;
    assert_eq!(Identity::decode(&buffer), None);
}

#[test]
fn a_report_says_what_the_device_says() {
    let mut device = board();
    let named = Image {
        digest: Digest([7; 32]),
        sequence: 4,
        origin: Origin::Network,
    };
    device.change_state(|state: &mut Snapshot| {
        *state = state.remember_rejected(named, Reason::DeadlineOver);
    });
    let said = device.updater().device();
    let report = Report::new(Serial::try_from("X1").unwrap(), &said);
    assert_eq!(
        (report.slot, report.sequence, report.floor),
        (0, RUNNING, 1)
    );
    assert_eq!(report.standing, report::Standing::Confirmed);
    assert_eq!(report.version, (1, 0, RUNNING as u16));
    assert_eq!(report.digest, said.digest.0);
    let rejected = Rejected {
        digest: [7; 32],
        reason: Reason::DeadlineOver.code().get(),
    };
    assert_eq!((report.rejected, report.refused), (Some(rejected), None));
}
