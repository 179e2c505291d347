//! The formats: golden files, every bit flipped, and whose signatures count.

use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use bistable_core::handover::{HANDOVER_LEN, Handover, JournalHealth, Standing};
use bistable_core::header::{Authentic, Header, Signature, assemble, authenticate_for_install};
use bistable_core::keys::{Key, KeyId, KeyRing, Revoked, Roles};
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::manifest::{Fields, MANIFEST_LEN, MAX_REVOKED, Manifest, SIGNING_DOMAIN};
use bistable_core::page::{Page, PageRef, TAIL_LEN};
use bistable_core::refusal::Refusal;
use bistable_core::reset::ResetReason;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use bistable_core::state::{Budget, ReasonCode, Rejection, SlotState, Snapshot};
use bistable_core::version::Version;
use bistable_tests::fixtures::{
    ROLES, STRANGER, fields, key_id, layout, program, public_key, ring, ring_of, sign,
};
use bistable_tests::golden::is_golden;
use bistable_tests::images::{Built, page, record};
use bistable_tests::random::Random;
use bistable_tests::states::{image, slot_states, snapshots, with_histories};
use ed25519_compact::{KeyPair, Seed};
use sha2::{Digest as _, Sha512};

// ---- Golden files ----

fn golden_path(name: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.join("golden").join(name)
}

/// An image in which no field is zero, signed by release and root.
fn golden_image() -> Built {
    let mut revoked = [None; MAX_REVOKED];
    revoked[0] = Some(key_id(2));
    let fields = Fields {
        version: Version::new(1, 2, 3),
        oldest_bootloader: Version::new(1, 1, 7),
        schemas: (1, 2),
        revoked,
        ..fields(0x0102_0304)
    };
    Built::new(fields, program(1, 2500), &[0, 3])
}

fn golden_snapshot() -> Snapshot {
    let budget = Budget {
        attempts: 3,
        power: 15,
        booted: true,
    };
    let [_, _, full, _] = with_histories(Snapshot::with_confirmed(Slot::B, image(2), 9));
    full.with_slot(Slot::A, SlotState::Trial(image(4), budget))
}

fn golden_handover() -> Handover {
    Handover {
        running: Some(Slot::B),
        standing: Standing::Trial,
        digest: image(4).digest,
        reset: ResetReason::Watchdog,
        journal: JournalHealth::Healed,
        refused: Some((Slot::A, Refusal::BadPayload)),
        bootloader: Version::new(1, 2, 3),
        note: Some(Slot::A),
        note_resets: 1,
        abnormal: 0x0203,
        resets: 0x0405_0607,
        announced: true,
        barked: true,
        last_words: 0x0801_2345,
    }
}

#[test]
fn the_formats_are_the_committed_ones() {
    let image = golden_image();
    is_golden("manifest.bin", image.manifest.as_bytes());
    is_golden("header.bin", &image.header);
    is_golden("page.bin", &image.pages[0]);
    let bytes = snapshot::encode(&golden_snapshot(), 0x0a0b_0c0d, layout().digest);
    is_golden("snapshot.bin", &bytes);
    is_golden("handover.bin", &golden_handover().encode());
}

#[test]
fn the_committed_files_say_what_they_should() {
    let golden = |name| std::fs::read(golden_path(name)).expect("a golden file");
    let header: [u8; HEADER_LEN] = golden("header.bin").try_into().unwrap();
    let checked = Header::new_checked(&header).unwrap();
    assert_eq!(
        checked.manifest().fields(),
        golden_image().manifest.fields()
    );
    assert!(checked.authenticate(&ring(), Revoked::default()).is_ok());
    let bytes: snapshot::Bytes = golden("snapshot.bin").try_into().unwrap();
    assert!(snapshot::is_valid(&bytes, layout().digest));
    assert_eq!(snapshot::decode(&bytes), Some(golden_snapshot()));
    assert_eq!(snapshot::sequence(&bytes), 0x0a0b_0c0d);
    let block: [u8; HANDOVER_LEN] = golden("handover.bin").try_into().unwrap();
    assert_eq!(Handover::decode(&block), Some(golden_handover()));
}

// ---- Manifest ----

fn manifest_with(change: impl Fn(&mut [u8; MANIFEST_LEN])) -> Result<Manifest, Refusal> {
    let mut bytes = *golden_image().manifest.as_bytes();
    change(&mut bytes);
    Manifest::new_checked(&bytes)
}

#[test]
fn what_a_manifest_says_is_what_it_was_made_of() {
    for image in [golden_image(), Built::ordinary(7)] {
        let again = Manifest::new(&image.manifest.fields()).unwrap();
        assert_eq!(again.as_bytes(), image.manifest.as_bytes());
    }
}

#[test]
fn another_magic_version_length_or_padding_has_its_own_refusal() {
    for at in 0..4 {
        let refusal = manifest_with(|bytes| bytes[at] ^= 1).unwrap_err();
        assert_eq!(refusal, Refusal::NotAManifest);
    }
    for at in 4..8 {
        let refusal = manifest_with(|bytes| bytes[at] ^= 1).unwrap_err();
        assert_eq!(refusal, Refusal::UnknownFormat);
    }
    for at in 304..MANIFEST_LEN {
        let refusal = manifest_with(|bytes| bytes[at] = 1).unwrap_err();
        assert_eq!(refusal, Refusal::NonZeroPadding);
    }
}

