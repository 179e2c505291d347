//! Two chips for the tests, stricter than those that one can buy: what a data sheet does not allow is a panic, and
//! reading while a command is under way gives status. They are busy for some polls, and hear nothing meanwhile.

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use crate::bus::{Bus, MAX_STEPS, Outcome, Step, Words, go_through};
use crate::{CfiFlash, both};

/// Bytes of both chips together.
pub(crate) const SIZE: u32 = 32 << 20;
/// Bytes of a block of both together.
pub(crate) const BLOCK: u32 = 256 << 10;

/// For how many polls an operation lasts.
const POLLS: u32 = 3;

/// What is wrong with a chip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    EraseFails,
    ProgramFails,
    VoltageLow,
    Locked,
    NeverReady,
    NoBuffer,
}

/// Both chips. Commands must go to both, so they have one state, and a status each.
#[derive(Debug)]
pub(crate) struct Chip {
    array: Vec<u8>,
    state: State,
    pub(crate) status: [u8; 2],
    /// For how many more polls both are busy.
    busy: u32,
    /// The last operation was given up while they were busy, so it could not be ended.
    was_given_up: bool,
    /// Blocks that were unlocked since power-on; `None`: this chip locks none.
    unlocked: Option<Vec<u32>>,
    buffer: u32,
    pub(crate) fault: [Option<Fault>; 2],
    /// The answers to a query that are not 0.
    pub(crate) answers: BTreeMap<u32, u32>,
    /// Microseconds; each read takes one.
    pub(crate) now: u32,
    pub(crate) writes: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    ReadArray,
    Query,
    /// Something was done, or refused: reads give status.
    Status,
    LockSetup,
    EraseSetup {
        block: u32,
    },
    /// Not even asked how many words: the command was not taken.
    NoBuffer,
    /// The next word is how many words less one, whatever command it looks like.
    BufferSetup {
        block: u32,
    },
    Filling {
        block: u32,
        left: u32,
        words: Vec<(u32, u32)>,
    },
}

/// A good flash, open.
pub(crate) fn open() -> CfiFlash<Chip> {
    CfiFlash::open(Chip::new(), SIZE, BLOCK).unwrap()
}

impl Chip {
    pub(crate) fn new() -> Self {
        Self::with_buffer(11)
    }

    /// With a buffer of 2 to the power of this in each chip.
    pub(crate) fn with_buffer(power: u32) -> Self {
        let answers = [
            (0x10, u32::from(b'Q')),
            (0x11, u32::from(b'R')),
            (0x12, u32::from(b'Y')),
            (0x13, 1),
            (0x15, 0x31),
            (0x20, 7),
            (0x21, 10),
            (0x24, 4),
            (0x25, 2),
            (0x27, 24),
            (0x2A, power),
            (0x2C, 1),
            (0x2D, 127),
            (0x30, 2),
            (0x31, u32::from(b'P')),
            (0x32, u32::from(b'R')),
            (0x33, u32::from(b'I')),
        ];
        Self {
            array: vec![0; SIZE as usize],
            state: State::ReadArray,
            status: [0x80; 2],
            busy: 0,
            was_given_up: false,
            unlocked: None,
            buffer: 2 << power,
            fault: [None; 2],
            answers: answers.map(|(word, byte)| (word, both(byte as u16))).into(),
            now: u32::MAX - 1000, // It wraps.
            writes: 0,
        }
    }

    /// Whose blocks are all locked after power-on.
    pub(crate) fn that_locks() -> Self {
        let mut chip = Self::new();
        chip.unlocked = Some(Vec::new());
        chip.answers.insert(0x36, both(1 << 5));
        chip
    }

    fn has(&self, lane: usize, fault: Fault) -> bool {
        self.fault[lane] == Some(fault)
    }

    fn command(&mut self, offset: u32, word: u32) {
        let block = offset & !(BLOCK - 1);
        if self.is_busy() {
            let may_be_said = [0x50, 0x70, 0xFF].map(both).contains(&word);
            assert!(may_be_said, "{word:#x} is not heard by a busy chip");
            return;
        }
        self.state = match word >> 16 {
            _ if word >> 16 != word & 0xFFFF => panic!("{word:#010x} is no command for both chips"),
            0xFF => State::ReadArray,
            0x98 => {
                assert_eq!(offset, 0x55 << 2, "a query goes to word 0x55");
                State::Query
            }
            0x50 => {
                self.status = [0x80; 2];
                State::Status
            }
            0x70 => State::Status,
            0x60 => State::LockSetup,
            0x20 => {
                self.assert_no_error_is_forgotten();
                State::EraseSetup { block }
            }
            0xE8 => {
                self.assert_no_error_is_forgotten();
                match self.fault.contains(&Some(Fault::NoBuffer)) {
                    true => State::NoBuffer,
                    false => State::BufferSetup { block },
                }
            }
            _ => panic!("{word:#x} at {offset:#x} is no command in {:?}", self.state),
        };
    }

    fn is_busy(&self) -> bool {
        let never_ready = self.fault.contains(&Some(Fault::NeverReady));
        self.busy > 0 || self.state == State::Status && never_ready
    }

