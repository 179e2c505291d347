//! Every state that can be reached, by every cut of every operation, until there is no new one.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bistable_core::handover::Handover;
use bistable_core::state::SlotState;
use foldhash::fast::FixedState;

use super::boot::{Ghost, Run, Standing, State};
use super::choices::Choices;
use super::flash::Outcome;
use super::invariants::{Invariant, Violation};
use super::machine::{Failures, Known, Operation, Point, Truths};
use super::path::{How, Step};
use super::walk::costs_too_much;
use super::world::{Erases, Lives, World, budget_left, is_rejected};

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most boots.
    pub boots: u64,
    /// The most cuts over the device's life; `None`: any number.
    pub cuts: Option<u8>,
    /// Whether sequence numbers are made relative.
    pub relative: bool,
    /// The longest time.
    pub time: Duration,
    /// Stop after so many violations.
    pub violations: usize,
}

/// How often each kind of cut was made.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Cuts {
    /// Before an operation.
    pub before: u64,
    /// After it, before anybody knew.
    pub after: u64,
    /// Within a program call.
    pub program: u64,
    /// Within an erase.
    pub erase: u64,
    /// Resets that left RAM alone.
    pub resets: u64,
    /// Flipped bits.
    pub flips: u64,
}

impl Cuts {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.before + self.after + self.program + self.erase + self.resets + self.flips
    }

    /// These too.
    pub const fn add(&mut self, other: &Self) {
        self.before += other.before;
        self.after += other.after;
        self.program += other.program;
        self.erase += other.erase;
        self.resets += other.resets;
        self.flips += other.flips;
    }
}

/// What was broken, and the way there.
#[derive(Clone, Debug)]
pub struct Found {
    /// What.
    pub violation: Violation,
    /// From the start.
    pub path: Vec<Step>,
    /// How many boots it took to find it.
    pub boots: u64,
}

/// What came of an exploration.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Different states.
    pub states: u64,
    /// Boots that were run.
    pub boots: u64,
    /// Cuts that were made.
    pub cuts: Cuts,
    /// Whether every reachable state was explored.
    pub closed: bool,
    /// The longest row of cuts.
    pub longest_row: u8,
    /// The most boots until a confirmed image ran, without further faults.
    pub most_boots_to_confirmed: u8,
    /// What was broken.
    pub violations: Vec<Found>,
    /// How long it took.
    pub time: Duration,
}

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

#[derive(Clone, Copy)]
struct Edge {
    from: u32,
    /// [`DONE`] if there is nothing more to do.
    to: u32,
}

const DONE: u32 = u32::MAX;

struct Explorer<'w> {
    world: &'w World,
    bounds: Bounds,
    known: HashMap<u128, u32, BuildHasherDefault<AsItIs>>,
    nodes: Vec<Node>,
    arrivals: Vec<Arrival>,
    frontier: std::collections::VecDeque<Arrived>,
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
        frontier: std::collections::VecDeque::new(),
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
                left: match &state.ghost {
                    Ghost::Known { state, pending } => {
                        let pending = pending.as_ref();
                        let pending = pending.map_or(0, |known| budget_left(&known.snapshot));
                        budget_left(&state.snapshot).max(pending)
                    }
                    Ghost::Unknown => bistable_core::state::POWER_BUDGET + 1,
                },
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
                earlier.acted != point.acted || !known.is(ghost)
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
        self.findings.violations.push(Found {
            violation,
            path,
            boots: self.findings.boots,
        });
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

/// An offered update runs confirmed within so many boots once the faults stop: at most a trial of something else
/// that must end first, then installation, trial, and the boot after it was confirmed.
const MOST_BOOTS_TO_GOAL: u8 = 7;

/// More boots than any budget allows.
const NEVER: u8 = 60;

/// Before the first arrival.
const START: u32 = u32::MAX;

/// The first node that is farther away than it may be.
fn late(nodes: &[Node], distances: &[u8], most: impl Fn(&Node) -> u8) -> Option<usize> {
    let mut nodes = nodes.iter().zip(distances);
    nodes.position(|(node, distance)| *distance > most(node))
}

/// How many steps it takes at most from each node until all is done; nodes without edges are done.
fn distances(edges: &[Edge], nodes: usize) -> Vec<u8> {
    let mut distances = vec![0_u8; nodes];
    loop {
        let mut changed = false;
        for edge in edges.iter().rev() {
            let behind = distances.get(edge.to as usize).copied().unwrap_or(0);
            let distance = (behind + 1).min(NEVER);
            let place = &mut distances[edge.from as usize];
            if distance > *place {
                *place = distance;
                changed = true;
            }
        }
        if !changed {
            return distances;
        }
    }
}

