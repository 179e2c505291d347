//! The flash model behind `NorFlash`.
//!
//! Before each operation the truth is noted: a cut there needs no second run, for nothing runs on behind it.

use std::ops::Range;
use std::rc::Rc;

use bistable_tests::explorer::choices::Choices;
use bistable_tests::explorer::flash::{Error, Flash};
use bistable_tests::explorer::shape::Shape;
use bistable_tests::explorer::truth::{CellState, Outcome, Truth};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use crate::point::{Marked, Operation, Point};

/// What the chip does with a program call to something that was programmed since its sector was erased.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(crate) enum Reprogram {
    /// It reports failure and does nothing, whatever the words read as.
    Refused,
    /// It reports failure and does nothing if a word does not read as erased.
    RefusedIfSeen,
    /// It programs: bits become the AND of old and new.
    Allowed,
}

impl Reprogram {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Refused, Self::RefusedIfSeen, Self::Allowed];
}

/// A flash with the power on, as code sees it.
#[derive(Clone, Debug)]
pub(crate) struct Chip {
    flash: Flash,
    reprogram: Reprogram,
    /// What is left open in this boot.
    pub(crate) choices: Choices,
    /// Cells of which nothing was read in this boot, and that may read as anything.
    open: Vec<Range<u32>>,
    readings: u32,
    last_reading: u8,
    changes: u32,
    /// What happened, in order.
    pub(crate) points: Vec<Point>,
    /// How far `mark_booted` has come.
    pub(crate) marked: Marked,
    /// Whether it is what is running.
    pub(crate) is_marking: bool,
    /// Program calls that were refused.
    pub(crate) refused: u32,
    /// Program calls to something that was programmed since its sector was erased, or torn.
    pub(crate) again: u32,
}

/// So many torn words are read as chosen, each for itself.
const FREE: u32 = 3;

/// So often, of those behind them, one reads otherwise than the one before it.
const CHANGES: u32 = 1;

impl Chip {
    /// Brings the power.
    pub(crate) fn power_on(
        shape: &Rc<Shape>,
        truth: &Rc<Truth>,
        reprogram: Reprogram,
        marked: Marked,
        choices: Choices,
    ) -> Self {
        let cells = truth.cells().iter();
        let open = cells.filter(|cell| cell.state == CellState::Unstable);
        let open = open.map(|cell| cell.at..cell.at + cell.content.bytes.len() as u32);
        Self {
            open: open.collect(),
            flash: Flash::power_on(shape, truth),
            reprogram,
            choices,
            readings: 0,
            last_reading: 0,
            changes: 0,
            points: Vec::new(),
            marked,
            is_marking: false,
            refused: 0,
            again: 0,
        }
    }

    /// What is on it.
    pub(crate) const fn truth(&self) -> &Rc<Truth> {
        &self.flash.truth
    }

    /// Reads, and chooses what torn cells read as: the first few freely, then each as the one before it, with
    /// a change of mind here and there. Else a torn sector of many words would have too many readings.
    fn look(&mut self, at: u32, into: &mut [u8]) -> Result<(), Error> {
        let range = at..at + into.len() as u32;
        while let Some(place) = self.open.iter().position(|cell| meet(cell, &range)) {
            let cell = self.open.remove(place);
            let reading = if self.readings < FREE {
                self.choices.choose(READINGS)
            } else if self.changes < CHANGES {
                let step = self.choices.choose(READINGS);
                self.changes += u32::from(step > 0);
                (usize::from(self.last_reading) + step) % READINGS
            } else {
                usize::from(self.last_reading)
            };
            self.readings += 1;
            self.last_reading = reading as u8;
            let mut decided = Choices::repeated(&[reading as u8]);
            // Failing to read is one of the readings.
            let _ = self.flash.read(cell.start, &mut [0], &mut decided);
        }
        self.flash.read(at, into, &mut Choices::first())
    }

    fn note(&mut self, operation: Operation, at: u32) {
        let begun = if self.is_marking {
            Marked::Begun
        } else {
            self.marked
        };
        self.points.push(Point {
            operation,
            at,
            before: self.flash.truth.clone(),
            marked: [self.marked, begun],
        });
        self.marked = begun;
        self.choices.passed = self.points.len() as u32;
    }

