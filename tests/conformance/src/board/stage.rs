//! What comes after what, over all the boots of a board under test, and what must be found at each: no flash, no clock.

use bistable_core::digest::Digest;
use bistable_core::handover::{HANDOVER_LEN, Handover, Standing};
use bistable_core::layout::Slot;
use bistable_core::reset::{ResetReason, reset_reason};

use super::Learnt;
use crate::breach::{Breach, Seen};
use crate::check::Check;

/// What was begun last. The numbers are in the records on the flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Stage {
    /// What can be tried without a reset.
    Tried = 1,
    /// A software reset, with a handover that is no handover: any bytes.
    Plain = 2,
    /// A software reset that the handover announces.
    Announced = 3,
    /// One that it does not announce.
    Crashed = 4,
    /// The watchdog is not fed any more.
    Starved = 5,
    /// It is fed for longer than it waits.
    Waited = 6,
    /// The board hangs with interrupts disabled.
    Hung = 7,
    /// Somebody cuts the power.
    PowerCut = 8,
    /// Everything was tried, or something was broken.
    Finished = 9,
}

impl Stage {
    /// The stage with this number.
    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Tried,
            2 => Self::Plain,
            3 => Self::Announced,
            4 => Self::Crashed,
            5 => Self::Starved,
            6 => Self::Waited,
            7 => Self::Hung,
            8 => Self::PowerCut,
            9 => Self::Finished,
            _ => return None,
        })
    }

    /// What is begun after this.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Tried => Self::Plain,
            Self::Plain => Self::Announced,
            Self::Announced => Self::Crashed,
            Self::Crashed => Self::Starved,
            Self::Starved => Self::Waited,
            Self::Waited => Self::Hung,
            Self::Hung => Self::PowerCut,
            Self::PowerCut | Self::Finished => Self::Finished,
        }
    }

    /// The handover that is left behind.
    pub(crate) fn leaves(self) -> [u8; HANDOVER_LEN] {
        match self {
            Self::Plain => {
                core::array::from_fn(|place| (place as u8).wrapping_mul(151).wrapping_add(7))
            }
            _ => Handover {
                running: Some(Slot::B),
                standing: Standing::Trial,
                digest: Digest(core::array::from_fn(|place| {
                    !(place as u8).wrapping_mul(89)
                })),
                note_resets: 0x5A,
                abnormal: 0xA55A,
                resets: 0x1234_5678,
                announced: self == Self::Announced,
                ..Handover::default()
            }
            .encode(),
        }
    }
}

/// What a boot finds.
pub(crate) struct Arrival {
    /// What the chip says.
    pub(crate) chip: Option<ResetReason>,
    /// The handover.
    pub(crate) block: [u8; HANDOVER_LEN],
}

impl Arrival {
    /// The board started again after `stage` was begun: what this says about the board.
    pub(crate) fn after(&self, stage: Stage) -> Result<Learnt, Breach> {
        match stage {
            Stage::Tried | Stage::Finished => Err(unasked(Check::NoOtherReset)),
            Stage::Waited => Err(unasked(Check::WatchdogWaits)),
            Stage::Plain => {
                same(Check::HandoverSoftware, &stage.leaves(), &self.block)?;
                match self.chip {
                    None | Some(ResetReason::Software) => Ok(Learnt::HandoverSurvives),
                    chip => Err(told(Check::ReasonSoftware, ResetReason::Software, chip)),
                }
            }
            Stage::Announced => {
                same(Check::HandoverSoftware, &stage.leaves(), &self.block)?;
                self.tells(Check::ReasonSoftware, ResetReason::Software, |reason| {
                    reason == ResetReason::Software
                })
            }
            Stage::Crashed => {
                same(Check::HandoverSoftware, &stage.leaves(), &self.block)?;
                self.tells(Check::ReasonCrash, ResetReason::Unknown, is_a_hang)
            }
            Stage::Starved | Stage::Hung => {
                same(
                    Check::HandoverWatchdog,
                    &self.with_last_words(stage),
                    &self.block,
                )?;
                self.tells(Check::ReasonWatchdog, ResetReason::Watchdog, is_a_hang)
            }
            Stage::PowerCut => self.tells(
                Check::ReasonPower,
                ResetReason::PowerOn,
                ResetReason::is_loss_of_power,
            ),
        }
    }

    /// What `stage` left, with the watchdog's last words in it if there are some.
    fn with_last_words(&self, stage: Stage) -> [u8; HANDOVER_LEN] {
        let mut block = stage.leaves();
        if let Some(Handover {
            barked: true,
            last_words,
            ..
        }) = Handover::decode(&self.block)
        {
            Handover::note_watchdog(&mut block, last_words);
        }
        block
    }

