//! What Bistable's bootloader and updater agree on: image format, layout, state journal, decisions.
//!
//! Everything here is `no_std`, free of allocation and of `unsafe`. Formats are one file each, with
//! a `mod field` of named offsets. Decisions are pure functions from plain values to plain values:
//! the device, the tests and the host tools run the same ones.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod admit;
pub mod choose;
pub mod digest;
#[cfg(feature = "fast-verifier")]
pub mod fast_verifier;
pub mod fuses;
pub mod handover;
pub mod header;
pub mod journal;
pub mod keys;
pub mod layout;
pub mod ledger;
pub mod manifest;
pub mod page;
pub mod plan;
pub mod refusal;
pub mod request;
pub mod reset;
#[cfg(not(feature = "hmac-sha256"))]
mod sha256;
mod signatures;
#[cfg(feature = "curve25519-dalek")]
pub mod small_verifier;
pub mod snapshot;
pub mod state;
pub mod transition;
pub mod verifier;
pub mod verify;
pub mod version;
pub mod watchdog;
mod wire;

pub use wire::crc32;
