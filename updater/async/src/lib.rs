//! Bistable in an async task: the same updater, the same client, the same checks, over async connections and async flash.
//!
//! ```text
//!   embedded-io-async connection ──▶ Client ──▶ Source ──▶ download ──▶ bistable_updater::Installation
//!                                                                              │ blocking NorFlash
//!   embedded-storage-async flash ◀──────────── Blocking ◀──────────────────────┘
//! ```
//!
//! Nothing of the updater's logic is here twice. [`Client`] does what [`bistable_updater::http::Exchange`] says, as the blocking
//! client does; [`download`] drives the same [`Installation`](bistable_updater::Installation); [`Blocking`] lends an async flash to
//! the updater, which asks for a blocking one.
//!
//! No executor is assumed: any will do. What it does meanwhile is another question: the updater hashes and verifies for
//! milliseconds, a whole slot for much longer, and during that no other task of the *same* executor runs. What must be punctual
//! runs at a higher priority: in an interrupt, or on an executor that an interrupt runs.
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

mod blocking;
mod client;
mod download;
mod source;

pub use blocking::Blocking;
pub use client::{Client, Connect, HttpSource};
pub use download::download;
pub use source::Source;
