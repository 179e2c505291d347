//! What Ed25519 said before: it says the same of the same bytes.

extern crate std;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::header::{SIGNATURE_LEN, Signature};
use crate::keys::Key;
use crate::manifest::{MANIFEST_LEN, Manifest};

/// Everything that the answer depends on: public key, signature, manifest.
type Question = [u8; KEY_LEN + SIGNATURE_LEN + MANIFEST_LEN];

const KEY_LEN: usize = 32;

/// Then all is forgotten: torn headers are questions too, and most are asked once.
const MOST: usize = 50_000;

std::thread_local! {
    static ANSWERS: RefCell<HashMap<Question, bool, BuildHasherDefault<Folded>>> =
        RefCell::new(HashMap::default());
}

/// What was answered before, or what `ask` says now.
pub(crate) fn recall(
    manifest: &Manifest,
    key: &Key,
    signature: &Signature,
    ask: impl FnOnce() -> bool,
) -> bool {
    let mut question = [0; KEY_LEN + SIGNATURE_LEN + MANIFEST_LEN];
    let (head, tail) = question.split_at_mut(KEY_LEN + SIGNATURE_LEN);
    let (of_key, of_signature) = head.split_at_mut(KEY_LEN);
    of_key.copy_from_slice(&key.public);
    of_signature.copy_from_slice(&signature.bytes);
    tail.copy_from_slice(manifest.as_bytes());
    ANSWERS.with_borrow_mut(|answers| {
        if let Some(answer) = answers.get(&question) {
            return *answer;
        }
        if answers.len() >= MOST {
            answers.clear();
        }
        *answers.entry(question).or_insert_with(ask)
    })
}

/// A quick hash of whole words; that it is no secret harms nobody, for all bytes are compared.
#[derive(Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let (pairs, odd) = words.as_chunks::<2>();
        let mut lanes = [self.0, 0x9e37_79b9_7f4a_7c15];
        for pair in pairs {
            for (lane, word) in lanes.iter_mut().zip(pair) {
                *lane = (lane.rotate_left(23) ^ u64::from_le_bytes(*word))
                    .wrapping_mul(0xd6e8_feb8_6659_fd93);
            }
        }
        let [mut one, other] = lanes;
        for word in odd {
            one ^= u64::from_le_bytes(*word);
        }
        for byte in rest {
            one = one.rotate_left(8) ^ u64::from(*byte);
        }
        self.0 = one ^ other.rotate_left(32);
    }

    fn finish(&self) -> u64 {
        let folded = u128::from(self.0) * 0x9fb2_1c65_1e98_df25;
        folded as u64 ^ (folded >> 64) as u64
    }
}
