//! What was begun last, kept on the flash over resets and cuts of the power.
//!
//! ```text
//! scratch:  │ records: one of 32 bytes for each stage │ marks, while the watchdog is not fed │ for the flash suite │
//! ```

use core::ops::Range;

use bistable_core::watchdog::Watchdog;
use crc::{CRC_32_ISO_HDLC, Crc};
use embedded_storage::nor_flash::{NorFlash, NorFlashError as _};

use super::stage::Stage;
use crate::breach::{Breach, Seen};
use crate::check::Check;
use crate::flash::usable;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Bytes of a record, and of a mark: whole units on any flash.
const RECORD: u32 = 32;

/// Bytes that records, and that marks, have at least.
const ROOM: u32 = 1024;

/// Where records, marks and the flash suite have their place.
pub(super) struct Places {
    records: Range<u32>,
    marks: Range<u32>,
    /// For the flash suite: two erase sectors at least.
    pub(super) suite: Range<u32>,
}

impl Places {
    /// Divides `scratch`.
    pub(super) fn new<F: NorFlash>(flash: &F, scratch: &Range<u32>) -> Result<Self, Breach> {
        let size = F::ERASE_SIZE as u32;
        let room = ROOM.max(size).next_multiple_of(size.max(1));
        let sectors = room
            .div_ceil(size.max(1))
            .saturating_mul(2)
            .saturating_add(2);
        if let Some(breach) = usable(flash, scratch, sectors as usize) {
            return Err(breach);
        }
        let marks = scratch.start.saturating_add(room);
        let suite = marks.saturating_add(room);
        Ok(Self {
            records: scratch.start..marks,
            marks: marks..suite,
            suite: suite..scratch.end,
        })
    }

    /// What was begun last.
    pub(super) fn last<F: NorFlash>(&self, flash: &mut F) -> Result<Option<Stage>, Breach> {
        let mut last = None;
        for at in self.records.clone().step_by(RECORD as usize) {
            match record(flash, at)? {
                Some(stage) => last = Some(stage),
                None => break,
            }
        }
        Ok(last)
    }

    /// Forgets everything.
    pub(super) fn clear<F: NorFlash>(
        &self,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
    ) -> Result<(), Breach> {
        erase(flash, watchdog, &self.records)?;
        erase(flash, watchdog, &self.marks)
    }

    /// Records that `stage` is begun.
    pub(super) fn begin<F: NorFlash>(
        &self,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
        stage: Stage,
    ) -> Result<(), Breach> {
        watchdog.feed();
        for at in self.records.clone().step_by(RECORD as usize) {
            if record(flash, at)?.is_none() {
                return program(flash, at, &encode(stage));
            }
        }
        Ok(())
    }

    /// Leaves the `number`th mark; there is room for 32 at least, which is enough for as long as anybody waits. The watchdog is not fed.
    pub(super) fn mark<F: NorFlash>(&self, flash: &mut F, number: u32) -> Result<(), Breach> {
        let at = self
            .marks
            .start
            .saturating_add(number.saturating_mul(RECORD));
        match self.marks.contains(&at) {
            true => program(flash, at, &[0; RECORD as usize]),
            false => Ok(()),
        }
    }

    /// How many marks were left. One that a reset tore may be among them, or not.
    pub(super) fn marks<F: NorFlash>(&self, flash: &mut F) -> Result<u32, Breach> {
        let mut marks = 0_u32;
        for at in self.marks.clone().step_by(RECORD as usize) {
            match read(flash, at)?.iter().all(|byte| *byte == 0xFF) {
                true => break,
                false => marks = marks.saturating_add(1),
            }
        }
        Ok(marks)
    }
}

fn encode(stage: Stage) -> [u8; RECORD as usize] {
    let mut record = [stage as u8; RECORD as usize];
    if let Some((said, crc)) = record.split_last_chunk_mut::<4>() {
        *crc = CRC.checksum(said).to_le_bytes();
    }
    record
}

fn record<F: NorFlash>(flash: &mut F, at: u32) -> Result<Option<Stage>, Breach> {
    let found = read(flash, at)?;
    let stage = found.first().and_then(|code| Stage::from_code(*code));
    Ok(stage.filter(|stage| encode(*stage) == found))
}

fn read<F: NorFlash>(flash: &mut F, at: u32) -> Result<[u8; RECORD as usize], Breach> {
    let mut bytes = [0; RECORD as usize];
    let outcome = flash.read(at, &mut bytes);
    done(Check::Read, at, outcome.map_err(|error| error.kind()))?;
    Ok(bytes)
}

fn program<F: NorFlash>(flash: &mut F, at: u32, bytes: &[u8]) -> Result<(), Breach> {
    let outcome = flash.write(at, bytes);
    done(Check::Program, at, outcome.map_err(|error| error.kind()))
}

fn erase<F: NorFlash>(
    flash: &mut F,
    watchdog: &mut impl Watchdog,
    range: &Range<u32>,
) -> Result<(), Breach> {
    watchdog.feed();
    let outcome = flash.erase(range.start, range.end);
    done(
        Check::Erase,
        range.start,
        outcome.map_err(|error| error.kind()),
    )
}

fn done(
    check: Check,
    offset: u32,
    outcome: Result<(), embedded_storage::nor_flash::NorFlashErrorKind>,
) -> Result<(), Breach> {
    outcome.map_err(|kind| Breach {
        check,
        offset,
        expected: Seen::Done,
        found: Seen::Error(kind),
    })
}
