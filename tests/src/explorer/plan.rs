//! What is explored in which run, and how far.

use std::time::Duration;

use super::findings::Bounds;
use super::jobs::{self, FIELD, GEOMETRIES, REALISTIC, SCENARIOS};
use super::scenario::{Erases, Geometry, Job, Scenario};

/// How a story is explored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Every cut from every reachable state.
    ToTheEnd,
    /// The same, with sequence numbers as they are, up to a number of boots.
    AsTheyAre,
    /// Every row of so many cuts over the device's life.
    Cuts(u8),
    /// Drawn from a seed.
    Drawn,
}

/// One exploration.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Of what.
    pub job: Job,
    /// How.
    pub way: Way,
    /// How far.
    pub bounds: Bounds,
}

/// How long a walk may take that only its boots bound.
const NO_HURRY: Duration = Duration::from_secs(86_400);

const UNBOUNDED: Bounds = Bounds {
    boots: u64::MAX,
    cuts: None,
    relative: true,
    time: NO_HURRY,
    violations: 3,
};

/// A story by the names of its geometry and its scenario.
///
/// # Panics
/// If there is no such name.
pub(super) fn job(geometry: &str, name: &str, erases: Erases) -> Job {
    jobs::named(geometry, name, erases).expect("a geometry and a scenario")
}

impl Task {
    pub(super) fn new(job: Job, way: Way, boots: u64) -> Self {
        let cuts = match way {
            Way::Cuts(cuts) => Some(cuts),
            _ => None,
        };
        Self {
            job,
            way,
            bounds: Bounds {
                boots,
                cuts,
                relative: way != Way::AsTheyAre,
                ..UNBOUNDED
            },
        }
    }
}

/// A job by its name, to the end.
#[must_use]
pub fn alone(job: Job) -> Task {
    Task::new(job, Way::ToTheEnd, u64::MAX)
}

const BOTH: [Erases; 2] = [Erases::ComeAndGo, Erases::OldOrNone];

fn to_the_end(job: Job, most: u64) -> Task {
    Task::new(job, Way::ToTheEnd, most)
}

fn beyond(job: Job) -> Job {
    let beyond = true;
    Job { beyond, ..job }
}

/// What every check does: what is small to the end, of the rest the beginning.
#[must_use]
pub fn short() -> Vec<Task> {
    let mut tasks = Vec::new();
    for name in ["revert", "give-up"] {
        for geometry in GEOMETRIES {
            let most = match geometry.journal_sectors {
                2 => 60_000,
                _ => 20_000,
            };
            let stories = BOTH.map(|erases| job(geometry.name, name, erases));
            tasks.extend(stories.map(|story| to_the_end(story, most)));
        }
    }
    let each_with = |geometry: &'static str, scenarios: &'static [Scenario]| {
        let stories = scenarios
            .iter()
            .map(|scenario| job(geometry, scenario.name, Erases::ComeAndGo));
        stories.map(|story| to_the_end(story, 20_000))
    };
    tasks.extend(each_with("w8", &SCENARIOS));
    tasks.extend(each_with("w4-shared", &FIELD));
    tasks.extend(lost_sector().map(|story| to_the_end(story, 60_000)));
    let ledgers = [
        ("w4-shared", BOTH[1]),
        ("w8-n3", BOTH[0]),
        ("w32-4k", BOTH[0]),
    ];
    let ledgers = ledgers.map(|(geometry, erases)| job(geometry, "receipts", erases));
    tasks.extend(ledgers.map(|story| to_the_end(story, 20_000)));
    for geometry in REALISTIC {
        let update = job(geometry.name, "update", Erases::ComeAndGo);
        tasks.push(Task::new(update, Way::Cuts(1), u64::MAX));
        tasks.push(Task::new(update, Way::Drawn, 5_000));
    }
    tasks
}

/// A journal sector dies and takes what it held: with two others, and with one.
fn lost_sector() -> [Job; 2] {
    let story = |geometry| job(geometry, "lost-sector-trial", Erases::ComeAndGo);
    [story("w8-n3"), beyond(story("w8"))]
}

