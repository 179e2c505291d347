//! What was found, for people: a picture, then a few lines for each thing.

use std::fmt::{Display, Write as _};

use bistable_core::choose::Role;
use bistable_core::journal::Opened;
use bistable_core::layout::Slot;
use bistable_core::state::{SlotState, Snapshot};
use bistable_core::transition::Charge;

use crate::doctor::examine::{Boots, Examination, Seen};
use crate::doctor::map::Place;
use crate::doctor::picture::Picture;
use crate::doctor::report::Diagnosis;
use crate::doctor::words;
use crate::facts::Facts;
use crate::output::{BAD, GOOD, paint};
use crate::row::InRow;

/// The diagnosis as text.
#[must_use]
pub fn render(diagnosis: &Diagnosis, examination: &Examination, facts: &Facts) -> String {
    let mut text = Text::default();
    for InRow { name, flash, .. } in facts.row.flashes() {
        let here = u64::from(flash.address)..u64::from(flash.address) + u64::from(flash.size);
        let lies_here = |place: &&Place| here.contains(&place.address);
        let places: Vec<_> = diagnosis
            .regions
            .iter()
            .filter(lies_here)
            .cloned()
            .collect();
        let picture = Picture {
            name,
            address: flash.address.into(),
            size: flash.size.into(),
            places: &places,
        };
        let _ = writeln!(text.0, "{picture}"); // A String takes everything.
    }
    text.line("journal", journal(examination.journal.as_ref()));
    for (number, sector) in examination.sectors.iter().enumerate() {
        let counts = if sector.view.current { ", counts" } else { "" };
        text.line("", format!("sector {number}: {}{counts}", sector.says()));
    }
    for step in &diagnosis.history {
        let changes = match step.changes.is_empty() {
            true => "the same, written again".into(),
            false => step.changes.join(", "),
        };
        let sequence = step.sequence;
        text.line("history", format!("{sequence}: {changes}"));
    }
    if let Some(snapshot) = examination.snapshot() {
        text.line("state", state(snapshot, facts));
    }
    for slot in Slot::BOTH {
        let name = format!("slot {slot:?}");
        text.line(&name, said_of(slot, examination, facts));
        text.line("", lies_in(slot, examination));
    }
    let rejected = examination
        .snapshot()
        .into_iter()
        .flat_map(|snapshot| snapshot.rejected);
    for rejection in rejected.flatten() {
        text.line(
            "rejected",
            format!(
                "{}, sequence {}: {}",
                rejection.digest,
                rejection.sequence,
                words::reason(rejection.reason, facts)
            ),
        );
    }
    for (slot, refusal) in &examination.refused {
        text.line("refused", format!("slot {slot:?}, as {refusal}"));
    }
    let reset = words::reset(examination.conditions.reset);
    match &examination.boots {
        Some(boots) => {
            text.line(
                "boots",
                format!(
                    "{} {} in slot {:?}, {}",
                    paint(GOOD, boots.version),
                    boots.digest,
                    boots.slot,
                    as_what(boots)
                ),
            );
            text.line(
                "because",
                format!("the reset is {reset}, and {}", why(boots, examination)),
            );
            if let Some(written) = written(boots, examination) {
                text.line("writes", written);
            }
        }
        None if !examination.missing.is_empty() => text.line(
            "boots",
            format!(
                "cannot be said, because of what is not in this file: {}",
                examination.missing.join(", ")
            ),
        ),
        None => text.line(
            "boots",
            format!(
                "{} after {reset}: the device waits in recovery",
                paint(BAD, "nothing")
            ),
        ),
    }
    for advice in &diagnosis.advice {
        text.line("to do", advice);
    }
    text.0
}

fn journal(opened: Option<&Opened>) -> String {
    match opened {
        Some(Opened::Sound { rewrites: 0, .. }) => "whole".into(),
        Some(Opened::Sound { rewrites, .. }) => {
            format!("cut while it was written; this boot heals it with {rewrites} rewrites")
        }
        Some(Opened::GaveUp(_)) => "cannot be made whole: no trial, no update".into(),
        Some(Opened::Lost) => "lost, or never written: both slots are verified".into(),
        None => "not all of it is in this file, so what it says cannot be said".into(),
    }
}

