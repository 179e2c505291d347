//! What an image costs at boot: about how many instructions its verification takes.
//!
//! Measured on a Cortex-M3 (QEMU, counted in instructions, not cycles) with the *small* profile, as it is in decision 0016:
//! `hmac-sha256`, and `core::small_verifier`. What the bootloader of today takes stands in `docs/benchmarks.md`, for
//! each profile and another processor, too.

use bistable_core::keys::KeyRing;
use bistable_core::manifest::Manifest;

/// SHA-256, in tenths of an instruction for each byte.
const HASH_TENTHS_PER_BYTE: u64 = 401;

/// Ed25519: instructions for each signature.
const PER_SIGNATURE: u64 = 2_450_000;

/// All else that a boot of a confirmed image takes after a power-on, the clearing of 4 MiB of RAM included: after a
/// reset it is half of that.
pub const REST: u64 = 400_000;

/// About how many instructions a bootloader takes to verify this image, once.
#[must_use]
pub fn instructions_to_verify(manifest: &Manifest, ring: &KeyRing<'_>) -> u64 {
    let hash = u64::from(manifest.payload_len()) * HASH_TENTHS_PER_BYTE / 10;
    hash + u64::from(signatures_needed(manifest, ring)) * PER_SIGNATURE
}

/// The fewest signatures that a bootloader looks at: one key may hold both roles.
fn signatures_needed(manifest: &Manifest, ring: &KeyRing<'_>) -> u8 {
    match manifest.revoked().next() {
        Some(_) => ring.release_threshold.max(ring.root_threshold),
        None => ring.release_threshold,
    }
}
