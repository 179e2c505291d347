//! What planted defects are hunted with: short stories, one after the other.

use super::plan::{Task, Way, job};
use super::scenario::Erases;

/// A short story, and the defects that it is known to show.
struct Prey {
    geometry: &'static str,
    scenario: &'static str,
    erases: Erases,
    way: Way,
    boots: u64,
    shows: &'static [&'static str],
    /// Too long for those that it is not known to show.
    only_these: bool,
}

const fn prey(geometry: &'static str, scenario: &'static str, way: Way) -> Prey {
    Prey {
        geometry,
        scenario,
        erases: Erases::ComeAndGo,
        way,
        boots: u64::MAX,
        shows: &[],
        only_these: false,
    }
}

impl Prey {
    const fn at_most(self, boots: u64) -> Self {
        Self { boots, ..self }
    }

    const fn shows(self, shows: &'static [&'static str]) -> Self {
        Self { shows, ..self }
    }

    const fn old_or_none(self) -> Self {
        let erases = Erases::OldOrNone;
        Self { erases, ..self }
    }

    const fn only_these(self) -> Self {
        let only_these = true;
        Self { only_these, ..self }
    }
}

const NO_CUT: Way = Way::Cuts(0);
const ONE: Way = Way::Cuts(1);
const TWO: Way = Way::Cuts(2);

const STORIES: &[Prey] = &[
    prey("w8", "update", ONE),
    prey("w8", "sick", NO_CUT),
    prey("w8", "waiting", NO_CUT),
    prey("w8", "waiting-broken", NO_CUT),
    prey("w8", "waiting-beside-broken", NO_CUT),
    prey("w8", "broken-active", NO_CUT),
    prey("w8", "headless", NO_CUT),
    prey("w8", "too-old", NO_CUT),
    prey("w8", "revoked", NO_CUT),
    prey("w8", "forged", NO_CUT),
    prey("w8", "dead-journal-trial", NO_CUT),
    prey("w8", "lost-sector-trial", NO_CUT),
    prey("w8-n3", "blank", NO_CUT),
    prey("w8", "broken-other", ONE),
    prey("w8", "give-up", TWO).at_most(40_000).shows(&[
        "healed-in-place",
        "all-torn-ones-erased-first",
        "one-copy-is-enough",
        "weak-copies-are-lost",
    ]),
    prey("w8-n3", "give-up", TWO)
        .at_most(20_000)
        .shows(&["acts-before-it-is-healed"]),
    prey("w8-n3", "lost-sector-trial", TWO)
        .at_most(20_000)
        .shows(&["dead-sector-tried-again"]),
    prey("w8", "failures", NO_CUT)
        .at_most(40_000)
        .shows(&["one-copy-is-success", "record-failure-ignored"]),
    prey("w8", "failures", ONE).at_most(20_000),
    prey("w4-256", "update", TWO).at_most(20_000).shows(&[
        "checksum-not-checked",
        "resumed-without-erasing-ahead",
        "small-sectors-stand-alone",
        "first-erased-first",
    ]),
    prey("w4-256", "waiting-broken", ONE)
        .at_most(20_000)
        .shows(&["always-recorded-first"]),
    prey("w4-256", "broken-other", ONE)
        .at_most(20_000)
        .shows(&["own-image-not-disowned"]),
    prey("w8", "moods", ONE).at_most(20_000),
    prey("w8", "crash-loop", ONE).at_most(20_000).shows(&[
        "crash-loop-ignored",
        "crash-loop-not-recorded",
        "crash-counted-twice",
        "crashes-never-forgotten",
        "crashes-forgotten-at-once",
        "ram-never-cleared",
    ]),
    prey("w8", "crash-loop-update", NO_CUT)
        .at_most(20_000)
        .shows(&["crashes-of-another-counted"]),
    prey("w8", "crash-beside-broken", ONE).shows(&["crash-loop-ends-nowhere"]),
    prey("w8", "crash-of-the-other", ONE).shows(&["active-blamed-for-the-other"]),
    prey("w8", "migration", ONE)
        .at_most(20_000)
        .shows(&["schema-ignored"]),
    prey("w8", "migration-on-trial", NO_CUT)
        .at_most(20_000)
        .shows(&["migrated-on-trial"]),
    prey("w8", "cut-off", NO_CUT)
        .at_most(20_000)
        .shows(&["cut-off-not-forgiven"]),
    prey("w8", "receipts", ONE).at_most(20_000).shows(&[
        "receipt-given-out-unkept",
        "receipt-kept-twice",
        "receipts-replace-the-ledger",
        "ledger-not-healed-before-it-speaks",
        "number-not-raised",
        "cut-ledger-begins-again",
    ]),
    prey("w8", "receipts-failures", ONE)
        .at_most(20_000)
        .shows(&["failed-receipt-given-out"]),
    prey("w8", "fuses-alone", NO_CUT).shows(&["fuses-ignored"]),
    prey("w8", "fuses", ONE).at_most(20_000).shows(&[
        "fuses-never-raised",
        "fuses-raised-at-confirm-only",
        "fuses-raised-by-a-trial",
        "fuses-raised-again",
    ]),
    prey("w8", "newer-meanwhile", ONE)
        .at_most(20_000)
        .shows(&["progress-thrown-away"]),
    prey("w8", "flips", TWO).at_most(20_000),
    prey("w8", "resets", TWO).at_most(20_000),
    prey("w8", "give-up", Way::ToTheEnd)
        .old_or_none()
        .at_most(40_000)
        .shows(&["newest-of-the-weak"]),
    prey("w4-256", "moods", TWO)
        .at_most(60_000)
        .shows(&["resumed-by-header-alone", "other-download-erased-first"]),
    prey("w8-n3", "revert", Way::ToTheEnd)
        .old_or_none()
        .at_most(600_000)
        .shows(&["oldest-is-always-the-target"])
        .only_these(),
];

/// The stories, those first that are known to show this defect.
#[must_use]
pub fn stories(defect: &str) -> Vec<Task> {
    let shows = |prey: &&Prey| prey.shows.contains(&defect);
    let (first, then): (Vec<_>, Vec<_>) = STORIES.iter().partition(shows);
    let then = then.into_iter().filter(|prey| !prey.only_these);
    let task = |prey: &Prey| {
        let job = job(prey.geometry, prey.scenario, prey.erases);
        let mut task = Task::new(job, prey.way, prey.boots);
        task.bounds.violations = 1;
        task
    };
    first.into_iter().chain(then).map(task).collect()
}

#[cfg(test)]
mod tests {
    use bistable_defects::DEFECTS;

    use super::*;

    #[test]
    fn every_name_is_that_of_a_defect() {
        for name in STORIES.iter().flat_map(|prey| prey.shows) {
            assert!(DEFECTS.iter().any(|defect| defect.name == *name), "{name}");
        }
    }
}
