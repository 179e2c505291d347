//! Health checks of a trial: names, deadlines, results, and the verdict as one pure function.
//!
//! ```text
//!   start            deadlines of checks         soak over        the trial's time over
//!   ├──────────────────┴──────┴────────────────────┼──────────────────────┤
//!     a required check failed, or its deadline is over: unhealthy
//!                                                  all required passed: healthy
//!                                                                         anything else: unhealthy
//! ```

use bistable_core::reset::ResetReason;
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

/// Who finds out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// The application, which notes it.
    Application,
    /// Whoever talks to the update source: [`crate::Updater::source_answered`].
    UpdateSource,
    /// The updater, each time it judges: [`crate::Platform::supply_millivolts`] is at least this.
    Supply(u16),
    /// The updater, each time it judges: [`crate::Platform::free_stack`] is at least this, in bytes.
    FreeStack(u32),
}

/// A check: its name is the product's, its number is its place in the list, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check {
    /// For people and logs.
    pub name: &'static str,
    /// Whether a trial fails without it.
    pub need: Need,
    /// Who finds out.
    pub probe: Probe,
    /// In seconds after the start: if it is required, it must have passed before. At most the trial's time
    /// counts.
    pub deadline: u16,
}

impl Check {
    /// One that the application notes, and that must pass within the trial's time.
    #[must_use]
    pub const fn required(name: &'static str) -> Self {
        Self {
            name,
            need: Need::Required,
            probe: Probe::Application,
            deadline: u16::MAX,
        }
    }

    /// The update source can be reached from the trial: required if the image came from there.
    #[must_use]
    pub const fn update_source(name: &'static str) -> Self {
        Self {
            need: Need::RequiredIfFromNetwork,
            probe: Probe::UpdateSource,
            ..Self::required(name)
        }
    }

    /// The supply never falls below so many millivolts.
    #[must_use]
    pub const fn supply(name: &'static str, millivolts: u16) -> Self {
        Self {
            probe: Probe::Supply(millivolts),
            ..Self::required(name)
        }
    }

    /// So many bytes of the stack were never used.
    #[must_use]
    pub const fn free_stack(name: &'static str, bytes: u32) -> Self {
        Self {
            probe: Probe::FreeStack(bytes),
            ..Self::required(name)
        }
    }

    /// The same, to be reported only.
    #[must_use]
    pub const fn advisory(self) -> Self {
        let need = Need::Advisory;
        Self { need, ..self }
    }

    /// The same, with so many seconds from the start.
    #[must_use]
    pub const fn within(self, seconds: u16) -> Self {
        Self {
            deadline: seconds,
            ..self
        }
    }
}

/// What a product asks of its images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The checks, at most [`MAX_CHECKS`].
    pub checks: &'static [Check],
    /// How long a trial runs at least before it is kept, in seconds. At most half of the trial's time counts.
    pub trial_soak_seconds: u16,
    /// How long a confirmed image runs until its abnormal resets are forgotten, in seconds.
    pub soak_seconds: u16,
    /// Whether a trial may be reset abnormally, and go on with the starts that it has left.
    pub forgives_resets: bool,
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
    /// Required checks are open, or the soak is not over, and there is time.
    Pending,
    /// Every required check passed in time.
    Healthy,
    /// Reject it, for this reason.
    Unhealthy(Reason),
}

/// What the verdict depends on beside the checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Circumstances {
    /// Whence the image came.
    pub origin: Origin,
    /// Milliseconds since it was started.
    pub elapsed: u64,
    /// Its manifest's trial time, in seconds.
    pub trial_seconds: u16,
    /// Why the processor started.
    pub reset: ResetReason,
    /// Whether this is the first start of the trial: then the reset was not its own.
    pub first_start: bool,
    /// Whether it was rejected before because it could not reach its update source, and nothing else.
    pub doubted: bool,
}

/// The outcomes of the checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Health {
    policy: Policy,
    outcomes: [Outcome; MAX_CHECKS],
}

