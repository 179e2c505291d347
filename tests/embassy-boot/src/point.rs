//! Where the power can be cut, and what a cut leaves.

use std::rc::Rc;

use bistable_tests::explorer::content::Content;
use bistable_tests::explorer::flash::Flash;
use bistable_tests::explorer::shape::Shape;
use bistable_tests::explorer::truth::{CellState, Outcome, Truth};

/// How far `mark_booted` has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(crate) enum Marked {
    /// It has changed nothing.
    No,
    /// It has begun to change something.
    Begun,
    /// It has returned.
    Returned,
}

/// What begins at a point.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A sector is erased.
    Erase,
    /// A program call; whether to something that was programmed since its sector was erased.
    Program { content: Rc<Content>, again: bool },
}

/// A moment at which the power can be cut.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// What begins.
    pub(crate) operation: Operation,
    /// Its first byte.
    pub(crate) at: u32,
    /// What was there.
    pub(crate) before: Rc<Truth>,
    /// How far `mark_booted` has come before it, and once it has begun.
    pub(crate) marked: [Marked; 2],
}

/// What a cut is like, as far as chips differ in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(crate) enum Class {
    /// Between two operations.
    Between,
    /// Within a program call: its words are half-written or garbage from now on.
    Program,
    /// Within an erase: the sector is half-erased, garbage, or reads as erased, from now on.
    Erase,
    /// Within either: what it touched reads differently at each boot.
    ComesAndGoes,
    /// Within either: what it touched cannot be read (ECC).
    Unreadable,
}

impl Class {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Between,
        Self::Program,
        Self::Erase,
        Self::ComesAndGoes,
        Self::Unreadable,
    ];
}

#[derive(Clone, Copy)]
enum Cut {
    /// As the explorer does it.
    Explorer(Outcome),
    /// The first half of the bytes is programmed, even within a unit: embassy-boot looks at single bytes.
    HalfWritten,
    /// The sector's first word stands, the others read as erased.
    FirstWordStands,
}

const PROGRAM_CUTS: [(Class, Cut); 5] = [
    (Class::Between, Cut::Explorer(Outcome::Before)),
    (Class::Program, Cut::HalfWritten),
    (Class::Program, Cut::Explorer(Outcome::Garbage)),
    (Class::ComesAndGoes, Cut::Explorer(Outcome::Unstable)),
    (Class::Unreadable, Cut::Explorer(Outcome::Fails)),
];

const ERASE_CUTS: [(Class, Cut); 8] = [
    (Class::Between, Cut::Explorer(Outcome::Before)),
    (Class::Erase, Cut::FirstWordStands),
    (Class::Erase, Cut::Explorer(Outcome::Blank)),
    (Class::Erase, Cut::Explorer(Outcome::Garbage)),
    (Class::Erase, Cut::Explorer(Outcome::Keeps(2))),
    (Class::Erase, Cut::Explorer(Outcome::Keeps(3))),
    (Class::ComesAndGoes, Cut::Explorer(Outcome::Unstable)),
    (Class::Unreadable, Cut::Explorer(Outcome::Fails)),
];

impl Point {
    /// What may be on the flash, and how far `mark_booted` has come, if the power is cut here.
    pub(crate) fn cuts(
        &self,
        shape: &Rc<Shape>,
    ) -> impl Iterator<Item = (Class, Rc<Truth>, Marked)> {
        let cuts = match self.operation {
            Operation::Erase => ERASE_CUTS.as_slice(),
            Operation::Program { .. } => PROGRAM_CUTS.as_slice(),
        };
        cuts.iter().map(|(class, cut)| {
            let marked = self.marked[usize::from(*class != Class::Between)];
            (*class, self.cut(shape, *cut), marked)
        })
    }

    /// What is there if it happens, and nothing after it.
    pub(crate) fn done(&self, shape: &Rc<Shape>) -> (Rc<Truth>, Marked) {
        (
            self.cut(shape, Cut::Explorer(Outcome::After)),
            self.marked[1],
        )
    }

    fn cut(&self, shape: &Rc<Shape>, cut: Cut) -> Rc<Truth> {
        match (&self.operation, cut) {
            (_, Cut::Explorer(Outcome::Before)) => self.before.clone(),
            (Operation::Program { content, again }, cut) => {
                self.cut_program(shape, content, *again, cut)
            }
            (Operation::Erase, cut) => self.cut_erase(shape, cut),
        }
    }

    fn cut_program(
        &self,
        shape: &Rc<Shape>,
        content: &Rc<Content>,
        again: bool,
        cut: Cut,
    ) -> Rc<Truth> {
        let mut content = content.clone();
        let outcome = match cut {
            Cut::Explorer(outcome) => outcome,
            Cut::HalfWritten | Cut::FirstWordStands => {
                let mut bytes = content.bytes.to_vec();
                let half = bytes.len() / 2;
                bytes[half..].fill(0xff);
                content = shape.content(self.at, &bytes);
                Outcome::After
            }
        };
        if again {
            // What was there goes first, and only a flash with the power on does that.
            let mut flash = Flash::power_on(shape, &self.before);
            flash.program(self.at, &content, outcome);
            return flash.truth;
        }
        let mut truth = self.before.clone();
        Rc::make_mut(&mut truth).program(shape, self.at, &content, outcome);
        truth
    }

    fn cut_erase(&self, shape: &Rc<Shape>, cut: Cut) -> Rc<Truth> {
        let mut shared = self.before.clone();
        let truth = Rc::make_mut(&mut shared);
        match cut {
            Cut::Explorer(outcome) => truth.erase(shape, self.at, outcome),
            Cut::FirstWordStands | Cut::HalfWritten => {
                truth.erase(shape, self.at, Outcome::Blank);
                let sector = self.at..self.at + shape.erase;
                let first = self.before.cells().iter();
                let first = first.clone().find(|cell| sector.contains(&cell.at));
                if let Some(first) = first.filter(|cell| cell.state == CellState::Stable) {
                    let word = &first.content.bytes[..shape.write as usize];
                    let word = shape.content(first.at, word);
                    truth.program(shape, first.at, &word, Outcome::After);
                }
            }
        }
        shared
    }
}

#[cfg(test)]
mod tests {
    use bistable_tests::explorer::choices::Choices;

    use super::*;
    use crate::chip::Reprogram;
    use crate::life::{Partitions, World};

    #[test]
    fn a_first_word_that_stands_stands_alone() {
        let parts = Partitions { active_pages: 1 };
        let shape = World::new(parts, true, Reprogram::Refused).shape;
        let mut before = Truth::default();
        for at in [0, 4] {
            let zero = shape.content(at, &[0; 4]);
            before.program(&shape, at, &zero, Outcome::After);
        }
        let erase = Point {
            operation: Operation::Erase,
            at: 0,
            before: Rc::new(before),
            marked: [Marked::No; 2],
        };
        let after = erase.cut_erase(&shape, Cut::FirstWordStands);
        let mut after = Flash::power_on(&shape, &after);
        let mut words = [0; 8];
        let read = after.read(0, &mut words, &mut Choices::first());
        assert_eq!(read, Ok(()));
        assert_eq!(words, [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        after.program(4, &shape.content(4, &[0; 4]), Outcome::After);
        assert!(after.breach.is_some(), "the sector's erase was cut");
    }
}
