//! Whether an Ed25519 signature (RFC 8032, 5.1.7) holds: one question, and three ways to answer it.
//!
//! All are strict in the same way, and give the same verdict on every vector that is known to divide
//! implementations (`tests/tests/verifiers.rs`): S below the order of the base point; key and R in their only
//! encoding and of large order; and the equation with the cofactor, `[8] S B = [8] R + [8] k A`.

/// The length of a public key, in bytes.
pub const KEY_LEN: usize = 32;

/// The length of a signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// A way to verify signatures.
pub trait Verifier {
    /// Whether `key` signed the parts of `message`, one behind the other.
    fn holds(key: &[u8; KEY_LEN], message: &[&[u8]], signature: &[u8; SIGNATURE_LEN]) -> bool;
}

/// The one that this build uses.
#[cfg(not(feature = "small-verifier"))]
pub(crate) type Chosen = Compact;

/// The one that this build uses.
#[cfg(feature = "small-verifier")]
pub(crate) type Chosen = crate::small_verifier::Small;

/// The crate `ed25519-compact`.
#[derive(Clone, Copy, Debug)]
pub struct Compact;

impl Verifier for Compact {
    #[inline(never)] // in a caller's loop, the curve arithmetic takes 300 bytes more
    fn holds(key: &[u8; KEY_LEN], message: &[&[u8]], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let key = ed25519_compact::PublicKey::new(*key);
        let signature = ed25519_compact::Signature::new(*signature);
        let Ok(mut verifying) = key.verify_incremental(&signature) else {
            return false;
        };
        for part in message {
            verifying.absorb(part);
        }
        verifying.verify().is_ok()
    }
}
