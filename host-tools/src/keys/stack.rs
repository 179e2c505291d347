//! What crates leave behind on the stack when they have used a secret.
//!
//! `ed25519-compact` wipes a secret key when it is dropped, but not the copies of the seed that it
//! passes by value, and not the states of the hash that a nonce comes from; `pkcs5` does not wipe the key
//! that it derives from a passphrase. All of these lie in frames of functions that have returned.

use std::hint::black_box;

use zeroize::Zeroize as _;

/// More than the deepest of those functions uses, in bytes.
const DEPTH: usize = 64 * 1024;

/// Runs `secret`, and overwrites the part of the stack that it used.
///
/// What it returns is the caller's to wipe.
#[inline(never)]
pub fn wiped<T>(secret: impl FnOnce() -> T) -> T {
    let result = call(secret);
    overwrite();
    result
}

/// In a frame of its own, below that of its caller.
#[inline(never)]
fn call<T>(secret: impl FnOnce() -> T) -> T {
    black_box(secret())
}

#[inline(never)]
fn overwrite() {
    let mut frame = [0xA5_u8; DEPTH];
    black_box(&mut frame);
    frame.zeroize();
    black_box(&frame);
}
