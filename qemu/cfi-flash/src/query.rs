//! What the chip says about itself (JESD68.01, §3; JEP137 for the primary table).

use crate::both;
use crate::bus::{END, Step};

/// What the answers to a query say of two chips side by side: of both together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Facts {
    /// Bytes.
    pub size: u32,
    /// Bytes of each erase block.
    pub block_size: u32,
    /// Bytes that one command programs at most.
    pub buffer_size: u32,
    /// The longest that programming a full buffer may take, in microseconds.
    pub program_microseconds: u32,
    /// The longest that erasing a block may take, in microseconds.
    pub erase_microseconds: u32,
    /// Whether blocks are locked one by one; then all are locked after power-on.
    pub locks_blocks: bool,
}

/// Why what answers, or does not, cannot be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unfit {
    /// No "QRY" in both halves of the bus: no chips of 16 bits that answer a query.
    NoAnswer {
        /// What was read instead of "Q".
        found: u32,
    },
    /// The two chips answer differently, or with more than 8 bits, so they are not two of a kind.
    Unlike {
        /// Which word of the answer.
        word: u32,
        /// What both together said.
        found: u32,
    },
    /// Its commands are not Intel's extended set (1).
    OtherCommands {
        /// The number of its primary command set.
        found: u16,
    },
    /// It has no buffer for programming, no blocks of one size, or times that cannot be.
    Unsupported {
        /// Which word of the answer says so.
        word: u32,
        /// What it says.
        found: u32,
    },
    /// Sound, but not what the product's layout says.
    OtherGeometry {
        /// Bytes, and bytes of a block, as the layout has it.
        expected: (u32, u32),
        /// Bytes, and bytes of a block, as the chips say.
        found: (u32, u32),
    },
}

impl core::fmt::Display for Unfit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoAnswer { found } => write!(
                f,
                "no CFI chips of 16 bits: expected \"Q\" twice ({:#x}), found {found:#x}; see to address and bus width",
                both(u16::from(b'Q'))
            ),
            Self::Unlike { word, found } => {
                write!(
                    f,
                    "the chips are not alike: word {word:#x} of the query is {found:#x}"
                )
            }
            Self::OtherCommands { found } => {
                write!(
                    f,
                    "expected command set 1 (Intel), found {found}; use another driver"
                )
            }
            Self::Unsupported { word, found } => {
                write!(
                    f,
                    "word {word:#x} of the query is {found:#x}, which this driver cannot handle"
                )
            }
            Self::OtherGeometry { expected, found } => write!(
                f,
                "the layout has {:#x} bytes in blocks of {:#x}, the chips have {:#x} in blocks of {:#x}; correct the layout",
                expected.0, expected.1, found.0, found.1
            ),
        }
    }
}

impl core::error::Error for Unfit {}

/// Words of the answer, in numbers of the specification.
mod word {
    pub(super) const QRY: u32 = 0x10;
    pub(super) const COMMAND_SET: u32 = 0x13;
    pub(super) const PRIMARY_TABLE: u32 = 0x15;
    pub(super) const BUFFER_TIME: u32 = 0x20;
    pub(super) const ERASE_TIME: u32 = 0x21;
    pub(super) const BUFFER_TIME_FACTOR: u32 = 0x24;
    pub(super) const ERASE_TIME_FACTOR: u32 = 0x25;
    pub(super) const SIZE: u32 = 0x27;
    pub(super) const BUFFER: u32 = 0x2A;
    pub(super) const REGIONS: u32 = 0x2C;
    pub(super) const REGION: u32 = 0x2D;
    /// Behind the first region.
    pub(super) const END: u32 = 0x31;
    /// Of the primary table, from its start.
    pub(super) const FEATURES: u32 = 5;
    pub(super) const PRIMARY_END: u32 = 9;
}

/// Where the command goes, and the words are counted in the width of the bus.
const QUERY_OFFSET: u32 = 0x55 << 2;
const QUERY: u32 = both(0x98);

/// Feature of the primary table: blocks are locked one by one, at once, and all of them at power-on.
const INSTANT_LOCKING: u32 = 1 << 5;

/// Words that a query fetches.
pub(crate) const ANSWER: usize = (word::END - word::QRY) as usize;

/// Asks for the words from [`word::QRY`] to [`word::END`], and before that clears the status: a program that was reset in
/// the middle of an operation may have left errors in it, which would be taken for those of the next.
pub(crate) fn steps() -> [Step; 3] {
    let count = ANSWER as u32;
    let [clear_status, _] = END;
    [
        Step::write(0, clear_status),
        Step::write(QUERY_OFFSET, QUERY),
        Step::fetch(word::QRY << 2, count),
    ]
}

