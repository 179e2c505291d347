//! Requests from outside to go back: what is obeyed, what is refused, and that a refusal writes nothing.

use bistable_core::digest::Digest;
use bistable_core::header::{self, Header, MAX_SIGNATURES, SIGNATURE_LEN, Signature};
use bistable_core::keys::{KeyId, Revoked};
use bistable_core::layout::Slot;
use bistable_core::manifest;
use bistable_core::refusal::Refusal;
use bistable_core::request::{
    self, Fields, MAX_UNIT_LEN, MESSAGE_LEN, Message, Order, REQUEST_LEN, Request, SIGNING_DOMAIN,
};
use bistable_core::state::{Image, Origin, Reason, SlotState};
use bistable_core::transition::{Charge, Event};
use bistable_tests::device::{Device, install};
use bistable_tests::fixtures::{STRANGER, image_of, key_id, key_pair, product, ring, ring_of};
use bistable_tests::flash::{Extent, Fault};
use bistable_tests::golden::is_golden;
use bistable_tests::images::Built;
use bistable_tests::random::Random;
use bistable_updater::identity::Serial;

type Board = Device<8, 1024>;

/// The sequence of the image in slot A, which is confirmed; the one in B is the next.
const OLDER: u32 = 10;

const UNIT: &str = "BST-000042";

const NUMBER: u8 = 7;

fn unit() -> Serial {
    serial(UNIT)
}

fn serial(text: &str) -> Serial {
    Serial::try_from(text).expect("a serial number that fits")
}

fn newer() -> Built {
    Built::ordinary(OLDER + 1)
}

fn older_image() -> Image {
    image_of(&Built::ordinary(OLDER).manifest, Origin::Factory)
}

fn newer_image() -> Image {
    image_of(&newer().manifest, Origin::Network)
}

/// The older image is confirmed in A, the newer one runs in B: on trial.
fn on_trial() -> Board {
    let older = Built::ordinary(OLDER);
    let mut device = Board::new(product().layout, Slot::A, &older);
    install(&mut device.updater(), &newer()).unwrap();
    device.happens(Event::BootTrial {
        slot: Slot::B,
        charge: Charge::Attempt,
    });
    device.boots(Slot::B);
    device
}

/// The same, confirmed and active.
fn board() -> Board {
    let mut device = on_trial();
    device.change_state(|state| {
        *state = state.with_slot(Slot::B, SlotState::Confirmed(newer_image()));
        state.active = Slot::B;
    });
    device.boots(Slot::B);
    device
}

/// What the slot of the newer image is after it was left on order.
fn left(number: u8) -> SlotState {
    SlotState::Rejected(newer_image(), Reason::OnOrder(number).code())
}

/// What is asked of the test unit: to leave the image that runs in B.
fn fields() -> Fields<'static> {
    Fields {
        unit: UNIT,
        leave: newer_image().digest,
        number: NUMBER,
    }
}

fn message(fields: &Fields<'_>) -> Message {
    Message::new(fields).expect("fields that make a message")
}

/// This key's signature over these bytes in a domain.
fn sign_in(domain: &[u8], message: &[u8], number: u8) -> Signature {
    let pair = key_pair(number);
    Signature {
        key: KeyId::of(&pair.pk),
        bytes: *pair.sk.sign([domain, message].concat(), None),
    }
}

fn sign(message: &Message, number: u8) -> Signature {
    sign_in(SIGNING_DOMAIN, message.as_bytes(), number)
}

/// What `fields` ask, signed by these keys.
fn signed(fields: &Fields<'_>, signers: &[u8]) -> [u8; REQUEST_LEN] {
    let message = message(fields);
    let mut signatures: Vec<_> = signers.iter().map(|key| sign(&message, *key)).collect();
    request::assemble(&message, &mut signatures).expect("few signatures, all different")
}

/// A request that the test unit obeys.
fn sound() -> [u8; REQUEST_LEN] {
    signed(&fields(), &[0])
}

