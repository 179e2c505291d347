//! The transition function over its whole enumerated domain, against the design's table.

use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::state::{Budget, Image, Reason, Rejection, SlotState, Snapshot};
use bistable_core::transition::{Charge, Event, transition};
use bistable_tests::states::{image, slot_states, snapshots, with_histories};

/// What the table says about an event.
#[derive(PartialEq, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one value at a time, and compared at once"
)]
enum Row {
    /// It happens, and this is the state then.
    Becomes(Snapshot),
    /// It is so already.
    IsSo,
    /// It is refused for this reason.
    Refused(Refusal),
    /// It stands in no row of the table.
    Impossible,
}

fn states() -> impl Iterator<Item = Snapshot> {
    let left = [(0, 0), (0, 1), (1, 0), (2, 1)];
    let slots: &[SlotState] = slot_states(&[1, 2, 3, 4], &left).leak();
    snapshots(slots).flat_map(with_histories)
}

fn sound_states() -> impl Iterator<Item = Snapshot> {
    states().filter(Snapshot::is_sound)
}

fn events() -> Vec<Event> {
    let mut events = Vec::new();
    for slot in Slot::BOTH {
        for image in [1, 2, 3, 4, 5].map(image) {
            events.extend([false, true].map(|live| Event::Receive {
                running: slot,
                image,
                live,
            }));
            events.extend([1, 8].map(|attempts| Event::Activate {
                target: slot,
                image,
                attempts,
            }));
        }
        events.extend(
            [Charge::Attempt, Charge::Power].map(|charge| Event::BootTrial { slot, charge }),
        );
        for revokes in [Revoked(0), Revoked(0b1000)] {
            events.extend([0, 7].map(|revoke_below| Event::Confirm {
                running: slot,
                revoke_below,
                revokes,
            }));
        }
        for reason in [
            Reason::AttemptsUsedUp,
            Reason::OnRequest(3),
            Reason::CrashLoop,
            Reason::SourceUnreachable(2),
        ] {
            events.extend([false, true].map(|other_is_acceptable| Event::Reject {
                slot,
                reason,
                other_is_acceptable,
            }));
        }
        events.push(Event::TrialBroken { slot });
        events.extend([0, 1, 3].map(|schema| Event::Migrate {
            running: slot,
            schema,
        }));
    }
    events
}

/// The table, row by row.
fn table(before: &Snapshot, event: Event) -> Row {
    let at = |slot: Slot| before.slots[slot as usize];
    let with = |slot: Slot, state| {
        let mut after = *before;
        after.slots[slot as usize] = state;
        after
    };
    match event {
        Event::Receive {
            running,
            image,
            live,
        } => receive(before, running, image, live),
        Event::Activate {
            target,
            image,
            attempts,
        } => match at(target) {
            SlotState::Receiving(there) if there.digest == image.digest => {
                let budget = Budget {
                    attempts,
                    power: 16,
                    booted: false,
                };
                Row::Becomes(with(target, SlotState::Trial(there, budget)))
            }
            SlotState::Trial(there, budget) if there.digest == image.digest && !budget.booted => {
                Row::IsSo
            }
            _ => Row::Impossible,
        },
        Event::BootTrial { slot, charge } => match at(slot) {
            SlotState::Trial(image, budget) => {
                let Budget {
                    attempts, power, ..
                } = budget;
                let (attempts, power) = match (charge, attempts, power) {
                    (Charge::Attempt, 0, _) | (Charge::Power, _, 0) => {
                        return Row::Refused(Refusal::BudgetUsedUp);
                    }
                    (Charge::Attempt, some, power) => (some - 1, power),
                    (Charge::Power, attempts, some) => (attempts, some - 1),
                };
                let budget = Budget {
                    attempts,
                    power,
                    booted: true,
                };
                Row::Becomes(with(slot, SlotState::Trial(image, budget)))
            }
            _ => Row::Impossible,
        },
        Event::Confirm {
            running,
            revoke_below,
            revokes,
        } => match at(running) {
            SlotState::Trial(image, budget) if budget.booted => Row::Becomes(Snapshot {
                active: running,
                floor: before.floor.max(revoke_below),
                revoked: Revoked(before.revoked.0 | revokes.0),
                ..with(running, SlotState::Confirmed(image))
            }),
            SlotState::Confirmed(_) => Row::IsSo,
            _ => Row::Impossible,
        },
        Event::Reject {
            slot,
            reason,
            other_is_acceptable,
        } => {
            let image = match at(slot) {
                SlotState::Trial(image, _) => image,
                SlotState::Confirmed(image) if before.active == slot => image,
                SlotState::Rejected(..) => return Row::IsSo,
                _ => return Row::Impossible,
            };
            match at(slot.other()) {
                SlotState::Confirmed(_) if other_is_acceptable => {
                    let (rejected, forgotten) = remembered(before, image, reason);
                    Row::Becomes(Snapshot {
                        active: slot.other(),
                        rejected,
                        forgotten,
                        ..with(slot, SlotState::Rejected(image, reason.code()))
                    })
                }
                _ => Row::Refused(Refusal::NoAcceptableOther),
            }
        }
        Event::TrialBroken { slot } => match at(slot) {
            SlotState::Trial(..) => Row::Becomes(with(slot, SlotState::Empty)),
            _ => Row::Impossible,
        },
        Event::Migrate { running, schema } => match at(running) {
            SlotState::Confirmed(_) if before.active != running => Row::Impossible,
            SlotState::Confirmed(_) if before.schema == schema => Row::IsSo,
            SlotState::Confirmed(_) => Row::Becomes(Snapshot { schema, ..*before }),
            SlotState::Trial(..) => Row::Refused(Refusal::TrialNotFinished),
            SlotState::Rejected(..) => Row::Refused(Refusal::ResetFirst),
            SlotState::Empty | SlotState::Receiving(_) => Row::Impossible,
        },
    }
}