impl Health {
    /// Nothing is known yet.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            outcomes: [Outcome::Open; MAX_CHECKS],
        }
    }

    /// From now on no reset speaks against the image.
    pub(crate) const fn forgive_resets(&mut self) {
        self.policy.forgives_resets = true;
    }

    /// Notes the outcome of the check with this name. A failure stays. `false`: there is no such check.
    pub fn note(&mut self, name: &str, passed: bool) -> bool {
        self.note_where(|check| check.name == name, |_| Some(passed))
    }

    /// Notes what is found out of each check that is `meant`, if anything is. Whether there was such a check.
    pub(crate) fn note_where(
        &mut self,
        meant: impl Fn(&Check) -> bool,
        mut passed: impl FnMut(&Check) -> Option<bool>,
    ) -> bool {
        let mut found = false;
        for (check, outcome) in self.policy.checks.iter().zip(&mut self.outcomes) {
            if !meant(check) {
                continue;
            }
            found = true;
            *outcome = match (*outcome, passed(check)) {
                (before, None) => before,
                (Outcome::Failed, _) | (_, Some(false)) => Outcome::Failed,
                (_, Some(true)) => Outcome::Passed,
            };
        }
        found
    }

    /// Number (from 1), check and outcome of each.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'static Check, Outcome)> + '_ {
        let both = self.policy.checks.iter().zip(self.outcomes);
        (1..)
            .zip(both)
            .map(|(number, (check, outcome))| (number, check, outcome))
    }

    /// The verdict: pure, and total.
    ///
    /// In this order: a reset that is not forgiven; the first required check that failed; the first that is
    /// open behind its deadline, the update source last; the trial's time; and if all required ones passed and
    /// the soak is over, healthy. An image against which nothing speaks by then but that it did not reach its
    /// update source is given the benefit of the doubt, once: the network may have been away, and it may be
    /// offered again.
    #[must_use]
    pub fn verdict(&self, now: &Circumstances) -> Verdict {
        let crashed = !now.first_start && now.reset.is_abnormal();
        if crashed && !self.policy.forgives_resets {
            return Verdict::Unhealthy(Reason::Crashed(now.reset as u8));
        }
        let required = || self.iter().filter(|(_, check, _)| is_required(check, now));
        let failed = |(_, _, outcome): &(u8, &Check, Outcome)| *outcome == Outcome::Failed;
        if let Some((number, ..)) = required().find(failed) {
            return Verdict::Unhealthy(Reason::CheckFailed(number));
        }
        let is_source = |check: &Check| check.probe == Probe::UpdateSource;
        let is_late = |check: &Check| is_over(now.elapsed, check.deadline.min(now.trial_seconds));
        let late = |source: bool| {
            required().find(|(_, check, outcome)| {
                *outcome == Outcome::Open && is_late(check) && is_source(check) == source
            })
        };
        if let Some((number, check, _)) = late(false) {
            return Verdict::Unhealthy(match check.deadline < now.trial_seconds {
                true => Reason::CheckFailed(number),
                false => Reason::DeadlineOver,
            });
        }
        if let Some((number, ..)) = late(true) {
            return Verdict::Unhealthy(match now.doubted {
                true => Reason::CheckFailed(number),
                false => Reason::SourceUnreachable(number),
            });
        }
        if is_over(now.elapsed, now.trial_seconds) {
            return Verdict::Unhealthy(Reason::DeadlineOver);
        }
        let soak = self.policy.trial_soak_seconds.min(now.trial_seconds / 2);
        match required().all(|(_, _, outcome)| outcome == Outcome::Passed) {
            true if is_over(now.elapsed, soak) => Verdict::Healthy,
            _ => Verdict::Pending,
        }
    }
}