/// Asserts that the unit refuses this request for this reason, and touches nothing.
fn refuses(device: &mut Board, request: &[u8], refusal: Refusal) {
    let state = device.state();
    let mut updater = device.updater(); // which heals the journal, if that was cut
    let before = updater.platform().0.operations();
    assert_eq!(updater.obey(request, &unit()), Err(refusal));
    assert_eq!((device.state(), device.operations()), (state, before));
}

// ---- What is obeyed ----

#[test]
fn a_request_that_is_signed_makes_the_unit_leave_its_image_and_is_recorded_as_an_order() {
    for mut device in [board(), on_trial()] {
        let [_, slots_before] = device.operations();
        let journal_before = device.journal_erases();
        device.updater().obey(&sound(), &unit()).unwrap();

        let state = device.state();
        let slot = state.slot(Slot::B);
        assert_eq!((state.active, slot), (Slot::A, left(NUMBER)));
        assert_eq!(state.slot(Slot::A), SlotState::Confirmed(older_image()));
        let rejection = state.rejection(newer_image().digest);
        let reason = rejection.map(|entry| entry.reason);
        assert_eq!(reason, Some(Reason::OnOrder(NUMBER).code()));
        assert!(device.verify(Slot::A).is_ok());
        // One snapshot, and no byte of a slot.
        assert_eq!(device.journal_erases() - journal_before, 1);
        assert_eq!(device.operations()[1], slots_before);
        assert!(device.holds(Slot::B, &newer()));
    }
}

#[test]
fn every_number_of_the_asker_is_kept() {
    for number in [0, 1, 255] {
        let mut device = board();
        let request = signed(&Fields { number, ..fields() }, &[0]);
        device.updater().obey(&request, &unit()).unwrap();
        assert_eq!(device.state().slot(Slot::B), left(number));
    }
}

#[test]
fn a_replay_after_the_roll_back_is_refused_and_writes_nothing() {
    let mut device = board();
    device.updater().obey(&sound(), &unit()).unwrap();
    device.boots(Slot::A);
    refuses(&mut device, &sound(), Refusal::OtherImage);
    // The image that was left does not come back, so nor does the request's meaning.
    let again = install(&mut device.updater(), &newer());
    assert_eq!(again, Err(Refusal::RejectedBefore));
    // Nor does it roll back what was installed since.
    install(&mut device.updater(), &Built::ordinary(OLDER + 2)).unwrap();
    device.happens(Event::BootTrial {
        slot: Slot::B,
        charge: Charge::Attempt,
    });
    device.boots(Slot::B);
    refuses(&mut device, &sound(), Refusal::OtherImage);
}

#[test]
fn a_replay_before_the_reset_writes_nothing() {
    let mut device = board();
    device.updater().obey(&sound(), &unit()).unwrap();
    let (state, before) = (device.state(), device.operations());
    let other_number = signed(
        &Fields {
            number: NUMBER + 1,
            ..fields()
        },
        &[0],
    );
    let mut updater = device.updater();
    assert_eq!(updater.obey(&sound(), &unit()), Ok(()));
    assert_eq!(updater.obey(&other_number, &unit()), Ok(()));
    assert_eq!((device.state(), device.operations()), (state, before));
}

#[test]
fn a_roll_back_that_is_cut_is_done_or_asked_for_again() {
    let (mut undone, mut done) = (0, 0);
    for operation in 0..6 {
        for extent in Extent::SOME {
            let mut device = board();
            device.journal.seed(operation);
            let before = device.state();
            device.journal.plan(operation, Fault::Cut(extent));
            let cut = device.updater().obey(&sound(), &unit());
            assert_eq!(cut, Err(Refusal::Journal));
            device.power_on();
            if device.state().active == Slot::B {
                assert_eq!(device.state(), before);
                device.updater().obey(&sound(), &unit()).unwrap();
                undone += 1;
            } else {
                device.boots(Slot::A);
                refuses(&mut device, &sound(), Refusal::OtherImage);
                done += 1;
            }
            assert_eq!(device.state().slot(Slot::B), left(NUMBER));
        }
    }
    assert!(undone > 0 && done > 0, "{undone} undone, {done} done");
}

// ---- What is refused, and in which order ----

