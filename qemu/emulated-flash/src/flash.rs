//! The flash itself: erase, program and read, and what they refuse.

use core::convert::Infallible;

use crate::bookkeeping::{self, NotFormatted};
use crate::trigger::{Due, Operation};
use crate::{Chip, Memory, Plain, WRITE_UNIT, clear_bits, counters, marks};

/// Flash that counts, remembers what was programmed, and stops where a trigger says. All offsets are in bytes
/// from the start of the flash.
#[derive(Debug)]
pub struct EmulatedFlash<C> {
    chip: C,
    /// A trigger stopped an operation: nothing works any more.
    cut: bool,
}

/// Why an operation was refused, or not finished; `F` is what goes wrong inside the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error<F = Infallible> {
    /// The range does not lie within the flash, or ends before it starts. Nothing was changed.
    OutOfBounds {
        /// Bytes of the flash.
        size: u32,
    },
    /// Start or length is no multiple of what is erased or programmed together. Nothing was changed.
    NotAligned {
        /// Bytes of a sector (erase) or write unit (program).
        unit: u32,
    },
    /// A unit of the range was programmed since its last erase, be it with 0xFF. Nothing was changed.
    AlreadyProgrammed {
        /// Where the first such unit lies.
        offset: u32,
    },
    /// The power was cut half-way through this operation or an earlier one: open the flash again.
    Cut,
    /// The chip failed.
    Chip(F),
}

impl<F: core::fmt::Display> core::fmt::Display for Error<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::OutOfBounds { size } => {
                write!(f, "the range lies beyond {size:#x} bytes of flash")
            }
            Error::NotAligned { unit } => {
                write!(f, "start and length must be multiples of {unit}")
            }
            Error::AlreadyProgrammed { offset } => write!(
                f,
                "the write unit at {offset:#x} was programmed since its last erase; erase its sector first"
            ),
            Error::Cut => write!(f, "the power was cut during an operation"),
            Error::Chip(failure) => failure.fmt(f),
        }
    }
}

impl<F: core::error::Error> core::error::Error for Error<F> {}

impl<C: Memory, N: Memory> EmulatedFlash<Plain<C, N>> {
    /// Makes flash of `chip`, as a factory programmer would leave it: `content` at its start, the rest erased,
    /// all counters 0, no trigger. Units of `content` that are not all 0xFF count as programmed; fuses stay.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] if `content` is longer than the flash; nothing was changed.
    pub fn format(mut chip: Plain<C, N>, content: &[u8]) -> Result<Self, Error> {
        let geometry = chip.geometry;
        if content.len() > geometry.size as usize {
            return Err(Error::OutOfBounds {
                size: geometry.size,
            });
        }
        bookkeeping::begin(&mut chip.notes, geometry);
        let erased = [0xFF; 4096];
        for offset in (0..geometry.size).step_by(erased.len()) {
            chip.content.write(offset, &erased);
        }
        let mut offset = 0_u32;
        for unit in content.chunks(WRITE_UNIT as usize) {
            if unit.iter().any(|byte| *byte != 0xFF) {
                marks::mark(&mut chip.notes, geometry, offset, WRITE_UNIT);
                clear_bits(&mut chip.content, offset, unit);
            }
            offset = offset.saturating_add(WRITE_UNIT);
        }
        bookkeeping::finish(&mut chip.notes);
        Ok(Self { chip, cut: false })
    }
}

impl<C: Chip> EmulatedFlash<C> {
    /// Opens flash that was [formatted](Self::format) before.
    ///
    /// # Errors
    ///
    /// [`NotFormatted`] if there are no notes about it.
    pub fn open(chip: C) -> Result<Self, NotFormatted> {
        bookkeeping::check(chip.notes())?;
        Ok(Self { chip, cut: false })
    }