#[test]
fn a_field_at_its_bound_is_taken_and_one_beyond_is_refused() {
    let sound = golden_image().manifest.fields();
    let accepts = |change: &dyn Fn(&mut Fields)| {
        let mut fields = sound;
        change(&mut fields);
        match Manifest::new(&fields) {
            Ok(manifest) => {
                assert_eq!(manifest.fields(), fields);
                true
            }
            Err(refusal) => {
                assert_eq!(refusal, Refusal::FieldOutOfRange);
                false
            }
        }
    };
    for (chunk_size, good) in [
        (0, false),
        (512, false),
        (1024, true),
        (1025, false),
        (2048, true),
        (4096, true),
        (8192, false),
        (65_536 + 1024, false),
    ] {
        let page = sound.first_page_len.min(512);
        assert_eq!(
            accepts(&|fields| (fields.chunk_size, fields.first_page_len) = (chunk_size, page)),
            good,
            "{chunk_size}"
        );
    }
    for (len, good) in [
        (0, false),
        (1, true),
        (1024, true),
        (1025, false),
        (65_537, false),
    ] {
        assert_eq!(
            accepts(&|fields| fields.first_page_len = len),
            good,
            "{len}"
        );
    }
    for (attempts, good) in [(0, false), (1, true), (8, true), (9, false)] {
        assert_eq!(accepts(&|fields| fields.trial_attempts = attempts), good);
    }
    for (seconds, good) in [(0, false), (1, true), (3600, true), (3601, false)] {
        assert_eq!(accepts(&|fields| fields.trial_seconds = seconds), good);
    }
    for (schemas, good) in [((3, 3), true), ((0, u16::MAX), true), ((4, 3), false)] {
        assert_eq!(accepts(&|fields| fields.schemas = schemas), good);
    }
    for (below, good) in [(0, true), (5, true), (6, false), (u32::MAX, false)] {
        assert_eq!(accepts(&|fields| fields.revoke_below = below), good);
    }
    for (len, good) in [(0, false), (1, true), (u32::MAX, true)] {
        assert_eq!(accepts(&|fields| fields.payload_len = len), good);
    }
}

#[test]
fn revoked_keys_are_few_ascending_and_each_there_once() {
    let revokes = |ids: &[u32]| {
        manifest_with(|bytes| {
            bytes[197] = ids.len() as u8;
            bytes[272..304].fill(0);
            for (place, id) in bytes[272..304].chunks_mut(4).zip(ids) {
                place.copy_from_slice(&id.to_le_bytes());
            }
        })
    };
    for sound in [&[][..], &[0], &[7], &[1, 2], &[1, 2, 3, 4, 5, 6, 7, 8]] {
        let manifest = revokes(sound).unwrap();
        let said: Vec<u32> = manifest.revoked().map(|id| id.0).collect();
        assert_eq!(said, sound);
    }
    for unsound in [&[2, 1][..], &[1, 1], &[1, 2, 3, 4, 5, 6, 7, 8, 9]] {
        assert_eq!(revokes(unsound).unwrap_err(), Refusal::FieldOutOfRange);
    }
    let behind = manifest_with(|bytes| bytes[276] = 1);
    assert_eq!(behind.unwrap_err(), Refusal::FieldOutOfRange);
    let far_too_many = manifest_with(|bytes| bytes[197] = 255);
    assert_eq!(far_too_many.unwrap_err(), Refusal::FieldOutOfRange);
}

#[test]
fn chunks_cover_the_payload_and_nothing_more() {
    for (len, chunks, last) in [(1, 1, 1), (1024, 1, 1024), (1025, 2, 1), (3000, 3, 952)] {
        let manifest = Manifest::new(&Fields {
            payload_len: len,
            first_page_len: 1024,
            ..fields(1)
        });
        let manifest = manifest.unwrap();
        assert_eq!(manifest.chunks(), chunks);
        assert_eq!(manifest.chunk_len(chunks - 1), last);
        assert_eq!(manifest.chunk_len(chunks), 0);
        assert_eq!(manifest.chunk_len(u32::MAX), 0);
        let total: u32 = (0..chunks).map(|chunk| manifest.chunk_len(chunk)).sum();
        assert_eq!(total, len);
    }
}

// ---- Header ----

fn authenticate(header: &[u8; HEADER_LEN]) -> Result<Authentic<'_>, Refusal> {
    Header::new_checked(header)?.authenticate(&ring(), Revoked::default())
}

#[test]
fn every_flipped_bit_of_a_header_is_refused_unless_it_is_in_a_signature_that_nobody_needs() {
    // By a release key, which is needed, and by one that the ring does not know, which is not.
    let image = Built::new(fields(7), program(7, 2000), &[0, STRANGER]);
    let name = authenticate(&image.header).unwrap().digest();
    let header = Header::new_checked(&image.header).unwrap();
    let place = header
        .signatures()
        .position(|it| it.key != key_id(0))
        .unwrap();
    let start = 324 + 68 * place;
    let (mut refused, mut harmless) = (0, 0);
    for byte in 0..HEADER_LEN {
        for bit in 0..8 {
            let mut header = image.header;
            header[byte] ^= 1 << bit;
            match authenticate(&header) {
                Err(_) => refused += 1,
                Ok(authentic) => {
                    assert!((start..start + 68).contains(&byte), "byte {byte} bit {bit}");
                    assert_eq!(authentic.digest(), name);
                    harmless += 1;
                }
            }
        }
    }
    assert!(
        harmless >= 512,
        "each bit of the signature itself is harmless"
    );
    assert_eq!(refused + harmless, HEADER_LEN * 8);
}

#[test]
fn padding_that_is_not_zero_is_refused_wherever_it_is() {
    let image = golden_image();
    for at in (321..324).chain(324 + 2 * 68..HEADER_LEN) {
        let mut header = image.header;
        header[at] = 1;
        let refusal = Header::new_checked(&header).map(|_| ()).unwrap_err();
        assert_eq!(refusal, Refusal::NonZeroPadding, "byte {at}");
    }
}

