//! Whether a board keeps what the bootloader relies on, over several resets and a loss of power.
//!
//! [`board()`] is called once in each boot, and says what to do then. What it was at is recorded on the flash.

mod records;
pub(crate) mod stage;

use core::fmt::{self, Display, Formatter};
use core::ops::Range;

use bistable_bootloader::Board;
use bistable_core::layout::{Layout, Slot};
use bistable_core::reset::ResetReason;
use bistable_core::watchdog::Watchdog as _;

use crate::breach::{Breach, Seen};
use crate::check::Check;
use crate::flash::{FlashFacts, flash_timed, readable};
use records::Places;
use stage::{Arrival, Stage, same};

/// What a boot learnt, and what to do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// What is known now.
    pub learnt: Learnt,
    /// What to do.
    pub then: Then,
}

/// What one boot learnt about the board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Learnt {
    /// What can be learnt without a reset.
    Tried {
        /// About the journal's flash.
        flash: FlashFacts,
        /// The floor that fuses hold.
        fused_floor: u32,
    },
    /// The handover survives a reset, whatever its bytes.
    HandoverSurvives,
    /// Why the processor started, told right.
    Told(ResetReason),
    /// The watchdog resets a board that does not feed it, and not one that does.
    Watchdog {
        /// How the reset is told.
        told: ResetReason,
        /// After how many milliseconds it came, up to an eighth of a second more, from two seconds on up to a quarter
        /// more; `None` without a clock.
        after_ms: Option<u32>,
    },
}

/// What to do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// Reset the processor by software.
    Reset,
    /// Hang, with interrupts disabled and without feeding the watchdog. A board that is still there after a
    /// minute breaks [`Check::WatchdogBitesAtHang`].
    Hang,
    /// Feed the watchdog until somebody cuts the power.
    AwaitPowerCut,
    /// Nothing: everything was tried. The next call begins again.
    Nothing,
}

/// How often a mark is left in the first two seconds in which the watchdog is not fed, in milliseconds.
const MARK_MS: u64 = 125;

/// So many marks are as far apart as this; then each comes after a quarter more. With that the 32 marks for which there
/// is always room last for longer than [`PATIENCE_MS`].
const EVEN_MARKS: u32 = 16;

/// How long any watchdog may take, in milliseconds.
const PATIENCE_MS: u64 = 60_000;

/// Learns whether a board keeps what the bootloader relies on: it is to be called at the start of the program that runs in
/// the bootloader's place, and does one step of a way that goes over five resets and one loss of power.
///
/// `layout`: where the slots are, which are only read. `scratch`: in the journal's flash, at least four erase
/// sectors (where they are smaller than 1 KiB: two and 2 KiB) in which nothing lies; what was begun is recorded there, and the flash is tried there.
/// `clock`: milliseconds, if there is a clock.
///
/// # Errors
/// The first [`Breach`] of the contract. The next call begins again.
pub fn board<B: Board>(
    board: &mut B,
    layout: &Layout,
    scratch: Range<u32>,
    clock: Option<&mut dyn FnMut() -> u64>,
) -> Result<Step, Breach> {
    let arrival = Arrival {
        chip: board.reset_reason(),
        block: board.load_handover(),
    };
    let (flash, watchdog) = board.journal_flash();
    watchdog.feed();
    let places = Places::new(flash, &scratch)?;
    let step = match places.last(flash)? {
        None | Some(Stage::Finished) => begin(board, layout, &places, clock),
        Some(stage) => go_on(board, &places, stage, &arrival, clock),
    };
    if step.is_err() {
        let (flash, watchdog) = board.journal_flash();
        // A flash that cannot take this either is what the breach is about.
        let _ = places.begin(flash, watchdog, Stage::Finished);
    }
    step
}

/// The first boot.
fn begin<B: Board>(
    board: &mut B,
    layout: &Layout,
    places: &Places,
    clock: Option<&mut dyn FnMut() -> u64>,
) -> Result<Step, Breach> {
    let (flash, watchdog) = board.journal_flash();
    places.clear(flash, watchdog)?;
    places.begin(flash, watchdog, Stage::Tried)?;
    let flash = match clock {
        Some(clock) => flash_timed(flash, places.suite.clone(), watchdog, clock)?,
        None => crate::flash(flash, places.suite.clone(), watchdog)?,
    };
    for slot in Slot::BOTH {
        let start = slot.of(&layout.slots).offset;
        let (flash, watchdog) = board.slot_flash(slot);
        readable(
            flash,
            start..start.saturating_add(layout.slot_size),
            watchdog,
        )?;
    }
    for stage in [Stage::Announced, Stage::Plain] {
        board.store_handover(&stage.leaves());
        same(Check::Handover, &stage.leaves(), &board.load_handover())?;
    }
    let floors = [board.fused_floor(), board.fused_floor()].map(u64::from);
    let [fused_floor, again] = floors;
    if fused_floor != again {
        let (expected, found) = (Seen::Number(fused_floor), Seen::Number(again));
        return Err(breach(Check::Fuses, expected, found));
    }
    let learnt = Learnt::Tried {
        flash,
        fused_floor: fused_floor as u32,
    };
    let then = leave(board, places, Stage::Plain)?;
    Ok(Step { learnt, then })
}

