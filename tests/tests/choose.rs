//! What to boot and what to write down for it, over every state.

use bistable_core::choose::{Against, Candidate, Found, Role, choose, rebuild, settle};
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Budget, Origin, POWER_BUDGET, Reason, Rejection, SlotState, Snapshot};
use bistable_core::transition::Charge;
use bistable_tests::states::{image, slot_states, snapshots, with_histories};

fn sound_states() -> impl Iterator<Item = Snapshot> {
    let left = [(0, 0), (0, 1), (1, 0), (2, 3)];
    let slots: &[SlotState] = slot_states(&[1, 2], &left).leak();
    let all = snapshots(slots).flat_map(with_histories);
    all.filter(Snapshot::is_sound)
}

/// All that can speak against candidates; that the active one crashes means that it can be recorded.
fn all_against() -> [Against; 12] {
    core::array::from_fn(|number| Against {
        failed: [number & 1 > 0, number & 2 > 0],
        trials: number / 4 == 1,
        crashed: number / 4 == 2,
    })
}

/// Every question that a bootloader can ask, and the answer.
fn answers() -> impl Iterator<Item = (Snapshot, ResetReason, Against, Option<Candidate>)> {
    sound_states().flat_map(|snapshot| {
        ResetReason::ALL.into_iter().flat_map(move |reset| {
            all_against()
                .map(|against| (snapshot, reset, against, choose(&snapshot, reset, against)))
        })
    })
}

/// How many starts a trial has left after this reset.
fn left(budget: Budget, reset: ResetReason) -> u8 {
    match reset {
        ResetReason::PowerOn | ResetReason::BrownOut => budget.power,
        _ => budget.attempts,
    }
}

fn the_trial(snapshot: &Snapshot) -> Option<(Slot, Budget)> {
    Slot::BOTH
        .into_iter()
        .find_map(|slot| match snapshot.slot(slot) {
            SlotState::Trial(_, budget) => Some((slot, budget)),
            _ => None,
        })
}

#[test]
fn a_trial_with_starts_left_then_the_active_unless_it_crashes_then_the_other_then_the_trial() {
    let mut asked = 0;
    for (snapshot, reset, against, found) in answers() {
        let usable = |slot: &Slot| !against.failed[*slot as usize];
        let resort = the_trial(&snapshot).filter(|(slot, _)| usable(slot));
        let trial = resort.filter(|_| !against.trials);
        let is_confirmed = |slot: &Slot| matches!(snapshot.slot(*slot), SlotState::Confirmed(_));
        let charge = match reset {
            ResetReason::PowerOn | ResetReason::BrownOut => Charge::Power,
            _ => Charge::Attempt,
        };
        let active = Some(snapshot.active).filter(usable);
        let other = Some(snapshot.active.other())
            .filter(usable)
            .filter(is_confirmed);
        let expected = match (trial, active, other) {
            (Some((slot, budget)), _, _) if left(budget, reset) > 0 => {
                Some((slot, Role::Trial(charge)))
            }
            (_, _, Some(slot)) if against.crashed => Some((slot, Role::Other)),
            (_, Some(slot), _) => Some((slot, Role::Active)),
            (_, None, Some(slot)) => Some((slot, Role::Other)),
            (_, None, None) => resort.map(|(slot, _)| (slot, Role::LastResort)),
        };
        let context = (snapshot, reset, against);
        assert_eq!(found.map(|it| (it.slot, it.role)), expected, "{context:?}");
        if let Some(candidate) = found {
            let there = snapshot.slot(candidate.slot).image();
            assert_eq!(Some(candidate.image), there, "{context:?}");
        }
        asked += 1;
    }
    println!("choose: {asked} questions");
}

#[test]
fn a_slot_that_failed_is_never_chosen_and_what_was_rejected_neither() {
    for (snapshot, _, against, found) in answers() {
        let Some(candidate) = found else { continue };
        assert!(!against.failed[candidate.slot as usize]);
        assert!(matches!(
            snapshot.slot(candidate.slot),
            SlotState::Trial(..) | SlotState::Confirmed(_)
        ));
    }
}

#[test]
fn without_a_journal_to_write_a_trial_is_chosen_as_the_last_resort_only() {
    for (snapshot, _, against, found) in answers() {
        if let (true, Some(candidate)) = (against.trials, found) {
            let is_confirmed = matches!(snapshot.slot(candidate.slot), SlotState::Confirmed(_));
            assert!(
                is_confirmed || candidate.role == Role::LastResort,
                "{snapshot:?}"
            );
        }
    }
}

#[test]
fn while_the_active_slot_verifies_something_boots() {
    for (snapshot, _, against, found) in answers() {
        if !against.failed[snapshot.active as usize] {
            assert!(found.is_some());
        }
    }
}

