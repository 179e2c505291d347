//! One way through a story: drawn from a seed, or repeated from its text.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bistable_core::journal::COPIES;
use bistable_core::layout::HEADER_LEN;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};

use super::boot::{Ghost, Run, Standing, State, brief};
use super::choices::Choices;
use super::flash::{CellState, Outcome};
use super::graph::{Bounds, Findings, Found, after_cut, is_done, resets_at};
use super::invariants::{Invariant, Violation};
use super::machine::{Operation, Point};
use super::path::Step;
use super::world::{Flip, Lives, Offer, Start, World, budget_left};
use crate::random::Random;

/// Boots of one walk with faults.
const BOOTS: usize = 40;

/// Boots after which a device has come to rest, whatever its budgets were.
const REST: usize = 40;

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
    let over = |findings: &Findings, begun: Instant| {
        findings.boots >= bounds.boots
            || begun.elapsed() > bounds.time
            || findings.violations.len() >= bounds.violations
    };
    while !over(&findings, begun) {
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

/// What befalls the boot: mostly a cut, now and then a flipped bit.
fn next_step(
    world: &World,
    state: &State,
    run: &Run,
    random: &mut Random,
    findings: &mut Findings,
) -> (Step, State) {
    let taken: std::rc::Rc<[u8]> = run.choices.taken().into();
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

/// Without further faults the device runs a confirmed image in time, and reaches its goal if that is offered.
fn comes_to_rest(
    world: &World,
    mut state: State,
    helpful: bool,
    findings: &mut Findings,
) -> Option<(Violation, Vec<Step>)> {
    let scenario = &world.job.scenario;
    if helpful && scenario.goal.is_none() || scenario.lives == Lives::Perhaps {
        return None;
    }
    let known = match &state.ghost {
        Ghost::Known { state, pending } => {
            let pending = pending.as_ref();
            budget_left(&state.snapshot)
                .max(pending.map_or(0, |known| budget_left(&known.snapshot)))
        }
        Ghost::Unknown => bistable_core::state::POWER_BUDGET + 1,
    };
    let most = if helpful {
        REST
    } else {
        usize::from(known) + 3
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
            false if world.job.scenario.lives == Lives::Somehow => run.standing.is_some(),
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

/// What an update costs without faults: four erases of the journal, and one of each sector that it fills.
#[must_use]
pub fn costs_too_much(world: &World, findings: &mut Findings) -> Option<(Violation, Vec<Step>)> {
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
    let journal = &world.layout.journal;
    let shapes = [&world.shapes[world.journal_flash], &world.shapes[0]];
    let end = world.layout.payload_offset + world.job.geometry.payload;
    let sector = shapes[1].erase;
    let filled = (0..end.div_ceil(sector)).filter(|number| {
        let start = number * sector;
        start < HEADER_LEN as u32 || start + sector > world.layout.payload_offset
    });
    let expected = [
        4 * journal.sector_size / shapes[0].erase,
        filled.count() as u32,
    ];
    let what =
        format!("an update costs {erases:?} erases of journal and slot, expected {expected:?}");
    let invariant = Invariant::Wear;
    (erases != expected).then_some((Violation { invariant, what }, path))
}

/// A boot in which the application does what helps, or nothing.
fn boot_so(world: &World, state: &State, helpful: bool, findings: &mut Findings) -> Run {
    let mut choices = Choices::first();
    loop {
        let run = world.boot(state, choices);
        findings.boots += 1;
        let suits = match helpful {
            true => run.helps,
            false => run.hangs || run.standing == Some(Standing::Confirmed),
        };
        if suits || run.violation.is_some() {
            return run;
        }
        match run.choices.clone().advance() {
            Some((next, _)) => choices = next,
            None => return run,
        }
    }
}

impl Findings {
    pub(super) fn add(&mut self, violation: Violation, path: Vec<Step>) {
        let boots = self.boots;
        self.violations.push(Found {
            violation,
            path,
            boots,
        });
    }
}

/// Goes a path again, and tells it.
///
/// # Errors
/// If the path does not belong to this story.
pub fn retell(world: &World, path: &[Step]) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut state = world.start();
    lines.push(format!("journal  {}", journal_of(world, &state)));
    for (number, step) in path.iter().enumerate() {
        let (choices, found) = match step {
            Step::Flip(flip) => {
                let after = world.flipped(&state, *flip);
                state = after.with_context(|| format!("step {number}: nothing to flip"))?;
                lines.push(match flip {
                    Flip::Journal(sector) => {
                        format!("a bit flips in sector {sector} of the journal")
                    }
                    Flip::Header(slot) => format!("a bit flips in the header in slot {slot:?}"),
                    Flip::Payload(slot) => {
                        format!("a bit flips in the last chunk in slot {slot:?}")
                    }
                });
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
        lines.push(format!("journal  {}", journal_of(world, &state)));
    }
    Ok(lines)
}

fn told(world: &World, run: &Run, acted: bool) -> String {
    if !acted {
        return "heals".to_owned();
    }
    let acted_upon = match &run.story.acted_upon {
        Some(state) => brief(world, state),
        None => "nothing".to_owned(),
    };
    let started = match run.story.started {
        Some((image, slot, role)) => format!("image {image} in {slot:?} as {role:?}"),
        None => "nothing".to_owned(),
    };
    format!(
        "acts upon {acted_upon}; starts {started}; {}",
        run.story.did
    )
}

fn operation_of(world: &World, point: &Point) -> String {
    let place = |flash: usize, at: u32| {
        let layout = world.layout;
        let journal = &world.shapes[flash].journal;
        if journal.contains(&at) {
            let sector = (at - journal.start) / layout.journal.sector_size;
            let copy = (at - journal.start) % layout.journal.sector_size / SNAPSHOT_LEN as u32;
            return format!("journal sector {sector}, copy {} of {COPIES}", copy + 1);
        }
        match at / layout.slot_size {
            0 => format!("slot A, {at:#x}"),
            _ => format!("slot B, {:#x}", at % layout.slot_size),
        }
    };
    match &point.operation {
        Operation::Erase { flash, at } => format!("erasing {}", place(*flash, *at)),
        Operation::Program { flash, at, content } => format!(
            "programming {} bytes at {}",
            content.bytes.len(),
            place(*flash, *at)
        ),
        Operation::Store => "the handover was stored".to_owned(),
    }
}

/// The journal's sectors in few words: of each copy its sequence number, `?` if it comes and goes, `x` if it is
/// garbage, `!` if it cannot be read.
fn journal_of(world: &World, state: &State) -> String {
    let journal = &world.layout.journal;
    let truth = &state.truths[world.journal_flash];
    let sectors = (0..u32::from(journal.sectors)).map(|sector| {
        let start = journal.offset + sector * journal.sector_size;
        let cells = truth.cells().iter();
        let cells = cells.filter(|cell| (start..start + journal.sector_size).contains(&cell.at));
        let copies = cells.map(|cell| {
            let bytes = <&[u8; SNAPSHOT_LEN]>::try_from(&*cell.content.bytes);
            let sequence = bytes
                .ok()
                .filter(|copy| snapshot::is_valid(copy, world.layout.digest))
                .map(snapshot::sequence);
            match (sequence, cell.state) {
                (_, CellState::Fails) => "!".to_owned(),
                (None, _) => "x".to_owned(),
                (Some(sequence), CellState::Stable) => sequence.to_string(),
                (Some(sequence), CellState::Unstable) => format!("{sequence}?"),
            }
        });
        format!("({})", copies.collect::<Vec<_>>().join(" "))
    });
    sectors.collect::<Vec<_>>().join(" ")
}

/// How long a walk may take that only its boots bound.
pub const NO_HURRY: Duration = Duration::from_secs(86_400);
