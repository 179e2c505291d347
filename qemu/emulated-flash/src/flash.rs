//! The flash itself: erase, program and read, and what they refuse.

use crate::bookkeeping::{self, NotFormatted};
use crate::trigger::{Due, Operation};
use crate::{FLASH_SIZE, MEMORY_SIZE, Memory, SECTOR_SIZE, SECTORS, WRITE_UNIT, counters, marks};

/// Flash in a memory. All offsets are in bytes from the start of the flash.
#[derive(Debug)]
pub struct EmulatedFlash<M> {
    memory: M,
    /// A trigger stopped an operation: nothing works any more.
    cut: bool,
}

/// Why an operation was refused, or not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The range does not lie within the flash, or ends before it starts. Nothing was changed.
    OutOfBounds,
    /// Start or length is no multiple of the sector (erase) or write unit (program). Nothing was changed.
    NotAligned,
    /// A unit of the range was programmed since its last erase, be it with 0xFF. Nothing was changed.
    AlreadyProgrammed {
        /// Where the first such unit lies.
        offset: u32,
    },
    /// The power was cut half-way through this operation or an earlier one: open the flash again.
    Cut,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::OutOfBounds => write!(f, "the range lies beyond {FLASH_SIZE:#x} bytes of flash"),
            Error::NotAligned => write!(
                f,
                "start and length must be multiples of {SECTOR_SIZE} to erase, of {WRITE_UNIT} to program"
            ),
            Error::AlreadyProgrammed { offset } => write!(
                f,
                "the write unit at {offset:#x} was programmed since its last erase; erase its sector first"
            ),
            Error::Cut => write!(f, "the power was cut during an operation"),
        }
    }
}

impl core::error::Error for Error {}

impl<M: Memory> EmulatedFlash<M> {
    /// Opens flash that was [formatted](Self::format) before.
    ///
    /// # Errors
    ///
    /// [`NotFormatted`] if the memory does not hold the bookkeeping.
    pub fn open(memory: M) -> Result<Self, NotFormatted> {
        bookkeeping::check(&memory)?;
        Ok(Self { memory, cut: false })
    }

    /// Makes flash of `memory`, as a factory programmer would leave it: `content` at its start, the
    /// rest erased, all counters 0, no trigger. Units of `content` that are not all 0xFF count as programmed.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] if `content` is longer than the flash; nothing was changed.
    pub fn format(mut memory: M, content: &[u8]) -> Result<Self, Error> {
        if content.len() > FLASH_SIZE as usize {
            return Err(Error::OutOfBounds);
        }
        bookkeeping::begin(&mut memory);
        for sector in 0..SECTORS {
            fill_erased(&mut memory, sector, SECTOR_SIZE);
        }
        let mut offset = 0_u32;
        for unit in content.chunks(WRITE_UNIT as usize) {
            if unit.iter().any(|byte| *byte != 0xFF) {
                clear_bits(&mut memory, offset, unit);
            }
            offset = offset.saturating_add(WRITE_UNIT);
        }
        bookkeeping::finish(&mut memory);
        Ok(Self { memory, cut: false })
    }

    /// Fills `bytes` with what lies at `offset`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`]; [`Error::Cut`].
    pub fn read(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.is_alive()?;
        range(offset, bytes.len())?;
        self.memory.read(offset, bytes);
        Ok(())
    }

