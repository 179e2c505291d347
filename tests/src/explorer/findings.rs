//! What came of an exploration, and when it was to stop.

use std::time::Duration;

use super::invariants::Violation;
use super::path::{How, Step};
use super::point::Operation;
use super::truth::Outcome;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most boots.
    pub boots: u64,
    /// The most cuts over the device's life; `None`: any number.
    pub cuts: Option<u8>,
    /// Whether sequence numbers are made relative.
    pub relative: bool,
    /// The longest time.
    pub time: Duration,
    /// Stop after so many violations.
    pub violations: usize,
}

/// How often each kind of cut was made.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Cuts {
    /// Before an operation.
    pub before: u64,
    /// After it, before anybody knew.
    pub after: u64,
    /// Within a program call.
    pub program: u64,
    /// Within an erase.
    pub erase: u64,
    /// Resets that left RAM alone.
    pub resets: u64,
    /// Flipped bits.
    pub flips: u64,
}

impl Cuts {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.before + self.after + self.program + self.erase + self.resets + self.flips
    }

    /// These too.
    pub(super) const fn add(&mut self, other: &Self) {
        self.before += other.before;
        self.after += other.after;
        self.program += other.program;
        self.erase += other.erase;
        self.resets += other.resets;
        self.flips += other.flips;
    }

    /// One more.
    pub(super) const fn count(&mut self, operation: &Operation, how: How) {
        match (operation, how.outcome) {
            _ if how.keeps_ram => self.resets += 1,
            (_, Outcome::Before) => self.before += 1,
            (_, Outcome::After) => self.after += 1,
            (Operation::Erase { .. }, _) => self.erase += 1,
            _ => self.program += 1,
        }
    }
}

/// What was broken, and the way there.
#[derive(Clone, Debug)]
pub struct Found {
    /// What.
    pub violation: Violation,
    /// From the start.
    pub path: Vec<Step>,
    /// How many boots it took to find it.
    pub boots: u64,
}

/// What came of an exploration.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Different states.
    pub states: u64,
    /// Boots that were run.
    pub boots: u64,
    /// Cuts that were made.
    pub cuts: Cuts,
    /// Whether every reachable state was explored.
    pub closed: bool,
    /// The longest row of cuts.
    pub longest_row: u8,
    /// The most boots until a confirmed image ran, without further faults.
    pub most_boots_to_confirmed: u8,
    /// What was broken.
    pub violations: Vec<Found>,
    /// How long it took.
    pub time: Duration,
}

impl Findings {
    /// Takes in what was broken.
    pub(super) fn add(&mut self, violation: Violation, path: Vec<Step>) {
        let boots = self.boots;
        self.violations.push(Found {
            violation,
            path,
            boots,
        });
    }
}
