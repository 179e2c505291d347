//! Erases and program calls that must be refused, and must have changed nothing.
//!
//! A driver that does what it should refuse harms nobody here as far as that can be had: what begins beyond the end
//! comes out in the scratch range if addresses wrap, and what crosses the end writes what lies there
//! already, unless the scratch range ends there.

use core::ops::Range;

use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind};

use super::probe::{CALL, Probe};
use crate::breach::Breach;
use crate::check::Check;

/// `scratch` is programmed, and must read as `value` says after each refusal.
pub(super) fn refusals<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    scratch: &Range<u32>,
    value: impl Fn(u32) -> u8,
) -> Result<(), Breach> {
    let content = |offset| (Check::RefusedIsNothing, value(offset));
    let (aligned, bounds) = (
        NorFlashErrorKind::NotAligned,
        NorFlashErrorKind::OutOfBounds,
    );
    for (from, to) in misaligned_erases::<F>(scratch) {
        let outcome = probe.try_erase(from, to);
        probe.refused(Check::EraseAlignment, from, aligned, outcome)?;
        probe.expect(scratch.clone(), content)?;
    }
    for (from, to) in erases_beyond::<F>(scratch, probe.capacity())
        .into_iter()
        .flatten()
    {
        let outcome = probe.try_erase(from, to);
        probe.refused(Check::EraseBounds, from, bounds, outcome)?;
        probe.expect(scratch.clone(), content)?;
    }
    for (at, length) in misaligned_programs::<F>(scratch.start)
        .into_iter()
        .flatten()
    {
        let outcome = probe.try_program(at, length, |_| 0);
        probe.refused(Check::ProgramAlignment, at, aligned, outcome)?;
        probe.expect(scratch.clone(), content)?;
    }
    programs_beyond(probe, scratch)?;
    probe.expect(scratch.clone(), content)?;
    empty(probe, scratch)?;
    probe.expect(scratch.clone(), |offset| (Check::Empty, value(offset)))
}

fn misaligned_erases<F: NorFlash>(scratch: &Range<u32>) -> [(u32, u32); 4] {
    let size = F::ERASE_SIZE as u32;
    let start = scratch.start;
    let (half, whole) = (start.saturating_add(size / 2), start.saturating_add(size));
    [
        (half, whole),
        (start, half),
        (half, whole.saturating_add(size / 2)),
        (start, whole.saturating_sub(F::WRITE_SIZE as u32)),
    ]
}

fn erases_beyond<F: NorFlash>(scratch: &Range<u32>, end: u32) -> [Option<(u32, u32)>; 3] {
    let size = F::ERASE_SIZE as u32;
    let after = end.checked_add(scratch.start);
    [
        Some((scratch.start.saturating_add(size), scratch.start)),
        after.and_then(|from| Some((from, from.checked_add(size)?))),
        // Crossing the end, where it is the scratch range's.
        end.checked_add(size)
            .filter(|_| scratch.end == end)
            .map(|to| (end.saturating_sub(size), to)),
    ]
}

fn misaligned_programs<F: NorFlash>(start: u32) -> [Option<(u32, u32)>; 5] {
    let unit = F::WRITE_SIZE as u32;
    let odd = [
        (start.saturating_add(1), unit),
        (start, unit.saturating_sub(1)),
        (start.saturating_add(unit / 2), unit / 2),
        (start.saturating_add(1), unit.saturating_sub(1)),
        (start, CALL.min(F::ERASE_SIZE as u32).saturating_sub(1)),
    ];
    odd.map(|call| (unit > 1).then_some(call))
}

fn programs_beyond<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    scratch: &Range<u32>,
) -> Result<(), Breach> {
    let end = probe.capacity();
    let unit = F::WRITE_SIZE.max(F::READ_SIZE) as u32;
    let last = end.saturating_sub(unit);
    // 32 bytes or less.
    let mut there = [0; 32];
    if scratch.end != end {
        let found = probe.read(last, unit)?;
        there
            .iter_mut()
            .zip(found)
            .for_each(|(to, from)| *to = *from);
    }
    // What wraps to the start of the flash clears no bit there.
    let same = |offset: u32| {
        let place = offset.wrapping_sub(last);
        match place < unit {
            true => there.get(place as usize).copied().unwrap_or_default(),
            false => 0xFF,
        }
    };
    let bounds = NorFlashErrorKind::OutOfBounds;
    let outcome = probe.try_program(last, unit.saturating_mul(2), same);
    probe.refused(Check::ProgramBounds, last, bounds, outcome)?;
    let top = u32::MAX.wrapping_sub(unit).wrapping_add(1);
    let beyond = [
        end.checked_add(scratch.start).map(|at| (at, unit)),
        Some((top, unit.saturating_mul(2))),
    ];
    for (at, length) in beyond.into_iter().flatten() {
        let outcome = probe.try_program(at, length, |_| 0xFF);
        probe.refused(Check::ProgramBounds, at, bounds, outcome)?;
    }
    Ok(())
}

fn empty<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    scratch: &Range<u32>,
) -> Result<(), Breach> {
    let start = scratch.start;
    let outcome = probe.try_erase(start, start);
    probe.done(Check::Empty, start, outcome)?;
    let outcome = probe.try_program(start, 0, |_| 0);
    probe.done(Check::Empty, start, outcome)
}