#[test]
fn a_request_for_another_unit_is_refused() {
    for other in [
        "BST-000043",
        "BST-00004",
        "BST-0000420",
        "bst-000042",
        "BST-000042\0",
        " ",
    ] {
        let request = signed(
            &Fields {
                unit: other,
                ..fields()
            },
            &[0],
        );
        refuses(&mut board(), &request, Refusal::OtherUnit);
        let mut device = board();
        device.updater().obey(&request, &serial(other)).unwrap();
    }
    // A unit without an identity obeys nobody.
    let mut device = board();
    let refused = device.updater().obey(&sound(), &Serial::new());
    assert_eq!(refused, Err(Refusal::OtherUnit));
}

#[test]
fn a_request_to_leave_an_image_that_does_not_run_is_refused() {
    let mut one_bit = newer_image().digest;
    one_bit.0[31] ^= 1;
    for leave in [older_image().digest, Digest::NONE, one_bit] {
        let request = signed(&Fields { leave, ..fields() }, &[0]);
        refuses(&mut board(), &request, Refusal::OtherImage);
    }
    let mut device = on_trial();
    device.boots(Slot::A);
    refuses(&mut device, &sound(), Refusal::OtherImage);
}

#[test]
fn a_request_that_too_few_release_keys_signed_is_refused() {
    let few = Refusal::TooFewReleaseSignatures;
    // Nobody; a stranger; root keys.
    for signers in [&[][..], &[STRANGER], &[3], &[3, 4, 5, STRANGER]] {
        refuses(&mut board(), &signed(&fields(), signers), few);
    }
    for (signers, threshold, expected) in [
        (&[0][..], 1, Ok(())),
        (&[6], 1, Ok(())),
        (&[0], 2, Err(few)),
        (&[0, 3, 4, 5], 2, Err(few)),
        (&[0, STRANGER], 2, Err(few)),
        (&[0, 1], 2, Ok(())),
        (&[0, 6], 2, Ok(())),
        (&[0, 3, STRANGER, 1], 2, Ok(())),
        (&[0, 1, 2], 4, Err(few)),
        (&[0, 1, 2, 6], 4, Ok(())),
        // A threshold of nothing is one of 1.
        (&[], 0, Err(few)),
    ] {
        let request = signed(&fields(), signers);
        // However many root keys a revocation takes: a request revokes nothing.
        for root_threshold in [1, 4] {
            let ring = ring_of(threshold, root_threshold);
            let request = Request::new_checked(&request).unwrap();
            let verdict = request.authenticate(&ring, Revoked::default()).map(drop);
            assert_eq!(verdict, expected, "{signers:?}, {threshold}");
        }
    }
}

#[test]
fn a_signature_by_a_revoked_key_does_not_count() {
    let mut device = board();
    device.change_state(|state| state.revoked = Revoked(0b100));
    let few = Refusal::TooFewReleaseSignatures;
    refuses(&mut device, &signed(&fields(), &[2]), few);
    let ring = ring_of(2, 1);
    let both = signed(&fields(), &[0, 2]);
    let request = Request::new_checked(&both).unwrap();
    assert_eq!(request.authenticate(&ring, Revoked(0b100)), Err(few));
    assert!(request.authenticate(&ring, Revoked(0b1000)).is_ok());
    // Beside another one it does no harm.
    device.updater().obey(&both, &unit()).unwrap();
}

#[test]
fn a_forged_signature_is_refused_even_beside_good_ones() {
    let message = message(&fields());
    let forged = Signature {
        key: key_id(0),
        ..sign(&message, 1)
    };
    let alone = request::assemble(&message, &mut [forged]).unwrap();
    refuses(&mut board(), &alone, Refusal::BadSignature);
    let request = request::assemble(&message, &mut [forged, sign(&message, 1)]).unwrap();
    let request = Request::new_checked(&request).unwrap();
    let verdict = request.authenticate(&ring_of(2, 1), Revoked::default());
    assert_eq!(verdict, Err(Refusal::BadSignature));
}

