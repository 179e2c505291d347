//! Driver of parallel NOR flash that answers a CFI query and understands Intel's command set, two chips of 16 bits
//! side by side on a bus of 32.
//!
//! Follows JEDEC JESD68.01 (Common Flash Interface) and JEP137 (command set 0x0001), and the data sheet of the Intel
//! StrataFlash P30 (306666) for how its commands are used.
//!
//! # While the chip is busy
//!
//! From the first command of an operation until the chip is told to read its array again, reading it gives
//! status, not content. A program that executes from the same chip cannot fetch its next instruction then. So an
//! operation is not a function that talks to the chip but a list of [`Step`]s, made by the functions here, and
//! the board's [`Bus`] goes through it at one go: with a routine that lies in RAM, interrupts off, and the list and
//! the data in RAM, too. That routine knows nothing of flash; what is sent, and what a status means, is decided here and
//! tested on the host against a chip that is stricter than those that one can buy.
//!
//! ```text
//! erase    write 0x20, 0xD0             wait              (clear status)  read array
//! program  write 0xE8  wait  count data 0xD0  wait        (clear status)  read array
//! query    write 0x98  fetch                                              read array
//! ```
//!
//! A chip that lets blocks be locked one by one powers up with all of them locked, so each operation begins
//! with unlocking the one that it is for.
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

mod bus;
mod chip;
#[cfg(test)]
mod conformance;
mod query;
#[cfg(test)]
mod simulated;
mod status;

pub use bus::{Action, Bus, END, MAX_STEPS, Outcome, Step, Words, go_through};
pub use chip::{AT_ONCE, CfiFlash, Error};
pub use query::{Facts, Unfit};
pub use status::{ERRORS, READY, Trouble};

/// Bytes that are programmed together: the width of the bus.
pub const WRITE_UNIT: u32 = 4;

/// The same 16 bits for both chips.
const fn both(word: u16) -> u32 {
    (word as u32) << 16 | word as u32
}