    /// Erases the sectors from `from` up to, not including, `to`; each is one operation.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] or [`Error::NotAligned`], with nothing changed; [`Error::Cut`].
    pub fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        self.is_alive()?;
        if from > to || to > FLASH_SIZE {
            return Err(Error::OutOfBounds);
        }
        if !from.is_multiple_of(SECTOR_SIZE) || !to.is_multiple_of(SECTOR_SIZE) {
            return Err(Error::NotAligned);
        }
        (from / SECTOR_SIZE..to / SECTOR_SIZE).try_for_each(|sector| self.erase_sector(sector))
    }

    /// Programs `bytes` at `offset` as one operation: bits are cleared, none is set. No bytes, no operation.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`], [`Error::NotAligned`] or [`Error::AlreadyProgrammed`], with nothing
    /// changed; [`Error::Cut`].
    pub fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.is_alive()?;
        let length = range(offset, bytes.len())?;
        if !offset.is_multiple_of(WRITE_UNIT) || !length.is_multiple_of(WRITE_UNIT) {
            return Err(Error::NotAligned);
        }
        if let Some(offset) = marks::first_marked(&self.memory, offset, length) {
            return Err(Error::AlreadyProgrammed { offset });
        }
        let Some(last) = length.checked_sub(1) else {
            return Ok(());
        };
        let sectors = offset / SECTOR_SIZE..=offset.saturating_add(last) / SECTOR_SIZE;
        counters::count_program(&mut self.memory, offset, length);
        let due = Due::count(&mut self.memory, Operation::Program, sectors);
        // A cut comes after half of the bytes: an odd unit in the middle is torn in half.
        let programmed = match due {
            Some(_) => bytes.len() / 2,
            None => bytes.len(),
        };
        clear_bits(&mut self.memory, offset, bytes.split_at(programmed).0);
        match due {
            Some(due) => Err(self.cut(&due)),
            None => Ok(()),
        }
    }

    /// Bytes of flash.
    pub const fn size(&self) -> u32 {
        FLASH_SIZE
    }

    /// The memory underneath.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// The memory underneath, past all that flash would refuse.
    pub const fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    #[inline(never)] // in the loop above it takes 40 bytes more
    fn erase_sector(&mut self, sector: u32) -> Result<(), Error> {
        counters::count_erase(&mut self.memory, sector);
        let due = Due::count(&mut self.memory, Operation::Erase, sector..=sector);
        let erased = match due {
            Some(_) => SECTOR_SIZE / 2,
            None => SECTOR_SIZE,
        };
        fill_erased(&mut self.memory, sector, erased);
        match due {
            // The marks stay: what was not erased whole must be erased again before it is programmed.
            Some(due) => Err(self.cut(&due)),
            None => {
                marks::clear_sector(&mut self.memory, sector);
                Ok(())
            }
        }
    }

    fn cut(&mut self, due: &Due) -> Error {
        due.reached(&mut self.memory);
        self.memory.wait_for_power_cut();
        self.cut = true;
        Error::Cut
    }

    const fn is_alive(&self) -> Result<(), Error> {
        if self.cut { Err(Error::Cut) } else { Ok(()) }
    }
}

/// The length, if `length` bytes at `offset` lie within the flash.
fn range(offset: u32, length: usize) -> Result<u32, Error> {
    let length = u32::try_from(length).map_err(|_| Error::OutOfBounds)?;
    match offset.checked_add(length) {
        Some(end) if end <= FLASH_SIZE => Ok(length),
        _ => Err(Error::OutOfBounds),
    }
}

/// Marks the units that `bytes` touch and clears their bits, one after the other: each is marked before
/// its data changes (see [`marks`] why).
fn clear_bits(memory: &mut impl Memory, offset: u32, bytes: &[u8]) {
    let units = (offset..).step_by(WRITE_UNIT as usize);
    for (unit, bytes) in units.zip(bytes.chunks(WRITE_UNIT as usize)) {
        // Ones, which change nothing, where only a part of the unit is to be programmed.
        let mut new = [0xFF; WRITE_UNIT as usize];
        new.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        marks::mark(memory, unit);
        let old = memory.read_word(unit);
        memory.write_word(unit, old & u32::from_le_bytes(new));
    }
}

/// Sets the first `length` bytes of a sector, a multiple of 4, to 0xFF.
fn fill_erased(memory: &mut impl Memory, sector: u32, length: u32) {
    let start = sector.saturating_mul(SECTOR_SIZE);
    for offset in (start..start.saturating_add(length)).step_by(4) {
        memory.write_word(offset, u32::MAX);
    }
}

