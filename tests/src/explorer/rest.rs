//! What a device comes to once the faults stop, and what that costs.

use bistable_core::layout::HEADER_LEN;
use bistable_core::state::{SlotState, Snapshot};

use super::boot::{Run, Standing};
use super::choices::Choices;
use super::findings::Findings;
use super::invariants::{Invariant, Violation};
use super::path::Step;
use super::scenario::{Lives, Offer, Start};
use super::state::{Ghost, State};
use super::world::World;
use crate::images::Built;
use crate::random::Random;

/// Rows of choices of one boot that are taken in order, to find one in which the application does what is wanted.
const ROWS_IN_ORDER: u64 = 64;

/// The same with those that are drawn afterwards: where much comes and goes, there are too many to take them all.
const ROWS: u64 = 1_000;

/// Boots after which a device has come to rest, whatever its budgets were.
const REST: usize = 40;

/// Without further faults the device runs a confirmed image in time, and reaches its goal if that is offered.
pub(super) fn comes_to_rest(
    world: &World,
    mut state: State,
    helpful: bool,
    findings: &mut Findings,
) -> Option<(Violation, Vec<Step>)> {
    let scenario = &world.job.scenario;
    if helpful && scenario.goal.is_none() || scenario.lives == Lives::Perhaps {
        return None;
    }
    let most = match helpful {
        true => REST,
        false => usize::from(state.ghost.budget_left()) + 3,
    };
    let mut path = Vec::new();
    for _ in 0..most {
        let run = boot_so(world, &state, helpful, findings);
        let taken = run.choices.taken().into();
        path.push(Step::end(taken, 0));
        if let Some(violation) = run.violation {
            return Some((violation, path));
        }
        let before = state;
        state = run.ends.first()?.clone();
        let done = match helpful {
            true => is_done(world, &before, &run, &state),
            false if scenario.lives == Lives::Somehow => run.standing.is_some(),
            false => run.standing == Some(Standing::Confirmed),
        };
        if done {
            return None;
        }
    }
    let (invariant, what) = match helpful {
        true => (Invariant::Progress, "what is offered is never completed"),
        false => (Invariant::Alive, "no confirmed image runs in time"),
    };
    let what = what.to_owned();
    Some((Violation { invariant, what }, path))
}

/// Whether the goal's image ran confirmed, or was rejected and may have been: before this boot, or because its
/// budget for this reset was used up.
pub(super) fn is_done(world: &World, before: &State, run: &Run, end: &State) -> bool {
    let Some(goal) = world.job.scenario.goal else {
        return false;
    };
    let confirmed = run.standing == Some(Standing::Confirmed);
    let started = run.story.started.is_some_and(|(image, ..)| image == goal);
    if confirmed && started {
        return true;
    }
    let image = &world.images[goal];
    let Ghost::Known { state: after, .. } = &end.ghost else {
        return false;
    };
    let used_up = |state: &Snapshot| {
        state.slots.iter().any(|slot| match slot {
            SlotState::Trial(_, budget) if before.retained.is_some() => budget.attempts == 0,
            SlotState::Trial(_, budget) => budget.power == 0,
            _ => false,
        })
    };
    let mut known = before.ghost.candidates().map(|known| &known.snapshot);
    let might = known.any(|state| is_rejected(state, image) || used_up(state));
    might && is_rejected(&after.snapshot, image)
}

/// Whether this image will not be taken any more.
fn is_rejected(state: &Snapshot, image: &Built) -> bool {
    let digest = image.manifest.digest();
    match state.rejection(digest) {
        Some(rejection) => !rejection.is_forgiven(),
        None => state
            .slots
            .iter()
            .any(|slot| matches!(slot, SlotState::Rejected(held, _) if held.digest == digest)),
    }
}

/// What an update costs without faults, if it is more or less than it should be.
pub(super) fn costs_too_much(
    world: &World,
    findings: &mut Findings,
) -> Option<(Violation, Vec<Step>)> {
    let scenario = &world.job.scenario;
    let goal = scenario.goal?;
    if scenario.start != Start::Factory || !scenario.offers.contains(&Offer::Whole(goal)) {
        return None;
    }
    let mut state = world.start();
    let (mut path, mut erases) = (Vec::new(), [0; 2]);
    for _ in 0..REST {
        let run = boot_so(world, &state, true, findings);
        path.push(Step::end(run.choices.taken().into(), 0));
        erases = [erases[0] + run.erases[0], erases[1] + run.erases[1]];
        let after = run.ends.first()?.clone();
        if is_done(world, &state, &run, &after) {
            break;
        }
        state = after;
    }
    let expected = cost_of_an_update(world);
    let what =
        format!("an update costs {erases:?} erases of journal and slot, expected {expected:?}");
    let invariant = Invariant::Wear;
    (erases != expected).then_some((Violation { invariant, what }, path))
}

/// Four erases of a journal sector, and one of each sector of a slot that an image fills.
fn cost_of_an_update(world: &World) -> [u32; 2] {
    let journal = &world.shapes[world.journal_flash];
    let sector = world.shapes[0].erase;
    let payload = world.layout.payload_offset;
    let end = payload + world.job.geometry.payload;
    let filled = (0..end.div_ceil(sector)).filter(|number| {
        let start = number * sector;
        start < HEADER_LEN as u32 || start + sector > payload
    });
    [
        4 * journal.journal_sector / journal.erase,
        filled.count() as u32,
    ]
}

/// A boot in which the application does what helps, or nothing.
fn boot_so(world: &World, state: &State, helpful: bool, findings: &mut Findings) -> Run {
    let mut choices = Choices::first();
    for row in 1.. {
        let run = world.boot(state, choices);
        findings.boots += 1;
        let suits = match helpful {
            true => run.helps,
            false => run.hangs || run.standing == Some(Standing::Confirmed),
        };
        if suits || run.violation.is_some() {
            return run;
        }
        choices = match run.choices.clone().advance() {
            Some((next, _)) if row < ROWS_IN_ORDER => next,
            Some(_) if row < ROWS => Choices::drawn(Random::new(row)),
            _ => return run,
        };
    }
    unreachable!("the rows of choices come to an end")
}
