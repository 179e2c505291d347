//! A flash with the power on: what its truth reads as in this boot is decided when it is first read.

use std::ops::Range;
use std::rc::Rc;

use super::choices::Choices;
use super::content::Content;
use super::shape::Shape;
use super::truth::{Cell, CellState, Outcome, Truth};

/// What stopped the code under test, or was its own fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The operation reports failure.
    Failed,
    /// What was read cannot be corrected.
    Unreadable,
    /// Not whole units or sectors, or beyond the end.
    Misused,
}

impl embedded_storage::nor_flash::NorFlashError for Error {
    fn kind(&self) -> embedded_storage::nor_flash::NorFlashErrorKind {
        use embedded_storage::nor_flash::NorFlashErrorKind as Kind;
        match self {
            Self::Failed | Self::Unreadable => Kind::Other,
            Self::Misused => Kind::NotAligned,
        }
    }
}

/// A flash with the power on.
#[derive(Clone, Debug)]
pub struct Flash {
    /// Its sizes.
    pub shape: Rc<Shape>,
    /// What is on it.
    pub truth: Rc<Truth>,
    view: Vec<u8>,
    /// Cells that were not read in this boot yet.
    undecided: Vec<Range<u32>>,
    /// Cells that cannot be read in this boot.
    failing: Vec<Range<u32>>,
    /// The first misuse of the flash: what, and where.
    pub breach: Option<String>,
}

impl Flash {
    /// Brings the power.
    #[must_use]
    pub fn power_on(shape: &Rc<Shape>, truth: &Rc<Truth>) -> Self {
        let mut flash = Self {
            shape: shape.clone(),
            truth: truth.clone(),
            view: vec![0xff; shape.size as usize],
            undecided: Vec::new(),
            failing: Vec::new(),
            breach: None,
        };
        for cell in truth.cells() {
            flash.show(cell);
        }
        flash
    }

    fn show(&mut self, cell: &Cell) {
        let range = cell.range();
        self.view[range.start as usize..range.end as usize].copy_from_slice(&cell.content.bytes);
        match cell.state {
            CellState::Stable => {}
            CellState::Fails => self.failing.push(range),
            // A whole copy that is none never becomes one.
            CellState::Unstable if cell.content.is_garbage() => {}
            CellState::Unstable => self.undecided.push(range),
        }
    }

    /// Shows what is in `range` now.
    fn show_again(&mut self, range: &Range<u32>) {
        let apart = |other: &Range<u32>| other.end <= range.start || range.end <= other.start;
        self.undecided.retain(apart);
        self.failing.retain(apart);
        self.view[range.start as usize..range.end as usize].fill(0xff);
        let truth = self.truth.clone();
        for cell in truth.cells_in(range) {
            self.show(cell);
        }
    }

    /// Reads, and decides what undecided cells read as.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&mut self, at: u32, into: &mut [u8], choices: &mut Choices) -> Result<(), Error> {
        let range = at..at + into.len() as u32;
        if range.end > self.shape.size {
            self.misused(format!("a read of {range:#x?}, beyond the end"));
            return Err(Error::Misused);
        }
        while let Some(place) = first_overlapping(&self.undecided, &range) {
            self.decide(place, choices);
        }
        if first_overlapping(&self.failing, &range).is_some() {
            return Err(Error::Unreadable);
        }
        into.copy_from_slice(&self.view[range.start as usize..range.end as usize]);
        Ok(())
    }

    /// Decides what an undecided cell reads as. In journal and ledger every copy is read at each boot, and what counts
    /// is how many of a sector are valid: so all of a sector are decided at once, by that number; which bad
    /// reading the others have goes round. Elsewhere each cell takes every reading.
    fn decide(&mut self, place: usize, choices: &mut Choices) {
        let cell = self.undecided[place].clone();
        let shape = self.shape.clone();
        let Some(whole) = shape.sector_at(cell.start) else {
            let reading = READINGS[choices.choose(READINGS.len())];
            return self.settle(&cell, reading);
        };
        let sector = whole.start / shape.journal_sector;
        let mut cells = self.undecided.clone();
        cells.retain(|cell| whole.contains(&cell.start));
        // As many as there are, one less, and so on; none in each bad way.
        let choice = choices.choose(cells.len() + BAD.len());
        let valid = cells.len().saturating_sub(choice);
        let kind = match valid {
            0 => choice - cells.len(),
            _ => (cell.start / shape.write) as usize + choice,
        };
        for (number, cell) in cells.iter().enumerate() {
            // The valid ones are the first ones or the last ones.
            let is_valid = match (sector as usize + choice) % 2 {
                0 => number < valid,
                _ => number >= cells.len() - valid,
            };
            let bad = BAD[kind % BAD.len()];
            self.settle(cell, if is_valid { Reading::Valid } else { bad });
        }
    }

    fn settle(&mut self, cell: &Range<u32>, reading: Reading) {
        self.undecided.retain(|other| other != cell);
        let view = &mut self.view[cell.start as usize..cell.end as usize];
        match reading {
            Reading::Valid => {}
            Reading::Garbage => {
                let garbage = Content::new(view, None).garbage(self.shape.write);
                view.copy_from_slice(&garbage.bytes);
            }
            Reading::Blank => view.fill(0xff),
            Reading::Fails => self.failing.push(cell.clone()),
        }
    }

    /// Erases the sector at `at`, as far as `outcome` says.
    pub fn erase(&mut self, at: u32, outcome: Outcome) {
        if outcome == Outcome::Before {
            return; // and what was decided stays so
        }
        let shape = self.shape.clone();
        Rc::make_mut(&mut self.truth).erase(&shape, at, outcome);
        self.show_again(&(at..at + shape.erase));
    }

    /// Programs, as far as `outcome` says.
    pub fn program(&mut self, at: u32, content: &Rc<Content>, outcome: Outcome) {
        let shape = self.shape.clone();
        let range = at..at + content.bytes.len() as u32;
        if self.truth.is_used(&shape, &range) {
            self.misused(format!("{range:#x?} is programmed and was not erased"));
            // What real flash would make of it: nothing good.
            Rc::make_mut(&mut self.truth).clear(&shape, &range);
        }
        Rc::make_mut(&mut self.truth).program(&shape, at, content, outcome);
        self.show_again(&range);
    }

    /// Whether these are whole units on this flash.
    pub fn fits(&mut self, range: Range<u32>, unit: u32) -> bool {
        let fits = range.start <= range.end
            && range.end <= self.shape.size
            && range.start.is_multiple_of(unit)
            && range.end.is_multiple_of(unit);
        if !fits {
            self.misused(format!("{range:#x?} in units of {unit} bytes"));
        }
        fits
    }

    fn misused(&mut self, how: String) {
        self.breach.get_or_insert(how);
    }
}

