//! One way through a story after the other, drawn from a seed.

use std::rc::Rc;
use std::time::Instant;

use super::boot::Run;
use super::choices::Choices;
use super::cuts::{after_cut, resets_at};
use super::findings::{Bounds, Findings};
use super::path::Step;
use super::rest::comes_to_rest;
use super::state::State;
use super::truth::Outcome;
use super::world::World;
use crate::random::Random;

/// Boots of one walk with faults.
const BOOTS: usize = 40;

/// Walks at random until the time is over, or so many boots were run.
#[must_use]
pub fn walk(
    world: &World,
    seed: u64,
    bounds: Bounds,
    mut progress: impl FnMut(&Findings),
) -> Findings {
    let begun = Instant::now();
    let mut findings = Findings::default();
    let mut random = Random::new(seed);
    let is_over = |findings: &Findings| {
        findings.boots >= bounds.boots
            || begun.elapsed() > bounds.time
            || findings.violations.len() >= bounds.violations
    };
    while !is_over(&findings) {
        one_walk(world, &mut random, &mut findings);
        progress(&findings);
    }
    findings.time = begun.elapsed();
    findings
}

fn one_walk(world: &World, random: &mut Random, findings: &mut Findings) {
    let mut state = world.start();
    let mut path = Vec::new();
    for _ in 0..BOOTS {
        let run = world.boot(&state, Choices::drawn(Random::new(random.next())));
        findings.boots += 1;
        let (step, after) = next_step(world, &state, &run, random, findings);
        path.push(step);
        if let Some(violation) = run.violation {
            return findings.add(violation, path);
        }
        state = after;
        findings.longest_row = findings.longest_row.max(state.row);
    }
    for helpful in [false, true] {
        if let Some((violation, more)) = comes_to_rest(world, state.clone(), helpful, findings) {
            return findings.add(violation, [path, more].concat());
        }
    }
}

/// What befalls the boot: mostly a cut; else it ends by itself.
fn next_step(
    world: &World,
    state: &State,
    run: &Run,
    random: &mut Random,
    findings: &mut Findings,
) -> (Step, State) {
    let taken: Rc<[u8]> = run.choices.taken().into();
    if !run.points.is_empty() && random.below(4) > 0 {
        let number = random.below(run.points.len());
        let (point, ghost) = &run.points[number];
        let resets: Vec<_> = resets_at(&point.operation, world.job.erases).collect();
        let mut how = resets[random.below(resets.len())];
        if how.outcome != Outcome::Before && random.below(3) == 0 {
            how.outcome = Outcome::Drawn(random.next() as u32);
        }
        how.keeps_ram = random.below(4) == 0;
        if let Some(after) = after_cut(world, state, (point, ghost), how) {
            findings.cuts.count(&point.operation, how);
            return (Step::cut(taken, number as u16, how), after);
        }
    }
    let number = random.below(run.ends.len());
    let end = run.ends[number].clone();
    (Step::end(taken, number as u8), end)
}
