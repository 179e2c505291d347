//! What was found, for programs.
//!
//! Digests are 64 hexadecimal digits, versions are `major.minor.patch`, slots are `A` and `B`, and what
//! there is not is `null`.
//!
//! | key | value |
//! | --- | --- |
//! | `reset`, `bootloader` | what was asked about |
//! | `boots` | `null`, or `slot`, `role` (`trial`, `active`, `other`, `last-resort`), `digest`, `version` |
//! | `journal` | `health` (`whole`, `healed`, `worn-out`, `lost`), `rewrites` that this boot would make |
//! | `active` | the slot; `null` if the journal is lost |
//! | `floor`, `schema`, `forgotten`, `revoked` | the snapshot's; `revoked` is a list of key ids |
//! | `slots` | A, then B: see below |
//! | `rejected` | the newest first: `digest`, `sequence`, `reason`, `reason_text` |
//! | `refused` | what this boot tries and refuses: `slot`, `refusal`, `code` |
//! | `after` | `null`, or the state when the image starts: `active`, `floor`, `slots` (`state`, `attempts`, `power`), `written` |
//!
//! A slot is `slot`, `state` (`empty`, `receiving`, `trial`, `confirmed`, `rejected`, `unknown`), what the
//! journal says (`digest`, `sequence`, `origin`, `attempts`, `power`, `booted`, `reason`, `reason_text`),
//! what the header in it says (`version`, `header_digest`, `header_sequence`, `security_counter`), and
//! whether that boots as it lies (`verifies`, and if not `refusal` and `code`).

use bistable_core::journal::Opened;
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::state::{ReasonCode, SlotState, Snapshot};
use serde::Serialize;

use crate::doctor::examine::{Boots, Examination};
use crate::doctor::words;
use crate::facts::Facts;

#[derive(Serialize)]
struct Report {
    reset: &'static str,
    bootloader: String,
    boots: Option<Booting>,
    journal: JournalReport,
    active: Option<&'static str>,
    floor: Option<u32>,
    schema: Option<u16>,
    forgotten: Option<u32>,
    revoked: Vec<String>,
    slots: [SlotReport; 2],
    rejected: Vec<Rejected>,
    refused: Vec<Refused>,
    after: Option<After>,
}

#[derive(Serialize)]
struct Booting {
    slot: &'static str,
    role: &'static str,
    digest: String,
    version: String,
}

#[derive(Serialize)]
struct JournalReport {
    health: &'static str,
    rewrites: u8,
}

#[derive(Serialize)]
struct SlotReport {
    slot: &'static str,
    state: &'static str,
    digest: Option<String>,
    sequence: Option<u32>,
    origin: Option<&'static str>,
    attempts: Option<u8>,
    power: Option<u8>,
    booted: Option<bool>,
    reason: Option<u16>,
    reason_text: Option<String>,
    version: Option<String>,
    header_digest: Option<String>,
    header_sequence: Option<u32>,
    security_counter: Option<u32>,
    verifies: bool,
    refusal: Option<String>,
    code: Option<u16>,
}

#[derive(Serialize)]
struct Rejected {
    digest: String,
    sequence: u32,
    reason: u16,
    reason_text: String,
}

#[derive(Serialize)]
struct Refused {
    slot: &'static str,
    refusal: String,
    code: u16,
}

#[derive(Serialize)]
struct After {
    active: &'static str,
    floor: u32,
    slots: [SlotAfter; 2],
    written: bool,
}

#[derive(Serialize)]
struct SlotAfter {
    state: &'static str,
    attempts: Option<u8>,
    power: Option<u8>,
}

/// The examination as JSON, on several lines.
#[must_use]
pub fn render(examination: &Examination, facts: &Facts) -> String {
    let report = report(examination, facts);
    // Nothing in a report can fail to be written: no map with odd keys, no number that JSON lacks.
    serde_json::to_string_pretty(&report).unwrap_or_default()
}

