//! Flashes that keep the contract pass, whatever their sizes, and nothing outside the scratch range changes.

mod model;

use bistable_conformance::{
    Breach, Check, FlashFacts, SecondProgram, Seen, flash, flash_timed, handles, readable,
};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use emulated_flash::{Chip, EmulatedFlash, Geometry, Plain, mps2_an385, notes_size, riscv32_virt};
use model::{Fed, Model, Second};

/// Runs the suite in sectors 3 and 4, and at the end.
fn facts<const READ: usize, const WRITE: usize, const ERASE: usize>(second: Second) -> FlashFacts {
    let mut model = Model::<READ, WRITE, ERASE>::new(11, second);
    let before = model.cells.borrow().clone();
    let size = ERASE as u32;
    let mut fed = Fed::default();
    let facts = flash(&mut model, 3 * size..5 * size, &mut fed).unwrap();
    assert!(fed.0 > 200, "fed {} times", fed.0);
    let after = model.cells.borrow().clone();
    assert_eq!(before[..3 * ERASE], after[..3 * ERASE]);
    assert!(after[3 * ERASE..5 * ERASE].iter().all(|byte| *byte == 0xFF));
    assert_eq!(before[5 * ERASE..], after[5 * ERASE..]);
    assert_eq!(flash(&mut model, 8 * size..11 * size, &mut fed), Ok(facts));
    facts
}

#[test]
fn a_flash_that_keeps_the_contract_passes_whatever_its_sizes() {
    let found = facts::<1, 1, 64>(Second::Refused);
    assert_eq!((found.read_size, found.write_size), (1, 1));
    assert_eq!((found.erase_size, found.capacity), (64, 11 * 64));
    facts::<1, 4, 256>(Second::ClearsBits);
    facts::<2, 2, 1024>(Second::Refused);
    facts::<4, 4, 4096>(Second::ClearsBits);
    facts::<8, 8, 2048>(Second::Refused);
    facts::<1, 16, 8192>(Second::Refused);
    facts::<8, 32, 0x2_0000>(Second::Refused);
    facts::<8, 4, 512>(Second::ClearsBits);
    facts::<1, 32, 64>(Second::Refused);
}

#[test]
fn what_becomes_of_a_second_program_is_a_fact() {
    let second = |second| {
        let facts = facts::<1, 4, 4096>(second);
        (facts.second_program, facts.after_ones)
    };
    let (refused, clears) = (SecondProgram::Refused, SecondProgram::ClearsBits);
    assert_eq!(second(Second::Refused), (refused, refused));
    assert_eq!(second(Second::ClearsBits), (clears, clears));
    assert_eq!(second(Second::OnlyZeros), (SecondProgram::Either, refused));
}

/// A chip in memory, whose sectors' size is known when this is compiled, as on a board.
struct InMemory<'m, const ERASE: u32>(Plain<&'m mut [u8], &'m mut [u8]>);

impl<'m, const ERASE: u32> Chip for InMemory<'m, ERASE> {
    type Failure = core::convert::Infallible;
    type Notes = &'m mut [u8];
    const ERASE_SIZE: u32 = ERASE;

    fn geometry(&self) -> Geometry {
        self.0.geometry
    }

    fn notes(&self) -> &Self::Notes {
        self.0.notes()
    }

    fn notes_mut(&mut self) -> &mut Self::Notes {
        self.0.notes_mut()
    }