/// Asks for the primary table, which begins at word `start`.
pub(crate) fn primary_steps(start: u32) -> [Step; 2] {
    [
        Step::write(QUERY_OFFSET, QUERY),
        Step::fetch(start << 2, word::PRIMARY_END),
    ]
}

/// The answer to [`steps`], and then to [`primary_steps`].
pub(crate) struct Answer<'w> {
    /// The number of the first word.
    first: u32,
    words: &'w [u32],
}

impl<'w> Answer<'w> {
    /// To [`steps`].
    pub(crate) fn new(words: &'w [u32]) -> Result<Self, Unfit> {
        let answer = Self {
            first: word::QRY,
            words,
        };
        for (word, letter) in (word::QRY..).zip(*b"QRY") {
            let found = answer.raw(word);
            if found != both(u16::from(letter)) {
                return Err(Unfit::NoAnswer { found });
            }
        }
        Ok(answer)
    }

    /// To [`primary_steps`].
    pub(crate) fn primary(start: u32, words: &'w [u32]) -> Self {
        Self {
            first: start,
            words,
        }
    }

    /// Where the primary table begins, if there is one.
    pub(crate) fn primary_table(&self) -> Result<Option<u32>, Unfit> {
        let start = u32::from(self.wide(word::PRIMARY_TABLE)?);
        Ok((start != 0).then_some(start))
    }

    /// Whether this, a primary table, says that blocks are locked one by one.
    pub(crate) fn locks_blocks(&self) -> Result<bool, Unfit> {
        for (word, letter) in (self.first..).zip(*b"PRI") {
            let found = self.raw(word);
            if found != both(u16::from(letter)) {
                return Err(Unfit::Unsupported { word, found });
            }
        }
        let features = self.wide(self.first.saturating_add(word::FEATURES))?;
        Ok(u32::from(features) & INSTANT_LOCKING != 0)
    }

    /// The facts; whether blocks are locked is another table's.
    pub(crate) fn facts(&self) -> Result<Facts, Unfit> {
        let found = self.wide(word::COMMAND_SET)?;
        if found != 1 {
            return Err(Unfit::OtherCommands { found });
        }
        let regions = self.byte(word::REGIONS)?;
        if regions != 1 {
            return Err(self.unsupported(word::REGIONS));
        }
        // Each number is of one chip; two work as one.
        let size = self.power(word::SIZE, 1)?;
        let blocks = u32::from(self.wide(word::REGION)?).saturating_add(1);
        let block_size =
            u32::from(self.wide(word::REGION.saturating_add(2))?).saturating_mul(2 * 256);
        if !block_size.is_power_of_two() || blocks.checked_mul(block_size) != Some(size) {
            return Err(self.unsupported(word::REGION.saturating_add(2)));
        }
        let buffer_size = self.power(word::BUFFER, 1)?;
        if buffer_size < 4 || buffer_size > block_size || self.byte(word::BUFFER)? == 0 {
            return Err(self.unsupported(word::BUFFER));
        }
        let program = self.power(word::BUFFER_TIME, self.byte(word::BUFFER_TIME_FACTOR)?)?;
        let erase = self.power(word::ERASE_TIME, self.byte(word::ERASE_TIME_FACTOR)?)?;
        Ok(Facts {
            size,
            block_size,
            buffer_size,
            program_microseconds: program,
            erase_microseconds: erase.saturating_mul(1000),
            locks_blocks: false,
        })
    }

    /// 2 to the power of the word's value and of `more`.
    fn power(&self, word: u32, more: u32) -> Result<u32, Unfit> {
        let exponent = self.byte(word)?.saturating_add(more);
        let power = 1_u32.checked_shl(exponent);
        power.ok_or(self.unsupported(word))
    }

    fn unsupported(&self, word: u32) -> Unfit {
        Unfit::Unsupported {
            word,
            found: self.raw(word),
        }
    }

    /// Two words, the lower byte first.
    fn wide(&self, word: u32) -> Result<u16, Unfit> {
        let low = self.byte(word)?;
        let high = self.byte(word.saturating_add(1))?;
        Ok((high << 8 | low) as u16)
    }

    /// What both chips say, which is a byte.
    fn byte(&self, word: u32) -> Result<u32, Unfit> {
        let found = self.raw(word);
        let byte = found & 0xFF;
        if found == both(byte as u16) {
            Ok(byte)
        } else {
            Err(Unfit::Unlike { word, found })
        }
    }

    fn raw(&self, word: u32) -> u32 {
        let index = word.wrapping_sub(self.first) as usize;
        self.words.get(index).copied().unwrap_or(0)
    }
}
