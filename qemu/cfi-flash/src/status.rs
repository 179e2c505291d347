//! The status register, and what its bits mean together (P30 data sheet, "Status Register").

use crate::both;

/// Both chips are ready for the next command: bit 7 in each.
pub const READY: u32 = both(1 << 7);

const ERASE_FAILED: u32 = both(1 << 5);
const PROGRAM_FAILED: u32 = both(1 << 4);
const VOLTAGE_LOW: u32 = both(1 << 3);
const LOCKED: u32 = both(1 << 1);

/// Bits that stay set until the status is cleared.
pub const ERRORS: u32 = ERASE_FAILED | PROGRAM_FAILED | VOLTAGE_LOW | LOCKED;

/// What a status complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Trouble {
    /// The chip did not understand the sequence of commands.
    Sequence,
    /// The programming voltage is too low.
    VoltageLow,
    /// The block is locked.
    Locked,
    /// The block could not be erased.
    EraseFailed,
    /// A word could not be programmed.
    ProgramFailed,
}

impl Trouble {
    /// The worst that either chip complains of in `status`.
    pub(crate) fn of(status: u32) -> Option<Self> {
        let says = |bits: u32| status & bits != 0;
        // Erase and program both failed in the same chip: it means something else.
        let sequence = (ERASE_FAILED | PROGRAM_FAILED) & in_one_chip(status);
        match () {
            () if sequence != 0 => Some(Self::Sequence),
            () if says(VOLTAGE_LOW) => Some(Self::VoltageLow),
            () if says(LOCKED) => Some(Self::Locked),
            () if says(ERASE_FAILED) => Some(Self::EraseFailed),
            () if says(PROGRAM_FAILED) => Some(Self::ProgramFailed),
            () => None,
        }
    }
}

/// Both error bits, where both are set in one chip.
const fn in_one_chip(status: u32) -> u32 {
    let erase_too = status & ERASE_FAILED & ((status & PROGRAM_FAILED) << 1);
    erase_too | erase_too >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_without_errors_is_no_trouble() {
        assert_eq!(Trouble::of(READY), None);
        assert_eq!(Trouble::of(READY | both(1 << 6 | 1 << 2 | 1)), None); // suspended, or of another partition
    }

    #[test]
    fn one_chip_of_two_is_enough() {
        for lane in [0, 16] {
            let of = |bits: u32| Trouble::of(READY | bits << lane);
            assert_eq!(of(0x20), Some(Trouble::EraseFailed));
            assert_eq!(of(0x10), Some(Trouble::ProgramFailed));
            assert_eq!(of(0x08), Some(Trouble::VoltageLow));
            assert_eq!(of(0x22), Some(Trouble::Locked));
            assert_eq!(of(0x30), Some(Trouble::Sequence));
        }
    }

    #[test]
    fn two_chips_that_fail_differently_did_understand_the_commands() {
        assert_eq!(Trouble::of(0x00A0_0090), Some(Trouble::EraseFailed));
    }
}
