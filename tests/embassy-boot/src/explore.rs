//! Every cut of a life, or pairs of them, and what becomes of the device after it without another one.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use bistable_tests::explorer::choices::Choices;
use bistable_tests::explorer::truth::Truth;

use crate::life::{Booted, Image, World};
use crate::point::{Class, Marked};

/// What may become of the device, from good to bad. What counts is the worst, over all that torn words may
/// read as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(crate) enum Verdict {
    /// v2 runs and stays.
    New,
    /// v1 runs and stays: v2 was not marked as booted when the power went, or is sick.
    Old,
    /// v2 runs, and a boot of it was told `Revert`.
    ToldReverted,
    /// v1 runs, although healthy v2 had begun to change the state in `mark_booted`.
    FalseRevert,
    /// v1 runs, although healthy v2 had returned from `mark_booted`.
    Undone,
    /// v2 stays, although it is sick and never called `mark_booted`.
    KeptSick,
    /// An image runs, and what it writes fails at each boot.
    Stuck,
    /// No boot ever runs an image again: each ends in an error.
    Bricked,
    /// A corrupt image is started. What it does is not followed.
    Corrupt,
}

impl Verdict {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::New,
        Self::Old,
        Self::ToldReverted,
        Self::FalseRevert,
        Self::Undone,
        Self::KeptSick,
        Self::Stuck,
        Self::Bricked,
        Self::Corrupt,
    ];
}

/// What became of all cuts.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Operations of the life that nothing cut.
    pub(crate) operations: u64,
    /// How many cuts (of pairs: states behind the second cut) end how, at worst.
    pub(crate) verdicts: BTreeMap<(Class, Verdict), u64>,
    /// After how many of them something is programmed that was not erased, or would be if it were not refused.
    pub(crate) reprograms: BTreeMap<Class, u64>,
    /// After how many of them not all that may happen was followed.
    pub(crate) unfinished: u64,
    /// Boots that were run.
    pub(crate) boots: u64,
}

struct Node {
    truth: Rc<Truth>,
    marked: Marked,
    /// What a boot leads to; `None` if that was not looked at.
    edges: Option<Vec<Edge>>,
}

#[derive(Clone, Copy)]
struct Edge {
    to: usize,
    booted: Booted,
    rests: bool,
    reprograms: bool,
}

struct Explorer<'w> {
    world: &'w World,
    known: HashMap<(Box<[u64]>, Marked), usize>,
    nodes: Vec<Node>,
    findings: Findings,
}

/// The states behind a cut.
type Cuts = Vec<(Class, usize)>;

/// So many states are followed behind one cut.
const MOST: usize = 2_000;

/// Cuts at every operation, and lets the device boot until nothing new happens.
pub(crate) fn single_cuts(world: &World) -> Findings {
    let mut explorer = Explorer::new(world);
    let cuts = explorer.cuts_of_the_life();
    explorer.judge_all(&cuts);
    explorer.findings
}

/// Cuts at every operation, and then at every operation of what follows. Behind a first cut, nothing comes and
/// goes. Each state counts once, however many pairs lead to it, and among the worse of the two kinds of cut.
pub(crate) fn pairs_of_cuts(world: &World) -> Findings {
    let mut explorer = Explorer::new(world);
    let mut all = Vec::new();
    let mut first = explorer.cuts_of_the_life();
    first.sort_unstable();
    first.dedup();
    for (first, node) in first {
        if first != Class::ComesAndGoes {
            let mut second = Vec::new();
            explorer.follow(node, &mut HashSet::new(), Some(&mut second));
            all.extend(
                second
                    .into_iter()
                    .map(|(class, node)| (class.max(first), node)),
            );
        }
    }
    all.sort_unstable();
    all.dedup();
    explorer.judge_all(&all);
    explorer.findings
}

impl<'w> Explorer<'w> {
    fn new(world: &'w World) -> Self {
        Self {
            world,
            known: HashMap::new(),
            nodes: Vec::new(),
            findings: Findings::default(),
        }
    }

    /// The number of a state.
    fn reach(&mut self, truth: &Rc<Truth>, marked: Marked) -> usize {
        let mut words = Vec::new();
        truth.fingerprint(&self.world.shape, false, &mut words);
        let number = self.nodes.len();
        let key = (words.into_boxed_slice(), marked);
        let number = *self.known.entry(key).or_insert(number);
        if number == self.nodes.len() {
            self.nodes.push(Node {
                truth: truth.clone(),
                marked,
                edges: None,
            });
        }
        number
    }

    fn cuts_of_the_life(&mut self) -> Cuts {
        let start = self.reach(&self.world.start(), Marked::No);
        let mut cuts = Vec::new();
        self.findings.operations = self
            .follow(start, &mut HashSet::new(), Some(&mut cuts))
            .operations;
        cuts
    }

    /// Boots from a state, and from what that leads to. Stops at the first corrupt image unless `cuts` are
    /// wanted.
    fn follow(
        &mut self,
        start: usize,
        followed: &mut HashSet<usize>,
        mut cuts: Option<&mut Cuts>,
    ) -> Followed {
        let mut waiting = VecDeque::from([start]);
        let mut done = Followed::default();
        followed.insert(start);
        while let Some(number) = waiting.pop_front() {
            if followed.len() > MOST && cuts.is_none() {
                done.unfinished = true;
                return done;
            }
            done.operations += self.expand(number, cuts.as_deref_mut());
            for edge in self.nodes[number].edges.iter().flatten() {
                done.reprograms |= edge.reprograms;
                done.corrupt |= edge.booted == Booted::Corrupt;
                if followed.insert(edge.to) {
                    waiting.push_back(edge.to);
                }
            }
            if done.corrupt && cuts.is_none() {
                return done;
            }
        }
        done
    }