    /// Fills `bytes` with what lies at `offset`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`]; [`Error::Cut`]; [`Error::Chip`].
    pub fn read(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error<C::Failure>> {
        self.is_alive()?;
        self.range(offset, bytes.len())?;
        self.chip.read(offset, bytes).map_err(Error::Chip)
    }

    /// Erases the sectors from `from` up to, not including, `to`; each is one operation.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] or [`Error::NotAligned`], with nothing changed; [`Error::Cut`];
    /// [`Error::Chip`], with the marks of the sector kept: it must be erased again.
    pub fn erase(&mut self, from: u32, to: u32) -> Result<(), Error<C::Failure>> {
        self.is_alive()?;
        let geometry = self.chip.geometry();
        if from > to || to > geometry.size {
            return Err(Error::OutOfBounds {
                size: geometry.size,
            });
        }
        let unit = geometry.sector_size;
        if !from.is_multiple_of(unit) || !to.is_multiple_of(unit) {
            return Err(Error::NotAligned { unit });
        }
        (geometry.sector_of(from)..geometry.sector_of(to))
            .try_for_each(|sector| self.erase_sector(sector))
    }

    /// Programs `bytes` at `offset` as one operation: bits are cleared, none is set. No bytes, no operation.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`], [`Error::NotAligned`] or [`Error::AlreadyProgrammed`], with nothing
    /// changed; [`Error::Cut`]; [`Error::Chip`], with everything marked that the chip was told to program.
    pub fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error<C::Failure>> {
        self.is_alive()?;
        let length = self.range(offset, bytes.len())?;
        if !offset.is_multiple_of(WRITE_UNIT) || !length.is_multiple_of(WRITE_UNIT) {
            return Err(Error::NotAligned { unit: WRITE_UNIT });
        }
        let geometry = self.chip.geometry();
        if let Some(offset) = marks::first_marked(self.chip.notes(), geometry, offset, length) {
            return Err(Error::AlreadyProgrammed { offset });
        }
        let Some(last) = length.checked_sub(1) else {
            return Ok(());
        };
        let sectors = geometry.sector_of(offset)..=geometry.sector_of(offset.saturating_add(last));
        counters::count_program(self.chip.notes_mut(), geometry, offset, length);
        let due = Due::count(self.chip.notes_mut(), Operation::Program, sectors);
        // A cut comes after half of the bytes: an odd unit in the middle is torn in half.
        let programmed = match due {
            Some(_) => bytes.len() / 2,
            None => bytes.len(),
        };
        let bytes = bytes.split_at(programmed).0;
        // Marked before any data change: see `marks` why.
        marks::mark(self.chip.notes_mut(), geometry, offset, bytes.len() as u32);
        self.chip.program(offset, bytes).map_err(Error::Chip)?;
        match due {
            Some(due) => Err(self.cut(&due)),
            None => Ok(()),
        }
    }

    /// Bytes of flash.
    pub fn size(&self) -> u32 {
        self.chip.geometry().size
    }

    /// What is remembered about the flash.
    pub fn notes(&self) -> &C::Notes {
        self.chip.notes()
    }

    /// The same, to aim a trigger.
    pub fn notes_mut(&mut self) -> &mut C::Notes {
        self.chip.notes_mut()
    }

    /// The chip underneath.
    pub const fn chip(&self) -> &C {
        &self.chip
    }

    /// The chip underneath, past all that flash would refuse.
    pub const fn chip_mut(&mut self) -> &mut C {
        &mut self.chip
    }

    /// The chip alone.
    pub fn into_chip(self) -> C {
        self.chip
    }

    #[inline(never)] // in the loop above it takes 40 bytes more
    fn erase_sector(&mut self, sector: u32) -> Result<(), Error<C::Failure>> {
        let geometry = self.chip.geometry();
        let start = sector.saturating_mul(geometry.sector_size);
        counters::count_erase(self.chip.notes_mut(), sector);
        let due = Due::count(self.chip.notes_mut(), Operation::Erase, sector..=sector);
        let erased = match due {
            Some(_) => geometry.sector_size / 2,
            None => geometry.sector_size,
        };
        self.chip.erase(start, erased).map_err(Error::Chip)?;
        match due {
            // The marks stay: what was not erased whole must be erased again before it is programmed.
            Some(due) => Err(self.cut(&due)),
            None => {
                marks::clear_sector(self.chip.notes_mut(), geometry, start);
                Ok(())
            }
        }
    }

    fn cut(&mut self, due: &Due) -> Error<C::Failure> {
        due.reached(self.chip.notes_mut());
        self.chip.wait_for_power_cut();
        self.cut = true;
        Error::Cut
    }

    const fn is_alive(&self) -> Result<(), Error<C::Failure>> {
        if self.cut { Err(Error::Cut) } else { Ok(()) }
    }

    /// The length, if `length` bytes at `offset` lie within the flash.
    fn range(&self, offset: u32, length: usize) -> Result<u32, Error<C::Failure>> {
        let size = self.chip.geometry().size;
        let length = u32::try_from(length).map_err(|_| Error::OutOfBounds { size })?;
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(length),
            _ => Err(Error::OutOfBounds { size }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kill, Owned, formatted, in_both_geometries, new};
    use crate::{Counters, Geometry, Trigger};
    use std::vec;
    use std::vec::Vec;

    fn content<C: Chip>(flash: &EmulatedFlash<C>, offset: u32, length: usize) -> Vec<u8>
    where
        C::Failure: core::fmt::Debug,
    {
        let mut bytes = vec![0; length];
        flash.read(offset, &mut bytes).unwrap();
        bytes
    }

    /// After a reset, or a new start.
    fn reopened(flash: EmulatedFlash<Owned>) -> EmulatedFlash<Owned> {
        EmulatedFlash::open(flash.into_chip()).unwrap()
    }

    #[test]
    fn a_flash_without_notes_is_refused() {
        in_both_geometries(|geometry| {
            let refusal = EmulatedFlash::open(new(geometry)).unwrap_err();
            let nothing = NotFormatted {
                magic: 0,
                version: 0,
            };
            assert_eq!(refusal, nothing);
        });
    }

    #[test]
    fn a_factory_image_lies_at_the_start_and_the_rest_is_erased() {
        in_both_geometries(|geometry| {
            let flash = formatted(geometry, b"factory");
            assert_eq!(content(&flash, 0, 9), b"factory\xFF\xFF");
            assert_eq!(content(&flash, geometry.size - 4, 4), [0xFF; 4]);
        });
    }

    #[test]
    fn what_the_factory_left_erased_can_be_programmed_and_nothing_else() {
        in_both_geometries(|geometry| {
            let factory = [1, 2, 3, 4, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 7];
            let mut flash = formatted(geometry, &factory);
            flash.program(4, &[9; 4]).unwrap();
            flash.program(12, &[9; 4]).unwrap();
            let refused = |offset| Err(Error::AlreadyProgrammed { offset });
            assert_eq!(flash.program(0, &[0; 4]), refused(0));
            assert_eq!(flash.program(8, &[0; 4]), refused(8));
        });
    }

    #[test]
    fn a_factory_image_that_is_too_long_is_refused() {
        in_both_geometries(|geometry| {
            let mut chip = formatted(geometry, b"before").into_chip();
            let too_long = vec![0; geometry.size as usize + 1];
            let size = geometry.size;
            let plain = Plain {
                content: &mut chip.content,
                notes: &mut chip.notes,
                geometry,
            };
            let refusal = EmulatedFlash::format(plain, &too_long).unwrap_err();
            assert_eq!(refusal, Error::OutOfBounds { size });
            assert_eq!(chip.content.0[..6], *b"before");
        });
    }

    #[test]
    fn a_unit_is_programmed_once_per_erase_even_with_ones() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            flash.program(64, &[0xFF; 4]).unwrap();
            let refused = Err(Error::AlreadyProgrammed { offset: 64 });
            assert_eq!(flash.program(56, &[0; 16]), refused);
            assert_eq!(content(&flash, 56, 16), [0xFF; 16]);
            flash.erase(0, geometry.sector_size).unwrap();
            flash.program(56, &[0; 16]).unwrap();
            assert_eq!(content(&flash, 52, 24)[4..20], [0; 16]);
        });
    }

    #[test]
    fn erasing_touches_its_sectors_and_no_others() {
        in_both_geometries(|geometry| {
            let sector = geometry.sector_size;
            let mut flash = formatted(geometry, &vec![0x11; 3 * sector as usize]);
            flash.erase(sector, 2 * sector).unwrap();
            let all = content(&flash, 0, 3 * sector as usize);
            let mut parts = all.chunks(sector as usize);
            for expected in [0x11, 0xFF, 0x11] {
                let part = parts.next().unwrap();
                assert!(part.iter().all(|byte| *byte == expected));
            }
            flash.program(2 * sector - 4, &[0; 4]).unwrap();
            flash.program(sector - 4, &[0; 4]).unwrap_err();
            flash.program(2 * sector, &[0; 4]).unwrap_err();
        });
    }

    #[test]
    fn ranges_that_flash_does_not_have_are_refused() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            let (end, sector) = (geometry.size, geometry.sector_size);
            let beyond = Err(Error::OutOfBounds { size: end });
            assert_eq!(flash.program(end - 4, &[0; 8]), beyond);
            assert_eq!(flash.program(!3, &[0; 8]), beyond);
            assert_eq!(flash.erase(0, end + sector), beyond);
            assert_eq!(flash.erase(2 * sector, sector), beyond);
            assert_eq!(flash.read(end - 1, &mut [0; 2]), beyond);
            assert_eq!(flash.read(end, &mut []), Ok(()));
            let torn = |unit| Err(Error::NotAligned { unit });
            assert_eq!(flash.program(6, &[0; 4]), torn(4));
            assert_eq!(flash.program(8, &[0; 6]), torn(4));
            assert_eq!(flash.erase(4, sector), torn(sector));
            assert_eq!(flash.erase(0, sector + 4), torn(sector));
        });
    }

    #[test]
    fn a_cut_program_call_leaves_half_of_its_bytes() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            for units in 1..20_usize {
                flash.erase(0, geometry.sector_size).unwrap();
                Trigger::nth(1).arm(flash.notes_mut());
                assert_eq!(flash.program(20, &vec![0; 4 * units]), Err(Error::Cut));
                flash = reopened(flash);
                let mut expected = vec![0xFF; 4 * units];
                expected[..2 * units].fill(0);
                assert_eq!(content(&flash, 20, 4 * units), expected);
            }
        });
    }

    #[test]
    fn what_a_cut_program_call_touched_must_be_erased_before_it_is_programmed() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            Trigger::nth(1).arm(flash.notes_mut());
            flash.program(0, &[0; 12]).unwrap_err();
            let mut flash = reopened(flash);
            let refused = |offset| Err(Error::AlreadyProgrammed { offset });
            assert_eq!(flash.program(0, &[0; 4]), refused(0));
            assert_eq!(flash.program(4, &[0; 4]), refused(4));
            assert_eq!(flash.program(8, &[0; 4]), Ok(()));
        });
    }

    #[test]
    fn a_cut_erase_leaves_half_of_the_sector_and_must_be_done_again() {
        in_both_geometries(|geometry| {
            let sector = geometry.sector_size;
            let mut flash = formatted(geometry, &vec![0x11; 2 * sector as usize]);
            Trigger::nth(2).arm(flash.notes_mut());
            assert_eq!(flash.erase(0, 2 * sector), Err(Error::Cut));
            let mut flash = reopened(flash);
            let cut = content(&flash, sector, sector as usize);
            let (erased, kept) = cut.split_at(sector as usize / 2);
            assert!(erased.iter().all(|byte| *byte == 0xFF));
            assert!(kept.iter().all(|byte| *byte == 0x11));
            flash.program(sector, &[0; 4]).unwrap_err();
            flash.erase(sector, 2 * sector).unwrap();
            flash.program(sector, &[0; 4]).unwrap();
        });
    }

    #[test]
    fn nothing_works_after_a_cut_until_the_flash_is_opened_again() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            Trigger::nth(1).arm(flash.notes_mut());
            flash.erase(0, geometry.sector_size).unwrap_err();
            assert_eq!(flash.erase(0, geometry.sector_size), Err(Error::Cut));
            assert_eq!(flash.program(0, &[0; 4]), Err(Error::Cut));
            assert_eq!(flash.read(0, &mut [0; 4]), Err(Error::Cut));
            let flash = reopened(flash);
            flash.read(0, &mut [0; 4]).unwrap();
            assert_eq!(Counters::read(flash.notes()).operations, 1);
        });
    }

    /// Runs `operation` killed right after its n-th store, for each n that is a multiple of `step`, and hands
    /// what it left to `check`.
    fn killed_at_stores(
        chip: &mut Owned,
        step: usize,
        operation: impl Fn(&mut EmulatedFlash<crate::model::Interrupted<'_>>),
        check: impl Fn(&mut Owned),
    ) {
        for stores in (0..).step_by(step) {
            let kill = Kill::after(stores);
            let mut flash = EmulatedFlash::open(kill.over(chip)).unwrap();
            operation(&mut flash);
            let replaced = flash.into_chip().replaced();
            check(chip);
            replaced.undo(chip);
            if !kill.has_come() {
                assert!(stores > 100, "killed too rarely to mean anything: {stores}");
                return;
            }
        }
    }

    /// A unit without a mark reads as erased: else flash would let it be programmed twice.
    fn assert_unmarked_units_read_as_erased(chip: &mut Owned, sector: u32) {
        let start = sector * chip.geometry.sector_size;
        for offset in (start..start + chip.geometry.sector_size).step_by(WRITE_UNIT as usize) {
            if marks::first_marked(&chip.notes, chip.geometry, offset, WRITE_UNIT).is_none() {
                let at = offset as usize;
                let unit = &chip.content.0[at..at + 4];
                assert_eq!(unit, [0xFF; 4], "unmarked at {offset:#x}");
            }
        }
    }

    #[test]
    fn a_kill_at_any_store_of_a_program_call_lets_no_unit_be_programmed_twice() {
        in_both_geometries(|geometry| {
            let mut chip = formatted(geometry, &[]).into_chip();
            let at = 3 * geometry.sector_size + 12;
            killed_at_stores(
                &mut chip,
                1 + large(geometry) * 16,
                |flash| flash.program(at, &[0xA5; 244]).unwrap(),
                |chip| assert_unmarked_units_read_as_erased(chip, 3),
            );
        });
    }

    #[test]
    fn a_kill_at_any_store_of_an_erase_lets_no_old_byte_be_programmed_over() {
        in_both_geometries(|geometry| {
            let sector = geometry.sector_size;
            let factory = vec![0x3C; 2 * sector as usize];
            let mut chip = formatted(geometry, &factory).into_chip();
            killed_at_stores(
                &mut chip,
                1 + large(geometry) * 9996,
                |flash| flash.erase(sector, 2 * sector).unwrap(),
                |chip| assert_unmarked_units_read_as_erased(chip, 1),
            );
        });
    }

    /// 1 where there are too many stores to be killed at each.
    fn large(geometry: Geometry) -> usize {
        usize::from(geometry.sector_size > 4096)
    }
}