#[test]
fn a_signature_for_another_kind_of_message_is_none_for_a_request() {
    let message = message(&fields());
    for domain in [
        &b""[..],
        manifest::SIGNING_DOMAIN,
        b"bistable/request/v2\0",
        b"bistable/request/v1",
        b"bistable/receipt/v1\0",
    ] {
        let signature = sign_in(domain, message.as_bytes(), 0);
        let request = request::assemble(&message, &mut [signature]).unwrap();
        refuses(&mut board(), &request, Refusal::BadSignature);
    }
    // Nor the other way round.
    let image = newer().manifest;
    let signature = sign_in(SIGNING_DOMAIN, image.as_bytes(), 0);
    let header = header::assemble(&image, &mut [signature]).unwrap();
    let header = Header::new_checked(&header).unwrap();
    let verdict = header.authenticate(&ring(), Revoked::default()).map(drop);
    assert_eq!(verdict, Err(Refusal::BadSignature));
}

#[test]
fn nobody_is_sent_where_there_is_nothing_to_go_back_to() {
    let broken: [fn(&mut Board); 6] = [
        |device| device.slots.flash.flip(1024 + 2000, 1),
        |device| device.slots.flash.flip(200, 1),
        |device| device.change_state(|state| state.floor = 6),
        |device| device.change_state(|state| *state.slot_mut(Slot::A) = SlotState::Empty),
        |device| {
            let receiving = SlotState::Receiving(older_image());
            device.change_state(|state| *state.slot_mut(Slot::A) = receiving);
        },
        |device| {
            let rejected = SlotState::Rejected(older_image(), Reason::CrashLoop.code());
            device.change_state(|state| *state.slot_mut(Slot::A) = rejected);
        },
    ];
    for breaks in broken {
        let mut device = board();
        breaks(&mut device);
        refuses(&mut device, &sound(), Refusal::NoAcceptableOther);
    }
}

#[test]
fn what_is_cheap_is_asked_before_what_is_not() {
    let hashes = |device: &mut Board, request: &[u8], refusal| {
        let mut updater = device.updater();
        let before = updater.platform().0.watchdog;
        assert_eq!(updater.obey(request, &unit()), Err(refusal));
        updater.platform().0.watchdog != before
    };
    let nobody = Fields {
        unit: "BST-000043",
        leave: Digest::NONE,
        ..fields()
    };
    let mut device = board();
    device.slots.flash.flip(1024 + 2000, 1);
    let mut formless = signed(&nobody, &[]);
    formless[9] = 1;
    let other_image = Fields {
        leave: Digest::NONE,
        ..fields()
    };
    for (request, refusal) in [
        (formless, Refusal::NonZeroPadding),
        (signed(&nobody, &[]), Refusal::OtherUnit),
        (signed(&other_image, &[]), Refusal::OtherImage),
        (signed(&fields(), &[]), Refusal::TooFewReleaseSignatures),
    ] {
        assert!(!hashes(&mut device, &request, refusal), "{refusal:?}");
    }
    // Only then the other image is hashed, with the watchdog fed for each chunk.
    assert!(hashes(&mut device, &sound(), Refusal::NoAcceptableOther));
}

#[test]
fn a_journal_that_cannot_be_written_is_said_and_nothing_changes() {
    let mut device = board();
    device.journal.flip(3, 0);
    (0..3).for_each(|sector| device.journal.kill(sector));
    let refused = device.updater().obey(&sound(), &unit());
    assert_eq!(refused, Err(Refusal::JournalWornOut));
}

// ---- The format ----

#[test]
fn the_format_is_the_committed_one() {
    let unit = "BST-000042/ÅÄÖ/0123456789abcd";
    assert_eq!(unit.len(), MAX_UNIT_LEN);
    let fields = Fields {
        unit,
        leave: Digest::of(b"the image to leave"),
        number: 0xa5,
    };
    let request = signed(&fields, &[0, 6]);
    is_golden("request.bin", &request);
    let request = Request::new_checked(&request).unwrap();
    assert_eq!(request.message().fields(), fields);
    let order = request.authenticate(&ring_of(2, 1), Revoked::default());
    assert_eq!(order.map(|order| order.reason()), Ok(Reason::OnOrder(0xa5)));
}

