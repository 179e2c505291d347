//! Whether the driver keeps what Bistable relies on, over the simulated chip.

use bistable_conformance::{SecondProgram, flash};
use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use crate::simulated::{BLOCK, Chip, SIZE, open};
use crate::{CfiFlash, Error, WRITE_UNIT};

/// The flash, as a board offers it.
struct Offered(CfiFlash<Chip>);

impl ErrorType for Offered {
    type Error = Error;
}

impl ReadNorFlash for Offered {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.facts().size as usize
    }
}

impl NorFlash for Offered {
    const WRITE_SIZE: usize = WRITE_UNIT as usize;
    const ERASE_SIZE: usize = BLOCK as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.0.program(offset, bytes)
    }
}

struct Unwatched;

impl Watchdog for Unwatched {
    fn feed(&mut self) {}
}

#[test]
fn the_driver_keeps_the_contract_of_a_flash() {
    let mut offered = Offered(open());
    for scratch in [3 * BLOCK..5 * BLOCK, SIZE - 2 * BLOCK..SIZE] {
        let facts = flash(&mut offered, scratch, &mut Unwatched).unwrap();
        assert_eq!(facts.capacity, SIZE);
        assert_eq!(facts.second_program, SecondProgram::ClearsBits);
    }
}
