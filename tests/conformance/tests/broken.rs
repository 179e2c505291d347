//! Flashes that break the contract, each in one way: every one is caught, by the check that it should be, and
//! each check is needed, for without it some broken flash passes.

mod model;

use std::collections::BTreeSet;
use std::ops::Range;

use bistable_conformance::{Check, flash, flash_without};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind as Kind, ReadNorFlash};
use model::{Fed, Model, Second};

const UNIT: u32 = 4;
const SECTOR: u32 = 256;
const END: u32 = 16 * SECTOR;

/// In the middle of the flash.
const MIDDLE: Range<u32> = 4 * SECTOR..7 * SECTOR;

/// At its end.
const LAST: Range<u32> = 13 * SECTOR..END;

/// What a flash does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Defect {
    ReportsFailureForAReadThatWorked,
    MisreadsTheEndOfASixByteRead,
    ReadsZerosBeyondTheEnd,
    RefusesAReadBeyondTheEndAsMisaligned,
    RoundsAnUnalignedReadDown,
    ReportsFailureForAnEraseThatWorked,
    ErasesToZero,
    ErasesOneByteTooFew,
    LeavesTheSecondSectorOfAnErase,
    ReadsStaleDataAfterAnErase,
    ErasesTwoSectorsForOne,
    DisturbsAnotherSectorWhileErasing,
    TakesAMisalignedEraseForDone,
    RoundsAMisalignedErase,
    TakesAReversedEraseForDone,
    WrapsAnEraseBeyondTheEnd,
    RefusesAnEraseBeyondTheEndAsMisaligned,
    ErasesToTheEndAndThenRefuses,
    ReportsFailureForAProgramThatWorked,
    IgnoresTheLastUnitOfACall,
    ReadsStaleDataAfterALongProgram,
    SwapsBytes,
    HasNoAddressLineNine,
    WrapsWithinAPageOf64Bytes,
    ClearsABitInTheUnitBefore,
    TakesAMisalignedProgramForDone,
    TakesAProgramBeyondTheEndForDone,
    WrapsAProgramBeyondTheEnd,
    ProgramsToTheEndAndThenRefuses,
    LooksChangedAfterARefusal,
    RefusesAnEmptyErase,
    OverwritesAtASecondProgram,
    ReportsSuccessForARefusedProgram,
    CannotProgramZeros,
    LosesABitFarAwayInTime,
    WritesTheFirstSectorOfTheFlashToo,
    ErasesAnotherSectorToo,
}

use Defect::*;

/// Every defect, the check that must catch it, and whether the flash passes without that check.
const CATALOGUE: [(Defect, Check, bool); 37] = [
    (ReportsFailureForAReadThatWorked, Check::Read, true),
    (MisreadsTheEndOfASixByteRead, Check::ReadPieces, true),
    (ReadsZerosBeyondTheEnd, Check::ReadBounds, true),
    (
        RefusesAReadBeyondTheEndAsMisaligned,
        Check::ReadBounds,
        true,
    ),
    (RoundsAnUnalignedReadDown, Check::ReadAlignment, true),
    (ReportsFailureForAnEraseThatWorked, Check::Erase, true),
    (ErasesToZero, Check::Erased, false),
    (ErasesOneByteTooFew, Check::Erased, false),
    (LeavesTheSecondSectorOfAnErase, Check::Erased, false),
    (ReadsStaleDataAfterAnErase, Check::Erased, true),
    (ErasesTwoSectorsForOne, Check::EraseKeepsOthers, false),
    (
        DisturbsAnotherSectorWhileErasing,
        Check::EraseKeepsOthers,
        true,
    ),
    (TakesAMisalignedEraseForDone, Check::EraseAlignment, true),
    (RoundsAMisalignedErase, Check::EraseAlignment, false),
    (TakesAReversedEraseForDone, Check::EraseBounds, true),
    (WrapsAnEraseBeyondTheEnd, Check::EraseBounds, false),
    (
        RefusesAnEraseBeyondTheEndAsMisaligned,
        Check::EraseBounds,
        true,
    ),
    (ErasesToTheEndAndThenRefuses, Check::RefusedIsNothing, false),
    (ReportsFailureForAProgramThatWorked, Check::Program, true),
    (IgnoresTheLastUnitOfACall, Check::Programmed, false),
    (ReadsStaleDataAfterALongProgram, Check::Programmed, true),
    (SwapsBytes, Check::Programmed, false),
    (HasNoAddressLineNine, Check::Programmed, false),
    (WrapsWithinAPageOf64Bytes, Check::Programmed, false),
    (ClearsABitInTheUnitBefore, Check::ProgramKeepsOthers, true),
    (
        TakesAMisalignedProgramForDone,
        Check::ProgramAlignment,
        true,
    ),
    (TakesAProgramBeyondTheEndForDone, Check::ProgramBounds, true),
    (WrapsAProgramBeyondTheEnd, Check::ProgramBounds, true),
    (
        ProgramsToTheEndAndThenRefuses,
        Check::RefusedIsNothing,
        false,
    ),
    (LooksChangedAfterARefusal, Check::RefusedIsNothing, true),
    (RefusesAnEmptyErase, Check::Empty, true),
    (OverwritesAtASecondProgram, Check::SecondProgram, true),
    (ReportsSuccessForARefusedProgram, Check::SecondProgram, true),
    (CannotProgramZeros, Check::Programmed, false),
    (LosesABitFarAwayInTime, Check::Stays, true),
    (WritesTheFirstSectorOfTheFlashToo, Check::Outside, true),
    (ErasesAnotherSectorToo, Check::Outside, true),
];