/// Every other boot.
fn go_on<B: Board>(
    board: &mut B,
    places: &Places,
    stage: Stage,
    arrival: &Arrival,
    clock: Option<&mut dyn FnMut() -> u64>,
) -> Result<Step, Breach> {
    let mut learnt = arrival.after(stage)?;
    let then = match (stage, clock) {
        (Stage::Crashed, Some(clock)) => return starve(board, places, clock),
        (Stage::Starved, clock) => {
            let longest = learn_period(board, places, &mut learnt, clock.is_some())?;
            if let Some(clock) = clock {
                wait(board, places, clock, longest)?;
            }
            leave(board, places, Stage::Hung)?
        }
        (stage, _) => leave(board, places, stage.next())?,
    };
    Ok(Step { learnt, then })
}

/// Leaves the handover for what comes now, records that it is begun, and says what to do for it.
fn leave<B: Board>(board: &mut B, places: &Places, stage: Stage) -> Result<Then, Breach> {
    board.store_handover(&stage.leaves());
    let (flash, watchdog) = board.journal_flash();
    places.begin(flash, watchdog, stage)?;
    Ok(match stage {
        Stage::Plain | Stage::Announced | Stage::Crashed | Stage::Tried => Then::Reset,
        Stage::Starved | Stage::Waited | Stage::Hung => Then::Hang,
        Stage::PowerCut => Then::AwaitPowerCut,
        Stage::Finished => Then::Nothing,
    })
}

/// Waits for the watchdog, and leaves marks from which the next boot knows how long that took.
fn starve<B: Board>(
    board: &mut B,
    places: &Places,
    clock: &mut dyn FnMut() -> u64,
) -> Result<Step, Breach> {
    leave(board, places, Stage::Starved)?;
    let (flash, watchdog) = board.journal_flash();
    watchdog.feed();
    let begun = clock();
    let mut marks = 0_u32;
    loop {
        let waited = clock().saturating_sub(begun);
        if waited > PATIENCE_MS {
            let seen = (Seen::Restart, Seen::NoRestart);
            return Err(breach(Check::WatchdogBites, seen.0, seen.1));
        }
        if waited >= waited_at(marks.saturating_add(1)) {
            places.mark(flash, marks)?;
            marks = marks.saturating_add(1);
        }
    }
}

/// How many milliseconds are over when so many marks are there.
fn waited_at(marks: u32) -> u64 {
    let even = MARK_MS.saturating_mul(u64::from(marks.min(EVEN_MARKS)));
    (EVEN_MARKS..marks).fold(even, |time, _| time.saturating_add(time / 4))
}

/// How many milliseconds the watchdog waits at most; what is known of it goes into `learnt`.
fn learn_period<B: Board>(
    board: &mut B,
    places: &Places,
    learnt: &mut Learnt,
    has_clock: bool,
) -> Result<u64, Breach> {
    let (flash, _) = board.journal_flash();
    let marks = places.marks(flash)?;
    let after = waited_at(marks);
    if let Learnt::Told(told) = *learnt {
        let after_ms = has_clock.then_some(after as u32);
        *learnt = Learnt::Watchdog { told, after_ms };
    }
    Ok(waited_at(marks.saturating_add(1)))
}

/// Feeds the watchdog for longer than it waits.
fn wait<B: Board>(
    board: &mut B,
    places: &Places,
    clock: &mut dyn FnMut() -> u64,
    period: u64,
) -> Result<(), Breach> {
    leave(board, places, Stage::Waited)?;
    let (_, watchdog) = board.journal_flash();
    let begun = clock();
    while clock().saturating_sub(begun) < period.saturating_add(period / 4) {
        watchdog.feed();
    }
    Ok(())
}

const fn breach(check: Check, expected: Seen, found: Seen) -> Breach {
    Breach {
        check,
        offset: 0,
        expected,
        found,
    }
}

impl Display for Learnt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tried { flash, fused_floor } => write!(
                f,
                "flash, slots, handover and fuses keep the contract: {flash}; fused floor {fused_floor}"
            ),
            Self::HandoverSurvives => {
                f.write_str("the handover survives a reset, whatever its bytes")
            }
            Self::Told(reason) => write!(f, "the reset is told as {reason:?}"),
            Self::Watchdog { told, after_ms } => {
                write!(
                    f,
                    "the watchdog resets who does not feed it, told as {told:?}"
                )?;
                match after_ms {
                    Some(after) => write!(f, ", after {after} ms; not who feeds it"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Display for Then {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "now a software reset",
            Self::Hang => "now a hang, which the watchdog ends",
            Self::AwaitPowerCut => "now cut the power",
            Self::Nothing => "everything was tried",
        })
    }
}
