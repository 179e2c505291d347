//! What an operation consists of, and who goes through it.

use crate::both;
use crate::status::{ERRORS, READY};

/// The most steps of an operation.
pub const MAX_STEPS: usize = 8;

/// Written when all is done, so that the chip can be read as memory: clear status (only if there is an error in it), read
/// array.
pub const END: [u32; 2] = [both(0x50), both(0xFF)];

/// One thing to do to the chip. Four words, in this order: routines in assembler go through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Where: bytes from the chip's start, a multiple of 4.
    pub offset: u32,
    /// The word to write, or the microseconds to wait at most.
    pub value: u32,
    /// How many words to send or to fetch.
    pub count: u32,
}

/// What is done in a step. The numbers are in routines in assembler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// Write one word.
    Write = 0,
    /// Write that many words of the data, from its start, at ascending offsets.
    Send = 1,
    /// Read that many words from ascending offsets into the data, from its start.
    Fetch = 2,
    /// Read the status until both chips are [ready](READY), for no longer than that. What was read last is the
    /// status of the whole; if time is up, no further step is done.
    Wait = 3,
}

impl Step {
    /// What lies beyond the last one, where room is made for some.
    pub const NONE: Self = Self::write(0, 0);

    pub(crate) const fn write(offset: u32, word: u32) -> Self {
        Self {
            action: Action::Write,
            offset,
            value: word,
            count: 0,
        }
    }

    pub(crate) const fn send(offset: u32, count: u32) -> Self {
        Self {
            action: Action::Send,
            offset,
            value: 0,
            count,
        }
    }

    pub(crate) const fn fetch(offset: u32, count: u32) -> Self {
        Self {
            action: Action::Fetch,
            offset,
            value: 0,
            count,
        }
    }

    pub(crate) const fn wait(offset: u32, microseconds: u32) -> Self {
        Self {
            action: Action::Wait,
            offset,
            value: microseconds,
            count: 0,
        }
    }
}

/// How going through steps ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Outcome {
    /// What the last wait read last; 0 if there was none.
    pub status: u32,
    /// 1 if its time was up, else 0.
    pub timed_out: u32,
}

/// The bus that the chip is on.
pub trait Bus {
    /// Goes through `steps`, at most [`MAX_STEPS`], and ends with [`END`]; [`go_through`] is how.
    ///
    /// Nobody else touches the chip meanwhile, nor reads or fetches from it. The watchdog is fed while a wait lasts. If the
    /// chip is still busy when time is up, it does not hear what ends the operation: a program that executes from
    /// it is lost then, and the watchdog resets the board.
    fn run(&mut self, steps: &[Step], data: &mut [u32]) -> Outcome;

    /// Fills `bytes` with what lies at `offset`; the chip is in read-array mode, and the range lies within it.
    fn read(&self, offset: u32, bytes: &mut [u8]);
}

/// A chip's words, for [`go_through`].
pub trait Words {
    /// Writes a word of the chip.
    fn write(&mut self, offset: u32, word: u32);

    /// Reads a word of the chip.
    fn read(&mut self, offset: u32) -> u32;

    /// Microseconds since some moment.
    fn now(&mut self) -> u32;
}

/// Goes through `steps` as [`Bus::run`] has to: the rule for routines in assembler, and all that a board needs whose
/// programs do not lie in the chip.
pub fn go_through(chip: &mut impl Words, steps: &[Step], data: &mut [u32]) -> Outcome {
    let mut outcome = Outcome::default();
    for step in steps {
        let offsets = (step.offset..).step_by(4).take(step.count as usize);
        match step.action {
            Action::Write => chip.write(step.offset, step.value),
            Action::Send => offsets
                .zip(&*data)
                .for_each(|(offset, word)| chip.write(offset, *word)),
            Action::Fetch => offsets
                .zip(&mut *data)
                .for_each(|(offset, word)| *word = chip.read(offset)),
            Action::Wait => {
                let start = chip.now();
                loop {
                    outcome.status = chip.read(step.offset);
                    if outcome.status & READY == READY {
                        break;
                    }
                    if chip.now().wrapping_sub(start) >= step.value {
                        outcome.timed_out = 1;
                        return end(chip, outcome);
                    }
                }
            }
        }
    }
    end(chip, outcome)
}

fn end(chip: &mut impl Words, outcome: Outcome) -> Outcome {
    let [clear_status, read_array] = END;
    if outcome.status & ERRORS != 0 {
        chip.write(0, clear_status);
    }
    chip.write(0, read_array);
    outcome
}
