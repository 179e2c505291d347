//! A path gone again, and told.

use anyhow::{Context as _, ensure};

use super::choices::Choices;
use super::cuts::after_cut;
use super::ledger;
use super::path::Step;
use super::state::State;
use super::words::{flip_of, journal_of, operation_of, told};
use super::world::World;

/// Goes a path again, and tells it.
///
/// # Errors
/// If the path does not belong to this story.
pub fn retell(world: &World, path: &[Step]) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut state = world.start();
    lines.extend(journals(world, &state));
    for (number, step) in path.iter().enumerate() {
        let (choices, found) = match step {
            Step::Flip(flip) => {
                let after = world.flipped(&state, *flip);
                state = after.with_context(|| format!("step {number}: nothing to flip"))?;
                lines.push(flip_of(*flip));
                continue;
            }
            Step::Cut { choices, .. } | Step::End { choices, .. } => {
                (choices, world.boot(&state, Choices::repeated(choices)))
            }
        };
        let taken = found.choices.taken();
        ensure!(
            taken == **choices,
            "step {number}: the boot makes the choices {taken:?}, expected {choices:?}: \
             is this another version, or another story?"
        );
        let cut_at = match step {
            Step::Cut { point, .. } => {
                let point = found.points.get(usize::from(*point));
                Some(point.with_context(|| format!("step {number}: no such point"))?)
            }
            _ => None,
        };
        let reset = match &state.retained {
            Some(_) => "reset",
            None => "power-on",
        };
        lines.push(format!(
            "boot {}  after {reset}: {}",
            number + 1,
            told(world, &found, cut_at.is_none_or(|(point, _)| point.acted))
        ));
        if let (Step::Cut { how, .. }, Some((point, ghost))) = (step, cut_at) {
            let by = if how.keeps_ram { "reset" } else { "cut" };
            lines.push(format!(
                "         {by}: {:?} while {}",
                how.outcome,
                operation_of(world, point)
            ));
            let after = after_cut(world, &state, (point, ghost), *how);
            state = after.with_context(|| format!("step {number}: too many cuts in a row"))?;
        } else if let Step::End { end, .. } = step {
            if let Some(violation) = &found.violation {
                lines.push(format!("         VIOLATION of {violation}"));
            }
            let end = found.ends.get(usize::from(*end));
            state = end
                .with_context(|| format!("step {number}: no such end"))?
                .clone();
        }
        lines.extend(journals(world, &state));
    }
    Ok(lines)
}

/// The journal, and the ledger if there is one.
fn journals(world: &World, state: &State) -> impl Iterator<Item = String> {
    let journal = format!("journal  {}", journal_of(world, state));
    let ledger = ledger::told(world, state).map(|told| format!("ledger   {told}"));
    [Some(journal), ledger].into_iter().flatten()
}
