//! What an emulated flash is made of: the content, in a chip or in plain memory, and the notes beside it.

use core::convert::Infallible;

use crate::{Geometry, Memory, WRITE_UNIT};

/// A chip, or what takes its place, that does as it is told; [`EmulatedFlash`](crate::EmulatedFlash) asks it
/// for nothing that flash would refuse. Offsets are in bytes from its start and lie within it.
pub trait Chip {
    /// What goes wrong inside the chip itself.
    type Failure;

    /// The memory beside it.
    type Notes: Memory;

    /// Bytes of a sector, as far as they are known when this is compiled; a divisor of them otherwise.
    const ERASE_SIZE: u32;

    /// Its shape.
    fn geometry(&self) -> Geometry;

    /// What is remembered about it.
    fn notes(&self) -> &Self::Notes;

    /// The same, to write.
    fn notes_mut(&mut self) -> &mut Self::Notes;

    /// Fills `bytes` with what lies at `offset`.
    ///
    /// # Errors
    ///
    /// The chip's.
    fn read(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Failure>;

    /// Programs `bytes` at `offset`, where a unit starts. Of a unit that is there only in part, the rest is not
    /// programmed.
    ///
    /// # Errors
    ///
    /// The chip's.
    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Failure>;

    /// Erases the sector that starts at `offset`; if `length` is half a sector, leaves it as a power cut in the
    /// midst of that would: the first half reads as erased, the second as before.
    ///
    /// # Errors
    ///
    /// The chip's.
    fn erase(&mut self, offset: u32, length: u32) -> Result<(), Self::Failure>;

    /// Called when a [`Trigger`](crate::Trigger) has stopped an operation half-way.
    ///
    /// A board waits here for ever to be killed and keeps its watchdog quiet. A test returns, and from then on
    /// every operation fails with [`Error::Cut`](crate::Error::Cut).
    fn wait_for_power_cut(&mut self) {}
}

/// Plain memories as content and as notes, of a shape that is known when it runs: for the host.
#[derive(Debug)]
pub struct Plain<C, N> {
    /// The content: as many bytes as the geometry says.
    pub content: C,
    /// The notes: at least [`notes_size`](crate::notes_size) bytes.
    pub notes: N,
    /// The shape.
    pub geometry: Geometry,
}

impl<C: Memory, N: Memory> Chip for Plain<C, N> {
    type Failure = Infallible;
    type Notes = N;

    const ERASE_SIZE: u32 = WRITE_UNIT;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn notes(&self) -> &N {
        &self.notes
    }

    fn notes_mut(&mut self) -> &mut N {
        &mut self.notes
    }

    fn read(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.content.read(offset, bytes);
        Ok(())
    }

    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        clear_bits(&mut self.content, offset, bytes);
        Ok(())
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), Infallible> {
        fill_erased(&mut self.content, offset, length);
        Ok(())
    }
}

/// Programs plain memory: clears the bits that are zero in `bytes`, one unit after the other.
pub fn clear_bits(memory: &mut impl Memory, offset: u32, bytes: &[u8]) {
    let units = (offset..).step_by(WRITE_UNIT as usize);
    for (unit, bytes) in units.zip(bytes.chunks(WRITE_UNIT as usize)) {
        // Ones, which change nothing, where only a part of the unit is to be programmed.
        let mut new = [0xFF; WRITE_UNIT as usize];
        new.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let old = memory.read_word(unit);
        memory.write_word(unit, old & u32::from_le_bytes(new));
    }
}

/// Erases plain memory: `length` bytes, whole units, from `offset` on become 0xFF.
pub fn fill_erased(memory: &mut impl Memory, offset: u32, length: u32) {
    for offset in (offset..offset.saturating_add(length)).step_by(WRITE_UNIT as usize) {
        memory.write_word(offset, u32::MAX);
    }
}
