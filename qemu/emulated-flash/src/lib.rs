//! Flash semantics over plain memory, with its bookkeeping kept beside it: shared by board and host.
//!
//! The emulated board has no flash, but it has memory that is a file on the host. This crate makes
//! flash of it: erased to ones, programmed to zeros, each write unit once per erase, and whatever
//! real flash would refuse is refused. All that it remembers lies in the same memory, so it survives
//! a reset and the death of the emulator at any store, and the host can read it while the board runs.
//!
//! ```text
//! offset in the memory
//! 0x00_0000  content of the flash         FLASH_SIZE, 512 sectors
//! 0x20_0000  unused
//! 0x80_0000  bookkeeping                  counters, trigger of a power cut
//! 0x80_1000  erases, of each sector       u32 each
//! 0x80_1800  program calls, of each sector
//! 0x80_2000  marks                        a bit for each write unit: programmed since its last erase
//! 0x81_2000  unused
//! 0x90_0000  fuses                        32 bits, each set at most once
//! 0x90_0004  unused
//! 0x100_0000 end                          MEMORY_SIZE
//! ```
//!
//! The board's driver runs [`EmulatedFlash`]; the host [formats](EmulatedFlash::format) the memory,
//! reads [`Counters`] and aims a [`Trigger`] at an operation, which then stops half-way and waits for
//! the emulator to be killed.
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
mod counters;
mod flash;
mod fuses;
mod marks;
mod memory;
#[cfg(test)]
mod model;
mod nor_flash;
mod trigger;

pub use bookkeeping::NotFormatted;
pub use counters::{Counters, SectorCounters};
pub use flash::{EmulatedFlash, Error};
pub use fuses::{FUSES, blow_fuses, blown_fuses};
pub use memory::Memory;
pub use trigger::{Operation, Operations, Trigger, TriggerState};

/// Bytes of the memory that flash and bookkeeping live in: the board's whole PSRAM.
pub const MEMORY_SIZE: u32 = 16 << 20;

/// Bytes of flash, at the start of the memory.
pub const FLASH_SIZE: u32 = 2 << 20;

/// Bytes of an erase sector.
pub const SECTOR_SIZE: u32 = 4096;

/// Bytes of a write unit: programmed as a whole, once per erase.
pub const WRITE_UNIT: u32 = 4;

/// Number of erase sectors.
pub const SECTORS: u32 = FLASH_SIZE / SECTOR_SIZE;
