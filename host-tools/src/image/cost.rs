//! What an image costs at boot: about how many instructions its verification takes.
//!
//! Measured on a Cortex-M3 (QEMU, counted in instructions, not cycles) with the *small* profile:
//! `sha2` with rolled loops, `ed25519-compact` with `opt_size`. The figures stand in the project's
//! README; a bootloader with unrolled SHA-256 needs a third less.

use bistable_core::keys::KeyRing;
use bistable_core::manifest::Manifest;

/// SHA-256, in tenths of an instruction for each byte.
const HASH_TENTHS_PER_BYTE: u64 = 585;

/// Ed25519: instructions for each signature.
const PER_SIGNATURE: u64 = 1_930_000;

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
