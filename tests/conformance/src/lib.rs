//! Whether a port keeps what Bistable relies on.
//!
//! A port brings a flash driver, a [`Board`](bistable_bootloader::Board) and a
//! [`Platform`](bistable_updater::Platform). Three functions say whether they keep the contract: [`flash()`],
//! [`board()`] and [`platform()`]. Each is called on the device, with the port's own types, and answers with facts or
//! with the first [`Breach`]: what, where, expected, found, and which promise would break. `docs/conformance.md` tells
//! how, and what no such function can know.
//!
//! ```
//! use bistable_conformance::flash;
//! use bistable_core::watchdog::Watchdog;
//! use embedded_storage::nor_flash::NorFlash;
//!
//! fn try_my(driver: &mut impl NorFlash, watchdog: &mut impl Watchdog) {
//!     // Sectors in which nothing lies.
//!     match flash(driver, 0x1F_C000..0x20_0000, watchdog) {
//!         Ok(facts) => println!("{facts}"),
//!         Err(breach) => println!("{breach}"),
//!     }
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]
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

#[cfg(test)]
extern crate std;

pub mod board;
mod breach;
mod check;
mod flash;
mod platform;

pub use board::board;
pub use breach::{Breach, Seen};
pub use check::Check;
pub use flash::{FlashFacts, SecondProgram, flash, flash_timed, flash_without, handles, readable};
pub use platform::{PlatformFacts, platform};

/// The examples of the document compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/conformance.md")]
mod document {}
