//! Everything in a boot that could go another way is one of a row of choices, so that all of them can be
//! taken one after the other, drawn, or repeated.

use crate::random::Random;

/// The choices of one boot.
#[derive(Clone, Debug)]
pub struct Choices {
    made: Vec<Choice>,
    next: usize,
    way: Way,
    /// How many points of the boot have passed.
    pub passed: u32,
}

#[derive(Clone, Copy, Debug)]
struct Choice {
    taken: u8,
    of: u8,
    /// How many points of the boot lay before it.
    after: u32,
}

#[derive(Clone, Debug)]
enum Way {
    /// What was not chosen before is the first.
    First,
    /// What was not chosen before is drawn.
    Drawn(Random),
}

impl Choices {
    /// The first of all rows of choices.
    #[must_use]
    pub const fn first() -> Self {
        Self {
            made: Vec::new(),
            next: 0,
            way: Way::First,
            passed: 0,
        }
    }

    /// Drawn ones.
    #[must_use]
    pub fn drawn(random: Random) -> Self {
        Self {
            way: Way::Drawn(random),
            ..Self::first()
        }
    }

    /// Those that were made before.
    #[must_use]
    pub fn repeated(taken: &[u8]) -> Self {
        let made = taken.iter().map(|taken| Choice {
            taken: *taken,
            of: u8::MAX,
            after: 0,
        });
        Self {
            made: made.collect(),
            ..Self::first()
        }
    }

    /// One of `of`.
    ///
    /// # Panics
    /// If there are none, or more than 255.
    pub fn choose(&mut self, of: usize) -> usize {
        let after = self.passed;
        assert!(0 < of && of < 256, "{of} choices");
        let place = self.next;
        self.next += 1;
        if let Some(choice) = self.made.get_mut(place) {
            choice.of = of as u8;
            choice.after = after;
            return usize::from(choice.taken).min(of - 1);
        }
        let taken = match &mut self.way {
            Way::First => 0,
            Way::Drawn(random) => random.below(of),
        };
        self.made.push(Choice {
            taken: taken as u8,
            of: of as u8,
            after,
        });
        taken
    }

    /// What was chosen.
    #[must_use]
    pub fn taken(&self) -> Vec<u8> {
        let made = self.made.iter().take(self.next);
        made.map(|choice| choice.taken).collect()
    }

    /// The next row, which differs from this one as late as it can, and how many points of the boot lie
    /// before that; `None` after the last.
    #[must_use]
    pub fn advance(mut self) -> Option<(Self, u32)> {
        self.made.truncate(self.next);
        while let Some(mut last) = self.made.pop() {
            if last.taken + 1 < last.of {
                last.taken += 1;
                self.made.push(last);
                self.next = 0;
                self.passed = 0;
                return Some((self, last.after));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_choices_is_taken_once() {
        let mut rows = Vec::new();
        let mut choices = Choices::first();
        loop {
            let first = choices.choose(3);
            if first == 1 {
                choices.choose(2);
            }
            rows.push(choices.taken());
            match choices.advance() {
                Some((next, _)) => choices = next,
                None => break,
            }
        }
        let expected: [&[u8]; 4] = [&[0], &[1, 0], &[1, 1], &[2]];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_row_that_was_taken_can_be_repeated() {
        let mut choices = Choices::repeated(&[2, 0, 1]);
        assert_eq!([3, 2, 2].map(|of| choices.choose(of)), [2, 0, 1]);
    }
}
