//! What lies outside the scratch range, remembered so that nothing there changes unnoticed.
//!
//! The sectors on both sides, the first and the last one of the flash, and those that an address line away
//! would be hit if that line were not connected.

use core::ops::Range;

use bistable_core::watchdog::Watchdog;
use crc::{CRC_32_ISO_HDLC, Crc};
use embedded_storage::nor_flash::NorFlash;

use super::probe::{CALL, Probe};
use crate::breach::{Breach, Seen};
use crate::check::Check;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// How many places there are at most: four sectors, and one for each address line.
const MOST: usize = 36;

/// Places outside the scratch range, and what they held.
pub(super) struct Guards([Option<(Range<u32>, u32)>; MOST]);

impl Guards {
    /// Remembers.
    pub(super) fn new<F: NorFlash, W: Watchdog>(
        probe: &mut Probe<'_, F, W>,
        scratch: &Range<u32>,
    ) -> Result<Self, Breach> {
        let mut guards = [const { None }; MOST];
        let size = F::ERASE_SIZE as u32;
        let end = probe.capacity();
        let sectors = [
            scratch.start.checked_sub(size),
            Some(scratch.end),
            Some(0),
            end.checked_sub(size),
        ];
        let sectors = sectors
            .into_iter()
            .map(|start| start.map(|start| start..start.saturating_add(size)));
        let lines = (0..u32::BITS).map(|line| {
            let start = scratch.start ^ 1_u32.wrapping_shl(line);
            Some(start..start.saturating_add(size.min(CALL)))
        });
        for (guard, place) in guards.iter_mut().zip(sectors.chain(lines)) {
            let outside = |place: &Range<u32>| {
                place.end <= end && (place.end <= scratch.start || place.start >= scratch.end)
            };
            if let Some(place) = place.filter(outside) {
                let crc = crc_of(probe, &place)?;
                *guard = Some((place, crc));
            }
        }
        Ok(Self(guards))
    }

    /// Nothing may have changed.
    pub(super) fn check<F: NorFlash, W: Watchdog>(
        &self,
        probe: &mut Probe<'_, F, W>,
    ) -> Result<(), Breach> {
        for (place, before) in self.0.iter().flatten() {
            let now = crc_of(probe, place)?;
            if now != *before {
                let (expected, found) = (Seen::Crc(*before), Seen::Crc(now));
                probe.breach(Check::Outside, place.start, expected, found)?;
            }
        }
        Ok(())
    }
}

fn crc_of<F: NorFlash, W: Watchdog>(
    probe: &mut Probe<'_, F, W>,
    place: &Range<u32>,
) -> Result<u32, Breach> {
    let mut digest = CRC.digest();
    for at in place.clone().step_by(CALL as usize) {
        let length = place.end.saturating_sub(at).min(CALL);
        digest.update(probe.read(at, length)?);
    }
    Ok(digest.finalize())
}