#[test]
fn signatures_out_of_order_twice_or_too_many_are_refused() {
    let image = Built::new(fields(7), program(7, 2000), &[0, 1, 2]);
    let refusal = |change: &dyn Fn(&mut [u8; HEADER_LEN])| {
        let mut header = image.header;
        change(&mut header);
        Header::new_checked(&header).map(|_| ()).unwrap_err()
    };
    let place = |number: usize| 324 + 68 * number..324 + 68 * (number + 1);
    let swapped = refusal(&|header| {
        let first = header[place(0)].to_vec();
        header.copy_within(place(1), 324);
        header[place(1)].copy_from_slice(&first);
    });
    assert_eq!(swapped, Refusal::SignaturesOutOfOrder);
    let twice = refusal(&|header| header.copy_within(place(0), place(1).start));
    assert_eq!(twice, Refusal::SignaturesOutOfOrder);
    for count in [9, 10, 255] {
        let too_many = refusal(&|header| header[320] = count);
        assert_eq!(too_many, Refusal::SignaturesOutOfOrder);
    }
    // Fewer than there are: what is left over is no longer padding.
    assert_eq!(refusal(&|header| header[320] = 2), Refusal::NonZeroPadding);
}

#[test]
fn eight_signatures_fit_and_a_ninth_does_not() {
    let manifest = Built::ordinary(7).manifest;
    let mut nine: Vec<Signature> = (0..9).map(|key| sign(&manifest, key)).collect();
    assert_eq!(
        assemble(&manifest, &mut nine),
        Err(Refusal::SignaturesOutOfOrder)
    );
    let header = assemble(&manifest, &mut nine[..8]).unwrap();
    assert_eq!(
        Header::new_checked(&header).unwrap().signatures().count(),
        8
    );
    let mut twice = [sign(&manifest, 1), sign(&manifest, 1)];
    assert_eq!(
        assemble(&manifest, &mut twice),
        Err(Refusal::SignaturesOutOfOrder)
    );
}

#[test]
fn an_added_signature_changes_no_name() {
    let one = Built::new(fields(7), program(7, 2000), &[0]);
    let two = Built::new(fields(7), program(7, 2000), &[0, 1]);
    assert_ne!(one.header, two.header);
    assert_eq!(
        authenticate(&one.header).unwrap().digest(),
        authenticate(&two.header).unwrap().digest()
    );
    assert_eq!(one.file[HEADER_LEN..], two.file[HEADER_LEN..]);
}

// ---- Whose signatures count ----

fn verdict(
    signers: &[u8],
    revokes: &[u8],
    thresholds: (u8, u8),
    revoked: Revoked,
) -> Result<(), Refusal> {
    let header = signed(signers, revokes);
    let ring = ring_of(thresholds.0, thresholds.1);
    let header = Header::new_checked(&header)?;
    header.authenticate(&ring, revoked).map(|_| ())
}

fn install_verdict(
    signers: &[u8],
    revokes: &[u8],
    thresholds: (u8, u8),
    revoked: Revoked,
) -> Result<Revoked, Refusal> {
    let header = signed(signers, revokes);
    let ring = ring_of(thresholds.0, thresholds.1);
    let header = Header::new_checked(&header)?;
    authenticate_for_install(header, &ring, revoked).map(|authentic| authentic.revokes())
}

fn signed(signers: &[u8], revokes: &[u8]) -> [u8; HEADER_LEN] {
    let mut ids: Vec<KeyId> = revokes.iter().map(|key| key_id(*key)).collect();
    ids.sort_unstable();
    let fields = Fields {
        revoked: core::array::from_fn(|place| ids.get(place).copied()),
        ..fields(7)
    };
    Built::new(fields, program(7, 600), signers).header
}

const NOBODY: Revoked = Revoked(0);

#[test]
fn as_many_release_keys_must_have_signed_as_the_threshold_says() {
    let few = Err(Refusal::TooFewReleaseSignatures);
    for (signers, threshold, expected) in [
        (&[][..], 1, few),
        (&[0], 1, Ok(())),
        (&[2], 1, Ok(())),
        (&[0], 2, few),
        (&[0, 1], 2, Ok(())),
        (&[0, 6], 2, Ok(())),
        (&[0, 1], 3, few),
        (&[0, 1, 2], 3, Ok(())),
        (&[0, 1, 2, 6], 4, Ok(())),
        (&[0, 1, 2, 6], 5, few),
        // Root keys and strangers do not count.
        (&[3], 1, few),
        (&[0, 3, 4, 5], 2, few),
        (&[STRANGER], 1, few),
        (&[0, STRANGER], 2, few),
        // A threshold of nothing is one of 1.
        (&[], 0, few),
        (&[1], 0, Ok(())),
    ] {
        let found = verdict(signers, &[], (threshold, 1), NOBODY);
        assert_eq!(found, expected, "{signers:?}, {threshold}");
    }
}

#[test]
fn revoking_takes_as_many_root_keys_as_their_threshold_says_and_release_keys_too() {
    let few_root = Err(Refusal::TooFewRootSignatures);
    let few_release = Err(Refusal::TooFewReleaseSignatures);
    for (signers, thresholds, expected) in [
        (&[0][..], (1, 1), few_root),
        (&[0, 1, 2], (1, 1), few_root),
        (&[3], (1, 1), few_release),
        (&[0, 3], (1, 1), Ok(())),
        (&[0, 3], (1, 2), few_root),
        (&[0, 3, 4], (1, 2), Ok(())),
        (&[0, 3, 4], (2, 2), few_release),
        // One key with both roles counts for both.
        (&[6], (1, 1), Ok(())),
        (&[0, 6], (2, 1), Ok(())),
        (&[6], (1, 2), few_root),
    ] {
        let found = verdict(signers, &[2], thresholds, NOBODY);
        assert_eq!(found, expected, "{signers:?}, {thresholds:?}");
    }
    // A key that the ring does not know is a revocation like any other.
    assert_eq!(verdict(&[0], &[STRANGER], (1, 1), NOBODY), few_root);
    assert_eq!(verdict(&[0, 3], &[STRANGER], (1, 1), NOBODY), Ok(()));
}