#[test]
fn what_a_request_asks_is_what_it_was_made_of() {
    for unit in ["1", UNIT, "ÅÄÖ", &"x".repeat(MAX_UNIT_LEN)] {
        for number in [0, 255] {
            for leave in [Digest::NONE, Digest([0xff; 32])] {
                let fields = Fields {
                    unit,
                    leave,
                    number,
                };
                let bytes = signed(&fields, &[1, 0]);
                let request = Request::new_checked(&bytes).unwrap();
                assert_eq!(request.message().fields(), fields);
                let order = request.authenticate(&ring(), Revoked::default());
                assert_eq!(order.as_ref().map(Order::message), Ok(request.message()));
                let mut signers = [key_id(0), key_id(1)];
                signers.sort();
                assert!(request.signatures().map(|it| it.key).eq(signers));
            }
        }
    }
}

#[test]
fn a_unit_without_a_name_or_with_one_too_long_cannot_be_asked() {
    for unit in ["", &"x".repeat(MAX_UNIT_LEN + 1), &"x".repeat(300)] {
        let fields = Fields { unit, ..fields() };
        assert_eq!(Message::new(&fields), Err(Refusal::FieldOutOfRange));
    }
}

#[test]
fn every_flipped_bit_of_a_request_is_refused_and_writes_nothing() {
    let mut device = board();
    let (state, before) = (device.state(), device.operations());
    let mut updater = device.updater();
    let sound = sound();
    for byte in 0..REQUEST_LEN {
        for bit in 0..8 {
            let mut request = sound;
            request[byte] ^= 1 << bit;
            let verdict = updater.obey(&request, &unit());
            assert!(verdict.is_err(), "byte {byte} bit {bit}");
        }
    }
    assert_eq!((device.state(), device.operations()), (state, before));
    device.updater().obey(&sound, &unit()).unwrap();
}

#[test]
fn a_request_of_any_other_length_is_none() {
    let mut device = board();
    let (state, before) = (device.state(), device.operations());
    let mut updater = device.updater();
    let longer = [sound().as_slice(), &[0; 600], &sound()].concat();
    for len in (0..longer.len()).filter(|len| *len != REQUEST_LEN) {
        let verdict = updater.obey(&longer[..len], &unit());
        assert_eq!(verdict, Err(Refusal::NotARequest), "{len} bytes");
    }
    assert_eq!((device.state(), device.operations()), (state, before));
}

/// What the form of a request is refused for that differs from a sound one so.
fn refused_form(change: impl FnOnce(&mut [u8; REQUEST_LEN])) -> Refusal {
    let mut request = signed(&fields(), &[0, 1, 2]);
    change(&mut request);
    Request::new_checked(&request).map(drop).unwrap_err()
}

#[test]
fn another_magic_version_action_or_padding_has_its_own_refusal() {
    for at in 0..4 {
        let refusal = refused_form(|bytes| bytes[at] ^= 1);
        assert_eq!(refusal, Refusal::NotARequest);
    }
    for at in 4..6 {
        let refusal = refused_form(|bytes| bytes[at] ^= 1);
        assert_eq!(refusal, Refusal::UnknownFormat);
    }
    for action in (0..=255).filter(|action| *action != 1) {
        let refusal = refused_form(|bytes| bytes[6] = action);
        assert_eq!(refusal, Refusal::UnknownFormat);
    }
    // Before the serial number, behind it, behind the count, behind the signatures.
    let behind = 12 + UNIT.len();
    let places = (9..12).chain(behind..44).chain(77..80);
    for at in places.chain(80 + 3 * 68..REQUEST_LEN) {
        let refusal = refused_form(|bytes| bytes[at] = 1);
        assert_eq!(refusal, Refusal::NonZeroPadding, "byte {at}");
    }
}