fn receive(before: &Snapshot, running: Slot, image: Image, live: bool) -> Row {
    let target = running.other();
    match before.slots[running as usize] {
        SlotState::Confirmed(runs) if runs.digest == image.digest => {
            return Row::Refused(Refusal::AlreadyRunning);
        }
        SlotState::Confirmed(_) => {}
        SlotState::Trial(..) => return Row::Refused(Refusal::TrialNotFinished),
        SlotState::Rejected(..) => return Row::Refused(Refusal::ResetFirst),
        SlotState::Empty | SlotState::Receiving(_) => return Row::Impossible,
    }
    let is_newer_than = |there: Image| image.sequence > there.sequence;
    match before.slots[target as usize] {
        SlotState::Trial(waits, _) if waits.digest == image.digest => {
            return Row::Refused(Refusal::AlreadyWaiting);
        }
        SlotState::Trial(_, budget) if budget.booted => {
            return Row::Refused(Refusal::TrialNotFinished);
        }
        SlotState::Trial(waits, _) if !is_newer_than(waits) => {
            return Row::Refused(Refusal::NewerInProgress);
        }
        SlotState::Receiving(comes)
            if live && comes.digest != image.digest && !is_newer_than(comes) =>
        {
            return Row::Refused(Refusal::NewerInProgress);
        }
        _ => {}
    }
    let mut after = *before;
    after.slots[target as usize] = SlotState::Receiving(image);
    after.active = running;
    if after == *before {
        Row::IsSo
    } else {
        Row::Becomes(after)
    }
}

/// The last four rejected images, the newest first and each once; and the highest sequence forgotten.
fn remembered(before: &Snapshot, image: Image, reason: Reason) -> ([Option<Rejection>; 4], u32) {
    let mut list: Vec<Rejection> = before.rejected.iter().flatten().copied().collect();
    list.retain(|entry| entry.digest != image.digest);
    list.insert(
        0,
        Rejection {
            digest: image.digest,
            sequence: image.sequence,
            reason: reason.code(),
        },
    );
    let fallen = list.iter().skip(4).map(|entry| entry.sequence).max();
    let entries = core::array::from_fn(|place| list.get(place).copied());
    (entries, before.forgotten.max(fallen.unwrap_or(0)))
}

#[test]
fn whatever_happens_is_what_the_table_says() {
    let events = events();
    let mut asked = 0_u64;
    let mut happened = 0_u64;
    for before in states() {
        for event in &events {
            let expected = table(&before, *event);
            let found = transition(&before, *event);
            let agrees = match (&found, &expected) {
                (Ok(Some(after)), Row::Becomes(expected)) => after == expected,
                (Ok(None), Row::IsSo) => true,
                (Err(refusal), Row::Refused(expected)) => refusal == expected,
                (Err(refusal), Row::Impossible) => *refusal == Refusal::Impossible,
                _ => false,
            };
            assert!(
                agrees,
                "{before:?}\n{event:?}\nbecame {found:?}\nand should be {expected:?}"
            );
            asked += 1;
            happened += u64::from(matches!(found, Ok(Some(_))));
        }
    }
    println!("transition: {asked} states and events, {happened} changes of state");
    assert!(asked > 1_000_000 && happened > 100_000);
}

