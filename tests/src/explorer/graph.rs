//! Every state that can be reached, by every cut of every operation, until there is no new one.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bistable_core::handover::Handover;
use foldhash::fast::FixedState;

use super::boot::{Ghost, Run, Standing, State};
use super::choices::Choices;
use super::flash::Outcome;
use super::invariants::{Invariant, Violation};
use super::machine::{Operation, Point, Truths};
use super::path::{How, Step};
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

struct Node {
    parent: u32,
    step: Step,
    /// The lowest number of cuts in a row (and in all, where that is bounded) with which it was reached.
    row: u8,
    life: u8,
    explored: bool,
    /// The trial's budgets, added up.
    left: u8,
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
    frontier: std::collections::VecDeque<(u32, State)>,
    /// From each state, whatever it reads as, to where the device gets if its application says nothing.
    silent: Vec<Edge>,
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
        frontier: std::collections::VecDeque::new(),
        silent: Vec::new(),
        helpful: Vec::new(),
        findings: Findings::default(),
    };
    explorer.reach(u32::MAX, Step::default(), world.start(), 0);
    let mut shown = 0;
    explorer.findings.closed = true;
    while let Some((node, state)) = explorer.frontier.pop_front() {
        explorer.expand(node, &state);
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
    fn reach(&mut self, parent: u32, step: Step, state: State, life: u8) -> u32 {
        let key = key_of(self.world, &state, self.bounds.relative);
        self.findings.longest_row = self.findings.longest_row.max(state.row);
        let number = self.nodes.len() as u32;
        let number = *self.known.entry(key).or_insert(number);
        if let Some(node) = self.nodes.get_mut(number as usize) {
            let easier = state.row < node.row || life < node.life;
            if !easier {
                return number;
            }
            node.row = node.row.min(state.row);
            node.life = node.life.min(life);
        } else {
            self.nodes.push(Node {
                parent,
                step,
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
        self.frontier.push_back((number, state));
        number
    }

    fn expand(&mut self, node: u32, state: &State) {
        let place = node as usize;
        if self.nodes[place].explored && state.row > self.nodes[place].row {
            return; // reached more easily in the meantime
        }
        let first_time = !std::mem::replace(&mut self.nodes[place].explored, true);
        // Where the number of cuts is not bounded, it is not counted.
        let life = self.nodes[place].life;
        let cut = life + u8::from(self.bounds.cuts.is_some());
        let mut choices = Choices::first();
        let mut new_from = 0;
        loop {
            let run = self.world.boot(state, choices);
            self.findings.boots += 1;
            let taken: Rc<[u8]> = run.choices.taken().into();
            if let Some(violation) = &run.violation {
                let step = Step::end(taken.clone(), 0);
                self.violated(violation.clone(), node, Some(step));
                if self.findings.violations.len() >= self.bounds.violations {
                    return;
                }
            }
            self.cut_everywhere(node, state, cut, &run, &taken, new_from);
            self.end(node, life, &run, &taken, first_time);
            match run.choices.advance() {
                Some((next, passed)) => {
                    choices = next;
                    new_from = passed as usize;
                }
                None => break,
            }
        }
        if self.world.job.scenario.flips && state.row == 0 && !state.flipped {
            self.flip(node, state, life);
        }
    }

    /// The states in which the boot may end by itself.
    fn end(&mut self, node: u32, life: u8, run: &Run, taken: &Rc<[u8]>, first_time: bool) {
        // What is reached without further faults is what a boot without any shows.
        let first_time = first_time && run.failed == 0;
        let silent = match run.standing {
            Some(standing)
                if standing == Standing::Confirmed
                    || self.world.job.scenario.lives == Lives::Somehow =>
            {
                if first_time {
                    self.silent.push(Edge {
                        from: node,
                        to: DONE,
                    });
                }
                false
            }
            Some(_) => run.hangs,
            None => self.world.job.scenario.lives != Lives::Perhaps,
        };
        for (number, end) in run.ends.iter().enumerate() {
            let step = Step::end(taken.clone(), number as u8);
            let done = has_come_true(self.world, end);
            let to = self.reach(node, step, end.clone(), life);
            if first_time && silent {
                self.silent.push(Edge { from: node, to });
            }
            if first_time && run.helps && self.world.job.scenario.goal.is_some() {
                let to = if done { DONE } else { to };
                self.helpful.push(Edge { from: node, to });
            }
        }
    }

    /// Cuts the power at every point that was not cut before.
    fn cut_everywhere(
        &mut self,
        node: u32,
        state: &State,
        life: u8,
        run: &Run,
        taken: &Rc<[u8]>,
        new_from: usize,
    ) {
        if self.bounds.cuts.is_some_and(|cuts| life > cuts) {
            return;
        }
        let resets = self.world.job.scenario.resets;
        for (number, (point, ghost)) in run.points.iter().enumerate().skip(new_from) {
            let kept = resets.then(|| point.retained.clone());
            let at = |how| Step::cut(taken.clone(), number as u16, how);
            // Behind the operation before, and before this one: the same, unless something was said in between.
            let is_told_apart = number.checked_sub(1).is_none_or(|before| {
                let (earlier, known) = &run.points[before];
                earlier.acted != point.acted || !known.is(ghost)
            });
            for outcome in outcomes(&point.operation, self.world.job.erases) {
                self.findings.cuts.count(&point.operation, *outcome);
                if *outcome == Outcome::Before && !is_told_apart {
                    continue;
                }
                let truths = cut(self.world, point, *outcome);
                if let Some(after) = after_cut(self.world, state, point, ghost, truths, None) {
                    self.reach(node, at(How::Power(*outcome)), after, life);
                }
            }
            if let Some(kept) = kept {
                self.findings.cuts.resets += 1;
                let truths = point.truths.clone();
                if let Some(after) = after_cut(self.world, state, point, ghost, truths, Some(kept))
                {
                    self.reach(node, at(How::Reset), after, life);
                }
            }
        }
    }

    /// Flips a bit in the journal, in each of its sectors.
    fn flip(&mut self, node: u32, state: &State, life: u8) {
        for sector in 0..self.world.layout.journal.sectors {
            let Some(after) = flipped(self.world, state, sector) else {
                continue;
            };
            self.findings.cuts.flips += 1;
            self.reach(node, Step::flip(sector), after, life);
        }
    }

    fn violated(&mut self, violation: Violation, node: u32, last: Option<Step>) {
        let mut path: Vec<Step> = last.into_iter().collect();
        let mut node = node;
        while let Some(Node { parent, step, .. }) = self.nodes.get(node as usize)
            && *parent != u32::MAX
        {
            path.push(step.clone());
            node = *parent;
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
        let silent = distances(&self.silent, self.nodes.len(), 60);
        let most = silent.iter().filter(|distance| **distance < 60).max();
        self.findings.most_boots_to_confirmed = most.copied().unwrap_or(0);
        if let Some(node) = late(&self.nodes, &silent, |node| node.left + 3) {
            let what = match silent[node] {
                60 => "no confirmed image ever runs again".to_owned(),
                boots => format!(
                    "it takes {boots} boots until a confirmed image runs, with a budget of {}",
                    self.nodes[node].left
                ),
            };
            let invariant = Invariant::Alive;
            self.violated(Violation { invariant, what }, node as u32, None);
        }
        let helpful = distances(&self.helpful, self.nodes.len(), 60);
        if let Some(node) = late(&self.nodes, &helpful, |_| MOST_BOOTS_TO_GOAL) {
            let what = match helpful[node] {
                60 => "an update that is offered again and again is never completed".to_owned(),
                boots => {
                    format!("an update that is offered again is completed after {boots} boots")
                }
            };
            let invariant = Invariant::Progress;
            self.violated(Violation { invariant, what }, node as u32, None);
        }
    }
}

/// An offered update is completed within so many boots once the faults stop: at most a trial of something else
/// that must end first with its budget, then installation, trial, and a boot to see it confirmed.
const MOST_BOOTS_TO_GOAL: u8 = 6;

/// The first node that is farther away than it may be.
fn late(nodes: &[Node], distances: &[u8], most: impl Fn(&Node) -> u8) -> Option<usize> {
    let mut nodes = nodes.iter().zip(distances);
    nodes.position(|(node, distance)| *distance > most(node))
}

/// How many steps it takes at most from each node until all is done; nodes without edges are done.
fn distances(edges: &[Edge], nodes: usize, cap: u8) -> Vec<u8> {
    let mut distances = vec![0_u8; nodes];
    loop {
        let mut changed = false;
        for edge in edges.iter().rev() {
            let behind = distances.get(edge.to as usize).copied().unwrap_or(0);
            let distance = (behind + 1).min(cap);
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

/// Whether the goal's image is confirmed, or will not be taken any more.
#[must_use]
pub fn has_come_true(world: &World, state: &State) -> bool {
    let (Some(goal), Ghost::Known { state, .. }) = (world.job.scenario.goal, &state.ghost) else {
        return false;
    };
    let goal = &world.images[goal];
    let is_goal = |image: Option<bistable_core::state::Image>| {
        image.is_some_and(|image| image.digest == goal.manifest.digest())
    };
    let state = &state.snapshot;
    is_rejected(state, goal) || is_goal(state.slot(state.active).image())
}

impl Cuts {
    /// One more.
    pub const fn count(&mut self, operation: &Operation, outcome: Outcome) {
        match (operation, outcome) {
            (_, Outcome::Before) => self.before += 1,
            (_, Outcome::After) => self.after += 1,
            (Operation::Erase { .. }, _) => self.erase += 1,
            _ => self.program += 1,
        }
    }
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
#[must_use]
pub fn cut(world: &World, point: &Point, outcome: Outcome) -> Truths {
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

/// The state after a cut at `point`, in a boot from `before`; `None` if so many in a row are not looked at.
#[must_use]
pub fn after_cut(
    world: &World,
    before: &State,
    point: &Point,
    ghost: &Ghost,
    truths: Truths,
    retained: Option<Rc<super::machine::Retained>>,
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
        truths,
        retained,
        ghost,
        row,
        flipped: before.flipped && !acted,
    })
}

/// The state after a bit has flipped in a journal sector; `None` if there is nothing to flip.
#[must_use]
pub fn flipped(world: &World, state: &State, sector: u8) -> Option<State> {
    let journal = &world.layout.journal;
    let start = journal.offset + u32::from(sector) * journal.sector_size;
    let place = start + u32::from(sector) * bistable_core::snapshot::SNAPSHOT_LEN as u32;
    let flash = world.journal_flash;
    let mut after = state.clone();
    let truth = Rc::make_mut(&mut after.truths[flash]);
    let cell = truth.cells().iter().position(|cell| cell.at == place)?;
    truth.flip(
        &world.shapes[flash],
        cell,
        bistable_core::snapshot::SNAPSHOT_LEN / 2,
    );
    after.flipped = true;
    Some(after)
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
        state.flipped.hash(lane);
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
