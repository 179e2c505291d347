//! Health checks of a trial: names, results, a deadline, and the verdict as one pure function.

use bistable_core::state::{Origin, Reason};

/// The most checks that an application has.
pub const MAX_CHECKS: usize = 32;

/// Whether a trial fails without this check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// It must pass.
    Required,
    /// It must pass if the image came over the network: an image that can no longer reach its update
    /// source would be the last one.
    RequiredIfFromNetwork,
    /// It is reported, and decides nothing.
    Advisory,
}

/// A check: its name is the product's, its number is its place in the list, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check {
    /// For people and logs.
    pub name: &'static str,
    /// Whether a trial fails without it.
    pub need: Need,
}

/// What is known of one check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// Nothing yet.
    #[default]
    Open,
    /// It passed.
    Passed,
    /// It failed. A failure stays.
    Failed,
}

/// What the checks say together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// Required checks are open, and there is time.
    Pending,
    /// Every required check passed in time.
    Healthy,
    /// Reject it, for this reason.
    Unhealthy(Reason),
}

/// The checks of an application, with their outcomes.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    checks: &'static [Check],
    outcomes: [Outcome; MAX_CHECKS],
}

impl Health {
    /// Nothing is known yet of these checks, at most [`MAX_CHECKS`].
    #[must_use]
    pub const fn new(checks: &'static [Check]) -> Self {
        Self {
            checks,
            outcomes: [Outcome::Open; MAX_CHECKS],
        }
    }

    /// Notes the outcome of the check with this name. A failure stays. `false`: there is no such check.
    pub fn note(&mut self, name: &str, passed: bool) -> bool {
        let mut both = self.checks.iter().zip(&mut self.outcomes);
        let Some((_, outcome)) = both.find(|(check, _)| check.name == name) else {
            return false;
        };
        *outcome = match (*outcome, passed) {
            (Outcome::Failed, _) | (_, false) => Outcome::Failed,
            (_, true) => Outcome::Passed,
        };
        true
    }

    /// Number (from 1), check and outcome of each.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Check, Outcome)> + '_ {
        let both = self.checks.iter().copied().zip(self.outcomes);
        (1..)
            .zip(both)
            .map(|(number, (check, outcome))| (number, check, outcome))
    }

    /// The verdict over an image from `origin`, `elapsed` milliseconds after its start, with
    /// `seconds` of trial time.
    #[must_use]
    pub fn verdict(&self, origin: Origin, elapsed: u64, seconds: u16) -> Verdict {
        let required = || {
            self.iter().filter(|(_, check, _)| match check.need {
                Need::Required => true,
                Need::RequiredIfFromNetwork => origin == Origin::Network,
                Need::Advisory => false,
            })
        };
        if let Some((number, ..)) = required().find(|(_, _, outcome)| *outcome == Outcome::Failed) {
            return Verdict::Unhealthy(Reason::CheckFailed(number));
        }
        if is_over(elapsed, seconds) {
            return Verdict::Unhealthy(Reason::DeadlineOver);
        }
        match required().all(|(_, _, outcome)| outcome == Outcome::Passed) {
            true => Verdict::Healthy,
            false => Verdict::Pending,
        }
    }
}

/// Whether `elapsed` milliseconds are `seconds` or more.
#[must_use]
pub fn is_over(elapsed: u64, seconds: u16) -> bool {
    elapsed >= u64::from(seconds).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    static CHECKS: [Check; 3] = [
        Check {
            name: "self-test",
            need: Need::Required,
        },
        Check {
            name: "update-source",
            need: Need::RequiredIfFromNetwork,
        },
        Check {
            name: "humidity",
            need: Need::Advisory,
        },
    ];

    #[test]
    fn the_verdict_over_every_combination() {
        use Outcome::{Failed, Open, Passed};
        for first in [Open, Passed, Failed] {
            for second in [Open, Passed, Failed] {
                for third in [Open, Passed, Failed] {
                    for origin in [Origin::Network, Origin::Local] {
                        for late in [false, true] {
                            let mut health = Health::new(&CHECKS);
                            for (check, outcome) in CHECKS.iter().zip([first, second, third]) {
                                if outcome != Open {
                                    assert!(health.note(check.name, outcome == Passed));
                                }
                            }
                            let network = origin == Origin::Network;
                            let expected = if first == Failed {
                                Verdict::Unhealthy(Reason::CheckFailed(1))
                            } else if network && second == Failed {
                                Verdict::Unhealthy(Reason::CheckFailed(2))
                            } else if late {
                                Verdict::Unhealthy(Reason::DeadlineOver)
                            } else if first == Passed && (!network || second == Passed) {
                                Verdict::Healthy
                            } else {
                                Verdict::Pending
                            };
                            let elapsed = if late { 5000 } else { 4999 };
                            assert_eq!(health.verdict(origin, elapsed, 5), expected);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_failure_stays_and_an_unknown_name_is_said() {
        let mut health = Health::new(&CHECKS);
        assert!(health.note("self-test", false));
        assert!(health.note("self-test", true));
        assert!(!health.note("selftest", true));
        let verdict = health.verdict(Origin::Local, 0, 5);
        assert_eq!(verdict, Verdict::Unhealthy(Reason::CheckFailed(1)));
    }
}