    fn assert_no_error_is_forgotten(&self) {
        for status in self.status {
            assert_eq!(status & 0x3A, 0, "an error of an earlier operation stands");
        }
    }

    /// Whether this chip does what it was told in `block`; if not, its status says why.
    fn does(&mut self, lane: usize, block: u32, own: (Fault, u8)) -> bool {
        let locked = self
            .unlocked
            .as_ref()
            .is_some_and(|unlocked| !unlocked.contains(&block));
        let (fault, bit) = own;
        let errors = match self.fault[lane] {
            _ if locked => 0x02 | bit,
            Some(Fault::Locked) => 0x02 | bit,
            Some(Fault::VoltageLow) => 0x08 | bit,
            Some(found) if found == fault => bit,
            _ => 0,
        };
        self.status[lane] |= errors;
        errors == 0
    }

    fn erase(&mut self, block: u32) {
        for lane in 0..2 {
            if self.does(lane, block, (Fault::EraseFails, 0x20)) {
                for at in (block..block + BLOCK).filter(|at| at / 2 % 2 == lane as u32) {
                    self.array[at as usize] = 0xFF;
                }
            }
        }
    }

    fn program(&mut self, block: u32, words: &[(u32, u32)]) {
        for lane in 0..2 {
            if self.does(lane, block, (Fault::ProgramFails, 0x10)) {
                for (offset, word) in words {
                    let own = word.to_le_bytes().into_iter().enumerate();
                    for (at, byte) in own.skip(2 * lane).take(2) {
                        self.array[*offset as usize + at] &= byte;
                    }
                }
            }
        }
    }
}

impl Words for Chip {
    fn write(&mut self, offset: u32, word: u32) {
        assert!(offset.is_multiple_of(4) && offset < SIZE);
        self.writes += 1;
        match self.state.clone() {
            State::ReadArray | State::Query | State::Status | State::NoBuffer => {
                self.command(offset, word);
            }
            State::LockSetup => {
                assert_eq!(word, both(0xD0), "only unlocking is known here");
                if let Some(unlocked) = &mut self.unlocked {
                    unlocked.push(offset & !(BLOCK - 1));
                }
                self.state = State::Status;
            }
            State::EraseSetup { block } => {
                assert_eq!(word, both(0xD0), "an erase must be confirmed");
                assert_eq!(offset & !(BLOCK - 1), block);
                self.erase(block);
                self.busy = POLLS;
                self.state = State::Status;
            }
            State::BufferSetup { block } => {
                assert_eq!(word >> 16, word & 0xFFFF, "both chips get a count");
                assert_eq!(offset & !(BLOCK - 1), block);
                let left = (word & 0xFFFF) + 1;
                assert!(left * 4 <= self.buffer, "{left} words are too many");
                self.state = State::Filling {
                    block,
                    left,
                    words: Vec::new(),
                };
            }
            State::Filling {
                block,
                left: 0,
                words,
            } => {
                assert_eq!(word, both(0xD0), "programming must be confirmed");
                assert_eq!(offset & !(BLOCK - 1), block);
                self.program(block, &words);
                self.busy = POLLS;
                self.state = State::Status;
            }
            State::Filling {
                block,
                left,
                mut words,
            } => {
                let first = words.first().map_or(offset, |(first, _)| *first);
                assert_eq!(
                    offset / self.buffer,
                    first / self.buffer,
                    "it crosses a buffer"
                );
                words.push((offset, word));
                self.state = State::Filling {
                    block,
                    left: left - 1,
                    words,
                };
            }
        }
    }

    fn read(&mut self, offset: u32) -> u32 {
        self.now = self.now.wrapping_add(1);
        match self.state {
            State::ReadArray => panic!("steps read the array, which is the board's to do"),
            State::Query => self.answers.get(&(offset / 4)).copied().unwrap_or(0),
            _ => {
                let works = self.busy > 0;
                self.busy = self.busy.saturating_sub(1);
                let lanes = [0, 1].map(|lane| {
                    let busy = works
                        || self.has(lane, Fault::NeverReady)
                        || self.state == State::NoBuffer && self.has(lane, Fault::NoBuffer);
                    u32::from(if busy { 0 } else { self.status[lane] })
                });
                lanes[1] << 16 | lanes[0]
            }
        }
    }

    fn now(&mut self) -> u32 {
        self.now = self.now.wrapping_add(100);
        self.now
    }
}

impl Bus for Chip {
    fn run(&mut self, steps: &[Step], data: &mut [u32]) -> Outcome {
        assert!(steps.len() <= MAX_STEPS);
        let was_ended = self.state == State::ReadArray || self.was_given_up;
        assert!(was_ended, "an operation was not ended");
        let outcome = go_through(self, steps, data);
        self.was_given_up = outcome.timed_out != 0;
        assert!(self.state == State::ReadArray || self.was_given_up);
        outcome
    }

    fn read(&self, offset: u32, bytes: &mut [u8]) {
        assert_eq!(
            self.state,
            State::ReadArray,
            "reading this would give status"
        );
        bytes.copy_from_slice(&self.array[offset as usize..][..bytes.len()]);
    }
}
