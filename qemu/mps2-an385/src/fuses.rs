//! The board's fuses, as emulated beside its flash: the floor is the number of those that are blown.

use bistable_core::fuses::{Fuses, NotRaised};
use emulated_flash::mps2_an385::GEOMETRY;
use emulated_flash::{blow_fuses, blown_fuses};

use crate::flash::Notes;

/// The fuses that hold the floor.
#[derive(Debug)]
pub struct FloorFuses {
    notes: Notes,
}

impl FloorFuses {
    /// The board's.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            notes: Notes::new(),
        }
    }
}

impl Default for FloorFuses {
    fn default() -> Self {
        Self::new()
    }
}

impl Fuses for FloorFuses {
    fn floor(&mut self) -> u32 {
        blown_fuses(&self.notes, GEOMETRY)
    }

    fn raise(&mut self, floor: u32) -> Result<(), NotRaised> {
        match blow_fuses(&mut self.notes, GEOMETRY, floor) {
            true => Ok(()),
            false => Err(NotRaised),
        }
    }
}
