//! Program calls of every length, in either direction, with every kind of content.

use core::ops::Range;

use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::NorFlash;

use super::pattern;
use super::probe::{CALL, ERASED, Probe};
use crate::breach::Breach;
use crate::check::Check;

/// How many units are programmed one by one, if that leaves half of the sector erased.
const SINGLE: u32 = 96;

/// Units of a call, one call after the other: they begin and end everywhere in whatever buffer the chip or its driver
/// has. The long ones are cut to [`CALL`].
const LENGTHS: [u32; 14] = [1, 2, 3, 5, 7, 8, 13, 16, 31, 33, 64, 127, 256, 1024];

/// Programs `sector` again and again, in another way each time, and leaves it erased.
pub(super) fn programming<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    sector: &Range<u32>,
) -> Result<(), Breach> {
    let unit = F::WRITE_SIZE as u32;
    singly(probe, sector, unit, false)?;
    singly(probe, sector, unit, true)?;
    at_once(probe, sector)?;
    in_pieces(probe, sector, unit)
}

/// The first units and the last one, each by itself; the rest of the sector stays erased.
fn singly<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    sector: &Range<u32>,
    unit: u32,
    backwards: bool,
) -> Result<(), Breach> {
    let last = sector.end.saturating_sub(unit);
    let first = sector
        .start
        .saturating_add(unit.saturating_mul(SINGLE).min(F::ERASE_SIZE as u32 / 2))
        .min(last);
    let units = (sector.start..first).step_by(unit as usize);
    let kind = |at| pattern::kinds(at, unit);
    if backwards {
        probe.program(last, unit, kind)?;
        for at in units.rev() {
            probe.program(at, unit, kind)?;
        }
    } else {
        for at in units {
            probe.program(at, unit, kind)?;
        }
        probe.program(last, unit, kind)?;
    }
    probe.expect(sector.clone(), |at| match at < first || at >= last {
        true => (Check::Programmed, kind(at)),
        false => (Check::ProgramKeepsOthers, ERASED),
    })?;
    probe.erase(sector.clone())
}

/// A sector in one call, or as much of it as one call may have.
fn at_once<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    sector: &Range<u32>,
) -> Result<(), Breach> {
    let kind = |at| pattern::byte(at, 1);
    probe.program_all(sector.clone(), CALL, kind)?;
    probe.expect(sector.clone(), |at| (Check::Programmed, kind(at)))?;
    probe.erase(sector.clone())
}

/// The whole sector, in calls of every length.
fn in_pieces<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    sector: &Range<u32>,
    unit: u32,
) -> Result<(), Breach> {
    let kind = |at| pattern::byte(at, 2);
    let mut at = sector.start;
    for count in LENGTHS.into_iter().cycle() {
        let left = sector.end.saturating_sub(at);
        if left == 0 {
            break;
        }
        let length = count.saturating_mul(unit).min(CALL).min(left);
        probe.program(at, length, kind)?;
        at = at.saturating_add(length);
    }
    probe.expect(sector.clone(), |at| (Check::Programmed, kind(at)))?;
    probe.erase(sector.clone())
}
