//! What to do: a few sentences that follow from an examination and from nothing else.

use bistable_core::choose::Role;
use bistable_core::journal::Opened;
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::state::{SlotState, Snapshot};

use crate::doctor::examine::{Boots, Examination, Seen};
use crate::facts::Facts;
use crate::refusals::reason;
use crate::refusals::refusal::explain;

/// What to do, the most urgent first.
#[must_use]
pub fn advise(examination: &Examination, facts: &Facts) -> Vec<String> {
    let mut advice = Vec::new();
    if !examination.missing.is_empty() {
        advice.push(format!(
            "Read the rest of the flash too: what boots depends on {}.",
            examination.missing.join(" and ")
        ));
    }
    journal(&mut advice, examination, facts);
    match &examination.boots {
        Some(boots) => boot(&mut advice, boots, examination),
        None if examination.missing.is_empty() => recover(&mut advice, examination),
        None => {}
    }
    rejected(&mut advice, examination);
    if let (true, Some(boots)) = (advice.is_empty(), &examination.boots) {
        let (version, slot) = (boots.version, boots.slot);
        advice.push(format!(
            "Nothing: it boots {version} from slot {slot:?}, confirmed."
        ));
    }
    advice
}

fn journal(advice: &mut Vec<String>, examination: &Examination, facts: &Facts) {
    match &examination.journal {
        Some(Opened::Lost) => advice.push(format!(
            "The journal is lost: floor ({}) and revocations are the factory's again, and what was \
             rejected is forgotten. Publish an image with a higher sequence whose `--revoke-below` raises \
             the floor; keys that were revoked are revoked again with `--revoke`.",
            facts.product.layout.factory_floor
        )),
        Some(Opened::GaveUp(_)) => advice.push(format!(
            "The journal cannot be made whole ({}): {}.",
            Refusal::JournalWornOut,
            explain(Refusal::JournalWornOut).mend
        )),
        Some(Opened::Sound { rewrites: 1.., .. }) => advice.push(
            "The power was cut while the journal was written: nothing to do, the next boot heals it."
                .into(),
        ),
        Some(Opened::Sound { rewrites: 0, .. }) | None => {}
    }
}

/// About a device that boots.
fn boot(advice: &mut Vec<String>, boots: &Boots, examination: &Examination) {
    let (slot, version) = (boots.slot, boots.version);
    let beside = slot.other();
    let lies_beside = beside.of(&examination.slots).verdict;
    match boots.role {
        Role::Trial(_) => advice.push(format!(
            "Wait: {version} is on trial in slot {slot:?}, {}. It stays if it confirms; else the device \
             goes back to slot {beside:?}.",
            starts_left(&boots.after, slot)
        )),
        Role::Other => {
            let why = lies_beside.refusal().map_or_else(
                || "which crashes again and again".into(),
                |refusal| format!("which is refused as {refusal}"),
            );
            advice.push(format!(
                "Publish an image with a sequence above {}: the device runs slot {slot:?} instead of slot \
                 {beside:?}, {why}, and installs it there.",
                sequence(&boots.after, slot)
            ));
        }
        Role::LastResort => advice.push(format!(
            "It runs a trial whose budget is used up, because nothing else verifies: let its application \
             confirm it, or flash the device again with what `bistable factory build` makes ({version} in \
             slot {slot:?})."
        )),
        Role::Active => {}
    }
    let was_good = matches!(
        examination.state(beside),
        Some(SlotState::Confirmed(_) | SlotState::Trial(..))
    );
    if let (Role::Active, true, Seen::Refused(refusal)) = (boots.role, was_good, lies_beside) {
        advice.push(format!(
            "Slot {beside:?} does not boot ({refusal}), so there is nothing to go back to: publish an image \
             with a sequence above {}, which the device installs there.",
            sequence(&boots.after, slot)
        ));
    }
}

/// About a device from which nothing boots.
fn recover(advice: &mut Vec<String>, examination: &Examination) {
    let mut said = Vec::new();
    for slot in Slot::BOTH {
        if let Seen::Refused(refusal) = slot.of(&examination.slots).verdict
            && !said.contains(&refusal)
        {
            said.push(refusal);
            advice.push(format!(
                "Slot {slot:?} is refused as {refusal}: {}.",
                explain(refusal).mend
            ));
        }
    }
    advice.push(
        "The device waits in recovery. If the board has none, flash it again with what `bistable factory \
         build` makes."
            .into(),
    );
}

/// About the image that was rejected last, unless a newer one runs already.
fn rejected(advice: &mut Vec<String>, examination: &Examination) {
    let newest = examination
        .snapshot()
        .and_then(|snapshot| snapshot.rejected.into_iter().flatten().next());
    let running = examination
        .boots
        .and_then(|boots| boots.after.slot(boots.slot).image())
        .map_or(0, |image| image.sequence);
    if let Some(rejection) = newest.filter(|rejection| rejection.sequence > running) {
        let mend = match rejection.reason.reason() {
            Some(reason) => reason::explain(reason).mend,
            None => "use tools that are as new as the image that wrote it",
        };
        advice.push(format!(
            "Image {:.4}, sequence {}, was rejected as {}: {mend}.",
            rejection.digest, rejection.sequence, rejection.reason
        ));
    }
}

fn starts_left(after: &Snapshot, slot: Slot) -> String {
    match after.slot(slot) {
        SlotState::Trial(_, budget) => format!(
            "with {} attempts and {} power-ons left after this start",
            budget.attempts, budget.power
        ),
        _ => "with nothing left after this start".into(),
    }
}

fn sequence(after: &Snapshot, slot: Slot) -> u32 {
    let image = after.slot(slot).image();
    let rejected = after.rejected.iter().flatten();
    let rejected = rejected.map(|rejection| rejection.sequence);
    let running = image.map_or(0, |image| image.sequence);
    rejected.fold(running.max(after.forgotten), u32::max)
}

#[cfg(test)]
mod tests {
    use bistable_core::digest::Digest;
    use bistable_core::state::{Image, Origin, Reason};
    use bistable_core::version::Version;

    use super::*;

    fn image(sequence: u32) -> Image {
        Image {
            digest: Digest([sequence as u8; 32]),
            sequence,
            origin: Origin::Network,
        }
    }

    #[test]
    fn the_sequence_to_publish_is_above_all_that_the_device_knows() {
        let snapshot = Snapshot::with_confirmed(Slot::A, image(3), 0);
        assert_eq!(sequence(&snapshot, Slot::A), 3);
        let snapshot = snapshot.remember_rejected(image(9), Reason::CrashLoop);
        assert_eq!(sequence(&snapshot, Slot::A), 9);
        let snapshot = Snapshot {
            forgotten: 12,
            ..snapshot
        };
        assert_eq!(sequence(&snapshot, Slot::A), 12);
    }

    #[test]
    fn what_is_left_of_a_trial_is_said_after_its_start() {
        let mut snapshot = Snapshot::with_confirmed(Slot::A, image(3), 0);
        let budget = bistable_core::state::Budget::new(2);
        *snapshot.slot_mut(Slot::B) = SlotState::Trial(image(4), budget);
        let boots = Boots {
            slot: Slot::B,
            role: Role::Trial(bistable_core::transition::Charge::Attempt),
            digest: image(4).digest,
            version: Version::new(1, 2, 3),
            after: snapshot,
        };
        assert_eq!(
            starts_left(&boots.after, boots.slot),
            "with 2 attempts and 16 power-ons left after this start"
        );
    }
}
