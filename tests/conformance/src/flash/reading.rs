//! Reads of every length at every place, and those that must be refused.

use core::ops::Range;

use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};

use super::probe::{CALL, Probe};
use crate::breach::{Breach, Seen};
use crate::check::Check;

/// How many places in a row are read from, and the most read sizes that are read at once there.
const PLACES: u32 = 48;

/// `scratch` reads as `value` says; so it must in pieces, and where sectors meet.
pub(super) fn pieces<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    scratch: &Range<u32>,
    value: impl Fn(u32) -> u8,
) -> Result<(), Breach> {
    let size = F::READ_SIZE as u32;
    let seam = scratch.start.saturating_add(F::ERASE_SIZE as u32);
    let half = size.saturating_mul(PLACES / 2).min(F::ERASE_SIZE as u32);
    let windows = [scratch.start, seam.saturating_sub(half)];
    for window in windows {
        for place in 0..PLACES {
            let at = window.saturating_add(place.saturating_mul(size));
            for count in 1..=PLACES {
                let end = at.saturating_add(count.saturating_mul(size));
                if end <= scratch.end {
                    probe.expect(at..end, |offset| (Check::ReadPieces, value(offset)))?;
                }
            }
        }
    }
    unaligned(probe, scratch.start, value)
}

fn unaligned<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    start: u32,
    value: impl Fn(u32) -> u8,
) -> Result<(), Breach> {
    let size = F::READ_SIZE as u32;
    let odd = size.saturating_add(1);
    for (at, length) in [(1, size), (0, odd), (1, odd), (1, 1)] {
        if size == 1 {
            continue;
        }
        let at = start.saturating_add(at);
        let found = match probe.try_read(at, length) {
            Err(NorFlashErrorKind::NotAligned) => continue,
            Ok(bytes) => {
                let mut differs = (at..).zip(bytes).filter(|(at, byte)| value(*at) != **byte);
                match differs.next() {
                    None => continue,
                    Some((_, byte)) => Seen::Byte(*byte),
                }
            }
            Err(kind) => Seen::Error(kind),
        };
        let expected = Seen::Error(NorFlashErrorKind::NotAligned);
        probe.breach(Check::ReadAlignment, at, expected, found)?;
    }
    Ok(())
}

/// Reads beyond the end must be refused.
pub(super) fn bounds<F: ReadNorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
) -> Result<(), Breach> {
    let size = F::READ_SIZE as u32;
    let end = probe.capacity();
    let last = u32::MAX.wrapping_sub(size).wrapping_add(1);
    let reads = [
        (end.saturating_sub(size), size.saturating_mul(2)),
        (end, size),
        (end.saturating_sub(size), CALL),
        (last, size.saturating_mul(2)),
    ];
    for (at, length) in reads {
        let outcome = probe.try_read(at, length).map(drop);
        probe.refused(
            Check::ReadBounds,
            at,
            NorFlashErrorKind::OutOfBounds,
            outcome,
        )?;
    }
    Ok(())
}