    fn was_programmed(&self, range: &Range<u32>) -> bool {
        let mut cells = self.flash.truth.cells().iter();
        cells.any(|cell| meet(&(cell.at..cell.at + cell.content.bytes.len() as u32), range))
    }

    fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), Error> {
        let range = at..at + bytes.len() as u32;
        let again = self.was_programmed(&range);
        let mut bytes = bytes.to_vec();
        if again {
            let mut there = vec![0; bytes.len()];
            let seen = self.look(at, &mut there);
            let is_seen = seen.is_err() || there.iter().any(|byte| *byte != 0xff);
            if self.reprogram == Reprogram::Refused
                || self.reprogram == Reprogram::RefusedIfSeen && is_seen
            {
                self.refused += 1;
                return Err(Error::Failed);
            }
            if seen.is_ok() {
                bytes
                    .iter_mut()
                    .zip(there)
                    .for_each(|(new, old)| *new &= old);
            }
        }
        let content = self.flash.shape.content(at, &bytes);
        let operation = Operation::Program {
            content: content.clone(),
            again,
        };
        self.note(operation, at);
        self.flash.program(at, &content, Outcome::After);
        self.again += u32::from(self.flash.breach.take().is_some());
        self.open.retain(|cell| !meet(cell, &range));
        Ok(())
    }
}

/// In how many ways a torn cell reads.
const READINGS: usize = 4;

fn meet(one: &Range<u32>, other: &Range<u32>) -> bool {
    one.start < other.end && other.start < one.end
}

impl ErrorType for Chip {
    type Error = Error;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.look(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.shape.size as usize
    }
}

impl NorFlash for Chip {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        if !self.flash.fits(from..to, Self::ERASE_SIZE as u32) {
            return Err(Error::Misused);
        }
        for at in (from..to).step_by(Self::ERASE_SIZE) {
            self.note(Operation::Erase, at);
            self.flash.erase(at, Outcome::After);
            let sector = at..at + Self::ERASE_SIZE as u32;
            self.open.retain(|cell| !meet(cell, &sector));
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        let range = offset..offset + bytes.len() as u32;
        if !self.flash.fits(range, Self::WRITE_SIZE as u32) {
            return Err(Error::Misused);
        }
        self.program(offset, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::{Partitions, World};

    /// A chip on whose first word `cut` fell while a zero was programmed, as code finds it.
    fn torn(reprogram: Reprogram, outcome: Outcome, reading: u8) -> Chip {
        let world = World::new(Partitions { active_pages: 1 }, true, reprogram);
        let mut truth = Truth::default();
        truth.program(&world.shape, 0, &world.shape.content(0, &[0; 4]), outcome);
        let choices = Choices::repeated(&[reading]);
        Chip::power_on(
            &world.shape,
            &Rc::new(truth),
            reprogram,
            Marked::No,
            choices,
        )
    }

    /// The choice that makes a torn word read as erased.
    const BLANK: u8 = 2;

    #[test]
    fn a_torn_word_that_reads_as_erased_was_programmed_all_the_same() {
        let mut chip = torn(Reprogram::Refused, Outcome::Unstable, BLANK);
        let mut word = [0; 4];
        chip.read(0, &mut word).expect("it is read");
        assert_eq!(word, [0xff; 4]);
        assert_eq!(chip.write(0, &[0; 4]), Err(Error::Failed));
        let mut chip = torn(Reprogram::RefusedIfSeen, Outcome::Unstable, BLANK);
        assert_eq!(chip.write(0, &[0; 4]), Ok(()));
        assert_eq!(chip.again, 1);
    }

    #[test]
    fn programming_twice_can_only_clear_bits() {
        let mut chip = torn(Reprogram::Allowed, Outcome::After, 0);
        chip.write(0, &[0xf0; 4]).expect("it is allowed");
        let mut word = [0xff; 4];
        chip.read(0, &mut word).expect("it is read");
        assert_eq!(word, [0; 4]);
    }
}
