//! The board's fuses, as emulated in the notes about its flash: the floor is the number of those that are blown.

use bistable_core::fuses::{Fuses, NotRaised};
use emulated_flash::riscv32_virt::GEOMETRY;
use emulated_flash::{FUSES, blow_fuses, blown_fuses};

use crate::notes::Notes;

/// The fuses that hold the floor.
#[derive(Debug, Default)]
pub struct FloorFuses {
    _private: (),
}

impl FloorFuses {
    /// The board's.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl Fuses for FloorFuses {
    /// Without the memory that they are in, all of them count as blown: nothing is let through.
    fn floor(&mut self) -> u32 {
        Notes::open().map_or(FUSES, |notes| blown_fuses(&notes, GEOMETRY))
    }

    fn raise(&mut self, floor: u32) -> Result<(), NotRaised> {
        let mut notes = Notes::open().map_err(|_| NotRaised)?;
        match blow_fuses(&mut notes, GEOMETRY, floor) {
            true => Ok(()),
            false => Err(NotRaised),
        }
    }
}