/// Where this defect shows.
fn scratch(defect: Defect) -> Range<u32> {
    match defect {
        ErasesToTheEndAndThenRefuses | ProgramsToTheEndAndThenRefuses => LAST,
        _ => MIDDLE,
    }
}

#[test]
fn every_broken_flash_is_caught_by_the_check_that_it_breaks() {
    for (defect, check, _) in CATALOGUE {
        let found = flash(
            &mut Broken::new(defect),
            scratch(defect),
            &mut Fed::default(),
        );
        assert_eq!(
            found.map_err(|breach| breach.check),
            Err(check),
            "{defect:?}"
        );
    }
}

#[test]
fn without_its_check_a_broken_flash_passes_or_something_worse_comes_of_it() {
    for (defect, check, passes) in CATALOGUE {
        let mut broken = Broken::new(defect);
        let found = flash_without(check, &mut broken, scratch(defect), &mut Fed::default());
        let found = found.map(drop).map_err(|breach| breach.check);
        assert_eq!(found.is_ok(), passes, "{defect:?}: {found:?}");
    }
}

#[test]
fn no_check_is_superfluous() {
    let needed: BTreeSet<_> = CATALOGUE
        .into_iter()
        .filter_map(|(_, check, passes)| passes.then_some(check))
        .collect();
    // The suite does not begin without these two.
    let others = [Check::Geometry, Check::Scratch];
    for check in Check::FLASH {
        assert_ne!(
            needed.contains(&check),
            others.contains(&check),
            "{check:?}"
        );
    }
}

#[test]
fn the_breach_in_the_document_is_what_a_driver_that_swaps_bytes_hears() {
    let breach = flash(&mut Broken::new(SwapsBytes), MIDDLE, &mut Fed::default()).unwrap_err();
    let said = breach.to_string();
    let document = include_str!("../../../docs/conformance.md");
    let document: Vec<_> = document.split_whitespace().collect();
    assert!(document.join(" ").contains(&said), "{said}");
}

#[test]
fn every_check_is_in_the_document() {
    let document = include_str!("../../../docs/conformance.md");
    for check in Check::ALL {
        let row = format!("| `{check:?}` |");
        assert!(document.contains(&row), "{row}");
    }
}

/// A flash that is right but for its defect.
struct Broken {
    flash: Model<2, 4, 256>,
    defect: Defect,
    writes: u32,
    /// Reads since the last erase or program call that was done.
    reads: u32,
    erased: Range<u32>,
    programmed: Range<u32>,
    /// What `erased` held before.
    before: Vec<u8>,
    refused: bool,
}

impl Broken {
    fn new(defect: Defect) -> Self {
        let second = match defect {
            OverwritesAtASecondProgram => Second::ClearsBits,
            _ => Second::Refused,
        };
        Self {
            flash: Model::new(16, second),
            defect,
            writes: 0,
            reads: 0,
            erased: 0..0,
            programmed: 0..0,
            before: Vec::new(),
            refused: false,
        }
    }

