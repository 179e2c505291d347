//! Flash that counts, remembers what was programmed, and stops where the host wants the power cut.
//!
//! An emulated board's flash is a [`Chip`]: a real one behind commands, or plain memory where the board has
//! none. [`EmulatedFlash`] makes of it what a test bench needs: each write unit is programmed once per erase,
//! whatever real flash would refuse is refused, every operation is counted, and one at which a trigger is aimed
//! stops half-way. All that it remembers are the *notes*, in a memory beside the content that both the board
//! and the host see. They survive a reset and the death of the emulator at any store.
//!
//! ```text
//! offset in the notes
//! 0x0000  counters, trigger of a power cut
//! 0x1000  erases, of each sector           u32 each
//!         program calls, of each sector    u32 each
//!         marks                            a bit for each write unit: programmed since its last erase
//!         fuses                            32 bits, each set at most once
//! ```
//!
//! The board's driver runs [`EmulatedFlash`]; the host [formats](EmulatedFlash::format) it, reads [`Counters`]
//! and aims a [`Trigger`] at an operation, which then stops half-way and waits for the emulator to be killed.
//!
//! | board | content | notes |
//! | --- | --- | --- |
//! | [`mps2_an385`] | the first 2 MiB of the PSRAM | from its middle on |
//! | [`riscv32_virt`] | two NOR chips, as one of 32 MiB | a memory of 4 MiB of their own |
//! | another machine whose memory can be a file: [`InMemory`] | its first part | from its middle on |
//!
//! # What a cut leaves
//!
//! Of a program call, half of the bytes. Of an erase, a sector whose first half reads as erased and whose second
//! half is as before. A chip that erases a sector by one command cannot be stopped there, so its driver leaves
//! the sector like that by other means ([`Chip::erase`]).
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

mod bookkeeping;
mod chip;
mod counters;
mod flash;
mod fuses;
mod geometry;
mod marks;
mod memory;
#[cfg(test)]
mod model;
mod nor_flash;
mod trigger;

pub use bookkeeping::{NotFormatted, notes_size};
pub use chip::{Chip, Plain, clear_bits, fill_erased};
pub use counters::{Counters, SectorCounters};
pub use flash::{EmulatedFlash, Error};
pub use fuses::{FUSES, blow_fuses, blown_fuses};
pub use geometry::{Geometry, InMemory, mps2_an385, riscv32_virt};
pub use memory::Memory;
pub use trigger::{Operation, Operations, Trigger, TriggerState};

/// Bytes of a write unit: programmed as a whole, once per erase.
pub const WRITE_UNIT: u32 = 4;
