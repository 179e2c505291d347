//! Whether a platform keeps what the updater relies on: what can be learnt without a reset.

use core::fmt::{self, Display, Formatter};
use core::ops::Range;

use bistable_core::fuses::Fuses as _;
use bistable_core::layout::Slot;
use bistable_core::watchdog::Watchdog as _;
use bistable_updater::Platform;

use crate::board::stage::{Stage, same};
use crate::breach::{Breach, Seen};
use crate::check::Check;
use crate::flash::{FlashFacts, flash};

/// What was learnt about a platform that keeps the contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlatformFacts {
    /// About the journal's flash.
    pub journal: FlashFacts,
    /// About the slots' flash.
    pub slots: FlashFacts,
    /// The floor that fuses hold.
    pub fused_floor: u32,
}

/// How often the clock is looked at before it counts as one that stands.
const LOOKS: u32 = 50_000_000;

/// Learns whether `platform` keeps what the updater relies on, in one boot; resets are [`board()`](crate::board())'s part.
///
/// `journal` and `slots`: scratch ranges in the flash of each, as for [`flash()`]; slot B's flash is the one that is
/// tried. The handover is afterwards what it was.
///
/// # Errors
/// The first [`Breach`] of the contract.
pub fn platform<P: Platform>(
    platform: &mut P,
    journal: Range<u32>,
    slots: Range<u32>,
) -> Result<PlatformFacts, Breach> {
    clock(platform)?;
    let handover = platform.load_handover();
    let stored = Stage::Plain.leaves();
    platform.store_handover(&stored);
    let found = platform.load_handover();
    platform.store_handover(&handover);
    same(Check::Handover, &stored, &found)?;
    same(Check::Handover, &handover, &platform.load_handover())?;
    let (journal_flash, watchdog) = platform.journal_flash();
    let journal = flash(journal_flash, journal, watchdog)?;
    let (slot_flash, watchdog) = platform.slot_flash(Slot::B);
    let slots = flash(slot_flash, slots, watchdog)?;
    let fuses = platform.fuses();
    let fused_floor = fuses.floor();
    let raised = fuses.raise(fused_floor).is_ok();
    let again = fuses.floor();
    if !raised || again != fused_floor {
        let (expected, found) = (Seen::Number(fused_floor.into()), Seen::Number(again.into()));
        return Err(breach(Check::Fuses, expected, found));
    }
    Ok(PlatformFacts {
        journal,
        slots,
        fused_floor,
    })
}

/// It goes on within some time, by less than a minute at once, and never back.
fn clock<P: Platform>(platform: &mut P) -> Result<(), Breach> {
    let begun = platform.now();
    let mut last = begun;
    for _ in 0..LOOKS {
        let (_, watchdog) = platform.journal_flash();
        watchdog.feed();
        let now = platform.now();
        if now < last || now.saturating_sub(last) > 60_000 {
            return Err(breach(Check::Clock, Seen::Number(last), Seen::Number(now)));
        }
        last = now;
        if now.saturating_sub(begun) >= 20 {
            return Ok(());
        }
    }
    let (expected, found) = (begun.saturating_add(20), last);
    Err(breach(
        Check::Clock,
        Seen::Number(expected),
        Seen::Number(found),
    ))
}

const fn breach(check: Check, expected: Seen, found: Seen) -> Breach {
    Breach {
        check,
        offset: 0,
        expected,
        found,
    }
}

impl Display for PlatformFacts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            journal,
            slots,
            fused_floor,
        } = self;
        write!(
            f,
            "journal: {journal}; slots: {slots}; fused floor {fused_floor}"
        )
    }
}