    fn clear(&mut self, offset: u32, mask: u8) {
        self.flash.cells.borrow_mut()[offset as usize] &= !mask;
    }

    fn fill(&mut self, range: Range<u32>, byte: u8) {
        self.flash.cells.borrow_mut()[range.start as usize..range.end as usize].fill(byte);
    }
}

impl ErrorType for Broken {
    type Error = Kind;
}

impl ReadNorFlash for Broken {
    const READ_SIZE: usize = 2;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Kind> {
        let length = bytes.len() as u32;
        let beyond = offset.checked_add(length).is_none_or(|end| end > END);
        match self.defect {
            ReadsZerosBeyondTheEnd if beyond => {
                bytes.fill(0);
                return Ok(());
            }
            RefusesAReadBeyondTheEndAsMisaligned if beyond => return Err(Kind::NotAligned),
            RoundsAnUnalignedReadDown if !beyond && offset % 2 == 1 && length == 2 => {
                return self.flash.read(offset - 1, bytes);
            }
            HasNoAddressLineNine if !beyond => {
                let cells = self.flash.cells.borrow();
                for (byte, at) in bytes.iter_mut().zip(offset..) {
                    *byte = cells[(at & !512) as usize];
                }
                return Ok(());
            }
            _ => {}
        }
        self.flash.read(offset, bytes)?;
        self.reads += 1;
        let covers = |at: u32| at >= offset && at < offset + length;
        match self.defect {
            ReportsFailureForAReadThatWorked => return Err(Kind::Other),
            MisreadsTheEndOfASixByteRead if length == 6 => bytes[5] ^= 0x10,
            ReadsStaleDataAfterAnErase if self.reads == 1 && covers(self.erased.start) => {
                let place = (self.erased.start - offset) as usize;
                bytes[place] = self.before.first().copied().unwrap_or(bytes[place]);
            }
            DisturbsAnotherSectorWhileErasing
                if self.reads == 2
                    && self.erased.len() == SECTOR as usize
                    && MIDDLE.contains(&offset)
                    && offset != self.erased.start =>
            {
                bytes[0] ^= 1;
            }
            ReadsStaleDataAfterALongProgram
                if self.reads == 1
                    && self.programmed.len() >= 128
                    && covers(self.programmed.end - 1) =>
            {
                bytes[(self.programmed.end - 1 - offset) as usize] ^= 0x80;
            }
            LooksChangedAfterARefusal if self.refused && length >= SECTOR => bytes[7] ^= 2,
            _ => {}
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        END as usize
    }
}

impl NorFlash for Broken {
    const WRITE_SIZE: usize = UNIT as usize;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Kind> {
        let misaligned = !from.is_multiple_of(SECTOR) || !to.is_multiple_of(SECTOR);
        match self.defect {
            TakesAMisalignedEraseForDone if misaligned => return Ok(()),
            RoundsAMisalignedErase if misaligned => {
                let (from, to) = (from & !(SECTOR - 1), to.next_multiple_of(SECTOR));
                return self.flash.erase(from, to);
            }
            TakesAReversedEraseForDone if from > to => return Ok(()),
            WrapsAnEraseBeyondTheEnd if from >= END => {
                return self.flash.erase(from - END, to - END);
            }
            RefusesAnEraseBeyondTheEndAsMisaligned if to > END => return Err(Kind::NotAligned),
            ErasesToTheEndAndThenRefuses if from < END && to > END => {
                self.flash.erase(from, END)?;
            }
            RefusesAnEmptyErase if from == to => return Err(Kind::OutOfBounds),
            ErasesTwoSectorsForOne if to - from.min(to) == SECTOR && to < END => {
                return self.flash.erase(from, to + SECTOR);
            }
            LeavesTheSecondSectorOfAnErase if to > from + SECTOR && to <= END => {
                return self.flash.erase(from, from + SECTOR);
            }
            HasNoAddressLineNine if !misaligned && from < to && to <= END => {
                for sector in (from..to).step_by(SECTOR as usize) {
                    let sector = sector & !512;
                    self.flash.erase(sector, sector + SECTOR)?;
                }
                return Ok(());
            }
            _ => {}
        }
        let mut before = vec![
            0;
            if from < to && to <= END {
                (to - from) as usize
            } else {
                0
            }
        ];
        let _ = self.flash.read(from, &mut before);
        let outcome = self.flash.erase(from, to);
        self.refused = outcome.is_err();
        outcome?;
        if from == to {
            return Ok(());
        }
        (self.reads, self.erased, self.before) = (0, from..to, before);
        self.programmed = 0..0;
        match self.defect {
            ReportsFailureForAnEraseThatWorked => return Err(Kind::Other),
            ErasesToZero => self.fill(from..to, 0),
            ErasesOneByteTooFew => self.clear(to - 1, 0x08),
            ErasesAnotherSectorToo => self.fill(from ^ 0x800..(from ^ 0x800) + SECTOR, 0xFF),
            _ => {}
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Kind> {
        let length = bytes.len() as u32;
        let misaligned = !offset.is_multiple_of(UNIT) || !length.is_multiple_of(UNIT);
        let beyond = offset.checked_add(length).is_none_or(|end| end > END);
        match self.defect {
            TakesAMisalignedProgramForDone if misaligned => return Ok(()),
            TakesAProgramBeyondTheEndForDone if beyond => return Ok(()),
            WrapsAProgramBeyondTheEnd if beyond => {
                let (place, cells) = ((offset % END) as usize, &self.flash.cells);
                let mut cells = cells.borrow_mut();
                bytes.iter().zip(place..).for_each(|(byte, at)| {
                    cells[at % END as usize] &= byte;
                });
                return Ok(());
            }
            ProgramsToTheEndAndThenRefuses if beyond && offset < END => {
                self.fill(offset..END, 0);
                return Err(Kind::OutOfBounds);
            }
            HasNoAddressLineNine if !misaligned && !beyond => {
                // Whatever comes out where something was already.
                let mut cells = self.flash.cells.borrow_mut();
                for (byte, at) in bytes.iter().zip(offset..) {
                    cells[(at & !512) as usize] &= byte;
                }
                return Ok(());
            }
            _ => {}
        }
        let mut data = bytes.to_vec();
        match self.defect {
            IgnoresTheLastUnitOfACall if !misaligned && length > UNIT => {
                data.truncate((length - UNIT) as usize);
            }
            SwapsBytes => data.chunks_mut(2).for_each(<[u8]>::reverse),
            WrapsWithinAPageOf64Bytes if !misaligned && length > 0 => {
                let room = (64 - offset % 64).min(length) as usize;
                data.truncate(room);
            }
            CannotProgramZeros if data.iter().all(|byte| *byte == 0) => data.fill(0xFF),
            _ => {}
        }
        let outcome = self.flash.write(offset, &data);
        self.refused = outcome.is_err();
        match (self.defect, outcome) {
            (ReportsSuccessForARefusedProgram, Err(Kind::Other)) => return Ok(()),
            (_, outcome) => outcome?,
        }
        if bytes.is_empty() {
            return Ok(());
        }
        (self.reads, self.erased, self.programmed) = (0, 0..0, offset..offset + length);
        self.writes += 1;
        match self.defect {
            ReportsFailureForAProgramThatWorked => return Err(Kind::Other),
            ClearsABitInTheUnitBefore
                if (offset + length).is_multiple_of(SECTOR) && length == UNIT =>
            {
                let before = offset as usize - 4;
                let blank = self.flash.cells.borrow()[before..before + 4] == [0xFF; 4];
                if blank {
                    self.clear(offset - 1, 0x20);
                }
            }
            OverwritesAtASecondProgram => {
                let mut cells = self.flash.cells.borrow_mut();
                cells[offset as usize..][..data.len()].copy_from_slice(&data);
            }
            LosesABitFarAwayInTime if self.writes == 60 => {
                let place = MIDDLE.end - 100;
                let byte = self.flash.cells.borrow()[place as usize];
                self.clear(place, byte);
            }
            WritesTheFirstSectorOfTheFlashToo => {
                let place = offset % SECTOR;
                let byte = self.flash.cells.borrow()[place as usize];
                self.clear(place, byte & !data[0]);
            }
            _ => {}
        }
        Ok(())
    }
}
