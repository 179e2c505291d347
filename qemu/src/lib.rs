//! Emulated boards: the machine that runs them, and the flash file that survives it.
//!
//! A [`FlashFile`] is the board's flash, made from a factory image. A [`Machine`] is QEMU running the
//! board with that file; it is killed to cut the power, at any moment or at an operation that a
//! [`Trigger`] is aimed at, and what the board logs comes out of it as [`LogLine`]s.

mod board;
mod boot_chip;
mod conformance;
mod error;
mod flash_file;
mod log_frames;
mod log_line;
mod machine;
mod mapping;
pub mod ram_routine;
pub mod story;

pub use board::Board;
pub use conformance::conformance;
pub use emulated_flash::{
    Counters, Geometry, InMemory, Operations, SectorCounters, Trigger, TriggerState, WRITE_UNIT,
};
pub use error::{Error, NotSeen};
pub use flash_file::{FlashFile, Form, Rehearsal};
pub use log_frames::Finder;
pub use log_line::{Level, LogLine, Source};
pub use machine::{Config, Machine, Program};

/// Bytes of a sector of the flash of [`Board::Mps2An385`].
pub const SECTOR_SIZE: u32 = emulated_flash::mps2_an385::GEOMETRY.sector_size;