#[derive(Clone, Copy)]
enum Reading {
    Valid,
    Garbage,
    Blank,
    Fails,
}

const BAD: [Reading; 3] = [Reading::Garbage, Reading::Blank, Reading::Fails];

const READINGS: [Reading; 4] = [
    Reading::Valid,
    Reading::Garbage,
    Reading::Blank,
    Reading::Fails,
];

fn first_overlapping(ranges: &[Range<u32>], range: &Range<u32>) -> Option<usize> {
    ranges
        .iter()
        .position(|other| other.start < range.end && range.start < other.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flash whose last operation, at 4096 bytes, got so far.
    fn cut_while_programming(bytes: &[u8], outcome: Outcome) -> Truth {
        let mut truth = Truth::default();
        let content = Shape::example().content(4096, bytes);
        truth.program(&Shape::example(), 4096, &content, outcome);
        truth
    }

    /// Everything that 64 bytes at 4096 read as, over all choices.
    fn readings(truth: &Truth) -> Vec<Result<Vec<u8>, Error>> {
        let truth = Rc::new(truth.clone());
        let mut found = Vec::new();
        let mut choices = Choices::first();
        loop {
            let mut flash = Flash::power_on(&Shape::example(), &truth);
            let mut bytes = vec![0; 64];
            let read = flash.read(4096, &mut bytes, &mut choices);
            let again = flash.read(4096, &mut [0; 64], &mut choices);
            assert_eq!(read, again, "within a boot, it reads the same");
            found.push(read.map(|()| bytes));
            match choices.advance() {
                Some((next, _)) => choices = next,
                None => return found,
            }
        }
    }

    #[test]
    fn what_is_torn_reads_in_each_way_that_can_be_told_apart() {
        let (bytes, blank) = (vec![3; 64], vec![0xff; 64]);
        let read = |outcome| readings(&cut_while_programming(&bytes, outcome));
        assert_eq!(read(Outcome::Before), [Ok(blank.clone())]);
        assert_eq!(read(Outcome::After), [Ok(bytes.clone())]);
        assert_eq!(read(Outcome::Fails), [Err(Error::Unreadable)]);
        let [Ok(garbage)] = &read(Outcome::Garbage)[..] else {
            panic!("garbage reads as one thing");
        };
        assert!(*garbage != bytes && *garbage != blank);
        let fickle = read(Outcome::Unstable);
        for reading in [
            Ok(bytes),
            Ok(garbage.clone()),
            Ok(blank),
            Err(Error::Unreadable),
        ] {
            assert!(fickle.contains(&reading), "{reading:?}");
        }
        assert_eq!(fickle.len(), 4);
    }

    #[test]
    fn what_was_written_may_come_back_after_an_erase_that_was_cut() {
        let mut truth = cut_while_programming(&[3; 64], Outcome::After);
        truth.erase(&Shape::example(), 4096, Outcome::Unstable);
        assert!(readings(&truth).contains(&Ok(vec![3; 64])));
        assert!(readings(&truth).contains(&Ok(vec![0xff; 64])));
        truth.erase(&Shape::example(), 4096, Outcome::After);
        assert_eq!(readings(&truth), [Ok(vec![0xff; 64])]);
    }

    #[test]
    fn a_sector_that_only_reads_as_erased_must_not_be_programmed() {
        for (outcome, breach) in [(Outcome::Blank, true), (Outcome::After, false)] {
            let mut truth = cut_while_programming(&[3; 64], Outcome::After);
            truth.erase(&Shape::example(), 4096, outcome);
            let mut flash = Flash::power_on(&Shape::example(), &Rc::new(truth));
            let content = Shape::example().content(4160, &[5; 64]);
            flash.program(4160, &content, Outcome::After);
            assert_eq!(flash.breach.is_some(), breach, "{outcome:?}");
        }
    }
}
