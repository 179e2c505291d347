//! A payload that is hashed where it lies gets the verdict of one that is read.

use bistable_core::admit::Terms;
use bistable_core::digest::Digest;
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::verify::{Rules, verify, verify_lent};
use bistable_tests::board::{Bench, Fed};
use bistable_tests::fixtures::{layout, product};
use bistable_tests::images::Built;
use embedded_storage::nor_flash::ReadNorFlash as _;

/// A board with an image in B.
fn with_an_image() -> (Bench, Digest) {
    let image = Built::ordinary(10);
    let mut bench = Bench::new();
    image.put_into(Slot::B, &mut bench.slots);
    (bench, image.manifest.digest())
}

/// All bytes of slot B.
fn slot(bench: &mut Bench) -> Vec<u8> {
    let mut bytes = vec![0; layout().slot_size as usize];
    let start = Slot::B.of(&layout().slots).offset;
    bench.slots.read(start, &mut bytes).unwrap();
    bytes
}

/// The verdict if `lent` is lent, and how often the watchdog was fed.
fn judged(bench: &mut Bench, lent: Option<&[u8]>) -> (Result<Digest, Refusal>, u64) {
    let product = product();
    let rules = Rules {
        ring: product.ring,
        revoked: Revoked::default(),
        terms: Terms::of_the_factory(product.layout, product.version, 0),
        entry: product.entry,
    };
    let mut fed = Fed::default();
    let (slots, b) = (&mut bench.slots, Slot::B);
    let verdict = match lent {
        None => verify(slots, b, None, &rules, &mut fed),
        Some(lent) => verify_lent(slots, Some(lent), b, None, &rules, &mut fed),
    };
    (verdict.map(|image| image.digest()), fed.0)
}

#[test]
fn both_ways_give_one_verdict_whatever_bit_is_wrong() {
    let (mut bench, digest) = with_an_image();
    let sound = slot(&mut bench);
    assert_eq!(judged(&mut bench, None).0, Ok(digest));
    assert_eq!(judged(&mut bench, Some(&sound)).0, Ok(digest));
    let payload = layout().payload_offset as usize;
    for place in [0, 1, 255, 256, 1023, 2998, 2999] {
        let (mut bench, _) = with_an_image();
        let start = Slot::B.of(&layout().slots).offset as usize;
        bench.slots.flip(start + payload + place, 5);
        let spoilt = slot(&mut bench);
        let read = judged(&mut bench, None).0;
        assert!(read.is_err(), "{place}");
        assert_eq!(judged(&mut bench, Some(&spoilt)).0, read, "{place}");
    }
}

#[test]
fn what_is_lent_is_what_is_hashed() {
    let (mut bench, _) = with_an_image();
    let mut spoilt = slot(&mut bench);
    spoilt[layout().payload_offset as usize + 2999] ^= 1;
    let verdict = judged(&mut bench, Some(&spoilt)).0;
    assert_eq!(verdict, Err(Refusal::BadPayload));
}

#[test]
fn fewer_bytes_than_the_payload_has_are_no_payload() {
    let (mut bench, digest) = with_an_image();
    let whole = slot(&mut bench);
    let end = layout().payload_offset as usize + 3000;
    assert_eq!(judged(&mut bench, Some(&whole[..end])).0, Ok(digest));
    for len in [end - 1, layout().payload_offset as usize, 7, 0] {
        let verdict = judged(&mut bench, Some(&whole[..len])).0;
        assert_eq!(verdict, Err(Refusal::FlashRead), "{len}");
    }
}

#[test]
fn the_watchdog_is_fed_while_it_is_hashed() {
    let (mut bench, _) = with_an_image();
    let whole = slot(&mut bench);
    let (_, fed) = judged(&mut bench, Some(&whole));
    assert!(fed >= 2, "once for the header, once for each piece: {fed}");
}
