//! The Bistable bootloader, as a library: verify, choose, arm the watchdog, jump.
//!
//! It never writes a slot: a [`Board`]'s slot flash can only be read. The whole of it is a short story,
//! told by [`prepare`]: open the journal, choose a candidate, verify it, record what follows, hand over.
//! [`boot`] is that and the jump.
//!
//! A board's bootloader binary implements [`Board`] and calls [`boot`]. Host tools and tests implement
//! it over memory and call [`prepare`] to see what would boot, and why.
//!
//! A bootloader's package chooses one of two profiles by a feature; neither changes what is checked, or in which
//! order, and the verdicts are those of the default:
//!
//! - `small`: few bytes of text. Ed25519 by `bistable_core::small_verifier`, SHA-256 by `hmac-sha256`.
//! - `fast`: few instructions for each byte of an image. The same Ed25519; SHA-256 by the unrolled rounds of `sha2`.
//!   Built with a Cargo profile of that name: `--profile fast --no-default-features --features fast`.
//!
//! What each costs is in `docs/decisions/0016-two-profiles.md`. Their workspace sets `opt-level = 3` for the
//! packages `sha2` and `hmac-sha256`, as this project's does.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod board;
mod log;
mod story;

pub use board::{Board, Product};
pub use story::{Ready, boot, prepare};