#[test]
fn a_serial_number_has_bounds_and_is_text() {
    for len in [0, 33, 34, 255] {
        let refusal = refused_form(|bytes| bytes[8] = len);
        assert_eq!(refusal, Refusal::FieldOutOfRange, "{len}");
    }
    let shorter = refused_form(|bytes| bytes[8] -= 1);
    assert_eq!(shorter, Refusal::NonZeroPadding);
    let no_text = refused_form(|bytes| bytes[12] = 0xff);
    assert_eq!(no_text, Refusal::FieldOutOfRange);
}

#[test]
fn signatures_out_of_order_twice_or_too_many_are_refused() {
    let place = |number: usize| 80 + 68 * number..80 + 68 * (number + 1);
    let swapped = refused_form(|request| {
        let first = request[place(0)].to_vec();
        request.copy_within(place(1), 80);
        request[place(1)].copy_from_slice(&first);
    });
    assert_eq!(swapped, Refusal::SignaturesOutOfOrder);
    let twice = refused_form(|request| request.copy_within(place(0), place(1).start));
    assert_eq!(twice, Refusal::SignaturesOutOfOrder);
    for count in [9, 10, 255] {
        let too_many = refused_form(|request| request[76] = count);
        assert_eq!(too_many, Refusal::SignaturesOutOfOrder);
    }
    // Fewer than there are: what is left over is no longer padding.
    let left_over = refused_form(|request| request[76] = 2);
    assert_eq!(left_over, Refusal::NonZeroPadding);

    let message = message(&fields());
    let mut nine: Vec<_> = (0..9).map(|key| sign(&message, key)).collect();
    let too_many = request::assemble(&message, &mut nine);
    assert_eq!(too_many, Err(Refusal::SignaturesOutOfOrder));
    let eight = request::assemble(&message, &mut nine[..MAX_SIGNATURES]).unwrap();
    let eight = Request::new_checked(&eight).unwrap();
    assert_eq!(eight.signatures().count(), MAX_SIGNATURES);
    let mut twice = [sign(&message, 1), sign(&message, 1)];
    let twice = request::assemble(&message, &mut twice);
    assert_eq!(twice, Err(Refusal::SignaturesOutOfOrder));
}

#[test]
fn a_request_lies_where_its_format_says() {
    assert_eq!((MESSAGE_LEN, REQUEST_LEN), (76, 80 + 8 * 68));
    let request = sound();
    assert_eq!(request[..8], *b"BSRQ\x01\x00\x01\x07");
    assert_eq!(request[8..12], [UNIT.len() as u8, 0, 0, 0]);
    assert_eq!(request[12..22], *UNIT.as_bytes());
    assert_eq!(request[44..76], newer_image().digest.0);
    assert_eq!(request[76..80], [1, 0, 0, 0]);
    assert_eq!(request[80..84], key_id(0).0.to_le_bytes());
    let message = [SIGNING_DOMAIN.as_slice(), &request[..76]].concat();
    let signature: [u8; SIGNATURE_LEN] = *key_pair(0).sk.sign(message, None);
    assert_eq!(request[84..148], signature);
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    let mut random = Random::new(20_26);
    let (ring, sound) = (ring(), sound());
    let mut sound_forms = 0;
    for round in 0..20_000 {
        let mut bytes = match round % 3 {
            0 => random.bytes(REQUEST_LEN),
            _ => sound.to_vec(),
        };
        for _ in 0..random.below(4) {
            let at = random.below(if round % 2 == 0 { 84 } else { REQUEST_LEN });
            bytes[at] = [random.byte(), 0, 0xff, 1][random.below(4)];
        }
        if round % 7 == 0 {
            bytes.truncate(random.below(bytes.len() + 1));
        }
        let Ok(request) = Request::new_checked(&bytes) else {
            continue;
        };
        assert!(request.signatures().count() <= MAX_SIGNATURES);
        // No two messages ask the same.
        let again = Message::new(&request.message().fields());
        assert_eq!(again.as_ref(), Ok(request.message()));
        let verdict = request.authenticate(&ring, Revoked::default());
        assert_eq!(verdict.is_ok(), bytes == sound);
        sound_forms += 1;
    }
    assert!(sound_forms > 1000, "{sound_forms}");
}
