//! The Bistable updater: runs in the application, receives an image, installs it beside the one that
//! runs, activates it, and says at the next boot whether it is kept.
//!
//! ```text
//!   source ──▶ begin ─ write ─ write ─ … ─ finish ─ activate ──▶ reset ──▶ check … judge
//! ```
//!
//! An [`Updater`] does everything with a [`Platform`]; [`download`] moves an image from a
//! [`source::Source`] into it; [`http`] is one such source, a state machine without I/O with a driver
//! over `embedded-io`. No allocator, no clock of its own, no network stack.
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

mod device;
pub mod device_key;
pub mod download;
pub mod drift;
pub mod health;
pub mod http;
pub mod identity;
mod install;
pub mod locks;
mod log;
pub mod net;
mod platform;
pub mod receipt;
pub mod report;
mod request;
pub mod source;
mod throttle;
mod trial;
mod updater;
pub mod witness;

pub use device::Device;
pub use install::{Checked, Installation, LIVE_MS, Part};
pub use platform::Platform;
pub use updater::{Product, Updater};