/// Every change of state that can happen to a sound state.
fn changes() -> impl Iterator<Item = (Snapshot, Event, Snapshot)> {
    let events = events();
    sound_states().flat_map(move |before| {
        let after = |event: &Event| match transition(&before, *event) {
            Ok(Some(after)) => Some((before, *event, after)),
            _ => None,
        };
        events.iter().filter_map(after).collect::<Vec<_>>()
    })
}

#[test]
fn the_active_slot_is_confirmed_after_whatever_happens() {
    for (before, event, after) in changes() {
        assert!(after.is_sound(), "{before:?}\n{event:?}\n{after:?}");
    }
}

#[test]
fn floor_and_revocations_never_fall_and_rise_only_when_an_image_is_confirmed() {
    let mut rises = 0;
    for (before, event, after) in changes() {
        assert!(after.floor >= before.floor);
        assert_eq!(after.revoked.0 & before.revoked.0, before.revoked.0);
        if (after.floor, after.revoked) != (before.floor, before.revoked) {
            assert!(matches!(event, Event::Confirm { .. }), "{event:?}");
            rises += 1;
        }
    }
    assert!(rises > 0);
}

#[test]
fn only_a_migration_changes_the_schema_and_it_changes_nothing_else() {
    let mut migrations = 0;
    for (before, event, after) in changes() {
        let Event::Migrate { schema, .. } = event else {
            assert_eq!(after.schema, before.schema, "{event:?}");
            continue;
        };
        assert_ne!(before.schema, schema, "{before:?}");
        assert_eq!(after, Snapshot { schema, ..before });
        migrations += 1;
    }
    assert!(migrations > 0);
}

#[test]
fn what_runs_is_never_received_over() {
    for (before, event, after) in changes() {
        if let Event::Receive { running, .. } = event {
            assert_eq!(after.slot(running), before.slot(running));
            assert_eq!(after.active, running);
        }
    }
}

#[test]
fn a_trial_that_was_started_is_never_received_over() {
    for (before, event, after) in changes() {
        let Event::Receive { running, .. } = event else {
            continue;
        };
        if let SlotState::Trial(_, budget) = before.slot(running.other()) {
            assert!(!budget.booted, "{before:?}\n{event:?}\n{after:?}");
        }
    }
}

#[test]
fn only_a_trial_that_was_started_is_confirmed() {
    for (before, event, after) in changes() {
        for slot in Slot::BOTH {
            let is_new = before.slot(slot) != after.slot(slot);
            if is_new && matches!(after.slot(slot), SlotState::Confirmed(_)) {
                assert!(matches!(event, Event::Confirm { running, .. } if running == slot));
                let SlotState::Trial(_, budget) = before.slot(slot) else {
                    panic!("{before:?}\n{event:?}\n{after:?}");
                };
                assert!(budget.booted);
            }
        }
    }
}

#[test]
fn what_was_rejected_is_remembered_and_what_was_remembered_is_not_lost() {
    for (before, event, after) in changes() {
        if let Event::Reject { slot, reason, .. } = event {
            let image = before.slot(slot).image().expect("an image was rejected");
            let entry = after.rejection(image.digest).expect("it is remembered");
            assert_eq!(entry.sequence, image.sequence);
            assert_eq!(entry.reason, reason);
        }
        for old in before.rejected.iter().flatten() {
            let is_known = after.rejection(old.digest).is_some() || after.forgotten >= old.sequence;
            assert!(is_known, "{before:?}\n{event:?}\n{after:?}");
        }
        assert!(after.forgotten >= before.forgotten);
    }
}

#[test]
fn an_event_that_happened_changes_nothing_when_it_happens_again() {
    for (before, event, after) in changes() {
        if matches!(event, Event::BootTrial { .. }) {
            continue; // each start is charged
        }
        let again = transition(&after, event);
        assert!(
            !matches!(again, Ok(Some(_))),
            "{before:?}\n{event:?}\n{again:?}"
        );
    }
}
