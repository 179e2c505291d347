//! What a boot may cost the flash.

use std::rc::Rc;

use super::boot::Notes;
use super::hardware::{Failures, Hardware};
use super::invariants::Invariant;
use super::point::{Operation, Point};
use super::state::{Ghost, Known, State};
use super::world::World;

/// A boot that heals erases at most the journal's n sectors for it, a change of state erases one, and a confirmed
/// boot that changes nothing writes nothing.
pub(super) fn check_wear(world: &World, state: &State, hardware: &mut Hardware, notes: &Notes) {
    if world.failures != Failures::None || state.ghost == Ghost::Unknown {
        return;
    }
    let sectors = u32::from(world.layout.journal.sectors);
    let parts = world.layout.journal.sector_size / world.shapes[world.journal_flash].erase.max(1);
    let changes = changes(state, &hardware.points, notes.base.as_ref());
    let journal = world.journal_flash;
    let (truth, shape) = (&state.truths[journal], &world.shapes[journal]);
    // Nothing half-written outlives a boot that acted, but for what read as if it were whole.
    let may_heal = state.row > 0 || state.flipped || truth.comes_and_goes(shape, &shape.journal);
    let heals = if may_heal { sectors } else { 0 };
    if hardware.journal_erases > (heals + changes) * parts {
        let what = format!(
            "{} erases of the journal for {changes} changes of state in a boot that may heal {heals} sectors",
            hardware.journal_erases
        );
        hardware.violate(Invariant::Wear, what);
    }
    let nothing_was_wrong =
        heals == 0 && notes.base.as_ref().map(|base| base.snapshot) == notes.story.acted_upon;
    let operations = hardware
        .points
        .iter()
        .filter(|point| is_flash_operation(world, &point.operation))
        .count();
    if notes.idles && nothing_was_wrong && operations > 0 {
        let what = format!("a confirmed boot does {operations} operations");
        hardware.violate(Invariant::Wear, what);
    }
}

/// Whether it is one of journal or slots; what the ledger may cost is looked at beside it.
fn is_flash_operation(world: &World, operation: &Operation) -> bool {
    match operation {
        Operation::Store | Operation::Fuse { .. } => false,
        Operation::Erase { flash, at } | Operation::Program { flash, at, .. } => {
            let ledger = world.shapes[*flash].ledger.as_ref();
            !ledger.is_some_and(|(place, _)| place.contains(at))
        }
    }
}

/// How often the journal was made to say something else than before.
fn changes(state: &State, points: &[Point], base: Option<&Rc<Known>>) -> u32 {
    let mut says_now = base.map(|base| base.snapshot);
    let mut changes = 0;
    for point in points {
        let Some(written) = point.operation.says() else {
            continue;
        };
        let is_known = state
            .ghost
            .candidates()
            .any(|known| known.snapshot == written);
        let heals = !point.acted && point.durable.is_none() && is_known;
        if says_now != Some(written) && !heals {
            changes += 1;
        }
        says_now = Some(written);
    }
    changes
}
