//! The driver: opening a chip that is what the product's layout says, erasing, programming, reading.

use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};

use crate::bus::{Bus, Outcome, Step};
use crate::query::{self, Answer, Facts, Unfit};
use crate::status::Trouble;
use crate::{WRITE_UNIT, both};

/// Bytes that one command programs at most: they are copied to the stack, as the caller's may lie in the chip.
pub const AT_ONCE: usize = 1024;

const WORDS: usize = AT_ONCE / WRITE_UNIT as usize;

mod command {
    use crate::both;

    pub(super) const UNLOCK: [u32; 2] = [both(0x60), both(0xD0)];
    pub(super) const ERASE: u32 = both(0x20);
    pub(super) const PROGRAM_BUFFER: u32 = both(0xE8);
    pub(super) const CONFIRM: u32 = both(0xD0);
    pub(super) const READ_STATUS: u32 = both(0x70);
}

/// Two chips as one flash. All offsets are in bytes from its start.
#[derive(Debug)]
pub struct CfiFlash<B> {
    bus: B,
    facts: Facts,
    /// It was still busy when an operation was given up, so reading it may give status.
    is_given_up: bool,
}

/// Why an operation was refused, or failed. After [`Error::Failed`] the chip reads its array again. After
/// [`Error::Timeout`] it does not, for a busy chip hears nothing: reads are refused until an operation has found it ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The range does not lie within the flash, or ends before it starts. Nothing was changed.
    OutOfBounds {
        /// Bytes of the flash.
        size: u32,
    },
    /// Start or length is no multiple of what is erased or programmed together. Nothing was changed.
    NotAligned {
        /// Bytes of a block (erase) or word of the bus (program).
        unit: u32,
    },
    /// The chip was still busy after the longest time that it says it may take.
    Timeout {
        /// Where it was told to do something.
        offset: u32,
        /// Its last status.
        status: u32,
    },
    /// An earlier operation ended in [`Error::Timeout`], and none since has found the chip ready: what is read may
    /// be status. Nothing was read.
    NotReadable,
    /// The chip says that it failed.
    Failed {
        /// Where it was told to do something.
        offset: u32,
        /// At what.
        trouble: Trouble,
        /// Its status.
        status: u32,
    },
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OutOfBounds { size } => {
                write!(f, "the range lies beyond {size:#x} bytes of flash")
            }
            Self::NotAligned { unit } => {
                write!(f, "start and length must be multiples of {unit}")
            }
            Self::Timeout { offset, status } => write!(
                f,
                "the flash is still busy at {offset:#x} after the longest time that it may take (status {status:#010x})"
            ),
            Self::NotReadable => f.write_str(
                "the flash was still busy when an operation was given up; erase or program again, or reset it",
            ),
            Self::Failed {
                offset,
                trouble,
                status,
            } => {
                let what = match trouble {
                    Trouble::Sequence => "does not understand its commands",
                    Trouble::VoltageLow => "has too low a programming voltage",
                    Trouble::Locked => "is locked",
                    Trouble::EraseFailed => "could not be erased",
                    Trouble::ProgramFailed => "could not be programmed",
                };
                write!(f, "the flash {what} at {offset:#x} (status {status:#010x})")
            }
        }
    }
}

impl core::error::Error for Error {}

impl NorFlashError for Error {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds { .. } => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned { .. } => NorFlashErrorKind::NotAligned,
            Self::Timeout { .. } | Self::NotReadable | Self::Failed { .. } => {
                NorFlashErrorKind::Other
            }
        }
    }
}

impl<B: Bus> CfiFlash<B> {
    /// Asks the chips what they are, which must be `size` bytes in blocks of `block_size`.
    ///
    /// # Errors
    ///
    /// See [`Unfit`].
    pub fn open(mut bus: B, size: u32, block_size: u32) -> Result<Self, Unfit> {
        let mut words = [0; query::ANSWER];
        bus.run(&query::steps(), &mut words);
        let answer = Answer::new(&words)?;
        let mut facts = answer.facts()?;
        let (expected, found) = ((size, block_size), (facts.size, facts.block_size));
        if expected != found {
            return Err(Unfit::OtherGeometry { expected, found });
        }
        if let Some(start) = answer.primary_table()? {
            bus.run(&query::primary_steps(start), &mut words);
            facts.locks_blocks = Answer::primary(start, &words).locks_blocks()?;
        }
        Ok(Self {
            bus,
            facts,
            is_given_up: false,
        })
    }