fn state(snapshot: &Snapshot, facts: &Facts) -> String {
    format!(
        "active {:?}, floor {}, schema {}, {} revoked",
        snapshot.active,
        snapshot.floor,
        snapshot.schema,
        words::revoked(snapshot, facts)
    )
}

/// What the journal says of a slot.
fn said_of(slot: Slot, examination: &Examination, facts: &Facts) -> String {
    let Some(state) = examination.state(slot) else {
        return "the journal says nothing".into();
    };
    let mut said = words::state(&state).to_owned();
    if let Some(image) = state.image() {
        let origin = words::origin(image.origin);
        said += &format!(
            " {}, sequence {}, origin {origin}",
            image.digest, image.sequence
        );
    }
    match state {
        SlotState::Trial(_, budget) => {
            let started = if budget.booted {
                "started before"
            } else {
                "never started"
            };
            let (attempts, power) = (budget.attempts, budget.power);
            said += &format!(", {started}, {attempts} attempts and {power} power-ons left");
        }
        SlotState::Rejected(_, reason) => said += &format!(", {}", words::reason(reason, facts)),
        SlotState::Empty | SlotState::Receiving(_) | SlotState::Confirmed(_) => {}
    }
    said
}

/// What lies in a slot.
fn lies_in(slot: Slot, examination: &Examination) -> String {
    let in_slot = slot.of(&examination.slots);
    let verdict = match in_slot.verdict {
        Seen::Well(()) => "verifies".into(),
        Seen::Refused(refusal) => format!("does not boot: {refusal}"),
        Seen::NotInFile => "not all of it is in this file".into(),
    };
    match &in_slot.manifest {
        Seen::NotInFile => verdict,
        Seen::Refused(_) => format!("holds no header; {verdict}"),
        Seen::Well(manifest) => format!(
            "holds {} {:.4}, sequence {}, security counter {}, {} bytes; {verdict}",
            manifest.version(),
            manifest.digest(),
            manifest.sequence(),
            manifest.security_counter(),
            manifest.payload_len()
        ),
    }
}

fn as_what(boots: &Boots) -> &'static str {
    match boots.role {
        Role::Trial(Charge::Attempt) => "on trial, charged to its attempts",
        Role::Trial(Charge::Power) => "on trial, charged to its power-ons",
        Role::Active => "confirmed and active",
        Role::Other => "confirmed, instead of the active one",
        Role::LastResort => "on trial, as a last resort",
    }
}

fn why(boots: &Boots, examination: &Examination) -> &'static str {
    let trial = Slot::BOTH
        .into_iter()
        .any(|slot| matches!(examination.state(slot), Some(SlotState::Trial(..))));
    match (boots.role, examination.journal.as_ref()) {
        (_, Some(Opened::Lost)) => {
            "the older of the images that verify becomes the active one, a newer one a trial"
        }
        (Role::Trial(_), _) => "a trial whose budget for this reset is not used up goes first",
        (Role::Active, Some(Opened::GaveUp(_))) if trial => {
            "a trial that cannot be recorded does not happen"
        }
        (Role::Active, _) if trial => {
            "the trial does not verify, or its budget for this reset is used up"
        }
        (Role::Active, _) => "there is no trial",
        (Role::Other, _) => "the active one does not verify",
        (Role::LastResort, _) => "nothing else verifies",
    }
}

/// What the boot writes to the journal besides healing it.
fn written(boots: &Boots, examination: &Examination) -> Option<String> {
    let before = examination.snapshot();
    if before == Some(&boots.after) {
        return None;
    }
    let slots = Slot::BOTH.map(|slot| {
        let state = boots.after.slot(slot);
        match state {
            SlotState::Trial(_, budget) => format!(
                "{slot:?} trial with {} attempts and {} power-ons left",
                budget.attempts, budget.power
            ),
            _ => format!("{slot:?} {}", words::state(&state)),
        }
    });
    Some(format!(
        "active {:?}, {}",
        boots.after.active,
        slots.join(", ")
    ))
}

/// Lines of a name and a value.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name:<9} {value}"); // A String takes everything.
    }
}