const _: () = assert!(FLASH_SIZE <= MEMORY_SIZE && FLASH_SIZE.is_multiple_of(SECTOR_SIZE));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Interrupted, formatted};
    use crate::{Counters, Trigger};
    use std::vec;
    use std::vec::Vec;

    fn content(flash: &EmulatedFlash<&mut [u8]>, offset: u32, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        flash.read(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn memory_that_was_never_formatted_is_refused() {
        let mut memory = vec![0; MEMORY_SIZE as usize];
        let refusal = EmulatedFlash::open(&mut memory[..]).unwrap_err();
        let nothing = NotFormatted {
            magic: 0,
            version: 0,
        };
        assert_eq!(refusal, nothing);
    }

    #[test]
    fn a_factory_image_lies_at_the_start_and_the_rest_is_erased() {
        let mut memory = formatted(b"factory");
        let flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        assert_eq!(content(&flash, 0, 9), b"factory\xFF\xFF");
        assert_eq!(content(&flash, FLASH_SIZE - 4, 4), [0xFF; 4]);
    }

    #[test]
    fn what_the_factory_left_erased_can_be_programmed_and_nothing_else() {
        let mut memory = formatted(&[1, 2, 3, 4, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 7]);
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        flash.program(4, &[9; 4]).unwrap();
        flash.program(12, &[9; 4]).unwrap();
        let refused = |offset| Err(Error::AlreadyProgrammed { offset });
        assert_eq!(flash.program(0, &[0; 4]), refused(0));
        assert_eq!(flash.program(8, &[0; 4]), refused(8));
    }

    #[test]
    fn a_factory_image_that_is_too_long_is_refused() {
        let mut memory = formatted(b"before");
        let too_long = vec![0; FLASH_SIZE as usize + 1];
        let refusal = EmulatedFlash::format(&mut memory[..], &too_long).unwrap_err();
        assert_eq!(refusal, Error::OutOfBounds);
        assert_eq!(memory[..6], *b"before");
    }

    #[test]
    fn a_unit_is_programmed_once_per_erase_even_with_ones() {
        let mut memory = formatted(&[]);
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        flash.program(64, &[0xFF; 4]).unwrap();
        let refused = Err(Error::AlreadyProgrammed { offset: 64 });
        assert_eq!(flash.program(56, &[0; 16]), refused);
        assert_eq!(content(&flash, 56, 16), [0xFF; 16]);
        flash.erase(0, SECTOR_SIZE).unwrap();
        flash.program(56, &[0; 16]).unwrap();
        assert_eq!(content(&flash, 52, 24)[4..20], [0; 16]);
    }

    #[test]
    fn erasing_touches_its_sectors_and_no_others() {
        let mut memory = formatted(&[0x11; 3 * SECTOR_SIZE as usize]);
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        flash.erase(SECTOR_SIZE, 2 * SECTOR_SIZE).unwrap();
        let all = content(&flash, 0, 3 * SECTOR_SIZE as usize);
        assert!(all[..4096].iter().all(|byte| *byte == 0x11));
        assert!(all[4096..8192].iter().all(|byte| *byte == 0xFF));
        assert!(all[8192..].iter().all(|byte| *byte == 0x11));
        flash.program(2 * SECTOR_SIZE - 4, &[0; 4]).unwrap();
        flash.program(SECTOR_SIZE - 4, &[0; 4]).unwrap_err();
        flash.program(2 * SECTOR_SIZE, &[0; 4]).unwrap_err();
    }

    #[test]
    fn ranges_that_flash_does_not_have_are_refused() {
        let mut memory = formatted(&[]);
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        let end = FLASH_SIZE;
        assert_eq!(flash.program(end - 4, &[0; 8]), Err(Error::OutOfBounds));
        assert_eq!(flash.program(!3, &[0; 8]), Err(Error::OutOfBounds));
        assert_eq!(flash.erase(0, end + 4096), Err(Error::OutOfBounds));
        assert_eq!(flash.erase(8192, 4096), Err(Error::OutOfBounds));
        assert_eq!(flash.read(end - 1, &mut [0; 2]), Err(Error::OutOfBounds));
        assert_eq!(flash.read(end, &mut []), Ok(()));
        assert_eq!(flash.program(6, &[0; 4]), Err(Error::NotAligned));
        assert_eq!(flash.program(8, &[0; 6]), Err(Error::NotAligned));
        assert_eq!(flash.erase(4, 4096), Err(Error::NotAligned));
        assert_eq!(flash.erase(0, 4100), Err(Error::NotAligned));
    }

    #[test]
    fn a_cut_program_call_leaves_half_of_its_bytes() {
        for units in 1..20_usize {
            let mut memory = formatted(&[]);
            Trigger::nth(1).arm(&mut memory[..]);
            let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
            assert_eq!(flash.program(20, &vec![0; 4 * units]), Err(Error::Cut));
            let flash = EmulatedFlash::open(&mut memory[..]).unwrap();
            let mut expected = vec![0xFF; 4 * units];
            expected[..2 * units].fill(0);
            assert_eq!(content(&flash, 20, 4 * units), expected);
        }
    }

    #[test]
    fn what_a_cut_program_call_touched_must_be_erased_before_it_is_programmed() {
        let mut memory = formatted(&[]);
        Trigger::nth(1).arm(&mut memory[..]);
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        flash.program(0, &[0; 12]).unwrap_err();
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        let refused = |offset| Err(Error::AlreadyProgrammed { offset });
        assert_eq!(flash.program(0, &[0; 4]), refused(0));
        assert_eq!(flash.program(4, &[0; 4]), refused(4));
        assert_eq!(flash.program(8, &[0; 4]), Ok(()));
    }

    #[test]
    fn a_cut_erase_leaves_half_of_the_sector_and_must_be_done_again() {
        let mut memory = formatted(&[0x11; 2 * SECTOR_SIZE as usize]);
        Trigger::nth(2).arm(&mut memory[..]);
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        assert_eq!(flash.erase(0, 2 * SECTOR_SIZE), Err(Error::Cut));
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        let cut = content(&flash, SECTOR_SIZE, SECTOR_SIZE as usize);
        assert!(cut[..2048].iter().all(|byte| *byte == 0xFF));
        assert!(cut[2048..].iter().all(|byte| *byte == 0x11));
        flash.program(SECTOR_SIZE, &[0; 4]).unwrap_err();
        flash.erase(SECTOR_SIZE, 2 * SECTOR_SIZE).unwrap();
        flash.program(SECTOR_SIZE, &[0; 4]).unwrap();
    }

    #[test]
    fn nothing_works_after_a_cut_until_the_flash_is_opened_again() {
        let mut memory = formatted(&[]);
        Trigger::nth(1).arm(&mut memory[..]);
        let mut flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        flash.erase(0, SECTOR_SIZE).unwrap_err();
        assert_eq!(flash.erase(0, SECTOR_SIZE), Err(Error::Cut));
        assert_eq!(flash.program(0, &[0; 4]), Err(Error::Cut));
        assert_eq!(flash.read(0, &mut [0; 4]), Err(Error::Cut));
        let flash = EmulatedFlash::open(&mut memory[..]).unwrap();
        flash.read(0, &mut [0; 4]).unwrap();
        assert_eq!(Counters::read(*flash.memory()).operations, 1);
    }

    /// Runs `operation` once for each store that it makes, killed right after that one, and hands
    /// what it left to `check`.
    fn killed_at_every_store(
        memory: &mut [u8],
        operation: impl Fn(&mut EmulatedFlash<Interrupted<'_>>),
        check: impl Fn(&mut [u8]),
    ) {
        for stores in 0.. {
            let mut flash = EmulatedFlash::open(Interrupted::after(stores, memory)).unwrap();
            operation(&mut flash);
            let all_stores_made = !flash.memory().is_killed();
            check(flash.memory_mut().memory);
            flash.memory_mut().undo();
            if all_stores_made {
                assert!(stores > 100, "killed too rarely to mean anything: {stores}");
                return;
            }
        }
    }

    /// A unit without a mark reads as erased: else flash would let it be programmed twice.
    fn assert_unmarked_units_read_as_erased(memory: &mut [u8], sector: u32) {
        let start = sector * SECTOR_SIZE;
        for offset in (start..start + SECTOR_SIZE).step_by(WRITE_UNIT as usize) {
            if marks::first_marked(memory, offset, WRITE_UNIT).is_none() {
                let at = offset as usize;
                assert_eq!(memory[at..at + 4], [0xFF; 4], "unmarked at {offset:#x}");
            }
        }
    }

    #[test]
    fn a_kill_at_any_store_of_a_program_call_lets_no_unit_be_programmed_twice() {
        let mut memory = formatted(&[]);
        killed_at_every_store(
            &mut memory,
            |flash| flash.program(3 * SECTOR_SIZE + 12, &[0xA5; 244]).unwrap(),
            |memory| assert_unmarked_units_read_as_erased(memory, 3),
        );
    }

    #[test]
    fn a_kill_at_any_store_of_an_erase_lets_no_old_byte_be_programmed_over() {
        let mut memory = formatted(&[0x3C; 2 * SECTOR_SIZE as usize]);
        killed_at_every_store(
            &mut memory,
            |flash| flash.erase(SECTOR_SIZE, 2 * SECTOR_SIZE).unwrap(),
            |memory| assert_unmarked_units_read_as_erased(memory, 1),
        );
    }
}
