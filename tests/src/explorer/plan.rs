//! What is explored in which run, and how far.

use std::time::Duration;

use super::graph::Bounds;
use super::jobs::{FIELD, GEOMETRIES, REALISTIC, SCENARIOS};
use super::walk::NO_HURRY;
use super::world::{Erases, Geometry, Job, Scenario};

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

const UNBOUNDED: Bounds = Bounds {
    boots: u64::MAX,
    cuts: None,
    relative: true,
    time: NO_HURRY,
    violations: 3,
};

fn geometry(name: &str) -> Geometry {
    let mut all = GEOMETRIES.iter().chain(&REALISTIC);
    *all.find(|geometry| geometry.name == name)
        .expect("a geometry")
}

fn scenario(name: &str) -> Scenario {
    let mut all = SCENARIOS.iter().chain(&FIELD);
    *all.find(|scenario| scenario.name == name)
        .expect("a scenario")
}

fn job(geometry: Geometry, name: &str, erases: Erases) -> Job {
    Job {
        geometry,
        scenario: scenario(name),
        erases,
        beyond: false,
    }
}

impl Task {
    fn new(job: Job, way: Way, boots: u64) -> Self {
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

/// What every check does: what is small to the end, of the rest the beginning.
#[must_use]
pub fn short() -> Vec<Task> {
    let small = geometry("w8");
    let mut tasks = Vec::new();
    for name in ["revert", "give-up"] {
        for geometry in GEOMETRIES
            .iter()
            .filter(|geometry| geometry.journal_sectors == 2)
        {
            for erases in [Erases::ComeAndGo, Erases::OldOrNone] {
                tasks.push(Task::new(
                    job(*geometry, name, erases),
                    Way::ToTheEnd,
                    60_000,
                ));
            }
        }
    }
    for scenario in &SCENARIOS {
        let story = job(small, scenario.name, Erases::ComeAndGo);
        tasks.push(Task::new(story, Way::ToTheEnd, 20_000));
    }
    for scenario in &FIELD {
        let story = job(geometry("w4-shared"), scenario.name, Erases::ComeAndGo);
        tasks.push(Task::new(story, Way::ToTheEnd, 20_000));
    }
    for geometry in &REALISTIC {
        let update = job(*geometry, "update", Erases::ComeAndGo);
        tasks.push(Task::new(update, Way::Cuts(1), u64::MAX));
        tasks.push(Task::new(update, Way::Drawn, 5_000));
    }
    tasks
}

/// The long run: whatever can be explored to the end in minutes, to the end.
#[must_use]
pub fn full(minutes: u64) -> Vec<Task> {
    let to_the_end = |job, most| Task::new(job, Way::ToTheEnd, most);
    // Three sectors, or sectors smaller than what is written at once, are too much to come to an end.
    let is_small = |geometry: &Geometry| {
        geometry.journal_sectors == 2 && geometry.slot_erase >= geometry.chunk
    };
    let (small, large): (Vec<_>, Vec<_>) = GEOMETRIES.into_iter().partition(is_small);
    let both = [Erases::ComeAndGo, Erases::OldOrNone];
    let mut tasks = Vec::new();
    for geometry in &small {
        for (name, erases) in ["revert", "give-up"]
            .into_iter()
            .flat_map(|name| both.map(|e| (name, e)))
        {
            tasks.push(to_the_end(job(*geometry, name, erases), u64::MAX));
        }
    }
    let updates = |erases| {
        let update = move |geometry: &Geometry| job(*geometry, "update", erases);
        small
            .iter()
            .map(move |geometry| to_the_end(update(geometry), u64::MAX))
    };
    tasks.extend(updates(Erases::ComeAndGo));
    tasks.extend(more(minutes));
    tasks.extend(updates(Erases::OldOrNone));
    for geometry in large {
        for (name, most) in [
            ("revert", MOST_OF_LARGE_JOURNALS),
            ("give-up", MOST),
            ("update", MOST),
        ] {
            for erases in both {
                tasks.push(to_the_end(job(geometry, name, erases), most));
            }
        }
    }
    tasks
}

/// The other stories, as far as is said.
fn more(minutes: u64) -> Vec<Task> {
    let small = geometry("w8");
    let to_the_end = |job, most| Task::new(job, Way::ToTheEnd, most);
    let mut tasks = Vec::new();
    for scenario in SCENARIOS {
        if !["update", "revert", "give-up"].contains(&scenario.name) {
            tasks.push(to_the_end(
                job(small, scenario.name, Erases::ComeAndGo),
                MOST,
            ));
        }
    }
    for scenario in FIELD {
        let shared = geometry("w4-shared");
        tasks.push(to_the_end(
            job(shared, scenario.name, Erases::ComeAndGo),
            MOST,
        ));
    }
    for name in ["revert", "give-up", "update"] {
        let story = job(small, name, Erases::ComeAndGo);
        let beyond = Job {
            beyond: true,
            ..story
        };
        tasks.push(to_the_end(beyond, MOST));
        tasks.push(Task::new(story, Way::AsTheyAre, MOST));
    }
    let three = job(geometry("w8-n3"), "revert", Erases::ComeAndGo);
    tasks.push(Task::new(three, Way::AsTheyAre, MOST));
    for geometry in REALISTIC {
        for name in ["update", "moods", "newer-meanwhile"] {
            let story = job(geometry, name, Erases::ComeAndGo);
            tasks.push(Task::new(story, Way::Cuts(1), u64::MAX));
            tasks.push(Task::new(story, Way::Cuts(2), MOST_OF_LARGE_ONES));
            let mut drawn = Task::new(story, Way::Drawn, u64::MAX);
            drawn.bounds.time = Duration::from_secs(minutes * 60 / 9);
            tasks.push(drawn);
        }
    }
    tasks
}

/// The most boots of a story that may not come to an end.
const MOST: u64 = 100_000;

/// The same with three sectors in the journal: a planted defect needs so many to show itself.
const MOST_OF_LARGE_JOURNALS: u64 = 700_000;

/// The same with the flash of a chip.
const MOST_OF_LARGE_ONES: u64 = 50_000;

/// What planted defects are hunted with: short stories, one after the other. Where it takes a special one to
/// show a defect, that one comes first.
#[must_use]
pub fn hunt(defect: &str) -> Vec<Task> {
    const ANY: Erases = Erases::ComeAndGo;
    const N3: &str = "oldest-is-always-the-target";
    let stories = [
        ("w8", "update", ANY, Way::Cuts(1), u64::MAX, ""),
        ("w8", "sick", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8", "waiting", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8", "waiting-broken", ANY, Way::Cuts(0), u64::MAX, ""),
        (
            "w8",
            "waiting-beside-broken",
            ANY,
            Way::Cuts(0),
            u64::MAX,
            "",
        ),
        ("w8", "broken-active", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8", "headless", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8", "too-old", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8", "revoked", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8", "forged", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8", "dead-journal-trial", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8", "lost-sector-trial", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8-n3", "blank", ANY, Way::Cuts(0), u64::MAX, ""),
        ("w8", "broken-other", ANY, Way::Cuts(1), u64::MAX, ""),
        (
            "w8",
            "give-up",
            ANY,
            Way::Cuts(2),
            40_000,
            "healed-in-place all-torn-ones-erased-first one-copy-is-enough weak-copies-are-lost",
        ),
        (
            "w8-n3",
            "give-up",
            ANY,
            Way::Cuts(2),
            20_000,
            "acts-before-it-is-healed",
        ),
        (
            "w8",
            "failures",
            ANY,
            Way::Cuts(0),
            40_000,
            "one-copy-is-success record-failure-ignored",
        ),
        ("w8", "failures", ANY, Way::Cuts(1), 20_000, ""),
        (
            "w4-256",
            "update",
            ANY,
            Way::Cuts(2),
            20_000,
            "checksum-not-checked resumed-without-erasing-ahead small-sectors-stand-alone \
             first-erased-first",
        ),
        (
            "w4-256",
            "waiting-broken",
            ANY,
            Way::Cuts(1),
            20_000,
            "always-recorded-first",
        ),
        (
            "w4-256",
            "broken-other",
            ANY,
            Way::Cuts(1),
            20_000,
            "own-image-not-disowned",
        ),
        ("w8", "moods", ANY, Way::Cuts(1), 20_000, ""),
        (
            "w8",
            "newer-meanwhile",
            ANY,
            Way::Cuts(1),
            20_000,
            "progress-thrown-away",
        ),
        ("w8", "flips", ANY, Way::Cuts(2), 20_000, ""),
        ("w8", "resets", ANY, Way::Cuts(2), 20_000, ""),
        (
            "w8",
            "give-up",
            Erases::OldOrNone,
            Way::ToTheEnd,
            40_000,
            "newest-of-the-weak",
        ),
        (
            "w4-256",
            "moods",
            ANY,
            Way::Cuts(2),
            60_000,
            "resumed-by-header-alone other-download-erased-first",
        ),
        (
            "w8-n3",
            "revert",
            Erases::OldOrNone,
            Way::ToTheEnd,
            600_000,
            N3,
        ),
    ];
    let mut tasks = Vec::new();
    for (place, name, erases, way, boots, shows) in stories {
        let mut task = Task::new(job(geometry(place), name, erases), way, boots);
        task.bounds.violations = 1;
        if !defect.is_empty() && shows.split(' ').any(|shown| shown == defect) {
            tasks.insert(0, task);
        } else if shows != N3 {
            tasks.push(task);
        }
    }
    tasks
}
