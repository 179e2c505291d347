//! The explorer closes small stories, finds what is broken in a story that must break, and tells it again.

use bistable_tests::explorer::findings::Findings;
use bistable_tests::explorer::graph::explore;
use bistable_tests::explorer::invariants::Invariant;
use bistable_tests::explorer::jobs::job;
use bistable_tests::explorer::plan::alone;
use bistable_tests::explorer::retell::retell;
use bistable_tests::explorer::scenario::{Job, Lives, Start};
use bistable_tests::explorer::world::World;

fn explored(job: Job) -> (World, Findings) {
    let world = World::new(job);
    let findings = explore(&world, alone(job).bounds, |_, _| {});
    (world, findings)
}

#[test]
fn a_revert_holds_under_every_row_of_cuts_and_is_explored_to_its_end() {
    for name in ["w8/revert", "w8/revert/old-or-none"] {
        let (_, findings) = explored(job(name).unwrap());
        assert!(findings.closed, "{name}");
        assert!(findings.violations.is_empty(), "{:?}", findings.violations);
        assert!(
            findings.states > 1000 && findings.cuts.all() > 100_000,
            "{name}"
        );
        assert!(
            findings.cuts.program > 0 && findings.cuts.erase > 0,
            "{name}"
        );
    }
}

#[test]
fn the_same_exploration_finds_the_same() {
    let figures = |job| {
        let (_, findings) = explored(job);
        (findings.states, findings.boots, findings.cuts.all())
    };
    let job = job("w1/revert").unwrap();
    assert_eq!(figures(job), figures(job));
}

#[test]
fn a_device_that_must_not_boot_is_no_device_that_lives() {
    let mut job = job("w8/too-old").unwrap();
    job.scenario.lives = Lives::Confirmed;
    let (world, findings) = explored(job);
    let found = findings
        .violations
        .first()
        .expect("nothing boots, and that is noticed");
    assert_eq!(found.violation.invariant, Invariant::Alive);
    assert!(retell(&world, &found.path).is_ok());
}

#[test]
fn a_goal_that_nobody_offers_is_never_reached_and_its_path_is_told() {
    let mut job = job("w8/waiting").unwrap();
    job.scenario.start = Start::Factory;
    job.scenario.goal = Some(1);
    let (world, findings) = explored(job);
    let found = findings.violations.first().expect("it is noticed");
    assert_eq!(found.violation.invariant, Invariant::Progress);
    let told = retell(&world, &found.path).expect("a path of this story");
    assert!(told[0].starts_with("journal"), "{told:?}");
}

#[test]
fn a_path_of_another_story_is_refused() {
    let world = World::new(job("w8/revert").unwrap());
    let path = bistable_tests::explorer::path::read("7.7.7@99u").unwrap();
    let error = retell(&world, &path).unwrap_err().to_string();
    assert!(error.contains("step 0"), "{error}");
}
