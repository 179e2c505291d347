//! A NOR flash in memory that does what real flash does when it goes wrong.
//!
//! It keeps two things apart: what a unit *reads as*, and whether it was *programmed* since its sector
//! was erased. A unit that was being written when the power went may read as blank, as what it was to
//! become, or as garbage, and differently after each reset; programming it again is a mistake all the same,
//! and the model stops the test there.
//!
//! Every erased sector and every program call is one operation, counted from 0. A fault is planned for
//! an operation by its number.

use std::collections::{BTreeMap, BTreeSet};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use crate::random::Random;

/// A flash with write units of `WRITE` bytes and erase sectors of `ERASE` bytes; bytes are read one by one.
#[derive(Clone, Debug)]
pub struct Flash<const WRITE: usize, const ERASE: usize> {
    reads_as: Vec<u8>,
    programmed: Vec<bool>,
    unstable: BTreeMap<usize, [u8; WRITE]>,
    misreads: BTreeMap<usize, Misread>,
    unreadable: BTreeSet<usize>,
    dead: BTreeSet<usize>,
    faults: BTreeMap<u64, Fault>,
    has_power: bool,
    random: Random,
    /// What was done so far.
    pub counts: Counts,
}

/// What was done to a flash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Erased sectors and program calls, those included that a fault hit.
    pub operations: u64,
    /// How often each sector was erased.
    pub erases: Vec<u64>,
    /// Program calls.
    pub programs: u64,
    /// Bytes that they were to program.
    pub bytes: u64,
}

/// What goes wrong with an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The power goes; until [`Flash::power_on`] every operation fails.
    Cut(Extent),
    /// It reports failure, and the power stays.
    Fails(Extent),
}

/// How much of an operation happens before it goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// The first half of the units, and one torn.
    FirstHalf,
    /// The second half of the units, and one torn.
    SecondHalf,
    /// Every other unit.
    EveryOther,
    /// All units are torn.
    AllTorn,
    /// Each unit is untouched, done or torn, as the seed says.
    Seeded(u64),
}

impl Extent {
    /// Those that need no seed, and two that do.
    pub const SOME: [Self; 8] = [
        Self::Nothing,
        Self::Everything,
        Self::FirstHalf,
        Self::SecondHalf,
        Self::EveryOther,
        Self::AllTorn,
        Self::Seeded(1),
        Self::Seeded(2),
    ];
}

/// Why an operation was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The power is gone.
    Cut,
    /// The flash reports that the operation failed.
    Failed,
    /// The flash reports that what it read cannot be corrected.
    Unreadable,
    /// Beyond the end.
    OutOfBounds,
    /// Not whole units or sectors.
    NotAligned,
}

impl NorFlashError for Error {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Cut | Self::Failed | Self::Unreadable => NorFlashErrorKind::Other,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
        }
    }
}

/// A read that sees what is not there.
#[derive(Clone, Copy, Debug)]
struct Misread {
    after: u32,
    flipped: u8,
}

enum Fate {
    Untouched,
    Done,
    Torn,
}

impl<const WRITE: usize, const ERASE: usize> Flash<WRITE, ERASE> {
    /// A flash of `sectors` sectors, erased.
    #[must_use]
    pub fn new(sectors: usize) -> Self {
        const { assert!(WRITE > 0 && ERASE.is_multiple_of(WRITE)) };
        Self {
            reads_as: vec![0xff; sectors * ERASE],
            programmed: vec![false; sectors * ERASE / WRITE],
            unstable: BTreeMap::new(),
            misreads: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            dead: BTreeSet::new(),
            faults: BTreeMap::new(),
            has_power: true,
            random: Random::new(0),
            counts: Counts {
                operations: 0,
                erases: vec![0; sectors],
                programs: 0,
                bytes: 0,
            },
        }
    }

    /// Plans `fault` for the operation that comes after `operations` others from now on.
    pub fn plan(&mut self, operations: u64, fault: Fault) {
        let number = self.counts.operations + operations;
        self.faults.insert(number, fault);
    }

    /// Plans that `sector` can never be erased or programmed again.
    pub fn kill(&mut self, sector: usize) {
        self.dead.insert(sector);
    }