/// Every answer, and what is written for it.
fn settlements()
-> impl Iterator<Item = (Snapshot, ResetReason, Against, Candidate, Option<Snapshot>)> {
    answers().filter_map(|(snapshot, reset, against, found)| {
        let candidate = found?;
        let after = settle(&snapshot, against, candidate);
        Some((snapshot, reset, against, candidate, after))
    })
}

#[test]
fn the_start_of_a_trial_is_charged_to_one_budget_and_changes_nothing_else() {
    for (snapshot, reset, against, candidate, after) in settlements() {
        let Role::Trial(_) = candidate.role else {
            continue;
        };
        let after = after.expect("a start is recorded");
        let SlotState::Trial(image, before) = snapshot.slot(candidate.slot) else {
            panic!("{snapshot:?} {against:?}");
        };
        let mut budget = Budget {
            booted: true,
            ..before
        };
        match reset {
            ResetReason::PowerOn | ResetReason::BrownOut => budget.power -= 1,
            _ => budget.attempts -= 1,
        }
        let charged = SlotState::Trial(image, budget);
        assert_eq!(after, snapshot.with_slot(candidate.slot, charged));
    }
}

#[test]
fn a_confirmed_image_that_boots_writes_something_only_about_a_trial_or_an_active_one_that_crashes()
{
    for (snapshot, _, against, candidate, after) in settlements() {
        let writes_nothing = match candidate.role {
            Role::Active => the_trial(&snapshot).is_none(),
            Role::Other => the_trial(&snapshot).is_none() && !against.crashed,
            Role::Trial(_) | Role::LastResort => false,
        };
        if writes_nothing {
            assert_eq!(after, None, "{snapshot:?} {against:?} {candidate:?}");
        }
    }
}

#[test]
fn an_active_image_that_crashes_is_rejected_for_the_other_confirmed_one_and_nothing_else_changes() {
    let mut rejections = 0;
    for (snapshot, _, against, candidate, after) in settlements() {
        let active = snapshot.active;
        let other_is_confirmed = matches!(snapshot.slot(active.other()), SlotState::Confirmed(_));
        let is_due =
            against.crashed && other_is_confirmed && !against.failed[active.other() as usize];
        let was_rejected =
            after.is_some_and(|after| matches!(after.slot(active), SlotState::Rejected(..)));
        assert_eq!(
            was_rejected, is_due,
            "{snapshot:?} {against:?} {candidate:?}"
        );
        if !is_due {
            continue;
        }
        assert_eq!(
            (candidate.slot, candidate.role),
            (active.other(), Role::Other)
        );
        let image = snapshot.slot(active).image().expect("it is Confirmed");
        let mut list: Vec<_> = snapshot.rejected.into_iter().flatten().collect();
        list.retain(|entry| entry.digest != image.digest);
        list.insert(
            0,
            Rejection {
                digest: image.digest,
                sequence: image.sequence,
                reason: Reason::CrashLoop.code(),
            },
        );
        let fallen = list.get(4).map_or(0, |entry| entry.sequence);
        let rejected = SlotState::Rejected(image, Reason::CrashLoop.code());
        let expected = Snapshot {
            active: active.other(),
            rejected: core::array::from_fn(|place| list.get(place).copied()),
            forgotten: snapshot.forgotten.max(fallen),
            ..snapshot.with_slot(active, rejected)
        };
        assert_eq!(after, Some(expected), "{against:?}");
        rejections += 1;
    }
    assert!(rejections > 0);
}

#[test]
fn that_the_active_image_crashes_changes_nothing_unless_there_is_another_confirmed_one() {
    for (snapshot, reset, against, found) in answers() {
        if !matches!(
            snapshot.slot(snapshot.active.other()),
            SlotState::Confirmed(_)
        ) {
            let calm = Against {
                crashed: false,
                ..against
            };
            assert_eq!(found, choose(&snapshot, reset, calm), "{snapshot:?}");
            let settled = |against| found.and_then(|it| settle(&snapshot, against, it));
            assert_eq!(settled(against), settled(calm), "{snapshot:?}");
        }
    }
}

#[test]
fn a_trial_is_rejected_only_when_it_has_no_start_left_and_another_image_boots() {
    let mut rejections = 0;
    for (snapshot, reset, against, candidate, after) in settlements() {
        let (Some((slot, budget)), Some(after)) = (the_trial(&snapshot), after) else {
            continue;
        };
        let SlotState::Rejected(image, reason) = after.slot(slot) else {
            continue;
        };
        let context = (snapshot, reset, against, candidate);
        assert_eq!(left(budget, reset), 0, "{context:?}");
        assert_ne!(candidate.slot, slot, "{context:?}");
        assert!(
            !against.trials && !against.failed[slot as usize],
            "{context:?}"
        );
        assert_eq!(after.active, candidate.slot);
        assert_eq!(
            after.rejection(image.digest).map(|it| it.reason),
            Some(reason)
        );
        assert_eq!(after.slot(candidate.slot), snapshot.slot(candidate.slot));
        match reason.reason() {
            Some(Reason::AttemptsUsedUp) => assert_eq!(budget.attempts, 0),
            Some(Reason::PowerBudgetUsedUp) => assert_eq!(budget.power, 0),
            _ => panic!("{context:?} {reason:?}"),
        }
        rejections += 1;
    }
    assert!(rejections > 0);
}

