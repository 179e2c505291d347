//! What the support crates of the emulated boards have in common: whatever is not about one board's registers.
//!
//! An application does not name this crate; its board's names are what it uses.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod beats;
pub mod leftover;
#[cfg(feature = "defmt")]
pub mod log;
pub mod memory_flash;
#[cfg(feature = "defmt")]
pub mod panic;
pub mod pci;
pub mod stack;