    /// What the chips said of themselves.
    #[must_use]
    pub const fn facts(&self) -> Facts {
        self.facts
    }

    /// Fills `bytes` with what lies at `offset`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`], [`Error::NotReadable`], with `bytes` as they were.
    pub fn read(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len(), 1)?;
        if self.is_given_up {
            return Err(Error::NotReadable);
        }
        self.bus.read(offset, bytes);
        Ok(())
    }

    /// Erases the blocks from `from` up to, not including, `to`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`], [`Error::NotAligned`], with nothing changed; [`Error::Timeout`], [`Error::Failed`],
    /// with earlier blocks erased.
    pub fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let size = self.facts.size;
        let length = to.checked_sub(from).ok_or(Error::OutOfBounds { size })?;
        self.check(from, length as usize, self.facts.block_size)?;
        (from..to)
            .step_by(self.facts.block_size as usize)
            .try_for_each(|block| self.erase_block(block))
    }

    /// Programs `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`], [`Error::NotAligned`], with nothing changed; [`Error::Timeout`], [`Error::Failed`],
    /// with earlier parts programmed.
    pub fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len(), WRITE_UNIT)?;
        let (mut offset, mut bytes) = (offset, bytes);
        // Up to the next multiple of what goes at once, which divides the chip's buffer or is as large.
        let at_once = self.facts.buffer_size.min(AT_ONCE as u32);
        while !bytes.is_empty() {
            let filled = offset.checked_rem(at_once).unwrap_or(0);
            let room = at_once.saturating_sub(filled);
            let (now, later) = bytes.split_at(bytes.len().min(room as usize));
            self.program_buffer(offset, now)?;
            offset = offset.wrapping_add(room);
            bytes = later;
        }
        Ok(())
    }

    fn erase_block(&mut self, block: u32) -> Result<(), Error> {
        self.operate(
            block,
            [
                Step::write(block, command::ERASE),
                Step::write(block, command::CONFIRM),
                Step::wait(block, self.facts.erase_microseconds),
            ],
            &mut [],
        )
    }

    /// Whole words, within one buffer of the chip.
    fn program_buffer(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        let mut words = [0; WORDS];
        let (whole, _) = bytes.as_chunks();
        words
            .iter_mut()
            .zip(whole)
            .for_each(|(to, from)| *to = u32::from_le_bytes(*from));
        let count = whole.len() as u32;
        let time = self.facts.program_microseconds;
        self.operate(
            offset,
            [
                Step::write(offset, command::PROGRAM_BUFFER),
                // Not yet busy with it, but only then is there a buffer.
                Step::wait(offset, time),
                Step::write(offset, both(count.saturating_sub(1) as u16)),
                Step::send(offset, count),
                Step::write(offset, command::CONFIRM),
                Step::wait(offset, time),
            ],
            &mut words,
        )
    }

    /// Unlocks the block if there is anything to unlock, and goes through `steps`.
    fn operate<const N: usize>(
        &mut self,
        offset: u32,
        steps: [Step; N],
        data: &mut [u32],
    ) -> Result<(), Error> {
        self.await_what_was_given_up(offset)?;
        let mut all = [Step::NONE; crate::MAX_STEPS];
        let unlock = command::UNLOCK.map(|word| Step::write(offset, word));
        let unlock = unlock.iter().filter(|_| self.facts.locks_blocks);
        let mut count = 0_usize;
        for (to, from) in all.iter_mut().zip(unlock.chain(&steps)) {
            *to = *from;
            count = count.saturating_add(1);
        }
        let steps = all.get(..count).unwrap_or_default();
        let Outcome { status, timed_out } = self.bus.run(steps, data);
        if timed_out != 0 {
            self.is_given_up = true;
            return Err(Error::Timeout { offset, status });
        }
        match Trouble::of(status) {
            Some(trouble) => Err(Error::Failed {
                offset,
                trouble,
                status,
            }),
            None => Ok(()),
        }
    }

    /// A busy chip hears no other command than this one. What it was told then may have failed since; that was
    /// reported, as a timeout, and is cleared with the end of these steps.
    fn await_what_was_given_up(&mut self, offset: u32) -> Result<(), Error> {
        if !self.is_given_up {
            return Ok(());
        }
        let steps = [
            Step::write(offset, command::READ_STATUS),
            Step::wait(offset, self.facts.erase_microseconds),
        ];
        let Outcome { status, timed_out } = self.bus.run(&steps, &mut []);
        if timed_out != 0 {
            return Err(Error::Timeout { offset, status });
        }
        self.is_given_up = false;
        Ok(())
    }

    fn check(&self, offset: u32, length: usize, unit: u32) -> Result<(), Error> {
        let size = self.facts.size;
        match (offset as usize).checked_add(length) {
            Some(end) if end <= size as usize => {}
            _ => return Err(Error::OutOfBounds { size }),
        }
        if offset.is_multiple_of(unit) && length.is_multiple_of(unit as usize) {
            Ok(())
        } else {
            Err(Error::NotAligned { unit })
        }
    }
}