#[test]
fn a_revoked_key_does_not_count() {
    let few = Err(Refusal::TooFewReleaseSignatures);
    assert_eq!(verdict(&[0], &[], (1, 1), Revoked(0b1)), few);
    assert_eq!(verdict(&[0, 1], &[], (1, 1), Revoked(0b1)), Ok(()));
    assert_eq!(verdict(&[0, 1], &[], (2, 1), Revoked(0b1)), few);
    let few_root = Err(Refusal::TooFewRootSignatures);
    assert_eq!(verdict(&[0, 3], &[2], (1, 1), Revoked(0b1000)), few_root);
    assert_eq!(verdict(&[0, 6], &[2], (1, 1), Revoked(1 << 6)), few_root);
}

#[test]
fn a_forged_signature_is_refused_even_beside_good_ones() {
    let manifest = Built::ordinary(7).manifest;
    let forged = Signature {
        key: key_id(0),
        ..sign(&manifest, 1)
    };
    let header = assemble(&manifest, &mut [forged]).unwrap();
    assert_eq!(
        authenticate(&header).map(|_| ()).unwrap_err(),
        Refusal::BadSignature
    );
    let header = assemble(&manifest, &mut [forged, sign(&manifest, 1)]).unwrap();
    let two = Header::new_checked(&header).unwrap();
    let verdict = two.authenticate(&ring_of(2, 1), NOBODY).map(|_| ());
    assert_eq!(verdict.unwrap_err(), Refusal::BadSignature);
}

#[test]
fn a_signature_for_another_kind_of_message_is_none_for_a_manifest() {
    let manifest = Built::ordinary(7).manifest;
    let pair = bistable_tests::fixtures::key_pair(0);
    for prefix in [
        &b""[..],
        b"bistable/receipt/v1\0",
        b"bistable/manifest/v2\0",
    ] {
        let message = [prefix, manifest.as_bytes()].concat();
        let signature = Signature {
            key: key_id(0),
            bytes: *pair.sk.sign(message, None),
        };
        let header = assemble(&manifest, &mut [signature]).unwrap();
        assert!(authenticate(&header).is_err(), "{prefix:?}");
    }
}

#[test]
fn an_image_that_revokes_its_own_signer_must_meet_the_threshold_without_it() {
    let few = Err(Refusal::TooFewReleaseSignatures);
    assert_eq!(install_verdict(&[0, 3], &[0], (1, 1), NOBODY), few);
    let revoked = Ok(Revoked(0b1));
    assert_eq!(install_verdict(&[0, 1, 3], &[0], (1, 1), NOBODY), revoked);
    let few_root = Err(Refusal::TooFewRootSignatures);
    assert_eq!(install_verdict(&[0, 3], &[3], (1, 1), NOBODY), few_root);
    let revoked = Ok(Revoked(0b1000));
    assert_eq!(install_verdict(&[0, 3, 4], &[3], (1, 1), NOBODY), revoked);
}

#[test]
fn what_may_be_installed_boots_with_its_own_revocations_applied_and_leaves_keys_enough() {
    let mut taken = 0;
    for signers in [&[0, 3][..], &[0, 1, 3, 4], &[0, 6], &[0, 1, 2, 3, 4, 5, 6]] {
        for revokes in (1..1_u8 << ROLES.len()).step_by(3) {
            let revokes: Vec<u8> = (0..7).filter(|key| revokes >> key & 1 == 1).collect();
            for (thresholds, before) in
                [((1, 1), NOBODY), ((2, 2), NOBODY), ((1, 2), Revoked(0b10))]
            {
                let Ok(revoked) = install_verdict(signers, &revokes, thresholds, before) else {
                    continue;
                };
                let context = (signers, &revokes, thresholds, before);
                let after = before.union(revoked);
                let at_boot = verdict(signers, &revokes, thresholds, after);
                assert_eq!(at_boot, Ok(()), "{context:?}");
                let kept = |role: fn(&Roles) -> bool| {
                    let roles = ROLES.iter().enumerate();
                    roles
                        .filter(|(place, it)| role(it) && !after.contains(*place))
                        .count()
                };
                assert!(kept(|it| it.release) >= thresholds.0.into(), "{context:?}");
                assert!(kept(|it| it.root) >= thresholds.1.into(), "{context:?}");
                taken += 1;
            }
        }
    }
    assert!(taken > 20, "{taken}");
}

#[test]
fn no_role_is_left_with_fewer_keys_than_its_threshold() {
    // Release keys are 0, 1, 2 and 6; root keys are 3, 4, 5 and 6.
    let signers = [0, 1, 2, 3, 4, 5, 6];
    let few = Err(Refusal::TooFewReleaseSignatures);
    let few_root = Err(Refusal::TooFewRootSignatures);
    for (revokes, thresholds, revoked, expected) in [
        (&[0][..], (3, 1), NOBODY, Ok(Revoked(0b1))),
        (&[0, 1], (3, 1), NOBODY, few),
        (&[0, 1, 2, 6], (1, 1), NOBODY, few),
        (&[3, 4, 5, 6], (1, 1), NOBODY, few_root),
        (&[3, 4, 5], (1, 1), NOBODY, Ok(Revoked(0b11_1000))),
        (&[0], (3, 1), Revoked(0b10), few),
        (&[0], (2, 1), Revoked(0b10), Ok(Revoked(0b1))),
    ] {
        let found = install_verdict(&signers, revokes, thresholds, revoked);
        assert_eq!(found, expected, "{revokes:?} {thresholds:?} {revoked:?}");
    }
}

