//! Where each of the notes lies, and whether they are there at all.

use crate::{Geometry, Memory};

/// Offsets in the notes. Each word has exactly one writer while the board runs, named behind it,
/// so that nobody has to lock anything.
pub(crate) mod field {
    use crate::Geometry;

    /// [`super::MAGIC`]; the host, once everything else is in place.
    pub(crate) const MAGIC: u32 = 0x00;
    /// [`super::VERSION`]; the host.
    pub(crate) const VERSION: u32 = 0x04;

    /// Operations begun; the board. This and the next three wrap.
    pub(crate) const OPERATIONS: u32 = 0x10;
    /// Sectors whose erasing was begun; the board.
    pub(crate) const ERASES: u32 = 0x14;
    /// Program calls begun; the board.
    pub(crate) const PROGRAM_CALLS: u32 = 0x18;
    /// Bytes that program calls set out to program; the board.
    pub(crate) const BYTES_PROGRAMMED: u32 = 0x1C;

    /// Rises by one with each arming and each disarming, so it is odd while a trigger is armed; the host.
    pub(crate) const TRIGGER_NUMBER: u32 = 0x20;
    /// Which kinds of operation count ([`crate::Operations`]); the host.
    pub(crate) const TRIGGER_OPERATIONS: u32 = 0x24;
    /// First sector that counts; the host.
    pub(crate) const TRIGGER_FIRST_SECTOR: u32 = 0x28;
    /// Last sector that counts; the host.
    pub(crate) const TRIGGER_LAST_SECTOR: u32 = 0x2C;
    /// Which of the operations that count is to be cut, from 1; the host.
    pub(crate) const TRIGGER_NTH: u32 = 0x30;

    /// The trigger number that [`COUNTED`] speaks of; the board.
    pub(crate) const COUNTED_FOR: u32 = 0x40;
    /// Operations counted by that trigger; the board.
    pub(crate) const COUNTED: u32 = 0x44;
    /// Number of the last trigger that stopped an operation; the board.
    pub(crate) const CUT_REACHED: u32 = 0x48;

    /// Erases of each sector, a word each; the board.
    pub(crate) const SECTOR_ERASES: u32 = 0x1000;

    /// Program calls that touched each sector, a word each; the board.
    #[inline(always)] // a constant, once it is inlined
    pub(crate) const fn sector_program_calls(geometry: Geometry) -> u32 {
        SECTOR_ERASES.wrapping_add(geometry.sectors().wrapping_mul(4))
    }

    /// A bit for each write unit, the lowest bit of a byte first; the board.
    #[inline(always)] // as above
    pub(crate) const fn marks(geometry: Geometry) -> u32 {
        sector_program_calls(geometry).wrapping_add(geometry.sectors().wrapping_mul(4))
    }

    /// A bit for each fuse; the board.
    #[inline(always)] // as above
    pub(crate) const fn fuses(geometry: Geometry) -> u32 {
        marks(geometry).wrapping_add(geometry.units() / u8::BITS)
    }
}

const MAGIC: u32 = u32::from_le_bytes(*b"nor4");
const VERSION: u32 = 2;

/// Bytes that the notes about a flash of this shape take.
#[must_use]
pub const fn notes_size(geometry: Geometry) -> u32 {
    field::fuses(geometry).wrapping_add(4)
}

/// The memory holds no notes of this version: the host has to format it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotFormatted {
    /// Where the magic number was expected.
    pub magic: u32,
    /// Where the version was expected.
    pub version: u32,
}

impl core::fmt::Display for NotFormatted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { magic, version } = self;
        write!(
            f,
            "no notes about a flash in this memory: expected magic {MAGIC:#010x} and version {VERSION}, \
             found {magic:#010x} and {version}; create it from a factory image first"
        )
    }
}

impl core::error::Error for NotFormatted {}

pub(crate) fn check(memory: &(impl Memory + ?Sized)) -> Result<(), NotFormatted> {
    let magic = memory.read_word(field::MAGIC);
    let version = memory.read_word(field::VERSION);
    if magic == MAGIC && version == VERSION {
        Ok(())
    } else {
        Err(NotFormatted { magic, version })
    }
}

/// Everything zero but the fuses, and no magic number until [`finish`].
pub(crate) fn begin(memory: &mut (impl Memory + ?Sized), geometry: Geometry) {
    memory.write_word(field::MAGIC, 0);
    for word in (field::VERSION..field::fuses(geometry)).step_by(4) {
        if memory.read_word(word) != 0 {
            memory.write_word(word, 0); // An empty file stays empty.
        }
    }
}

/// From now on the memory holds notes.
pub(crate) fn finish(memory: &mut (impl Memory + ?Sized)) {
    memory.write_word(field::VERSION, VERSION);
    memory.write_word(field::MAGIC, MAGIC);
}

/// Adds to a counter that wraps.
#[inline(always)] // a call takes more
pub(crate) fn add(memory: &mut (impl Memory + ?Sized), counter: u32, count: u32) {
    let before = memory.read_word(counter);
    memory.write_word(counter, before.wrapping_add(count));
}
