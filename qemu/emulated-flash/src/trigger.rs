//! Aiming a power cut at an operation: the n-th from now on, or the n-th that touches some sectors.
//!
//! The host arms a trigger, also while the board runs; the board counts the operations that match and
//! stops half-way through the one that is due. Then the host kills the emulator. A trigger that has
//! done so is spent: the board does not stop again after its next start.

use core::ops::RangeInclusive;

use crate::Memory;
use crate::bookkeeping::field;

/// What can be done to flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Erasing one sector.
    Erase,
    /// One program call.
    Program,
}

/// Which operations a trigger counts. The numbers are in the notes and cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Operations {
    /// Erases only.
    Erases = 1,
    /// Program calls only.
    Programs = 2,
    /// Both.
    All = 3,
}

/// An operation at which the power is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Which of the operations that match, from 1, counted from the arming on; 0 means 1.
    pub nth: u32,
    /// The kinds that match.
    pub operations: Operations,
    /// First sector that matches. A program call matches if it touches any.
    pub first_sector: u32,
    /// Last sector that matches, itself included.
    pub last_sector: u32,
}

/// What became of the trigger that was armed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerState {
    /// None is armed.
    Disarmed,
    /// The board has not come to that operation yet.
    Armed,
    /// The board stopped half-way through that operation and waits to be killed.
    Reached,
}

impl Trigger {
    /// The `nth` operation from now on, wherever it is.
    pub const fn nth(nth: u32) -> Self {
        Self {
            nth,
            operations: Operations::All,
            first_sector: 0,
            last_sector: u32::MAX,
        }
    }

    /// The `nth` from now on of these operations in these sectors.
    pub const fn nth_in(nth: u32, operations: Operations, sectors: RangeInclusive<u32>) -> Self {
        Self {
            nth,
            operations,
            first_sector: *sectors.start(),
            last_sector: *sectors.end(),
        }
    }

    /// Arms this trigger in place of whichever was armed.
    pub fn arm(self, notes: &mut (impl Memory + ?Sized)) {
        Self::disarm(notes);
        notes.write_word(field::TRIGGER_OPERATIONS, self.operations as u32);
        notes.write_word(field::TRIGGER_FIRST_SECTOR, self.first_sector);
        notes.write_word(field::TRIGGER_LAST_SECTOR, self.last_sector);
        notes.write_word(field::TRIGGER_NTH, self.nth);
        // The board believes the words above only if it sees this number before and after them.
        let armed = notes.read_word(field::TRIGGER_NUMBER).wrapping_add(1);
        notes.write_word(field::TRIGGER_NUMBER, armed);
    }

    /// Disarms whichever trigger is armed. An operation that it has stopped already stays stopped.
    pub fn disarm(notes: &mut (impl Memory + ?Sized)) {
        let number = notes.read_word(field::TRIGGER_NUMBER);
        if is_armed(number) {
            notes.write_word(field::TRIGGER_NUMBER, number.wrapping_add(1));
        }
    }
}

impl TriggerState {
    /// Looks what became of the trigger that was armed last.
    pub fn read(notes: &(impl Memory + ?Sized)) -> Self {
        let number = notes.read_word(field::TRIGGER_NUMBER);
        if !is_armed(number) {
            TriggerState::Disarmed
        } else if notes.read_word(field::CUT_REACHED) == number {
            TriggerState::Reached
        } else {
            TriggerState::Armed
        }
    }
}

const fn is_armed(number: u32) -> bool {
    number % 2 == 1
}

/// A trigger that is due at the operation which is about to begin.
pub(crate) struct Due {
    number: u32,
}

impl Due {
    /// Counts `operation` on `sectors` for the trigger that is armed, and says whether it is due.
    pub(crate) fn count(
        notes: &mut (impl Memory + ?Sized),
        operation: Operation,
        sectors: RangeInclusive<u32>,
    ) -> Option<Self> {
        let number = notes.read_word(field::TRIGGER_NUMBER);
        if !is_armed(number) || notes.read_word(field::CUT_REACHED) == number {
            return None;
        }
        let operations = notes.read_word(field::TRIGGER_OPERATIONS);
        let first = notes.read_word(field::TRIGGER_FIRST_SECTOR);
        let last = notes.read_word(field::TRIGGER_LAST_SECTOR);
        let nth = notes.read_word(field::TRIGGER_NTH);
        if notes.read_word(field::TRIGGER_NUMBER) != number {
            return None; // The host is arming another one at this moment.
        }
        let kind = match operation {
            Operation::Erase => Operations::Erases as u32,
            Operation::Program => Operations::Programs as u32,
        };
        if operations & kind == 0 || last < *sectors.start() || *sectors.end() < first {
            return None;
        }
        if notes.read_word(field::COUNTED_FOR) != number {
            notes.write_word(field::COUNTED, 0);
            notes.write_word(field::COUNTED_FOR, number);
        }
        let counted = notes.read_word(field::COUNTED).saturating_add(1);
        notes.write_word(field::COUNTED, counted);
        // Not "equal": a kill right after the line above must not let the trigger slip away.
        (counted >= nth).then_some(Self { number })
    }