#[test]
fn an_image_that_revokes_nobody_is_not_asked_for_keys_that_are_gone() {
    // Two of four release keys are gone, and a threshold of 3 can never be met again: the device must
    // say so of signatures, not of revocations.
    let found = install_verdict(&[0, 1, 2, 6], &[], (3, 1), Revoked(0b11));
    assert_eq!(found, Err(Refusal::TooFewReleaseSignatures));
    let found = install_verdict(&[2, 6], &[], (2, 4), Revoked(0b11));
    assert_eq!(found, Ok(NOBODY), "root keys are not asked");
}

#[test]
fn revocations_are_by_place_and_only_of_keys_that_the_ring_knows() {
    let found = install_verdict(&[1, 3], &[0, 2, STRANGER], (1, 1), NOBODY);
    assert_eq!(found, Ok(Revoked(0b101)));
}

// ---- Ed25519, strictly ----

/// A ring of one key, and a header that it is said to have signed.
fn said_to_be_signed(public: [u8; 32], signature: [u8; 64]) -> Result<(), Refusal> {
    let manifest = Built::ordinary(7).manifest;
    let id = KeyId::of(&public);
    let roles = Roles {
        release: true,
        root: false,
    };
    let keys = [Key { id, roles, public }];
    let ring = KeyRing {
        keys: &keys,
        release_threshold: 1,
        root_threshold: 1,
    };
    let signature = Signature {
        key: id,
        bytes: signature,
    };
    let header = assemble(&manifest, &mut [signature]).unwrap();
    let header = Header::new_checked(&header).unwrap();
    header.authenticate(&ring, NOBODY).map(|_| ())
}

/// The order of the base point, little-endian (RFC 8032, 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

const IDENTITY: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 1;
    point
};

/// The base point: y = 4/5 (RFC 8032, 5.1).
const BASE: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

/// The points of small order, and ways to write some of them that are not canonical.
const SMALL_ORDER: [[u8; 32]; 6] = {
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    let mut identity_not_canonical = [0xff; 32];
    identity_not_canonical[0] = 0xee;
    identity_not_canonical[31] = 0x7f;
    let mut zero_not_canonical = [0xff; 32];
    zero_not_canonical[0] = 0xed;
    zero_not_canonical[31] = 0x7f;
    let order_8 = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    [
        IDENTITY,
        [0; 32],
        minus_one,
        identity_not_canonical,
        zero_not_canonical,
        order_8,
    ]
};

/// Adds modulo nothing: little-endian, 32 bytes.
fn add(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    core::array::from_fn(|place| {
        let sum = u16::from(a[place]) + u16::from(b[place]) + carry;
        carry = sum >> 8;
        sum as u8
    })
}

/// `a` modulo the order, for `a` below twice the order.
fn reduce(a: [u8; 32]) -> [u8; 32] {
    if a.iter().rev().lt(ORDER.iter().rev()) {
        return a;
    }
    let mut borrow = 0;
    core::array::from_fn(|place| {
        let difference = i16::from(a[place]) - i16::from(ORDER[place]) - borrow;
        borrow = i16::from(difference < 0);
        difference as u8
    })
}

/// A number of any length modulo the order, times `factor`: by doubling, from its highest bit down.
fn times(number: &[u8], factor: [u8; 32]) -> [u8; 32] {
    let bits = (0..number.len() * 8).rev();
    bits.fold([0; 32], |sum, bit| {
        let doubled = reduce(add(sum, sum));
        match (number[bit / 8] >> (bit % 8)) & 1 {
            1 => reduce(add(doubled, factor)),
            _ => doubled,
        }
    })
}

const ONE: [u8; 32] = IDENTITY;

#[test]
fn a_good_signature_is_good_and_the_same_one_with_s_beyond_the_order_is_not() {
    let manifest = Built::ordinary(7).manifest;
    let public = public_key(0, Roles::default()).public;
    let good = sign(&manifest, 0).bytes;
    assert_eq!(said_to_be_signed(public, good), Ok(()));
    let s: [u8; 32] = good[32..].try_into().unwrap();
    let mut malleable = good;
    malleable[32..].copy_from_slice(&add(s, ORDER));
    assert_eq!(
        said_to_be_signed(public, malleable),
        Err(Refusal::BadSignature)
    );
}

#[test]
fn a_key_of_small_order_vouches_for_nothing() {
    for public in SMALL_ORDER {
        // With A of small order and R = S·B the cofactored equation holds for every message.
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&BASE);
        signature[32] = 1;
        assert_eq!(
            said_to_be_signed(public, signature),
            Err(Refusal::BadSignature)
        );
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&IDENTITY);
        assert_eq!(
            said_to_be_signed(public, signature),
            Err(Refusal::BadSignature)
        );
    }
}

