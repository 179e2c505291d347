//! How far an operation gets when it is cut, and the state that the device is left in.

use std::rc::Rc;

use super::ledger::Given;
use super::path::How;
use super::point::{Operation, Point};
use super::scenario::Erases;
use super::state::{Ghost, State, Truths};
use super::truth::Outcome;
use super::world::World;

/// How far an operation may get when it is cut: all that the code can tell apart.
pub(super) const fn outcomes(operation: &Operation, erases: Erases) -> &'static [Outcome] {
    match (operation, erases) {
        (Operation::Store, _) => &[],
        (Operation::Fuse { .. }, _) => &[Outcome::Before, Outcome::After],
        (Operation::Program { .. }, _) => &[
            Outcome::Before,
            Outcome::After,
            Outcome::Unstable,
            Outcome::Garbage,
            Outcome::Lacks,
            Outcome::Fails,
        ],
        (Operation::Erase { .. }, Erases::ComeAndGo) => &[
            Outcome::Before,
            Outcome::After,
            Outcome::Unstable,
            Outcome::Blank,
            Outcome::Garbage,
            Outcome::Fails,
            Outcome::Keeps(2),
            Outcome::Keeps(3),
        ],
        (Operation::Erase { .. }, Erases::OldOrNone) => &[
            Outcome::Before,
            Outcome::After,
            Outcome::Blank,
            Outcome::Garbage,
            Outcome::Fails,
        ],
    }
}

/// The same for a reset, which can also come while no flash operation is under way.
pub(super) fn resets_at(operation: &Operation, erases: Erases) -> impl Iterator<Item = How> {
    let outcomes = match operation {
        Operation::Store => &[Outcome::Before],
        _ => outcomes(operation, erases),
    };
    outcomes.iter().map(|outcome| How {
        outcome: *outcome,
        keeps_ram: true,
    })
}

/// What is on the flashes when the operation at `point` is cut.
fn cut(world: &World, point: &Point, outcome: Outcome) -> Truths {
    let mut truths = point.truths.clone();
    match &point.operation {
        _ if outcome == Outcome::Before => {}
        Operation::Fuse { .. } | Operation::Store => {}
        Operation::Erase { flash, at } => {
            Rc::make_mut(&mut truths[*flash]).erase(&world.shapes[*flash], *at, outcome);
        }
        Operation::Program { flash, at, content } => {
            let truth = Rc::make_mut(&mut truths[*flash]);
            truth.program(&world.shapes[*flash], *at, content, outcome);
        }
    }
    truths
}

/// The state after a cut at a point, in a boot from `before`; `None` if so many in a row are not looked at.
pub(super) fn after_cut(
    world: &World,
    before: &State,
    (point, ghost): (&Point, &Ghost),
    how: How,
) -> Option<State> {
    let is_known = before.ghost != Ghost::Unknown;
    let acted = point.durable.is_some() || point.acted && is_known;
    let row_before = match world.ledger {
        Some(_) => point.ledger_row,
        None if acted => 0,
        None => before.row,
    };
    let row = row_before.saturating_add(1);
    let (ghost, given, row) = match world.job.row() {
        // More in a row than it survives for certain: nothing is known any more.
        Some(most) if row > most && world.job.beyond => (Ghost::Unknown, Given::Unknown, most + 1),
        Some(most) if row > most => return None,
        Some(_) => (ghost.clone(), point.given, row),
        None => (ghost.clone(), point.given, 1),
    };
    Some(State {
        truths: cut(world, point, how.outcome),
        retained: how.keeps_ram.then(|| point.retained.clone()),
        ghost,
        given,
        row,
        flipped: before.flipped && !acted,
        spoilt: before.spoilt,
        abnormal: 0,
        fused: match (&point.operation, how.outcome) {
            (Operation::Fuse { floor }, Outcome::After) => point.fused.max(*floor),
            _ => point.fused,
        },
    })
}