    /// Says that the operation was stopped half-way.
    pub(crate) fn reached(&self, notes: &mut (impl Memory + ?Sized)) {
        notes.write_word(field::CUT_REACHED, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bytes, Owned, formatted, in_both_geometries};
    use crate::{EmulatedFlash, Error, Plain};

    type Flash = EmulatedFlash<Owned>;
    /// The same memory, opened anew.
    type Started<'m> = EmulatedFlash<Plain<&'m mut Bytes, &'m mut Bytes>>;
    type Step = fn(&mut Started<'_>) -> Result<(), Error>;

    /// How many of `operations`, done one after the other after a start, succeed before one is cut.
    fn survivors(flash: &mut Flash, operations: &[Step]) -> usize {
        let chip = flash.chip_mut();
        let mut started = EmulatedFlash::open(Plain {
            content: &mut chip.content,
            notes: &mut chip.notes,
            geometry: chip.geometry,
        })
        .unwrap();
        operations
            .iter()
            .take_while(|operation| match operation(&mut started) {
                Ok(()) => true,
                Err(Error::Cut) => false,
                Err(other) => panic!("{other:?}"),
            })
            .count()
    }

    fn erase_first(flash: &mut Started<'_>) -> Result<(), Error> {
        flash.erase(0, flash.chip().geometry.sector_size)
    }

    fn program_first(flash: &mut Started<'_>) -> Result<(), Error> {
        flash.program(0, &[1; 8])
    }

    fn program_ninth(flash: &mut Started<'_>) -> Result<(), Error> {
        flash.program(9 * flash.chip().geometry.sector_size, &[1; 8])
    }

    fn program_eighth_and_ninth(flash: &mut Started<'_>) -> Result<(), Error> {
        flash.program(9 * flash.chip().geometry.sector_size - 8, &[1; 16])
    }

    #[test]
    fn the_nth_operation_from_now_on_is_cut() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            for nth in 1..=4 {
                flash.erase(0, geometry.sector_size).unwrap();
                Trigger::nth(nth).arm(flash.notes_mut());
                assert_eq!(TriggerState::read(flash.notes()), TriggerState::Armed);
                let operations = [erase_first, program_first, erase_first, program_first];
                assert_eq!(survivors(&mut flash, &operations), nth as usize - 1);
                assert_eq!(TriggerState::read(flash.notes()), TriggerState::Reached);
            }
        });
    }

    #[test]
    fn a_trigger_counts_only_what_it_is_aimed_at() {
        in_both_geometries(|geometry| {
            let operations = [erase_first, program_first, erase_first, program_ninth];
            let mut flash = formatted(geometry, &[]);
            let mut cut_at = |trigger: Trigger| {
                Trigger::disarm(flash.notes_mut());
                flash.erase(0, 10 * geometry.sector_size).unwrap();
                trigger.arm(flash.notes_mut());
                survivors(&mut flash, &operations)
            };
            let last = geometry.sectors() - 1;
            assert_eq!(cut_at(Trigger::nth_in(1, Operations::Erases, 0..=last)), 0);
            assert_eq!(cut_at(Trigger::nth_in(2, Operations::Erases, 0..=last)), 2);
            assert_eq!(cut_at(Trigger::nth_in(1, Operations::Programs, 0..=0)), 1);
            assert_eq!(cut_at(Trigger::nth_in(2, Operations::Programs, 0..=9)), 3);
            assert_eq!(cut_at(Trigger::nth_in(1, Operations::All, 9..=9)), 3);
            assert_eq!(cut_at(Trigger::nth_in(1, Operations::All, 1..=8)), 4);
            assert_eq!(cut_at(Trigger::nth_in(1, Operations::Erases, 9..=9)), 4);
        });
    }

    #[test]
    fn a_program_call_matches_by_any_sector_that_it_touches() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            for sectors in [8..=8, 9..=9] {
                flash.erase(0, 10 * geometry.sector_size).unwrap();
                Trigger::nth_in(1, Operations::Programs, sectors).arm(flash.notes_mut());
                assert_eq!(survivors(&mut flash, &[program_eighth_and_ninth]), 0);
            }
        });
    }

    #[test]
    fn a_spent_trigger_does_not_stop_the_next_start() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            Trigger::nth(1).arm(flash.notes_mut());
            assert_eq!(survivors(&mut flash, &[erase_first as Step; 2]), 0);
            assert_eq!(survivors(&mut flash, &[erase_first as Step; 2]), 2);
            assert_eq!(TriggerState::read(flash.notes()), TriggerState::Reached);
        });
    }

    #[test]
    fn arming_again_counts_from_the_start() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            Trigger::nth(3).arm(flash.notes_mut());
            assert_eq!(survivors(&mut flash, &[erase_first as Step; 2]), 2);
            Trigger::nth(3).arm(flash.notes_mut());
            assert_eq!(survivors(&mut flash, &[erase_first as Step; 4]), 2);
        });
    }

    #[test]
    fn a_disarmed_trigger_stops_nothing() {
        in_both_geometries(|geometry| {
            let mut flash = formatted(geometry, &[]);
            Trigger::disarm(flash.notes_mut());
            assert_eq!(TriggerState::read(flash.notes()), TriggerState::Disarmed);
            Trigger::nth(1).arm(flash.notes_mut());
            Trigger::disarm(flash.notes_mut());
            assert_eq!(TriggerState::read(flash.notes()), TriggerState::Disarmed);
            assert_eq!(survivors(&mut flash, &[erase_first as Step; 3]), 3);
        });
    }
}