#[test]
fn an_r_of_small_order_is_refused_even_from_who_has_the_key() {
    let manifest = Built::ordinary(7).manifest;
    let seed = [42; 32];
    let pair = KeyPair::from_seed(Seed::new(seed));
    let mut scalar: [u8; 32] = Sha512::digest(seed)[..32].try_into().unwrap();
    scalar[0] &= 248;
    scalar[31] &= 63;
    scalar[31] |= 64;
    let scalar = times(&scalar, ONE);
    let sign_with = |r: [u8; 32], nonce: [u8; 32]| {
        let mut hash = Sha512::new();
        hash.update(r);
        hash.update(*pair.pk);
        hash.update(SIGNING_DOMAIN);
        hash.update(manifest.as_bytes());
        let s = reduce(add(times(&hash.finalize(), scalar), nonce));
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(&s);
        signature
    };
    // The arithmetic is right: with R = 1·B the signature is good.
    assert_eq!(
        said_to_be_signed(*pair.pk, sign_with(BASE, ONE)),
        Ok(()),
        "an ordinary R"
    );
    for r in SMALL_ORDER {
        assert_eq!(
            said_to_be_signed(*pair.pk, sign_with(r, [0; 32])),
            Err(Refusal::BadSignature),
            "{r:02x?}"
        );
    }
}

// ---- Pages ----

fn page_of(image: &Built, bytes: &[u8]) -> Result<u32, Refusal> {
    page_from(image, bytes, 0)
}

/// What a page with these bytes says, if its digest and length are the expected ones.
fn page_from(image: &Built, bytes: &[u8], first_chunk: u32) -> Result<u32, Refusal> {
    let expected = PageRef {
        len: bytes.len() as u32,
        digest: Digest::of(bytes),
    };
    Page::new_checked(bytes, expected, &image.manifest, first_chunk)
        .map(|page| page.chunks().end - page.chunks().start)
}

/// An image whose chunks are all in one page.
fn small_image() -> Built {
    Built::new(fields(7), program(7, 2500), &[0])
}

fn chunks(image: &Built) -> Vec<(Vec<u8>, Vec<u8>)> {
    let [a, b] = &image.payload;
    let pairs = a.chunks(1024).zip(b.chunks(1024));
    pairs.map(|(a, b)| (a.to_vec(), b.to_vec())).collect()
}

fn records(image: &Built) -> Vec<Vec<u8>> {
    chunks(image)
        .iter()
        .map(|(a, b)| record(a, b, false))
        .collect()
}

#[test]
fn the_pages_of_an_image_lead_from_its_first_chunk_to_its_last_in_either_slot() {
    let large = Built::new(fields(7), program(7, 15_000), &[0]);
    let free = {
        let [a, _] = program(8, 15_000);
        Built::new(fields(8), [a.clone(), a], &[0])
    };
    for image in [small_image(), large, free] {
        let manifest = &image.manifest;
        let mut next = Some(PageRef::first(manifest));
        let mut chunk = 0;
        for bytes in &image.pages {
            let page = Page::new_checked(bytes, next.unwrap(), manifest, chunk).unwrap();
            assert_eq!(page.chunks().start, chunk);
            for index in page.chunks() {
                let record = page.record(index).unwrap();
                let range = index as usize * 1024..;
                let len = manifest.chunk_len(index) as usize;
                for slot in Slot::BOTH {
                    let mut bytes = image.payload[0][range.clone()][..len].to_vec();
                    record.apply(slot, &mut bytes);
                    assert_eq!(
                        bytes,
                        slot.of::<Vec<u8>>(&image.payload)[range.clone()][..len]
                    );
                    assert_eq!(record.digest(slot), Digest::of(&bytes));
                }
            }
            assert!(page.record(page.chunks().end).is_none());
            assert!(page.record(chunk.wrapping_sub(1)).is_none());
            chunk = page.chunks().end;
            next = page.next();
        }
        assert_eq!((next, chunk), (None, manifest.chunks()));
    }
}

#[test]
fn a_page_that_is_not_the_expected_one_is_refused_whatever_bit_differs() {
    let image = small_image();
    let expected = PageRef::first(&image.manifest);
    for byte in 0..image.pages[0].len() {
        let mut bytes = image.pages[0].clone();
        bytes[byte] ^= 1;
        let verdict = Page::new_checked(&bytes, expected, &image.manifest, 0);
        assert_eq!(verdict.map(|_| ()).unwrap_err(), Refusal::BadPage);
    }
    let short = &image.pages[0][..image.pages[0].len() - 1];
    let verdict = Page::new_checked(short, expected, &image.manifest, 0);
    assert_eq!(verdict.map(|_| ()).unwrap_err(), Refusal::BadPage);
}

#[test]
fn a_page_cut_short_at_any_length_is_malformed_and_a_longer_one_too() {
    let image = small_image();
    let whole = &image.pages[0];
    assert_eq!(page_of(&image, whole), Ok(3));
    for len in 0..whole.len() {
        assert_eq!(
            page_of(&image, &whole[..len]),
            Err(Refusal::MalformedPage),
            "{len}"
        );
        // With a sound end, too.
        let mut bytes = whole[..len.saturating_sub(TAIL_LEN)].to_vec();
        bytes.extend([0; TAIL_LEN]);
        if bytes != *whole {
            assert_eq!(
                page_of(&image, &bytes),
                Err(Refusal::MalformedPage),
                "{len}"
            );
        }
    }
    for more in 1..100 {
        let mut bytes = page(&records(&image), None);
        let at = bytes.len() - TAIL_LEN;
        bytes.splice(at..at, vec![0; more]);
        assert_eq!(page_of(&image, &bytes), Err(Refusal::MalformedPage));
    }
}