    /// Brings the power back, takes every planned fault away, and lets unstable units read as they please.
    pub fn power_on(&mut self) {
        self.has_power = true;
        self.faults.clear();
        self.misreads.clear();
        let Self {
            reads_as,
            unstable,
            random,
            ..
        } = self;
        for (unit, wanted) in unstable {
            let place = &mut reads_as[unit * WRITE..][..WRITE];
            tear(place, wanted, random);
        }
    }

    /// Whether the power is there.
    #[must_use]
    pub const fn has_power(&self) -> bool {
        self.has_power
    }

    /// Decides what torn and unstable units will read as from now on.
    pub const fn seed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    /// Flips one bit at rest.
    pub fn flip(&mut self, offset: usize, bit: u8) {
        self.reads_as[offset] ^= 1 << bit;
    }

    /// Makes one read of the byte at `offset`, after as many good ones as `after` says, see a bit flipped.
    pub fn misread(&mut self, offset: usize, bit: u8, after: u32) {
        let flipped = 1 << bit;
        self.misreads.insert(offset, Misread { after, flipped });
    }

    /// Makes each read of the unit at `offset` fail until it is erased.
    pub fn make_unreadable(&mut self, offset: usize) {
        self.unreadable.insert(offset / WRITE);
    }

    /// Makes the bytes at `offset` read as these, whatever was programmed.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.reads_as[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    /// What all of it reads as.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.reads_as
    }

    /// What goes wrong with the operation that begins now, in `sector`.
    fn begin(&mut self, sector: usize) -> Result<Option<Fault>, Error> {
        if !self.has_power {
            return Err(Error::Cut);
        }
        let fault = self.faults.remove(&self.counts.operations);
        self.counts.operations += 1;
        if self.dead.contains(&sector) {
            return Err(Error::Failed);
        }
        Ok(fault)
    }

    fn erase_sector(&mut self, sector: usize) -> Result<(), Error> {
        let fault = self.begin(sector)?;
        self.counts.erases[sector] += 1;
        let units = sector * ERASE / WRITE..(sector + 1) * ERASE / WRITE;
        let wanted = |_| [0xff; WRITE];
        let Some(fault) = fault else {
            self.programmed[units.clone()].fill(false);
            self.settle(units, &[0xff; ERASE]);
            return Ok(());
        };
        // Whatever it reads as: nobody may program it before it was erased as a whole.
        self.programmed[units.clone()].fill(true);
        self.interrupt(fault, units, wanted)
    }

    fn program(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let fault = self.begin(offset / ERASE)?;
        self.counts.programs += 1;
        self.counts.bytes += bytes.len() as u64;
        let first = offset / WRITE;
        let units = first..first + bytes.len() / WRITE;
        for unit in units.clone() {
            let at = unit * WRITE;
            assert!(!self.programmed[unit], "{at:#x} is programmed twice");
            self.programmed[unit] = true;
        }
        let (contents, _) = bytes.as_chunks::<WRITE>();
        let wanted = |unit: usize| contents[unit - first];
        match fault {
            None => {
                self.settle(units, bytes);
                Ok(())
            }
            Some(fault) => self.interrupt(fault, units, wanted),
        }
    }

    /// These units hold what they should, for good.
    fn settle(&mut self, units: core::ops::Range<usize>, bytes: &[u8]) {
        self.reads_as[units.start * WRITE..][..bytes.len()].copy_from_slice(bytes);
        for unit in units {
            if self.unstable.is_empty() && self.unreadable.is_empty() {
                break;
            }
            self.unstable.remove(&unit);
            self.unreadable.remove(&unit);
        }
    }

    fn interrupt(
        &mut self,
        fault: Fault,
        units: core::ops::Range<usize>,
        wanted: impl Fn(usize) -> [u8; WRITE],
    ) -> Result<(), Error> {
        let (extent, error) = match fault {
            Fault::Cut(extent) => (extent, Error::Cut),
            Fault::Fails(extent) => (extent, Error::Failed),
        };
        let mut chance = match extent {
            Extent::Seeded(seed) => Random::new(seed),
            _ => self.random.clone(),
        };
        let middle = units.start + units.len() / 2;
        for unit in units {
            let fate = match extent {
                Extent::Nothing => Fate::Untouched,
                Extent::Everything => Fate::Done,
                _ if unit == middle => Fate::Torn,
                Extent::FirstHalf if unit < middle => Fate::Done,
                Extent::SecondHalf if unit > middle => Fate::Done,
                Extent::EveryOther if unit % 2 == 0 => Fate::Done,
                Extent::FirstHalf | Extent::SecondHalf | Extent::EveryOther => Fate::Untouched,
                Extent::AllTorn => Fate::Torn,
                Extent::Seeded(_) => match chance.below(3) {
                    0 => Fate::Untouched,
                    1 => Fate::Done,
                    _ => Fate::Torn,
                },
            };
            match fate {
                Fate::Untouched => {}
                Fate::Done => self.settle(unit..unit + 1, &wanted(unit)),
                Fate::Torn => {
                    let wanted = wanted(unit);
                    let place = &mut self.reads_as[unit * WRITE..][..WRITE];
                    tear(place, &wanted, &mut self.random);
                    self.unstable.insert(unit, wanted);
                }
            }
        }
        if error == Error::Cut {
            self.has_power = false;
        }
        Err(error)
    }
}

