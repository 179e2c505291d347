//! A flash under test: each operation with the watchdog fed before it and timed, and what must come of it.

use core::ops::Range;

use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::{NorFlash, NorFlashError as _, NorFlashErrorKind, ReadNorFlash};

use crate::breach::{Breach, Seen};
use crate::check::Check;

/// Bytes of the longest call: a chunk of the largest size that a layout may have.
pub(super) const CALL: u32 = 4096;

/// What erased bytes read as.
pub(super) const ERASED: u8 = 0xFF;

/// A flash under test.
pub(super) struct Probe<'a, F, W> {
    flash: &'a mut F,
    watchdog: &'a mut W,
    clock: &'a mut dyn FnMut() -> u64,
    buffer: [u8; CALL as usize],
    left_out: Option<Check>,
    /// The longest erase of one sector, in milliseconds by the clock.
    pub(super) longest_erase: u64,
    /// The longest program call, in milliseconds by the clock.
    pub(super) longest_program: u64,
}

impl<'a, F: ReadNorFlash, W: Watchdog> Probe<'a, F, W> {
    /// `left_out`: a check that is not made, to see that another flash passes then.
    pub(super) fn new(
        flash: &'a mut F,
        watchdog: &'a mut W,
        clock: &'a mut dyn FnMut() -> u64,
        left_out: Option<Check>,
    ) -> Self {
        Self {
            flash,
            watchdog,
            clock,
            buffer: [0; CALL as usize],
            left_out,
            longest_erase: 0,
            longest_program: 0,
        }
    }

    /// Bytes of the flash; 0 if it has more than offsets of 32 bits reach.
    pub(super) fn capacity(&self) -> u32 {
        u32::try_from(self.flash.capacity()).unwrap_or(0)
    }

    /// Ends the run, unless this check is left out.
    pub(super) fn breach(
        &self,
        check: Check,
        offset: u32,
        expected: Seen,
        found: Seen,
    ) -> Result<(), Breach> {
        match self.left_out == Some(check) {
            true => Ok(()),
            false => Err(Breach {
                check,
                offset,
                expected,
                found,
            }),
        }
    }

    /// Reads `length` bytes, at most [`CALL`], which must succeed.
    pub(super) fn read(&mut self, offset: u32, length: u32) -> Result<&[u8], Breach> {
        let outcome = self.try_read(offset, length).map(drop);
        self.done(Check::Read, offset, outcome)?;
        Ok(self.buffer.get(..length as usize).unwrap_or_default())
    }

    /// A read that may fail.
    pub(super) fn try_read(
        &mut self,
        offset: u32,
        length: u32,
    ) -> Result<&[u8], NorFlashErrorKind> {
        self.watchdog.feed();
        let place = self.buffer.get_mut(..length as usize).unwrap_or_default();
        match self.flash.read(offset, place) {
            Ok(()) => Ok(place),
            Err(error) => Err(error.kind()),
        }
    }

    /// Every byte of `range` must read as `value` says, which names the check that fails if it does not.
    pub(super) fn expect(
        &mut self,
        range: Range<u32>,
        value: impl Fn(u32) -> (Check, u8),
    ) -> Result<(), Breach> {
        let mut at = range.start;
        while at < range.end {
            let length = range.end.saturating_sub(at).min(CALL);
            let differs = (at..)
                .zip(self.read(at, length)?)
                .map(|(offset, found)| (offset, value(offset), *found))
                .find(|(_, (_, expected), found)| found != expected);
            if let Some((offset, (check, expected), found)) = differs {
                self.breach(check, offset, Seen::Byte(expected), Seen::Byte(found))?;
            }
            at = at.saturating_add(length);
        }
        Ok(())
    }

    /// What was tried at `offset` must have been refused with this kind of error.
    pub(super) fn refused(
        &self,
        check: Check,
        offset: u32,
        kind: NorFlashErrorKind,
        outcome: Result<(), NorFlashErrorKind>,
    ) -> Result<(), Breach> {
        let found = match outcome {
            Err(found) if found == kind => return Ok(()),
            Err(found) => Seen::Error(found),
            Ok(()) => Seen::Done,
        };
        self.breach(check, offset, Seen::Error(kind), found)
    }

    /// What was tried at `offset` must have been done.
    pub(super) fn done(
        &self,
        check: Check,
        offset: u32,
        outcome: Result<(), NorFlashErrorKind>,
    ) -> Result<(), Breach> {
        match outcome {
            Ok(()) => Ok(()),
            Err(kind) => self.breach(check, offset, Seen::Done, Seen::Error(kind)),
        }
    }
}

impl<F: NorFlash, W: Watchdog> Probe<'_, F, W> {
    /// Erases `range`, which must succeed, and must leave nothing but erased bytes.
    pub(super) fn erase(&mut self, range: Range<u32>) -> Result<(), Breach> {
        let outcome = self.try_erase(range.start, range.end);
        self.done(Check::Erase, range.start, outcome)?;
        self.expect(range, |_| (Check::Erased, ERASED))
    }

    /// Erases one sector after the other.
    pub(super) fn erase_each(&mut self, range: Range<u32>) -> Result<(), Breach> {
        let size = F::ERASE_SIZE as u32;
        range.step_by(F::ERASE_SIZE).try_for_each(|sector| {
            let before = (self.clock)();
            let outcome = self.try_erase(sector, sector.saturating_add(size));
            let took = (self.clock)().saturating_sub(before);
            self.longest_erase = self.longest_erase.max(took);
            self.done(Check::Erase, sector, outcome)
        })
    }

    /// An erase that may fail.
    pub(super) fn try_erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.watchdog.feed();
        self.flash.erase(from, to).map_err(|error| error.kind())
    }

    /// Programs `length` bytes, at most [`CALL`], in one call, which must succeed.
    pub(super) fn program(
        &mut self,
        offset: u32,
        length: u32,
        value: impl Fn(u32) -> u8,
    ) -> Result<(), Breach> {
        let before = (self.clock)();
        let outcome = self.try_program(offset, length, value);
        let took = (self.clock)().saturating_sub(before);
        self.longest_program = self.longest_program.max(took);
        self.done(Check::Program, offset, outcome)
    }

    /// A program call that may fail.
    pub(super) fn try_program(
        &mut self,
        offset: u32,
        length: u32,
        value: impl Fn(u32) -> u8,
    ) -> Result<(), NorFlashErrorKind> {
        self.watchdog.feed();
        let bytes = self.buffer.get_mut(..length as usize).unwrap_or_default();
        // Offsets beyond the end of 32 bits are tried, too.
        let mut at = offset;
        for byte in &mut *bytes {
            *byte = value(at);
            at = at.wrapping_add(1);
        }
        self.flash
            .write(offset, bytes)
            .map_err(|error| error.kind())
    }

    /// Programs all of `range` with calls of `length` bytes, and one that is shorter.
    pub(super) fn program_all(
        &mut self,
        range: Range<u32>,
        length: u32,
        value: impl Fn(u32) -> u8,
    ) -> Result<(), Breach> {
        let mut at = range.start;
        while at < range.end {
            let length = range.end.saturating_sub(at).min(length);
            self.program(at, length, &value)?;
            at = at.saturating_add(length);
        }
        Ok(())
    }
}