#[test]
fn fix_ups_out_of_order_out_of_range_or_without_effect_are_malformed() {
    let image = small_image();
    let last_len = image.manifest.chunk_len(2) as u16;
    let with_fixups = |chunk: usize, fixups: &[(u16, u8)]| {
        let mut records = records(&image);
        let mut bytes = records[chunk][..64].to_vec();
        bytes.extend((fixups.len() as u16).to_le_bytes());
        for (offset, xor) in fixups {
            bytes.extend(offset.to_le_bytes());
            bytes.push(*xor);
        }
        records[chunk] = bytes;
        page_of(&image, &page(&records, None))
    };
    let malformed = Err(Refusal::MalformedPage);
    assert_eq!(with_fixups(0, &[]), Ok(3));
    assert_eq!(with_fixups(0, &[(0, 1), (1, 255), (1023, 7)]), Ok(3));
    assert_eq!(with_fixups(0, &[(1, 1), (0, 1)]), malformed);
    assert_eq!(with_fixups(0, &[(1, 1), (1, 2)]), malformed);
    assert_eq!(with_fixups(0, &[(1024, 1)]), malformed);
    assert_eq!(with_fixups(0, &[(5, 0)]), malformed);
    assert_eq!(with_fixups(2, &[(last_len - 1, 1)]), Ok(3));
    assert_eq!(
        with_fixups(2, &[(last_len, 1)]),
        malformed,
        "behind the payload"
    );
}

#[test]
fn a_page_names_another_if_and_only_if_chunks_follow() {
    let image = small_image();
    let records = records(&image);
    let malformed = Err(Refusal::MalformedPage);
    let next = vec![1; 700];
    assert_eq!(page_of(&image, &page(&records[..2], Some(&next))), Ok(2));
    assert_eq!(page_of(&image, &page(&records, None)), Ok(3));
    assert_eq!(page_of(&image, &page(&records[..2], None)), malformed);
    assert_eq!(page_of(&image, &page(&records, Some(&next))), malformed);
    // The same from the second chunk on.
    assert_eq!(page_from(&image, &page(&records[1..], None), 1), Ok(2));
    assert_eq!(page_from(&image, &page(&records[1..], None), 0), malformed);
    assert_eq!(page_from(&image, &page(&records, None), 1), malformed);
    assert_eq!(
        page_from(&image, &page(&records[1..], None), u32::MAX),
        malformed
    );
    // No chunks at all.
    assert_eq!(page_of(&image, &page(&[], Some(&next))), malformed);
    assert_eq!(page_from(&image, &page(&[], None), 3), malformed);
    // A digest without a length, and a length beyond a chunk.
    let mut bytes = page(&records, None);
    *bytes.last_mut().unwrap() = 1;
    assert_eq!(page_of(&image, &bytes), malformed);
    let too_long = vec![1; 1025];
    assert_eq!(
        page_of(&image, &page(&records[..2], Some(&too_long))),
        malformed
    );
    // Bytes that must be zero.
    for at in [2, 3] {
        let mut bytes = page(&records, None);
        bytes[at] = 1;
        assert_eq!(page_of(&image, &bytes), malformed);
    }
}

// ---- Snapshot ----

fn all_snapshots() -> impl Iterator<Item = Snapshot> {
    let states: &[SlotState] = slot_states(&[1, 2, 3], &[(0, 1), (8, 16)]).leak();
    let all = snapshots(states).flat_map(with_histories);
    all.filter(Snapshot::is_sound)
}

#[test]
fn what_is_put_into_a_snapshot_comes_out_of_it() {
    let layout = layout().digest;
    let mut asked = 0;
    for (sequence, snapshot) in (1..).zip(all_snapshots()) {
        let bytes = snapshot::encode(&snapshot, sequence, layout);
        assert!(snapshot::is_valid(&bytes, layout));
        assert_eq!(snapshot::decode(&bytes), Some(snapshot));
        assert_eq!(snapshot::sequence(&bytes), sequence);
        asked += 1;
    }
    println!("snapshots: {asked}");
    assert!(asked > 400);
}

#[test]
fn every_flipped_bit_of_a_snapshot_makes_it_invalid() {
    let layout = layout().digest;
    let bytes = snapshot::encode(&golden_snapshot(), 77, layout);
    for byte in 0..SNAPSHOT_LEN {
        for bit in 0..8 {
            let mut flipped = bytes;
            flipped[byte] ^= 1 << bit;
            assert!(
                !snapshot::is_valid(&flipped, layout),
                "byte {byte} bit {bit}"
            );
        }
    }
}

#[test]
fn nonsense_with_a_good_checksum_is_no_snapshot() {
    let layout = layout().digest;
    let sound = snapshot::encode(&golden_snapshot(), 77, layout);
    let mut taken = 0;
    for byte in 8..SNAPSHOT_LEN - 4 {
        for value in [1, 5, 0xff] {
            let mut bytes = sound;
            bytes[byte] ^= value;
            snapshot::renumber(&mut bytes, 77);
            if !snapshot::is_valid(&bytes, layout) {
                continue;
            }
            // Then it means something, and only this: no two byte strings say the same.
            let says = snapshot::decode(&bytes).unwrap();
            assert_eq!(snapshot::encode(&says, 77, layout), bytes, "byte {byte}");
            assert_ne!(says, golden_snapshot());
            taken += 1;
        }
    }
    assert!(taken > 0);
    // An active slot that is not Confirmed.
    let mut bytes = sound;
    bytes[40] = 0;
    snapshot::renumber(&mut bytes, 77);
    assert!(!snapshot::is_valid(&bytes, layout));
}

#[test]
fn a_snapshot_for_another_layout_is_none() {
    let bytes = snapshot::encode(&golden_snapshot(), 77, Digest::of(b"another layout"));
    assert!(!snapshot::is_valid(&bytes, layout().digest));
}

#[test]
fn blank_and_cleared_flash_is_no_snapshot() {
    for layout in [layout().digest, Digest([0xff; 32]), Digest::NONE] {
        assert!(!snapshot::is_valid(&[0xff; SNAPSHOT_LEN], layout));
        assert!(!snapshot::is_valid(&[0; SNAPSHOT_LEN], layout));
    }
}

