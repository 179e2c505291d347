//! The Bistable bootloader, as a library: verify, choose, arm the watchdog, jump.
//!
//! It never writes a slot: a [`Board`]'s slot flash can only be read. The whole of it is a short story,
//! told by [`prepare`]: open the journal, choose a candidate, verify it, record what follows, hand over.
//! [`boot`] is that and the jump.
//!
//! A board's bootloader binary implements [`Board`] and calls [`boot`]. Host tools and tests implement
//! it over memory and call [`prepare`] to see what would boot, and why.
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