fn is_required(check: &Check, now: &Circumstances) -> bool {
    match check.need {
        Need::Required => true,
        Need::RequiredIfFromNetwork => now.origin == Origin::Network,
        Need::Advisory => false,
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

    use Outcome::{Failed, Open, Passed};

    /// The trial's time in all of these tests.
    const TRIAL: u16 = 60;

    /// A required check, the update source and an advisory one, each with its own deadline.
    const fn checks(required: u16, source: u16, advisory: u16) -> [Check; 3] {
        [
            Check::required("self-test").within(required),
            Check::update_source("update-source").within(source),
            Check::required("humidity").advisory().within(advisory),
        ]
    }

    static SOURCE_FIRST: [Check; 3] = checks(20, 10, 5);
    static SOURCE_LAST: [Check; 3] = checks(10, 20, u16::MAX);
    static ALL_AT_THE_END: [Check; 3] = checks(u16::MAX, TRIAL, 0);
    static ONE_BEFORE_THE_END: [Check; 3] = checks(TRIAL - 1, TRIAL - 1, 1);

    const CALM: Circumstances = Circumstances {
        origin: Origin::Network,
        elapsed: 0,
        trial_seconds: TRIAL,
        reset: ResetReason::PowerOn,
        first_start: true,
        doubted: false,
    };

    fn policy(checks: &'static [Check]) -> Policy {
        Policy {
            checks,
            trial_soak_seconds: 0,
            soak_seconds: 60,
            forgives_resets: true,
        }
    }

    fn health_with(policy: Policy, outcomes: &[Outcome]) -> Health {
        let mut health = Health::new(policy);
        for (check, outcome) in policy.checks.iter().zip(outcomes) {
            match outcome {
                Open => {}
                Passed => assert!(health.note(check.name, true)),
                Failed => assert!(health.note(check.name, false)),
            }
        }
        health
    }

    fn at(milliseconds: u64) -> Circumstances {
        Circumstances {
            elapsed: milliseconds,
            ..CALM
        }
    }

    /// The verdict, told by what is against the image: worst first.
    fn expected(policy: &Policy, [test, source, _]: [Outcome; 3], now: &Circumstances) -> Verdict {
        let seconds = now.elapsed / 1000;
        let [test_due, source_due, _] = [0, 1, 2].map(|it| u64::from(policy.checks[it].deadline));
        let is_over = seconds >= u64::from(TRIAL);
        let source = match now.origin {
            Origin::Network => source,
            Origin::Local | Origin::Factory | Origin::Found => Passed, // nobody asks for it
        };
        let crashed = match now.reset {
            ResetReason::Unknown => Some(0),
            ResetReason::Watchdog => Some(5),
            ResetReason::LockUp => Some(6),
            _ => None,
        };
        let against = [
            crashed
                .filter(|_| !now.first_start && !policy.forgives_resets)
                .map(Reason::Crashed),
            (test == Failed).then_some(Reason::CheckFailed(1)),
            (source == Failed).then_some(Reason::CheckFailed(2)),
            (test == Open && test_due < TRIAL.into() && seconds >= test_due)
                .then_some(Reason::CheckFailed(1)),
            (test == Open && is_over).then_some(Reason::DeadlineOver),
            (source == Open && (is_over || seconds >= source_due)).then_some(match now.doubted {
                false => Reason::SourceUnreachable(2),
                true => Reason::CheckFailed(2),
            }),
            is_over.then_some(Reason::DeadlineOver),
        ];
        let soak = u64::from(policy.trial_soak_seconds).min(30);
        match against.into_iter().flatten().next() {
            Some(reason) => Verdict::Unhealthy(reason),
            None if [test, source] == [Passed; 2] && seconds >= soak => Verdict::Healthy,
            None => Verdict::Pending,
        }
    }

    /// Before and at: each deadline, the soak, half of the trial's time, and all of it.
    const TIMES: [u64; 16] = [
        0,
        999,
        9_999,
        10_000,
        14_999,
        15_000,
        19_999,
        20_000,
        29_999,
        30_000,
        58_999,
        59_000,
        59_999,
        60_000,
        61_000,
        u64::MAX,
    ];

    fn circumstances() -> impl Iterator<Item = Circumstances> {
        let origins = [
            Origin::Network,
            Origin::Local,
            Origin::Factory,
            Origin::Found,
        ];
        let bits = [(false, false), (false, true), (true, false), (true, true)];
        origins.into_iter().flat_map(move |origin| {
            TIMES.into_iter().flat_map(move |elapsed| {
                ResetReason::ALL.into_iter().flat_map(move |reset| {
                    bits.map(|(first_start, doubted)| Circumstances {
                        origin,
                        elapsed,
                        reset,
                        first_start,
                        doubted,
                        ..CALM
                    })
                })
            })
        })
    }

    #[test]
    fn the_verdict_over_every_combination() {
        let mut asked = 0;
        let mut given = [0; 3];
        let all = [Open, Passed, Failed];
        let outcomes = all.map(|a| all.map(|b| all.map(|c| [a, b, c])));
        let outcomes = outcomes.as_flattened().as_flattened();
        for checks in [
            &SOURCE_FIRST,
            &SOURCE_LAST,
            &ALL_AT_THE_END,
            &ONE_BEFORE_THE_END,
        ] {
            for trial_soak_seconds in [0, 15, 30, 31, u16::MAX] {
                for forgives_resets in [false, true] {
                    let policy = Policy {
                        trial_soak_seconds,
                        forgives_resets,
                        ..policy(checks)
                    };
                    for outcomes in outcomes {
                        let health = health_with(policy, outcomes);
                        for now in circumstances() {
                            let verdict = health.verdict(&now);
                            let expected = expected(&policy, *outcomes, &now);
                            assert_eq!(verdict, expected, "{outcomes:?} {now:?} {policy:?}");
                            asked += 1;
                            given[match verdict {
                                Verdict::Pending => 0,
                                Verdict::Healthy => 1,
                                Verdict::Unhealthy(_) => 2,
                            }] += 1;
                        }
                    }
                }
            }
        }
        assert!(asked > 1_000_000 && given.into_iter().all(|times| times > 10_000));
    }

    #[test]
    fn a_failure_stays_and_an_unknown_name_is_said() {
        let mut health = Health::new(policy(&ALL_AT_THE_END));
        assert!(health.note("humidity", true));
        assert!(health.note("self-test", false));
        assert!(health.note("self-test", true));
        for unknown in ["selftest", "Self-test", "self-test ", ""] {
            assert!(!health.note(unknown, true), "{unknown:?}");
        }
        let said: [_; 3] = core::array::from_fn(|place| {
            let (number, check, outcome) = health.iter().nth(place).unwrap();
            (number, check.name, outcome)
        });
        let expected = [
            (1, "self-test", Failed),
            (2, "update-source", Open),
            (3, "humidity", Passed),
        ];
        assert_eq!(said, expected);
        assert_eq!(health.iter().count(), 3);
        let failed = Verdict::Unhealthy(Reason::CheckFailed(1));
        assert_eq!(health.verdict(&CALM), failed);
    }

    #[test]
    fn what_passed_may_still_fail() {
        let mut health = health_with(policy(&ALL_AT_THE_END), &[Passed, Passed, Open]);
        assert_eq!(health.verdict(&CALM), Verdict::Healthy);
        assert!(health.note("update-source", false));
        let failed = Verdict::Unhealthy(Reason::CheckFailed(2));
        assert_eq!(health.verdict(&CALM), failed);
    }

    #[test]
    fn a_trial_soaks_as_long_as_the_product_says_but_never_longer_than_half_its_time() {
        for (soak, trial_seconds, over) in [
            (0, 60, 0),
            (1, 60, 1),
            (29, 60, 29),
            (30, 60, 30),
            (31, 60, 30),
            (u16::MAX, 60, 30),
            (45, 61, 30),
            (u16::MAX, 3600, 1800),
            (9, 1, 0),
        ] {
            let policy = Policy {
                trial_soak_seconds: soak,
                ..policy(&ALL_AT_THE_END)
            };
            let health = health_with(policy, &[Passed, Passed, Open]);
            let verdict = |elapsed| {
                health.verdict(&Circumstances {
                    trial_seconds,
                    ..at(elapsed)
                })
            };
            if over > 0 {
                assert_eq!(verdict(over * 1000 - 1), Verdict::Pending, "{soak}");
            }
            assert_eq!(verdict(over * 1000), Verdict::Healthy, "{soak}");
        }
    }

    #[test]
    fn a_check_that_is_late_is_named_and_a_trial_that_is_late_is_not() {
        for (deadline, reason) in [
            (0, Reason::CheckFailed(1)),
            (1, Reason::CheckFailed(1)),
            (59, Reason::CheckFailed(1)),
            (60, Reason::DeadlineOver),
            (61, Reason::DeadlineOver),
            (u16::MAX, Reason::DeadlineOver),
        ] {
            static CHECKS: [[Check; 1]; 6] = [
                [Check::required("self-test").within(0)],
                [Check::required("self-test").within(1)],
                [Check::required("self-test").within(59)],
                [Check::required("self-test").within(60)],
                [Check::required("self-test").within(61)],
                [Check::required("self-test")],
            ];
            let checks = CHECKS.iter().find(|it| it[0].deadline == deadline).unwrap();
            let health = Health::new(policy(checks));
            let due = u64::from(deadline.min(TRIAL)) * 1000;
            assert_eq!(health.verdict(&at(due)), Verdict::Unhealthy(reason));
            if due > 0 {
                assert_eq!(health.verdict(&at(due - 1)), Verdict::Pending);
            }
        }
    }

    #[test]
    fn an_image_that_lacks_only_its_update_source_has_the_benefit_of_the_doubt_once() {
        let health = health_with(policy(&ALL_AT_THE_END), &[Passed, Open, Open]);
        let verdict = |doubted, origin| {
            health.verdict(&Circumstances {
                doubted,
                origin,
                ..at(60_000)
            })
        };
        let [first, second] = [false, true].map(|doubted| verdict(doubted, Origin::Network));
        assert_eq!(first, Verdict::Unhealthy(Reason::SourceUnreachable(2)));
        assert_eq!(second, Verdict::Unhealthy(Reason::CheckFailed(2)));
        let over = Verdict::Unhealthy(Reason::DeadlineOver);
        assert_eq!(verdict(true, Origin::Local), over, "it need not reach it");
        // An image that lacks more has no such benefit.
        let health = health_with(policy(&ALL_AT_THE_END), &[Open, Open, Open]);
        assert_eq!(health.verdict(&at(60_000)), over);
        // Nor has one that says itself that its source does not answer.
        let health = health_with(policy(&ALL_AT_THE_END), &[Passed, Failed, Open]);
        let failed = Verdict::Unhealthy(Reason::CheckFailed(2));
        assert_eq!(health.verdict(&at(60_000)), failed);
    }

    #[test]
    fn the_first_that_failed_in_the_products_order_is_named() {
        static CHECKS: [Check; 4] = [
            Check::required("a").advisory(),
            Check::required("b"),
            Check::update_source("c"),
            Check::required("d"),
        ];
        let failed = |outcomes| match health_with(policy(&CHECKS), outcomes).verdict(&CALM) {
            Verdict::Unhealthy(Reason::CheckFailed(number)) => number,
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(&[Failed, Open, Open, Failed]), 4);
        assert_eq!(failed(&[Failed, Open, Failed, Failed]), 3);
        assert_eq!(failed(&[Failed, Failed, Failed, Failed]), 2);
    }

    #[test]
    fn the_last_of_as_many_checks_as_there_may_be_counts() {
        static MOST: [Check; MAX_CHECKS] = {
            let mut most = [Check::required("one of many"); MAX_CHECKS];
            most[MAX_CHECKS - 1] = Check::required("last");
            most
        };
        let mut health = Health::new(policy(&MOST));
        assert!(health.note("one of many", true), "all that have this name");
        assert_eq!(health.verdict(&CALM), Verdict::Pending);
        let late = health.verdict(&Circumstances {
            trial_seconds: u16::MAX,
            ..at(u64::MAX)
        });
        assert_eq!(late, Verdict::Unhealthy(Reason::DeadlineOver));
        let mut failed = health;
        assert!(failed.note("last", false));
        let named = Verdict::Unhealthy(Reason::CheckFailed(32));
        assert_eq!(failed.verdict(&CALM), named);
        assert!(health.note("last", true));
        assert_eq!(health.verdict(&CALM), Verdict::Healthy);
    }

    #[test]
    fn a_product_without_checks_has_only_the_time_to_go_by() {
        let health = Health::new(Policy {
            trial_soak_seconds: 10,
            ..policy(&[])
        });
        assert_eq!(health.verdict(&at(9_999)), Verdict::Pending);
        assert_eq!(health.verdict(&at(10_000)), Verdict::Healthy);
        let over = Verdict::Unhealthy(Reason::DeadlineOver);
        assert_eq!(health.verdict(&at(60_000)), over);
    }
}