#[test]
fn reasons_that_were_in_a_snapshot_come_out_of_it() {
    let mut unknown = 0_u32;
    for reason in (0..=u16::MAX).filter_map(ReasonCode::new) {
        let state = SlotState::Rejected(image(4), reason);
        let mut snapshot = golden_snapshot().with_slot(Slot::A, state);
        snapshot.rejected[1] = Some(Rejection {
            digest: image(4).digest,
            sequence: image(4).sequence,
            reason,
        });
        let bytes = snapshot::encode(&snapshot, 1, layout().digest);
        assert!(snapshot::is_valid(&bytes, layout().digest));
        assert_eq!(snapshot::decode(&bytes), Some(snapshot));
        unknown += u32::from(reason.reason().is_none());
    }
    assert!(unknown > 60_000, "what newer code wrote is kept, too");
}

#[test]
fn a_gap_in_the_list_of_rejected_images_is_no_damage() {
    let gap = Snapshot {
        rejected: [None, golden_snapshot().rejected[0], None, None],
        ..golden_snapshot()
    };
    let bytes = snapshot::encode(&gap, 1, layout().digest);
    assert!(snapshot::is_valid(&bytes, layout().digest));
    assert_eq!(snapshot::decode(&bytes), Some(gap));
}

// ---- Handover ----

#[test]
fn what_is_put_into_a_handover_comes_out_of_it() {
    let slots = [None, Some(Slot::A), Some(Slot::B)];
    let refused = Refusal::ALL.map(|refusal| Some((Slot::B, refusal)));
    for reset in ResetReason::ALL {
        for (note, running) in slots.into_iter().zip(slots.into_iter().rev()) {
            for refused in refused.into_iter().chain([None]) {
                let handover = Handover {
                    reset,
                    note,
                    running,
                    refused,
                    ..golden_handover()
                };
                assert_eq!(Handover::decode(&handover.encode()), Some(handover));
            }
        }
    }
    assert_eq!(
        Handover::decode(&Handover::default().encode()),
        Some(Handover::default())
    );
}

#[test]
fn every_flipped_bit_of_a_handover_makes_it_none() {
    let block = golden_handover().encode();
    for byte in 0..HANDOVER_LEN {
        for bit in 0..8 {
            let mut flipped = block;
            flipped[byte] ^= 1 << bit;
            assert_eq!(Handover::decode(&flipped), None, "byte {byte} bit {bit}");
        }
    }
    assert_eq!(Handover::decode(&[0; HANDOVER_LEN]), None);
    assert_eq!(Handover::decode(&[0xff; HANDOVER_LEN]), None);
}

#[test]
fn what_another_bootloader_put_into_the_unused_bytes_of_a_handover_is_let_pass() {
    let sound = golden_handover().encode();
    for at in (6..8).chain(65..124) {
        assert_eq!(sound[at], 0, "byte {at} is unused");
        let mut block = sound;
        block[at] = 0xa5;
        assert_eq!(Handover::decode(&block), None, "the checksum counts");
        // Any change of the block seals it anew.
        let crc = crc32(&block[..124]);
        block[124..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Handover::decode(&block), Some(golden_handover()));
    }
}

/// CRC-32 as in IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn the_watchdog_is_noted_in_what_is_a_handover_and_in_nothing_else() {
    let before = Handover {
        barked: false,
        last_words: 0,
        ..golden_handover()
    };
    let mut block = before.encode();
    Handover::note_watchdog(&mut block, 0x0801_2345);
    assert_eq!(Handover::decode(&block), Some(golden_handover()));
    let mut torn = before.encode();
    torn[60] ^= 1;
    let none = torn;
    Handover::note_watchdog(&mut torn, 0x0801_2345);
    assert_eq!(torn, none);
}

// ---- Anything at all ----

#[test]
fn no_bytes_make_a_decoder_panic() {
    let mut random = Random::new(20_26);
    let image = golden_image();
    let samples: [Vec<u8>; 4] = [
        image.header.to_vec(),
        image.pages[0].clone(),
        snapshot::encode(&golden_snapshot(), 1, layout().digest).to_vec(),
        golden_handover().encode().to_vec(),
    ];
    for round in 0..20_000 {
        let sample = &samples[round % samples.len()];
        let mut bytes = match round % 3 {
            0 => random.bytes(sample.len()),
            _ => sample.clone(),
        };
        for _ in 0..random.below(6) {
            let at = random.below(bytes.len());
            bytes[at] = [random.byte(), 0, 0xff, 1][random.below(4)];
        }
        if let Some(header) = bytes.first_chunk::<HEADER_LEN>()
            && let Ok(header) = Header::new_checked(header)
        {
            assert!(header.signatures().count() <= 8);
            assert!(header.manifest().revoked().count() <= MAX_REVOKED);
            let fields = header.manifest().fields();
            assert_eq!(Manifest::new(&fields).as_ref(), Ok(header.manifest()));
        }
        if let Some(block) = bytes.first_chunk() {
            let _ = Handover::decode(block);
        }
        if let Some(copy) = bytes.first_chunk::<SNAPSHOT_LEN>() {
            let mut copy = *copy;
            snapshot::renumber(&mut copy, 1);
            if let Some(snapshot) = snapshot::decode(&copy) {
                assert!(snapshot.is_sound());
            }
        }
        bytes.truncate(random.below(bytes.len() + 1));
        let first_chunk = [0, 1, 2, 3, u32::MAX][random.below(5)];
        let _ = page_from(&image, &bytes, first_chunk);
    }
}