/// What a torn unit reads as: what it was, blank, what it was to become, or garbage.
fn tear(place: &mut [u8], wanted: &[u8], random: &mut Random) {
    match random.below(4) {
        0 => {}
        1 => place.fill(0xff),
        2 => place.copy_from_slice(wanted),
        _ => place.fill_with(|| random.byte()),
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Flash<WRITE, ERASE> {
    type Error = Error;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Flash<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        if !self.has_power {
            return Err(Error::Cut);
        }
        let start = offset as usize;
        let there = start..start + bytes.len();
        let held = self.reads_as.get(there.clone()).ok_or(Error::OutOfBounds)?;
        bytes.copy_from_slice(held);
        for (at, misread) in self.misreads.range_mut(there.clone()) {
            match misread.after.checked_sub(1) {
                Some(left) => misread.after = left,
                None => bytes[at - start] ^= core::mem::take(&mut misread.flipped),
            }
        }
        let units = there.start / WRITE..there.end.div_ceil(WRITE);
        match self.unreadable.range(units).next() {
            Some(_) => Err(Error::Unreadable),
            None => Ok(()),
        }
    }

    fn capacity(&self) -> usize {
        self.reads_as.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Flash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let (from, to) = (from as usize, to as usize);
        if from > to || to > self.reads_as.len() {
            return Err(Error::OutOfBounds);
        }
        if !from.is_multiple_of(ERASE) || !to.is_multiple_of(ERASE) {
            return Err(Error::NotAligned);
        }
        (from / ERASE..to / ERASE).try_for_each(|sector| self.erase_sector(sector))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        let offset = offset as usize;
        if offset + bytes.len() > self.reads_as.len() {
            return Err(Error::OutOfBounds);
        }
        if !offset.is_multiple_of(WRITE) || !bytes.len().is_multiple_of(WRITE) {
            return Err(Error::NotAligned);
        }
        self.program(offset, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLANK: [u8; 8] = [0xff; 8];
    const DATA: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn flash() -> Flash<4, 64> {
        Flash::new(4)
    }

    fn read(flash: &mut Flash<4, 64>, offset: u32) -> [u8; 8] {
        let mut bytes = [0; 8];
        flash.read(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_until_it_is_erased() {
        let mut flash = flash();
        flash.write(64, &DATA).unwrap();
        assert_eq!(read(&mut flash, 64), DATA);
        flash.erase(64, 192).unwrap();
        assert_eq!(read(&mut flash, 64), BLANK);
        assert_eq!(flash.counts.erases, [0, 1, 1, 0]);
        assert_eq!((flash.counts.programs, flash.counts.bytes), (1, 8));
        assert_eq!(flash.counts.operations, 3);
    }

    #[test]
    #[should_panic(expected = "0x44 is programmed twice")]
    fn programming_a_unit_twice_stops_the_test() {
        let mut flash = flash();
        flash.write(64, &DATA).unwrap();
        let _ = flash.write(68, &DATA);
    }

    #[test]
    #[should_panic(expected = "programmed twice")]
    fn a_torn_unit_must_not_be_programmed_even_if_it_reads_as_blank() {
        let mut flash = flash();
        flash.write(0, &DATA).unwrap();
        flash.plan(0, Fault::Cut(Extent::Everything));
        flash.erase(0, 64).unwrap_err();
        flash.power_on();
        assert_eq!(read(&mut flash, 0), BLANK);
        let _ = flash.write(0, &DATA);
    }

    #[test]
    fn bounds_and_alignment_are_refused() {
        let mut flash = flash();
        assert_eq!(flash.read(250, &mut [0; 8]), Err(Error::OutOfBounds));
        assert_eq!(flash.write(252, &DATA), Err(Error::OutOfBounds));
        assert_eq!(flash.write(2, &DATA), Err(Error::NotAligned));
        assert_eq!(flash.write(0, &DATA[..3]), Err(Error::NotAligned));
        assert_eq!(flash.erase(0, 32), Err(Error::NotAligned));
        assert_eq!(flash.erase(64, 0), Err(Error::OutOfBounds));
        assert_eq!(flash.erase(0, 320), Err(Error::OutOfBounds));
        assert_eq!(flash.counts.operations, 0);
    }

    #[test]
    fn after_a_cut_everything_fails_until_the_power_comes() {
        let mut flash = flash();
        flash.plan(1, Fault::Cut(Extent::FirstHalf));
        flash.write(0, &DATA).unwrap();
        assert_eq!(flash.write(8, &DATA), Err(Error::Cut));
        assert_eq!(flash.write(64, &DATA), Err(Error::Cut));
        assert_eq!(flash.erase(0, 64), Err(Error::Cut));
        assert_eq!(flash.read(0, &mut [0; 1]), Err(Error::Cut));
        flash.power_on();
        assert_eq!(read(&mut flash, 0), DATA);
        assert_eq!(read(&mut flash, 8)[..4], DATA[..4]);
        assert_eq!(read(&mut flash, 64), BLANK);
    }

    #[test]
    fn a_torn_unit_reads_differently_after_resets_until_it_is_erased() {
        let mut flash = flash();
        flash.plan(0, Fault::Cut(Extent::AllTorn));
        flash.write(0, &DATA).unwrap_err();
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            flash.power_on();
            seen.insert(read(&mut flash, 0));
        }
        assert!(seen.len() > 4);
        flash.erase(0, 64).unwrap();
        flash.power_on();
        assert_eq!(read(&mut flash, 0), BLANK);
    }

    #[test]
    fn an_operation_that_fails_leaves_the_power_on() {
        let mut flash = flash();
        flash.plan(0, Fault::Fails(Extent::Nothing));
        assert_eq!(flash.write(0, &DATA), Err(Error::Failed));
        assert!(flash.has_power());
        flash.erase(0, 64).unwrap();
        flash.write(0, &DATA).unwrap();
    }

    #[test]
    fn a_dead_sector_takes_nothing_and_its_neighbour_everything() {
        let mut flash = flash();
        flash.write(64, &DATA).unwrap();
        flash.kill(1);
        assert_eq!(flash.write(80, &DATA), Err(Error::Failed));
        assert_eq!(flash.erase(64, 128), Err(Error::Failed));
        assert_eq!(read(&mut flash, 64), DATA);
        flash.write(128, &DATA).unwrap();
    }

    #[test]
    fn a_misread_happens_once() {
        let mut flash = flash();
        flash.write(0, &DATA).unwrap();
        flash.misread(2, 7, 1);
        assert_eq!(read(&mut flash, 8), BLANK);
        assert_eq!(read(&mut flash, 0), DATA);
        assert_eq!(read(&mut flash, 0), [1, 2, 0x83, 4, 5, 6, 7, 8]);
        assert_eq!(read(&mut flash, 0), DATA);
    }

    #[test]
    fn an_unreadable_unit_is_an_error_and_not_a_value() {
        let mut flash = flash();
        flash.make_unreadable(5);
        assert_eq!(flash.read(0, &mut [0; 8]), Err(Error::Unreadable));
        flash.read(0, &mut [0; 4]).unwrap();
        flash.read(8, &mut [0; 4]).unwrap();
        flash.erase(0, 64).unwrap();
        flash.read(0, &mut [0; 8]).unwrap();
    }
}