/// The long run: whatever can be explored to the end in minutes, to the end.
#[must_use]
pub fn full(minutes: u64) -> Vec<Task> {
    // More sectors, or sectors smaller than what is written at once, are too much for a whole update.
    let is_small = |geometry: &Geometry| {
        geometry.journal_sectors == 2 && geometry.slot_erase >= geometry.chunk
    };
    let (small, large): (Vec<_>, Vec<_>) = GEOMETRIES.into_iter().partition(is_small);
    let each = |geometries: &[Geometry], name: &str, erases: Erases, most: u64| {
        let task = |geometry: &Geometry| to_the_end(job(geometry.name, name, erases), most);
        geometries.iter().map(task).collect::<Vec<_>>()
    };
    let mut tasks = Vec::new();
    for erases in BOTH {
        tasks.extend(each(&small, "revert", erases, u64::MAX));
        tasks.extend(each(&small, "give-up", erases, u64::MAX));
        tasks.extend(each(&small, "receipts", erases, u64::MAX));
    }
    tasks.extend(each(&small, "update", Erases::ComeAndGo, u64::MAX));
    tasks.extend(more());
    tasks.extend(realistic(minutes));
    for erases in BOTH {
        tasks.extend(each(&large, "revert", erases, MOST_OF_LARGE_JOURNALS));
        tasks.extend(each(&large, "give-up", erases, MOST));
        tasks.extend(each(&large, "update", erases, MOST));
    }
    tasks.extend(each(&small, "update", Erases::OldOrNone, u64::MAX));
    tasks
}

/// The other stories, as far as is said.
fn more() -> Vec<Task> {
    let mut tasks = Vec::new();
    let is_new = |scenario: &&Scenario| {
        !["update", "revert", "give-up", "receipts"].contains(&scenario.name)
    };
    for scenario in SCENARIOS.iter().filter(is_new) {
        let story = job("w8", scenario.name, Erases::ComeAndGo);
        tasks.push(to_the_end(story, MOST));
    }
    for scenario in FIELD {
        let story = job("w4-shared", scenario.name, Erases::ComeAndGo);
        tasks.push(to_the_end(story, MOST));
    }
    tasks.extend(lost_sector().map(|story| to_the_end(story, MOST)));
    let stories = [
        ("w8", "revert"),
        ("w8", "give-up"),
        ("w8", "update"),
        ("w8-n3", "revert"),
        ("w8-n3", "receipts"),
    ];
    for (geometry, name) in stories {
        let story = job(geometry, name, Erases::ComeAndGo);
        tasks.push(to_the_end(beyond(story), MOST));
        tasks.push(Task::new(story, Way::AsTheyAre, MOST));
    }
    tasks
}

/// Flash as chips have it: every cut, pairs of cuts, and drawn walks for so many minutes in all.
fn realistic(minutes: u64) -> Vec<Task> {
    let names = ["update", "moods", "newer-meanwhile"];
    let walks = REALISTIC.len() * names.len();
    let mut tasks = Vec::new();
    for geometry in REALISTIC {
        for name in names {
            let story = job(geometry.name, name, Erases::ComeAndGo);
            tasks.push(Task::new(story, Way::Cuts(1), u64::MAX));
            tasks.push(Task::new(story, Way::Cuts(2), MOST_OF_LARGE_ONES));
            let mut drawn = Task::new(story, Way::Drawn, u64::MAX);
            drawn.bounds.time = Duration::from_secs(minutes * 60) / walks as u32;
            tasks.push(drawn);
        }
    }
    tasks
}

/// The most boots of a story that may not come to an end.
const MOST: u64 = 100_000;

/// The same with more sectors in the journal: a revert with three comes to an end behind 1.6 million.
const MOST_OF_LARGE_JOURNALS: u64 = 2_500_000;

/// The same with the flash of a chip.
const MOST_OF_LARGE_ONES: u64 = 50_000;