/// Whether the goal's image ran confirmed, or was rejected and may have been: before this boot, or because its
/// budget for this reset was used up.
#[must_use]
pub fn is_done(world: &World, before: &State, run: &Run, end: &State) -> bool {
    let Some(goal) = world.job.scenario.goal else {
        return false;
    };
    let confirmed = run.standing == Some(Standing::Confirmed);
    let started = run.story.started.is_some_and(|(image, ..)| image == goal);
    if confirmed && started {
        return true;
    }
    let image = &world.images[goal];
    let (Ghost::Known { state, pending }, Ghost::Known { state: after, .. }) =
        (&before.ghost, &end.ghost)
    else {
        return false;
    };
    let used_up = |known: &Rc<Known>| {
        known.snapshot.slots.iter().any(|slot| match slot {
            SlotState::Trial(_, budget) if before.retained.is_some() => budget.attempts == 0,
            SlotState::Trial(_, budget) => budget.power == 0,
            _ => false,
        })
    };
    let mut known = [Some(state), pending.as_ref()].into_iter().flatten();
    let might = known.any(|known| is_rejected(&known.snapshot, image) || used_up(known));
    might && is_rejected(&after.snapshot, image)
}

impl Cuts {
    /// One more.
    pub const fn count(&mut self, operation: &Operation, how: How) {
        match (operation, how.outcome) {
            _ if how.keeps_ram => self.resets += 1,
            (_, Outcome::Before) => self.before += 1,
            (_, Outcome::After) => self.after += 1,
            (Operation::Erase { .. }, _) => self.erase += 1,
            _ => self.program += 1,
        }
    }
}

/// The same for a reset, which can also come while no flash operation is under way.
pub fn resets_at(operation: &Operation, erases: Erases) -> impl Iterator<Item = How> {
    let outcomes = match operation {
        Operation::Store => &[Outcome::Before],
        _ => outcomes(operation, erases),
    };
    outcomes.iter().map(|outcome| How {
        outcome: *outcome,
        keeps_ram: true,
    })
}

/// How far an operation may get when it is cut: all that the code can tell apart.
#[must_use]
pub const fn outcomes(operation: &Operation, erases: Erases) -> &'static [Outcome] {
    match (operation, erases) {
        (Operation::Store, _) => &[],
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

/// What is on the flashes when the operation at `point` is cut.
fn cut(world: &World, point: &Point, outcome: Outcome) -> Truths {
    let mut truths = point.truths.clone();
    match &point.operation {
        _ if outcome == Outcome::Before => {}
        Operation::Store => {}
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
#[must_use]
pub fn after_cut(
    world: &World,
    before: &State,
    (point, ghost): (&Point, &Ghost),
    how: How,
) -> Option<State> {
    let is_known = before.ghost != Ghost::Unknown;
    let acted = point.durable.is_some() || point.acted && is_known;
    let row = if acted {
        1
    } else {
        before.row.saturating_add(1)
    };
    let (ghost, row) = match world.job.row() {
        // More in a row than it survives for certain: nothing is known any more.
        Some(most) if row > most && world.job.beyond => (Ghost::Unknown, most + 1),
        Some(most) if row > most => return None,
        Some(_) => (ghost.clone(), row),
        None => (ghost.clone(), 1),
    };
    Some(State {
        truths: cut(world, point, how.outcome),
        retained: how.keeps_ram.then(|| point.retained.clone()),
        ghost,
        row,
        flipped: before.flipped && !acted,
        spoilt: before.spoilt,
    })
}

/// What a state is remembered by.
fn key_of(world: &World, state: &State, relative: bool) -> u128 {
    let mut words = Vec::with_capacity(96);
    for (truth, shape) in state.truths.iter().zip(&world.shapes) {
        truth.fingerprint(shape, relative, &mut words);
    }
    let mut lanes = [1, 2].map(|seed| FixedState::with_seed(seed).build_hasher());
    let retained = state.retained.as_deref().and_then(Handover::decode);
    // What is only counted, and decides nothing.
    let retained = retained.map(|handover| Handover {
        resets: 0,
        abnormal: 0,
        last_words: 0,
        ..handover
    });
    let retained = retained.map(|handover| handover.encode());
    for lane in &mut lanes {
        words.hash(lane);
        retained.hash(lane);
        (state.flipped, state.spoilt).hash(lane);
        match &state.ghost {
            Ghost::Unknown => 0_u8.hash(lane),
            Ghost::Known { state, pending } => {
                1_u8.hash(lane);
                state.hash.hash(lane);
                pending.as_ref().map(|known| known.hash).hash(lane);
            }
        }
    }
    let [low, high] = lanes.map(|lane| lane.finish());
    u128::from(high) << 64 | u128::from(low)
}
