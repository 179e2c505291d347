//! Ed25519 verification for a server that gets thousands of signatures a second: the points of `curve25519-dalek`
//! with its tables, the checks of [`small_verifier`](crate::small_verifier), and the same equation.
//!
//! Nothing here is secret, so nothing takes care to be constant in time.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest as _, Sha512};

use crate::small_verifier::point;
use crate::verifier::{KEY_LEN, SIGNATURE_LEN, Verifier};

/// A third of the time of [`Compact`](crate::verifier::Compact) on a 64-bit host, the same verdicts: decision 0017.
#[derive(Clone, Copy, Debug)]
pub struct Fast;

impl Verifier for Fast {
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "sums of points are points: nothing overflows"
    )]
    fn holds(key: &[u8; KEY_LEN], message: &[&[u8]], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let ([r, s], _) = signature.as_chunks() else {
            return false;
        };
        // S has one encoding only: the one below the order of the base point.
        let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(*s)) else {
            return false;
        };
        let (Some(key_point), Some(r_point)) = (point(key), point(r)) else {
            return false;
        };
        // To their names signatures can be made that hold for many messages.
        if key_point.is_small_order() || r_point.is_small_order() {
            return false;
        }
        let k = hash_modulo_order(r, key, message);
        // [8] (S B - k A - R) is the neutral element.
        let sum = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-key_point, &s);
        (sum - r_point).is_small_order()
    }
}

/// k = SHA-512(R, key, message) modulo L (RFC 8032, 5.1.7).
fn hash_modulo_order(r: &[u8; 32], key: &[u8; KEY_LEN], message: &[&[u8]]) -> Scalar {
    let mut hash = Sha512::new();
    hash.update(r);
    hash.update(key);
    for part in message {
        hash.update(part);
    }
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}