// Unlocking and six steps.
const _: () = assert!(crate::MAX_STEPS >= 2 + 6);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{BLOCK, Chip, Fault, SIZE, open};
    use std::vec;
    use std::vec::Vec;

    fn content(flash: &CfiFlash<Chip>, offset: u32, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        flash.read(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_programmed_after_an_erase_is_read_back() {
        let mut flash = open();
        flash.erase(BLOCK, 2 * BLOCK).unwrap();
        flash.program(BLOCK + 8, b"sixteen bytes ok").unwrap();
        let found = content(&flash, BLOCK + 4, 24);
        assert_eq!(found[..4], [0xFF; 4]);
        assert_eq!(found[4..20], *b"sixteen bytes ok");
        assert_eq!(found[20..], [0xFF; 4]);
    }

    #[test]
    fn programming_without_erase_clears_bits_and_sets_none() {
        let mut flash = open();
        flash.erase(0, BLOCK).unwrap();
        flash.program(0, &[0x0F; 4]).unwrap();
        flash.program(0, &[0xF1; 4]).unwrap();
        assert_eq!(content(&flash, 0, 4), [0x01; 4]);
    }

    #[test]
    fn an_erase_touches_its_blocks_and_no_others() {
        let mut flash = open();
        flash.erase(0, 3 * BLOCK).unwrap();
        for block in 0..3 {
            flash.program(block * BLOCK, &[0; 4]).unwrap();
            flash.program((block + 1) * BLOCK - 4, &[0; 4]).unwrap();
        }
        flash.erase(BLOCK, 2 * BLOCK).unwrap();
        let words = [0, BLOCK - 4, BLOCK, 2 * BLOCK - 4, 2 * BLOCK, 3 * BLOCK - 4];
        let found = words.map(|word| content(&flash, word, 1)[0]);
        assert_eq!(found, [0, 0, 0xFF, 0xFF, 0, 0]);
    }

    #[test]
    fn no_command_crosses_a_buffer_of_the_chip() {
        let bytes: Vec<u8> = (0..5000_u32).map(|byte| byte as u8).collect();
        for offset in [0, 4, 60, 1020, 2044] {
            // The chip asserts it: see `simulated`.
            let mut flash = open();
            flash.erase(0, BLOCK).unwrap();
            flash.program(offset, &bytes).unwrap();
            assert_eq!(content(&flash, offset, bytes.len()), bytes);
        }
    }

    #[test]
    fn a_smaller_buffer_than_ours_is_not_filled_beyond_its_end() {
        let mut flash = CfiFlash::open(Chip::with_buffer(6), SIZE, BLOCK).unwrap();
        assert_eq!(flash.facts().buffer_size, 128);
        flash.erase(0, BLOCK).unwrap();
        flash.program(100, &[0x5A; 500]).unwrap();
        assert_eq!(content(&flash, 100, 500), [0x5A; 500]);
    }

    #[test]
    fn nothing_is_sent_to_the_chip_for_what_is_refused() {
        let mut flash = open();
        let before = flash.bus.writes;
        let beyond = Err(Error::OutOfBounds { size: SIZE });
        assert_eq!(flash.program(SIZE - 4, &[0; 8]), beyond);
        assert_eq!(flash.program(!3, &[0; 8]), beyond);
        assert_eq!(flash.erase(0, SIZE + BLOCK), beyond);
        assert_eq!(flash.erase(2 * BLOCK, BLOCK), beyond);
        assert_eq!(flash.read(SIZE, &mut [0]), beyond);
        let torn = |unit| Err(Error::NotAligned { unit });
        assert_eq!(flash.program(2, &[0; 4]), torn(4));
        assert_eq!(flash.program(0, &[0; 3]), torn(4));
        assert_eq!(flash.erase(4, BLOCK), torn(BLOCK));
        assert_eq!(flash.erase(0, 0), Ok(()));
        assert_eq!(flash.program(0, &[]), Ok(()));
        assert_eq!(flash.bus.writes, before);
    }

    #[test]
    fn blocks_that_are_locked_at_power_on_are_unlocked_first() {
        let mut flash = CfiFlash::open(Chip::that_locks(), SIZE, BLOCK).unwrap();
        assert!(flash.facts().locks_blocks);
        flash.erase(0, BLOCK).unwrap();
        flash.program(0, &[1; 4]).unwrap();
        assert_eq!(content(&flash, 0, 4), [1; 4]);
    }

    #[test]
    fn one_failing_chip_of_two_fails_the_operation_and_leaves_a_chip_that_reads() {
        let faults = [
            (Fault::EraseFails, Trouble::EraseFailed, Ok(())),
            (Fault::Locked, Trouble::Locked, Err(Trouble::Locked)),
            (
                Fault::VoltageLow,
                Trouble::VoltageLow,
                Err(Trouble::VoltageLow),
            ),
        ];
        for lane in 0..2 {
            for (fault, erasing, programming) in faults {
                let mut flash = open();
                flash.erase(0, BLOCK).unwrap();
                flash.program(0, b"before..").unwrap();
                flash.bus.fault[lane] = Some(fault);
                assert_eq!(trouble(flash.erase(0, BLOCK)), Err(erasing));
                assert_eq!(trouble(flash.program(64, &[0; 4])), programming);
                flash.bus.fault[lane] = None;
                flash.program(128, b"after...").unwrap();
                assert_eq!(content(&flash, 128, 8), b"after...");
            }
            let mut flash = open();
            flash.erase(0, BLOCK).unwrap();
            flash.bus.fault[lane] = Some(Fault::ProgramFails);
            assert_eq!(
                trouble(flash.program(0, &[0; 4])),
                Err(Trouble::ProgramFailed)
            );
            assert_eq!(trouble(flash.erase(0, BLOCK)), Ok(()));
        }
    }

    fn trouble(result: Result<(), Error>) -> Result<(), Trouble> {
        result.map_err(|error| match error {
            Error::Failed { trouble, .. } => trouble,
            other => panic!("{other}"),
        })
    }

    #[test]
    fn a_chip_that_never_becomes_ready_is_given_up_in_its_own_longest_time() {
        for lane in 0..2 {
            let mut flash = open();
            flash.erase(0, BLOCK).unwrap();
            flash.bus.fault[lane] = Some(Fault::NeverReady);
            let start = flash.bus.now;
            let Err(Error::Timeout { offset, status }) = flash.erase(BLOCK, 2 * BLOCK) else {
                panic!("it is never ready");
            };
            assert_eq!(offset, BLOCK);
            assert_eq!(status & (0x80 << (16 * lane)), 0);
            assert!(flash.bus.now.wrapping_sub(start) >= flash.facts().erase_microseconds);
            assert!(flash.bus.now.wrapping_sub(start) < 2 * flash.facts().erase_microseconds);
        }
    }

    #[test]
    fn no_data_are_sent_to_a_chip_that_has_no_buffer_for_them() {
        let mut flash = open();
        flash.erase(0, BLOCK).unwrap();
        flash.bus.fault[1] = Some(Fault::NoBuffer);
        let refused = flash.program(0, &[0; 16]);
        assert!(matches!(refused, Err(Error::Timeout { offset: 0, .. })));
        flash.bus.fault[1] = None;
        flash.erase(BLOCK, 2 * BLOCK).unwrap();
        assert_eq!(content(&flash, 0, 16), [0xFF; 16]);
    }

    #[test]
    fn what_was_given_up_is_not_read_until_an_operation_has_found_it_ready() {
        let mut flash = open();
        flash.erase(0, BLOCK).unwrap();
        flash.program(0, b"content.").unwrap();
        flash.bus.fault[0] = Some(Fault::NeverReady);
        let given_up = flash.erase(BLOCK, 2 * BLOCK);
        assert!(matches!(given_up, Err(Error::Timeout { .. })));
        // The chip asserts that nothing but its status is asked for meanwhile.
        let mut bytes = [0x5A; 8];
        assert_eq!(flash.read(0, &mut bytes), Err(Error::NotReadable));
        assert_eq!(bytes, [0x5A; 8]);
        let again = flash.program(BLOCK, &[0; 4]);
        assert!(matches!(again, Err(Error::Timeout { offset: BLOCK, .. })));
        // It comes back, with the error that it ended in.
        flash.bus.fault[0] = None;
        flash.bus.status = [0xA0; 2];
        assert_eq!(flash.read(0, &mut bytes), Err(Error::NotReadable));
        flash.program(BLOCK, b"after...").unwrap();
        assert_eq!(content(&flash, 0, 8), b"content.");
        assert_eq!(content(&flash, BLOCK, 8), b"after...");
    }

    #[test]
    fn errors_that_a_program_before_left_are_not_taken_for_ours() {
        let mut chip = Chip::new();
        chip.status = [0xA0, 0x92];
        let mut flash = CfiFlash::open(chip, SIZE, BLOCK).unwrap();
        flash.erase(0, BLOCK).unwrap();
        flash.program(0, b"content.").unwrap();
        assert_eq!(content(&flash, 0, 8), b"content.");
    }

    #[test]
    fn chips_that_are_not_what_the_layout_says_are_refused_with_both() {
        let refusal = CfiFlash::open(Chip::new(), SIZE, 4096).unwrap_err();
        let (expected, found) = ((SIZE, 4096), (SIZE, BLOCK));
        assert_eq!(refusal, Unfit::OtherGeometry { expected, found });
        let said = std::string::ToString::to_string(&refusal);
        assert!(
            said.contains("0x1000") && said.contains("0x40000"),
            "{said}"
        );
    }

    #[test]
    fn what_answers_no_query_is_refused() {
        for (word, wrong) in [(0x10, 0xFFFF_FFFF), (0x12, 0x0059), (0x10, 0x51)] {
            let mut chip = Chip::new();
            chip.answers.insert(word, wrong);
            let refusal = CfiFlash::open(chip, SIZE, BLOCK).unwrap_err();
            assert_eq!(refusal, Unfit::NoAnswer { found: wrong });
        }
    }

    #[test]
    fn answers_that_cannot_be_are_refused() {
        let refused = |word: u32, answer: u32| {
            let mut chip = Chip::new();
            chip.answers.insert(word, answer);
            CfiFlash::open(chip, SIZE, BLOCK).unwrap_err()
        };
        assert_eq!(
            refused(0x13, 0x0002_0002),
            Unfit::OtherCommands { found: 2 }
        );
        for (word, found) in [
            (0x27, 0x0020_0020), // 4 GiB each
            (0x2A, 0),           // no buffer
            (0x2A, 0x0013_0013), // larger than a block
            (0x2C, 0x0002_0002), // blocks of two sizes
            (0x21, 0x001F_001F), // longer than anything
        ] {
            assert_eq!(refused(word, found), Unfit::Unsupported { word, found });
        }
        let unlike = Unfit::Unlike {
            word: 0x27,
            found: 0x0018_0017,
        };
        assert_eq!(refused(0x27, 0x0018_0017), unlike);
        let table = refused(0x31, 0x0041_0041);
        assert!(matches!(table, Unfit::Unsupported { word: 0x31, .. }));
    }
}
