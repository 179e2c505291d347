//! Why the processor started again.

use crate::state::Charge;

/// Why the processor started again. The numbers never change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum ResetReason {
    /// Nothing says why.
    #[default]
    Unknown = 0,
    /// The power came.
    PowerOn = 1,
    /// The power sagged.
    BrownOut = 2,
    /// The reset pin, or a debugger.
    Pin = 3,
    /// The firmware asked for it.
    Software = 4,
    /// The watchdog was not fed.
    Watchdog = 5,
    /// The processor locked up: a fault within a fault handler.
    LockUp = 6,
}

impl ResetReason {
    /// Every reason, in the order of the numbers.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::PowerOn,
        Self::BrownOut,
        Self::Pin,
        Self::Software,
        Self::Watchdog,
        Self::LockUp,
    ];

    /// The reason with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Unknown,
            1 => Self::PowerOn,
            2 => Self::BrownOut,
            3 => Self::Pin,
            4 => Self::Software,
            5 => Self::Watchdog,
            6 => Self::LockUp,
            _ => return None,
        })
    }

    /// Whether the firmware is to blame.
    #[must_use]
    pub const fn is_abnormal(self) -> bool {
        match self {
            Self::Unknown | Self::Watchdog | Self::LockUp => true,
            Self::PowerOn | Self::BrownOut | Self::Pin | Self::Software => false,
        }
    }

    /// Whether the power was gone, or too low.
    #[must_use]
    pub const fn is_loss_of_power(self) -> bool {
        matches!(self, Self::PowerOn | Self::BrownOut)
    }

    /// What the start of a trial is charged to after this reset.
    #[must_use]
    pub const fn charge(self) -> Charge {
        match self.is_loss_of_power() {
            true => Charge::Power,
            false => Charge::Attempt,
        }
    }
}

/// What RAM that survives a reset has to say, where it was found whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retained {
    /// The last firmware announced that it would reset.
    pub announced: bool,
    /// The watchdog's pre-reset interrupt was taken.
    pub watchdog_barked: bool,
}

/// Decides the reason from the chip's register, where there is one, and from what RAM retained.
///
/// A chip that knows is believed, but for one thing: a software reset that nobody announced is a crash, for
/// a panic handler asks for it just the same. Without such a chip, RAM that did not survive means that the power
/// was gone. A watchdog's last words outweigh an announcement: firmware that hung on its way to a reset did
/// hang.
#[must_use]
pub const fn reset_reason(chip: Option<ResetReason>, retained: Option<Retained>) -> ResetReason {
    match (chip, retained) {
        (Some(ResetReason::Software), Some(retained)) if !retained.announced => {
            match retained.watchdog_barked {
                true => ResetReason::Watchdog,
                false => ResetReason::Unknown,
            }
        }
        (Some(reason), _) => reason,
        (None, None) => ResetReason::PowerOn,
        (None, Some(retained)) if retained.watchdog_barked => ResetReason::Watchdog,
        (None, Some(retained)) if retained.announced => ResetReason::Software,
        (None, Some(_)) => ResetReason::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_the_reason_that_it_should() {
        let retained = |announced, watchdog_barked| {
            Some(Retained {
                announced,
                watchdog_barked,
            })
        };
        let table = [
            (None, ResetReason::PowerOn),
            (retained(false, false), ResetReason::Unknown),
            (retained(true, false), ResetReason::Software),
            (retained(false, true), ResetReason::Watchdog),
            (retained(true, true), ResetReason::Watchdog),
        ];
        for (retained, expected) in table {
            assert_eq!(reset_reason(None, retained), expected);
            for chip in ResetReason::ALL {
                let crashed = retained.filter(|retained| !retained.announced);
                let expected = match (chip, crashed) {
                    (ResetReason::Software, Some(_)) => expected,
                    _ => chip,
                };
                assert_eq!(reset_reason(Some(chip), retained), expected);
            }
        }
    }

    #[test]
    fn only_a_loss_of_power_spends_the_power_budget() {
        for reason in ResetReason::ALL {
            let power = matches!(reason, ResetReason::PowerOn | ResetReason::BrownOut);
            assert_eq!(reason.charge() == Charge::Power, power, "{reason:?}");
            assert!(!(power && reason.is_abnormal()));
            assert_eq!(ResetReason::from_code(reason as u8), Some(reason));
        }
    }
}
