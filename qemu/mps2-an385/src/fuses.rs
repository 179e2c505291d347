//! The board's fuses, as emulated beside its flash: the floor is the number of those that are blown.

use crate::flash::Psram;

/// The fuses that hold the floor.
pub type FloorFuses = board_kit::memory_flash::FloorFuses<Psram>;