    fn read(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Failure> {
        self.0.read(offset, bytes)
    }

    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Failure> {
        self.0.program(offset, bytes)
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), Self::Failure> {
        self.0.erase(offset, length)
    }
}

#[test]
fn the_emulated_flash_of_each_board_passes_in_the_middle_and_at_its_end() {
    fn passes<const ERASE: u32>(geometry: Geometry) -> String {
        let mut content = vec![0; geometry.size as usize];
        let mut notes = vec![0; notes_size(geometry) as usize];
        let chip = Plain {
            content: &mut content[..],
            notes: &mut notes[..],
            geometry,
        };
        let formatted = EmulatedFlash::format(chip, &[0x11; 0x8000]).unwrap();
        let mut emulated = EmulatedFlash::open(InMemory::<ERASE>(formatted.into_chip())).unwrap();
        let mut milliseconds = 0;
        let mut clock = || {
            milliseconds += 2;
            milliseconds
        };
        let end = geometry.size;
        let both = [ERASE..3 * ERASE, end - 2 * ERASE..end].map(|scratch| {
            let fed = &mut Fed::default();
            flash_timed(&mut emulated, scratch, fed, &mut clock)
                .unwrap()
                .to_string()
        });
        assert_eq!(both[0], both[1]);
        both[0].clone()
    }
    assert_eq!(
        passes::<4096>(mps2_an385::GEOMETRY),
        "2097152 bytes of flash in sectors of 4096, programmed in units of 4, read in units of 1; a second \
         program is refused, and after ones it is refused; longest erase 2 ms, longest program call 2 ms"
    );
    passes::<0x4_0000>(riscv32_virt::GEOMETRY);
}

#[test]
fn a_flash_that_is_only_read_is_read_to_its_end() {
    let mut model = Model::<8, 8, 4096>::new(4, Second::Refused);
    readable(&mut model, 0..0x4000, &mut Fed::default()).unwrap();
    let breach = readable(&mut model, 0..0x5000, &mut Fed::default()).unwrap_err();
    assert_eq!(breach.check, Check::SlotFlash);
}

#[test]
fn a_scratch_range_that_cannot_be_used_is_refused_before_anything_is_touched() {
    let mut model = Model::<1, 4, 4096>::new(4, Second::Refused);
    let before = model.cells.borrow().clone();
    for scratch in [
        0x1000..0x2000,
        0x1000..0x2800,
        0x800..0x4000,
        0x2000..0x6000,
        0..0,
    ] {
        let breach = flash(&mut model, scratch, &mut Fed::default()).unwrap_err();
        assert_eq!(breach.check, Check::Scratch);
    }
    assert_eq!(*model.cells.borrow(), before);
}

#[test]
fn constants_that_make_no_sense_are_refused() {
    fn refused<const READ: usize, const WRITE: usize, const ERASE: usize>() -> (Seen, Seen) {
        let mut model = Model::<READ, WRITE, ERASE>::new(4, Second::Refused);
        let scratch = 0..2 * ERASE as u32;
        let breach = flash(&mut model, scratch, &mut Fed::default()).unwrap_err();
        assert_eq!(breach.check, Check::Geometry);
        (breach.expected, breach.found)
    }
    let sizes = |expected, found| (Seen::Number(expected), Seen::Number(found));
    assert_eq!(refused::<16, 16, 4096>(), sizes(8, 16));
    assert_eq!(refused::<1, 64, 4096>(), sizes(32, 64));
    assert_eq!(refused::<1, 12, 4096>(), sizes(16, 12));
    assert_eq!(refused::<1, 4, 528>(), sizes(1024, 528));
    assert_eq!(refused::<1, 4, 4>(), sizes(8, 4));
}

/// A handle that remembers what it read until it writes something itself.
struct Cached {
    flash: Model<1, 4, 256>,
    cache: Option<Vec<u8>>,
}

impl embedded_storage::nor_flash::ErrorType for Cached {
    type Error = embedded_storage::nor_flash::NorFlashErrorKind;
}

impl ReadNorFlash for Cached {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let cells = &self.flash.cells;
        let cache = self.cache.get_or_insert_with(|| cells.borrow().clone());
        bytes.copy_from_slice(&cache[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Cached {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 256;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.cache = None;
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.cache = None;
        self.flash.write(offset, bytes)
    }
}

#[test]
fn two_handles_that_see_the_same_pass_and_one_with_an_old_cache_does_not() {
    let flash = Model::<1, 4, 256>::new(4, Second::Refused);
    let (mut one, mut other) = (flash.clone(), flash.clone());
    handles(&mut one, &mut other, 256..512, &mut Fed::default()).unwrap();
    let cached = || Cached {
        flash: flash.clone(),
        cache: None,
    };
    let (mut one, mut other) = (cached(), cached());
    let breach = handles(&mut one, &mut other, 256..512, &mut Fed::default()).unwrap_err();
    assert!(matches!(
        breach,
        Breach {
            check: Check::Handles,
            offset: 256,
            ..
        }
    ));
}
