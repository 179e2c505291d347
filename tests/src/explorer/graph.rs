//! Every state that can be reached, by every cut of every operation, until there is no new one.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::time::Instant;

use super::boot::{Run, Standing};
use super::choices::Choices;
use super::cuts::{after_cut, outcomes, resets_at};
use super::distances::{DONE, Edge, NEVER, distances};
use super::findings::{Bounds, Findings};
use super::hardware::Failures;
use super::invariants::{Invariant, Violation};
use super::key::key_of;
use super::path::{How, Step};
use super::rest::{costs_too_much, is_done};
use super::scenario::Lives;
use super::state::State;
use super::truth::Outcome;
use super::world::World;

/// An offered update runs confirmed within so many boots once the faults stop: at most a trial of something else
/// that must end first, then installation, trial, and the boot after it was confirmed.
const MOST_BOOTS_TO_GOAL: u8 = 7;

/// Before the first arrival.
const START: u32 = u32::MAX;

/// Passes keys through: they are hashes already.
#[derive(Clone, Copy, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// How a state was reached: from another arrival, by a step.
struct Arrival {
    before: u32,
    step: Step,
}

/// What is remembered of a state.
struct Node {
    /// The first time that it was reached.
    arrival: u32,
    /// The lowest number of cuts in a row (and in all, where that is bounded) with which it was reached.
    row: u8,
    life: u8,
    explored: bool,
    /// The trial's budgets, added up.
    left: u8,
}

/// A state that is to be explored, as it was reached.
struct Arrived {
    node: u32,
    arrival: u32,
    /// Cuts over the device's life; not counted where they are not bounded.
    life: u8,
    state: State,
}

struct Explorer<'w> {
    world: &'w World,
    bounds: Bounds,
    known: HashMap<u128, u32, BuildHasherDefault<AsItIs>>,
    nodes: Vec<Node>,
    arrivals: Vec<Arrival>,
    frontier: VecDeque<Arrived>,
    /// From each state, whatever it reads as, to where the device gets if its application says nothing.
    silent: Vec<Edge>,
    /// The same until any image runs.
    dark: Vec<Edge>,
    /// And if it does what brings the goal nearer.
    helpful: Vec<Edge>,
    findings: Findings,
}

/// Explores all that can happen in `world`.
#[must_use]
pub fn explore(
    world: &World,
    bounds: Bounds,
    mut progress: impl FnMut(&Findings, usize),
) -> Findings {
    let begun = Instant::now();
    let mut explorer = Explorer {
        world,
        bounds,
        known: HashMap::default(),
        nodes: Vec::new(),
        arrivals: Vec::new(),
        frontier: VecDeque::new(),
        silent: Vec::new(),
        dark: Vec::new(),
        helpful: Vec::new(),
        findings: Findings::default(),
    };
    if world.failures == Failures::None
        && let Some((violation, path)) = costs_too_much(world, &mut explorer.findings)
    {
        explorer.findings.add(violation, path);
    }
    explorer.reach(START, Step::end(Rc::default(), 0), world.start(), 0);
    let mut shown = 0;
    explorer.findings.closed = true;
    while let Some(arrived) = explorer.frontier.pop_front() {
        explorer.expand(&arrived);
        let findings = &explorer.findings;
        if findings.violations.len() >= bounds.violations {
            explorer.findings.closed = false;
            break;
        }
        if findings.boots - shown > 20_000 {
            shown = findings.boots;
            progress(findings, explorer.frontier.len());
            if findings.boots > bounds.boots || begun.elapsed() > bounds.time {
                explorer.findings.closed = false;
                break;
            }
        }
    }
    explorer.check_distances();
    explorer.findings.time = begun.elapsed();
    explorer.findings.states = explorer.nodes.len() as u64;
    explorer.findings
}