    fn tells(
        &self,
        check: Check,
        expected: ResetReason,
        right: impl Fn(ResetReason) -> bool,
    ) -> Result<Learnt, Breach> {
        let handover = Handover::decode(&self.block);
        let reason = reset_reason(self.chip, handover.as_ref().map(Handover::retained));
        match right(reason) {
            true => Ok(Learnt::Told(reason)),
            false => Err(told(check, expected, Some(reason))),
        }
    }
}

/// Whether the bootloader counts it as what a hang is.
const fn is_a_hang(reason: ResetReason) -> bool {
    matches!(reason, ResetReason::Unknown | ResetReason::Watchdog)
}

const fn unasked(check: Check) -> Breach {
    Breach {
        check,
        offset: 0,
        expected: Seen::NoRestart,
        found: Seen::Restart,
    }
}

const fn told(check: Check, expected: ResetReason, found: Option<ResetReason>) -> Breach {
    Breach {
        check,
        offset: 0,
        expected: Seen::Reset(Some(expected)),
        found: Seen::Reset(found),
    }
}

/// The first byte that is not as it should be is a breach.
pub(crate) fn same(
    check: Check,
    expected: &[u8; HANDOVER_LEN],
    found: &[u8; HANDOVER_LEN],
) -> Result<(), Breach> {
    let mut differs = (0..).zip(expected.iter().zip(found));
    match differs.find(|(_, (expected, found))| expected != found) {
        None => Ok(()),
        Some((offset, (expected, found))) => Err(Breach {
            check,
            offset,
            expected: Seen::Byte(*expected),
            found: Seen::Byte(*found),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_end_and_their_numbers_are_their_own() {
        let mut stage = Stage::Tried;
        for code in 1..=9 {
            assert_eq!((stage as u8, Stage::from_code(code)), (code, Some(stage)));
            stage = stage.next();
        }
        assert_eq!((stage, Stage::from_code(0)), (Stage::Finished, None));
    }

    #[test]
    fn every_byte_of_the_handover_counts() {
        for stage in [
            Stage::Plain,
            Stage::Announced,
            Stage::Crashed,
            Stage::Starved,
            Stage::Hung,
        ] {
            for place in 0..HANDOVER_LEN {
                let mut block = stage.leaves();
                block[place] ^= 0x10;
                let breach = Arrival { chip: None, block }.after(stage).unwrap_err();
                assert_eq!(breach.offset as usize, place, "{stage:?}");
            }
        }
    }

    #[test]
    fn last_words_are_allowed_after_the_watchdog_and_after_nothing_else() {
        for stage in [
            Stage::Announced,
            Stage::Crashed,
            Stage::Starved,
            Stage::Hung,
        ] {
            let mut block = stage.leaves();
            Handover::note_watchdog(&mut block, 0x2104_5678);
            let found = Arrival { chip: None, block }.after(stage);
            let allowed = matches!(stage, Stage::Starved | Stage::Hung);
            assert_eq!(found.is_ok(), allowed, "{stage:?}");
        }
    }

    #[test]
    fn each_reset_has_the_reasons_that_are_right_for_it() {
        use ResetReason::{BrownOut, LockUp, Pin, PowerOn, Software, Unknown, Watchdog};
        let right = |stage: Stage| {
            let chips = ResetReason::ALL.map(Some).into_iter().chain([None]);
            let block = stage.leaves();
            chips
                .filter(|chip| Arrival { chip: *chip, block }.after(stage).is_ok())
                .collect::<std::vec::Vec<_>>()
        };
        assert_eq!(right(Stage::Plain), [Some(Software), None]);
        assert_eq!(right(Stage::Announced), [Some(Software), None]);
        // Nobody announced it: the chip's "Software" is a crash, for a panic handler asks for it, too.
        let hang = [Some(Unknown), Some(Software), Some(Watchdog), None];
        assert_eq!(right(Stage::Crashed), hang);
        assert_eq!(right(Stage::Starved), hang);
        assert_eq!(right(Stage::PowerCut), [Some(PowerOn), Some(BrownOut)]);
        for (stage, never) in [
            (Stage::Hung, LockUp),
            (Stage::Hung, Pin),
            (Stage::Starved, PowerOn),
        ] {
            assert!(!right(stage).contains(&Some(never)));
        }
        assert!(right(Stage::Tried).is_empty() && right(Stage::Waited).is_empty());
    }
}