#[test]
fn a_trial_with_no_start_left_is_rejected_as_soon_as_another_image_boots() {
    for (snapshot, reset, against, candidate, after) in settlements() {
        let Some((slot, budget)) = the_trial(&snapshot) else {
            continue;
        };
        let speaks_against = against.failed[slot as usize] || against.trials;
        if !speaks_against && left(budget, reset) == 0 && candidate.slot != slot {
            let now = after.expect("a rejection is recorded").slot(slot);
            assert!(matches!(now, SlotState::Rejected(..)), "{snapshot:?}");
        }
    }
}

#[test]
fn a_trial_that_failed_verification_is_forgotten_and_not_rejected() {
    let mut forgotten = 0;
    for (snapshot, _, against, candidate, after) in settlements() {
        let Some((slot, _)) = the_trial(&snapshot) else {
            continue;
        };
        if against.failed[slot as usize] {
            let expected = snapshot.with_slot(slot, SlotState::Empty);
            assert_eq!(after, Some(expected), "{snapshot:?} {candidate:?}");
            forgotten += 1;
        }
    }
    assert!(forgotten > 0);
}

#[test]
fn a_trial_that_goes_on_as_a_last_resort_writes_nothing() {
    let mut resorts = 0;
    for (snapshot, _, _, candidate, after) in settlements() {
        if candidate.role == Role::LastResort {
            assert_eq!(after, None, "{snapshot:?}");
            resorts += 1;
        }
    }
    assert!(resorts > 0);
}

#[test]
fn when_trials_are_off_the_journal_says_the_same_as_before_about_one_that_did_not_fail() {
    for (snapshot, _, against, _, after) in settlements() {
        let failed = the_trial(&snapshot).is_some_and(|(slot, _)| against.failed[slot as usize]);
        if against.trials && !failed {
            assert_eq!(after, None, "{snapshot:?}");
        }
    }
}

#[test]
fn what_is_settled_is_sound_and_keeps_floor_and_revocations() {
    for (snapshot, _, _, _, after) in settlements() {
        let Some(after) = after else { continue };
        assert!(after.is_sound());
        assert_eq!(
            (after.floor, after.revoked, after.schema),
            (snapshot.floor, snapshot.revoked, snapshot.schema)
        );
    }
}

fn all_found() -> Vec<Option<Found>> {
    let mut all = vec![None];
    for number in [1, 2, 3, 4] {
        for attempts in [1, 8] {
            for schema in [0, 2] {
                let image = bistable_core::state::Image {
                    origin: Origin::Found,
                    ..image(number)
                };
                all.push(Some(Found {
                    image,
                    attempts,
                    schema,
                }));
            }
        }
    }
    all
}

#[test]
fn a_lost_journal_is_rebuilt_from_what_lies_in_the_slots() {
    let all = all_found();
    let mut asked = 0;
    for a in &all {
        for b in &all {
            for floor in [0, 7] {
                let rebuilt = rebuild([*a, *b], floor);
                asked += 1;
                let (older, older_slot, newer) = match (a, b) {
                    (None, None) => {
                        assert_eq!(rebuilt, None);
                        continue;
                    }
                    (Some(a), None) => (a, Slot::A, None),
                    (None, Some(b)) => (b, Slot::B, None),
                    // on a tie A is the older one
                    (Some(a), Some(b)) if a.image.sequence <= b.image.sequence => {
                        (a, Slot::A, Some(b))
                    }
                    (Some(a), Some(b)) => (b, Slot::B, Some(a)),
                };
                let rebuilt = rebuilt.expect("something is acceptable");
                let beside = newer.map_or(SlotState::Empty, |newer| {
                    let budget = Budget {
                        attempts: newer.attempts,
                        power: POWER_BUDGET,
                        booted: false,
                    };
                    SlotState::Trial(newer.image, budget)
                });
                let expected = Snapshot {
                    schema: older.schema,
                    ..Snapshot::with_confirmed(older_slot, older.image, floor)
                };
                assert_eq!(rebuilt, expected.with_slot(older_slot.other(), beside));
                assert!(rebuilt.is_sound());
            }
        }
    }
    println!("rebuild: {asked} pairs of findings");
}
