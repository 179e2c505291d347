//! What becomes of a unit that is programmed a second time.

use core::fmt::{self, Display, Formatter};
use core::ops::Range;

use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::NorFlash;

use super::probe::{ERASED, Probe};
use crate::breach::Breach;
use crate::check::Check;

/// What becomes of a unit that is programmed a second time since its last erase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecondProgram {
    /// It is refused, and nothing changes.
    Refused,
    /// It is done: bits are cleared, and none is set.
    ClearsBits,
    /// The one or the other, as the bytes are: some chips only take zeros a second time.
    Either,
}

impl SecondProgram {
    fn and(self, other: Self) -> Self {
        match self == other {
            true => self,
            false => Self::Either,
        }
    }
}

impl Display for SecondProgram {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "is refused",
            Self::ClearsBits => "clears bits",
            Self::Either => "is refused or clears bits",
        })
    }
}

/// What the first call programs, and the second.
const TRIES: [(u8, u8); 4] = [(0xAA, 0xCC), (0xA5, 0x00), (0x00, 0xFF), (0x55, 0x55)];

/// Tries it in `sector`, which is erased: with units that hold something, as many as fit; and before, with one that
/// was programmed with ones, which is no difference to a flash with error correction.
pub(super) fn second<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    sector: &Range<u32>,
) -> Result<(SecondProgram, SecondProgram), Breach> {
    let unit = F::WRITE_SIZE.max(F::READ_SIZE) as u32;
    let pair = unit.saturating_mul(2);
    let ones = twice(probe, sector.start, unit, ERASED, 0x5A)?;
    let places = sector.clone().step_by(pair as usize).skip(1);
    let mut programmed = None;
    for ((first, second), at) in TRIES.into_iter().zip(places) {
        if at.saturating_add(pair) <= sector.end {
            let outcome = twice(probe, at, unit, first, second)?;
            programmed =
                Some(programmed.map_or(outcome, |before: SecondProgram| before.and(outcome)));
        }
    }
    Ok((programmed.unwrap_or(ones), ones))
}

/// The unit behind the one at `at` stays erased.
fn twice<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    at: u32,
    unit: u32,
    first: u8,
    second: u8,
) -> Result<SecondProgram, Breach> {
    let end = at.saturating_add(unit);
    probe.program(at, unit, |_| first)?;
    let (outcome, expected) = match probe.try_program(at, unit, |_| second) {
        Err(_) => (SecondProgram::Refused, first),
        Ok(()) => (SecondProgram::ClearsBits, first & second),
    };
    probe.expect(at..end, |_| (Check::SecondProgram, expected))?;
    probe.expect(end..end.saturating_add(unit), |_| {
        (Check::ProgramKeepsOthers, ERASED)
    })?;
    Ok(outcome)
}