fn report(examination: &Examination, facts: &Facts) -> Report {
    let snapshot = examination.snapshot();
    let rejected = snapshot.into_iter().flat_map(|snapshot| snapshot.rejected);
    Report {
        reset: words::reset(examination.conditions.reset),
        bootloader: examination.conditions.bootloader.to_string(),
        boots: examination.boots.map(booting),
        journal: JournalReport {
            health: words::health(&examination.journal),
            rewrites: match examination.journal {
                Opened::Sound { rewrites, .. } => rewrites,
                _ => 0,
            },
        },
        active: snapshot.map(|snapshot| words::slot(snapshot.active)),
        floor: snapshot.map(|snapshot| snapshot.floor),
        schema: snapshot.map(|snapshot| snapshot.schema),
        forgotten: snapshot.map(|snapshot| snapshot.forgotten),
        revoked: snapshot.map_or_else(Vec::new, |snapshot| revoked(snapshot, facts)),
        slots: Slot::BOTH.map(|slot| slot_report(slot, examination, facts)),
        rejected: rejected
            .flatten()
            .map(|rejection| Rejected {
                digest: rejection.digest.to_string(),
                sequence: rejection.sequence,
                reason: rejection.reason.get(),
                reason_text: facts.reason_text(rejection.reason),
            })
            .collect(),
        refused: examination
            .refused
            .iter()
            .map(|(slot, refusal)| Refused {
                slot: words::slot(*slot),
                refusal: name(*refusal),
                code: refusal.code(),
            })
            .collect(),
        after: examination.boots.map(|boots| After {
            active: words::slot(boots.after.active),
            floor: boots.after.floor,
            slots: boots.after.slots.map(|state| {
                let (attempts, power) = budget(&state);
                SlotAfter {
                    state: words::state(&state),
                    attempts,
                    power,
                }
            }),
            written: snapshot != Some(&boots.after),
        }),
    }
}

fn booting(boots: Boots) -> Booting {
    Booting {
        slot: words::slot(boots.slot),
        role: words::role(boots.role),
        digest: boots.digest.to_string(),
        version: boots.version.to_string(),
    }
}

fn slot_report(slot: Slot, examination: &Examination, facts: &Facts) -> SlotReport {
    let state = examination.state(slot);
    let image = state.and_then(|state| state.image());
    let (attempts, power) = state.as_ref().map_or((None, None), budget);
    let reason = state.as_ref().and_then(reason);
    let in_slot = slot.of(&examination.slots);
    let manifest = in_slot.manifest.ok();
    let refusal = in_slot.verdict.err();
    SlotReport {
        slot: words::slot(slot),
        state: state.as_ref().map_or("unknown", words::state),
        digest: image.map(|image| image.digest.to_string()),
        sequence: image.map(|image| image.sequence),
        origin: image.map(|image| words::origin(image.origin)),
        attempts,
        power,
        booted: match state {
            Some(SlotState::Trial(_, budget)) => Some(budget.booted),
            _ => None,
        },
        reason: reason.map(ReasonCode::get),
        reason_text: reason.map(|reason| facts.reason_text(reason)),
        version: manifest.map(|manifest| manifest.version().to_string()),
        header_digest: manifest.map(|manifest| manifest.digest().to_string()),
        header_sequence: manifest.map(|manifest| manifest.sequence()),
        security_counter: manifest.map(|manifest| manifest.security_counter()),
        verifies: refusal.is_none(),
        refusal: refusal.map(name),
        code: refusal.map(Refusal::code),
    }
}

fn name(refusal: Refusal) -> String {
    format!("{refusal:?}")
}

fn revoked(snapshot: &Snapshot, facts: &Facts) -> Vec<String> {
    let keys = facts.ring.keys.iter().enumerate();
    keys.filter(|(place, _)| snapshot.revoked.contains(*place))
        .map(|(_, entry)| entry.key.id.to_string())
        .collect()
}

const fn budget(state: &SlotState) -> (Option<u8>, Option<u8>) {
    match state {
        SlotState::Trial(_, budget) => (Some(budget.attempts), Some(budget.power)),
        _ => (None, None),
    }
}

const fn reason(state: &SlotState) -> Option<ReasonCode> {
    match state {
        SlotState::Rejected(_, reason) => Some(*reason),
        _ => None,
    }
}