impl Explorer<'_> {
    /// A state was reached; explores it later unless that was done. Returns its number.
    fn reach(&mut self, before: u32, step: Step, state: State, life: u8) -> u32 {
        let key = key_of(self.world, &state, self.bounds.relative);
        self.findings.longest_row = self.findings.longest_row.max(state.row);
        let arrival = self.arrivals.len() as u32;
        let number = self.nodes.len() as u32;
        let number = *self.known.entry(key).or_insert(number);
        if let Some(node) = self.nodes.get_mut(number as usize) {
            if state.row >= node.row && life >= node.life {
                return number;
            }
            node.row = node.row.min(state.row);
            node.life = node.life.min(life);
        } else {
            self.nodes.push(Node {
                arrival,
                row: state.row,
                life,
                explored: false,
                left: state.ghost.budget_left(),
            });
        }
        self.arrivals.push(Arrival { before, step });
        self.frontier.push_back(Arrived {
            node: number,
            arrival,
            life,
            state,
        });
        number
    }

    /// Boots from a state, in every way, and cuts everywhere.
    fn expand(&mut self, arrived: &Arrived) {
        let Arrived { life, state, .. } = arrived;
        let node = &mut self.nodes[arrived.node as usize];
        if node.explored && state.row > node.row && *life >= node.life {
            return; // reached more easily in the meantime
        }
        let first_time = !std::mem::replace(&mut node.explored, true);
        // Where the number of cuts is not bounded, it is not counted.
        let cut = life + u8::from(self.bounds.cuts.is_some());
        let mut choices = Choices::first();
        let mut new_from = 0;
        loop {
            let run = self.world.boot(state, choices);
            self.findings.boots += 1;
            let taken: Rc<[u8]> = run.choices.taken().into();
            if let Some(violation) = &run.violation {
                let step = Step::end(taken, 0);
                return self.violated(violation.clone(), arrived.arrival, Some(step));
            }
            self.cut_everywhere(arrived, cut, &run, &taken, new_from);
            self.end(arrived, &run, &taken, first_time);
            match run.choices.advance() {
                Some((next, passed)) => {
                    choices = next;
                    new_from = passed as usize;
                }
                None => break,
            }
        }
        for flip in self.world.flips(state) {
            if let Some(after) = self.world.flipped(state, flip) {
                self.findings.cuts.flips += 1;
                self.reach(arrived.arrival, Step::Flip(flip), after, *life);
            }
        }
    }

    /// The states in which the boot may end by itself.
    fn end(&mut self, arrived: &Arrived, run: &Run, taken: &Rc<[u8]>, first_time: bool) {
        let from = arrived.node;
        let scenario = &self.world.job.scenario;
        // What is reached without further faults is what a boot without any shows.
        let first_time = first_time && run.failed == 0;
        let must_live = first_time && scenario.lives != Lives::Perhaps;
        let lives = match run.standing {
            Some(Standing::Confirmed) => true,
            Some(Standing::Trial) => scenario.lives == Lives::Somehow,
            None => false,
        };
        let silent = must_live && !lives && (run.hangs || run.standing.is_none());
        let helpful = first_time && run.helps && scenario.goal.is_some();
        if must_live && lives {
            self.silent.push(Edge { from, to: DONE });
        }
        if must_live && run.standing.is_some() {
            self.dark.push(Edge { from, to: DONE });
        }
        for (number, end) in run.ends.iter().enumerate() {
            let step = Step::end(taken.clone(), number as u8);
            let to = self.reach(arrived.arrival, step, end.clone(), arrived.life);
            if silent {
                self.silent.push(Edge { from, to });
            }
            if must_live && run.standing.is_none() {
                self.dark.push(Edge { from, to });
            }
            if helpful {
                let done = is_done(self.world, &arrived.state, run, end);
                let to = if done { DONE } else { to };
                self.helpful.push(Edge { from, to });
            }
        }
    }

    /// Cuts the power at every point that was not cut before.
    fn cut_everywhere(
        &mut self,
        arrived: &Arrived,
        life: u8,
        run: &Run,
        taken: &Rc<[u8]>,
        new_from: usize,
    ) {
        let Arrived { state, arrival, .. } = arrived;
        if self.bounds.cuts.is_some_and(|cuts| life > cuts) {
            return;
        }
        let resets = self.world.job.scenario.resets;
        let mut cuts = Vec::new();
        for (number, (point, ghost)) in run.points.iter().enumerate().skip(new_from) {
            // Behind the operation before, and before this one: the same, unless something was said in between.
            let is_told_apart = number.checked_sub(1).is_none_or(|before| {
                let (earlier, known) = &run.points[before];
                earlier.acted != point.acted
                    || earlier.given != point.given
                    || earlier.ledger_row != point.ledger_row
                    || !known.is(ghost)
            });
            for outcome in outcomes(&point.operation, self.world.job.erases) {
                if *outcome == Outcome::Before && !is_told_apart {
                    continue;
                }
                cuts.push(How {
                    outcome: *outcome,
                    keeps_ram: false,
                });
            }
            if resets {
                cuts.extend(resets_at(&point.operation, self.world.job.erases));
            }
            for how in cuts.drain(..) {
                if let Some(after) = after_cut(self.world, state, (point, ghost), how) {
                    self.findings.cuts.count(&point.operation, how);
                    let step = Step::cut(taken.clone(), number as u16, how);
                    self.reach(*arrival, step, after, life);
                }
            }
        }
    }

    /// Something is broken: behind this arrival, in this boot if there is one.
    fn violated(&mut self, violation: Violation, arrival: u32, last: Option<Step>) {
        let mut path: Vec<Step> = last.into_iter().collect();
        let mut arrival = arrival;
        while let Some(Arrival { before, step }) = self.arrivals.get(arrival as usize)
            && *before != START
        {
            path.push(step.clone());
            arrival = *before;
        }
        path.reverse();
        self.findings.add(violation, path);
    }

    /// Without further faults, a confirmed image runs after as many boots as there is budget, and three; and
    /// what is offered again is completed.
    fn check_distances(&mut self) {
        let silent = distances(&self.silent, self.nodes.len());
        let most = silent.iter().filter(|distance| **distance < NEVER).max();
        self.findings.most_boots_to_confirmed = most.copied().unwrap_or(0);
        let dark = distances(&self.dark, self.nodes.len());
        let helpful = distances(&self.helpful, self.nodes.len());
        let alive = Invariant::Alive;
        self.check_late(alive, "an image runs", &dark, |_| 3);
        self.check_late(alive, "a confirmed image runs", &silent, |node| {
            node.left + 3
        });
        let what = "an update that is offered again runs confirmed";
        self.check_late(Invariant::Progress, what, &helpful, |_| MOST_BOOTS_TO_GOAL);
    }

    /// From nowhere does it take longer than that.
    fn check_late(
        &mut self,
        invariant: Invariant,
        what: &str,
        distances: &[u8],
        most: impl Fn(&Node) -> u8,
    ) {
        let Some(node) = late(&self.nodes, distances, &most) else {
            return;
        };
        let most = most(&self.nodes[node]);
        let what = match distances[node] {
            NEVER => format!("without further faults it never happens that {what}"),
            boots => format!("it takes {boots} boots, more than {most}, until {what}"),
        };
        let arrival = self.nodes[node].arrival;
        self.violated(Violation { invariant, what }, arrival, None);
    }
}

/// The first node that is farther away than it may be.
fn late(nodes: &[Node], distances: &[u8], most: impl Fn(&Node) -> u8) -> Option<usize> {
    let mut nodes = nodes.iter().zip(distances);
    nodes.position(|(node, distance)| *distance > most(node))
}