    /// Boots from a state, in every way in which torn words may read. Returns how many operations that took.
    fn expand(&mut self, number: usize, mut cuts: Option<&mut Cuts>) -> u64 {
        if self.nodes[number].edges.is_some() && cuts.is_none() {
            return 0;
        }
        let Node { truth, marked, .. } = &self.nodes[number];
        let (truth, marked) = (truth.clone(), *marked);
        let mut edges = Vec::new();
        let mut choices = Choices::first();
        let mut new_from = 0;
        let mut operations = 0;
        loop {
            let run = self.world.boot(&truth, marked, choices);
            self.findings.boots += 1;
            operations += run.points.len() as u64;
            if let Some(cuts) = cuts.as_deref_mut() {
                let shape = &self.world.shape;
                let points = run.points.iter().skip(new_from);
                let last = run.points.last().map(|point| point.done(shape));
                let last = last.map(|(truth, marked)| (Class::Between, truth, marked));
                for (class, truth, marked) in points.flat_map(|point| point.cuts(shape)).chain(last)
                {
                    cuts.push((class, self.reach(&truth, marked)));
                }
            }
            // What a corrupt image does next is anybody's guess.
            let to = match run.booted {
                Booted::Corrupt => number,
                _ => self.reach(&run.end.0, run.end.1),
            };
            edges.push(Edge {
                to,
                booted: run.booted,
                rests: matches!(run.booted, Booted::Ran(..)) && run.is_idle,
                reprograms: run.reprograms,
            });
            match run.choices.advance() {
                Some((next, passed)) => {
                    choices = next;
                    new_from = passed as usize;
                }
                None => break,
            }
        }
        self.nodes[number].edges = Some(edges);
        operations
    }

    fn judge_all(&mut self, cuts: &Cuts) {
        let followed: Vec<Followed> = cuts
            .iter()
            .map(|(_, start)| self.follow(*start, &mut HashSet::new(), None))
            .collect();
        let runs = self.leads_to(|edge| edge.booted != Booted::Nothing);
        let rests = self.leads_to(|edge| edge.rests || edge.booted == Booted::Corrupt);
        for ((class, start), followed) in cuts.iter().zip(followed) {
            let verdict = match followed.corrupt {
                true => Verdict::Corrupt,
                false => self.judge(*start, &runs, &rests),
            };
            *self.findings.verdicts.entry((*class, verdict)).or_default() += 1;
            *self.findings.reprograms.entry(*class).or_default() += u64::from(followed.reprograms);
            self.findings.unfinished += u64::from(followed.unfinished);
        }
    }

    /// The worst that may become of a state.
    fn judge(&self, start: usize, runs: &[bool], rests: &[bool]) -> Verdict {
        let mut worst = Verdict::New;
        let mut waiting = vec![start];
        let mut seen = HashSet::from([start]);
        while let Some(number) = waiting.pop() {
            if !runs[number] {
                return Verdict::Bricked;
            }
            if !rests[number] {
                worst = worst.max(Verdict::Stuck);
            }
            let node = &self.nodes[number];
            for edge in node.edges.iter().flatten() {
                worst = worst.max(self.verdict_of(node, edge));
                if seen.insert(edge.to) {
                    waiting.push(edge.to);
                }
            }
        }
        worst
    }

    fn verdict_of(&self, node: &Node, edge: &Edge) -> Verdict {
        match edge.booted {
            Booted::Nothing => Verdict::New,
            Booted::Corrupt => Verdict::Corrupt,
            Booted::Ran(Image::V1, _) => match node.marked {
                Marked::No if edge.rests => Verdict::Old,
                Marked::No => Verdict::New,
                Marked::Begun => Verdict::FalseRevert,
                Marked::Returned => Verdict::Undone,
            },
            Booted::Ran(Image::V2, _) if !self.world.is_healthy && edge.rests => Verdict::KeptSick,
            Booted::Ran(Image::V2, true) => Verdict::ToldReverted,
            Booted::Ran(Image::V2, false) => Verdict::New,
        }
    }

    /// From which nodes an edge can be reached that `is`, or one that was not looked at.
    fn leads_to(&self, is: impl Fn(&Edge) -> bool) -> Vec<bool> {
        let mut before = vec![Vec::new(); self.nodes.len()];
        let mut leads = vec![false; self.nodes.len()];
        let mut waiting = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            for edge in node.edges.iter().flatten() {
                before[edge.to].push(number);
            }
            if node
                .edges
                .as_ref()
                .is_none_or(|edges| edges.iter().any(&is))
            {
                leads[number] = true;
                waiting.push(number);
            }
        }
        while let Some(number) = waiting.pop() {
            for before in &before[number] {
                if !std::mem::replace(&mut leads[*before], true) {
                    waiting.push(*before);
                }
            }
        }
        leads
    }
}

/// What was seen behind a cut.
#[derive(Clone, Copy, Default)]
struct Followed {
    operations: u64,
    corrupt: bool,
    reprograms: bool,
    unfinished: bool,
}
