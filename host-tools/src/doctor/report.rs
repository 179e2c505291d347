//! What was found, for programs; its text is made by [`super::text`].

use std::fmt::{self, Display};

use bistable_core::journal::Opened;
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::state::{ReasonCode, SlotState, Snapshot};
use schemars::JsonSchema;
use serde::Serialize;

use crate::doctor::advice::advise;
use crate::doctor::dump::{Dump, Holds};
use crate::doctor::examine::{Boots, Examination, Seen};
use crate::doctor::map::{Place, map};
use crate::doctor::sectors::{self, Step};
use crate::doctor::strange::{Strange, strange};
use crate::doctor::{text, words};
use crate::facts::Facts;
use crate::output::Report;
use crate::row::InRow;

/// What would boot from a flash, why, what was refused, what the journal went through, what to do.
#[derive(Serialize, JsonSchema)]
pub struct Diagnosis {
    /// What the file holds.
    pub flash: FlashReport,
    /// The reset that was asked about.
    pub reset: &'static str,
    /// The bootloader's version that was asked about.
    pub bootloader: String,
    /// What boots; `null` if nothing does, or if it cannot be said: see `missing`.
    pub boots: Option<Booting>,
    /// The regions that it takes to say what boots, and that are not in the file.
    pub missing: Vec<String>,
    /// What the bootloader finds when it opens the journal.
    pub journal: JournalReport,
    /// The active slot; `null` if the journal is lost or not in the file.
    pub active: Option<&'static str>,
    /// The smallest security counter that boots.
    pub floor: Option<u32>,
    /// The data schema of the application's data.
    pub schema: Option<u16>,
    /// The highest sequence among the rejected images that are no longer on the list.
    pub forgotten: Option<u32>,
    /// The ids of the revoked keys.
    pub revoked: Vec<String>,
    /// Slot A, then slot B.
    pub slots: [SlotReport; 2],
    /// The rejected images, the newest first.
    pub rejected: Vec<Rejected>,
    /// What this boot tries and refuses.
    pub refused: Vec<Refused>,
    /// The state when the image starts.
    pub after: Option<After>,
    /// The journal's sectors as they lie.
    pub sectors: Vec<SectorReport>,
    /// The snapshots that can still be read, the oldest first.
    pub history: Vec<Step>,
    /// What lies where on the flash.
    pub regions: Vec<Place>,
    /// What to do, the most urgent first.
    pub advice: Vec<String>,
    #[serde(skip)]
    text: String,
}

/// What the file holds.
#[derive(Serialize, JsonSchema)]
pub struct FlashReport {
    /// The flash's name in the layout; of several that the file holds something of, all names, with `, ` between.
    pub name: String,
    /// Where the processor sees its first byte; of several, the first one's.
    pub address: u32,
    /// Its length in bytes; of several, all together.
    pub size: u64,
    /// The first byte that the file holds, from the flash's start; several count as one, without what lies between.
    pub from: u64,
    /// One behind the last.
    pub to: u64,
}

/// What boots.
#[derive(Serialize, JsonSchema)]
pub struct Booting {
    /// `A` or `B`.
    pub slot: &'static str,
    /// `trial`, `active`, `other` or `last-resort`.
    pub role: &'static str,
    /// The image's name.
    pub digest: String,
    /// The image's version.
    pub version: String,
}

/// What the bootloader finds when it opens the journal.
#[derive(Serialize, JsonSchema)]
pub struct JournalReport {
    /// `whole`, `healed`, `worn-out`, `lost` or `not-in-file`.
    pub health: &'static str,
    /// How many sectors this boot would rewrite.
    pub rewrites: u8,
}

/// A slot.
#[derive(Serialize, JsonSchema)]
pub struct SlotReport {
    /// `A` or `B`.
    pub slot: &'static str,
    /// By the journal: `empty`, `receiving`, `trial`, `confirmed`, `rejected`; else `unknown`.
    pub state: &'static str,
    /// The image that the journal speaks of.
    pub digest: Option<String>,
    /// Its sequence.
    pub sequence: Option<u32>,
    /// Whence it came: `found`, `factory`, `network` or `local`.
    pub origin: Option<&'static str>,
    /// What is left of a trial: starts after any reset but a loss of power.
    pub attempts: Option<u8>,
    /// What is left of a trial: starts after a loss of power.
    pub power: Option<u8>,
    /// Whether a trial was started at all.
    pub booted: Option<bool>,
    /// Why it was rejected, as the journal has it.
    pub reason: Option<u16>,
    /// The number of that reason, such as `B103`.
    pub reason_number: Option<String>,
    /// That reason in words.
    pub reason_text: Option<String>,
    /// What the header in the slot says.
    pub version: Option<String>,
    /// What the header in the slot says.
    pub header_digest: Option<String>,
    /// What the header in the slot says.
    pub header_sequence: Option<u32>,
    /// What the header in the slot says.
    pub security_counter: Option<u32>,
    /// Whether it boots as it lies; `null` if it is not all in the file.
    pub verifies: Option<bool>,
    /// The name of the refusal.
    pub refusal: Option<String>,
    /// The number of the refusal.
    pub code: Option<u16>,
}

/// A rejected image.
#[derive(Serialize, JsonSchema)]
pub struct Rejected {
    /// Its name.
    pub digest: String,
    /// Its sequence.
    pub sequence: u32,
    /// Why, as the journal has it.
    pub reason: u16,
    /// The number of that reason, such as `B103`.
    pub reason_number: String,
    /// That reason in words.
    pub reason_text: String,
}

/// What was refused.
#[derive(Serialize, JsonSchema)]
pub struct Refused {
    /// `A` or `B`.
    pub slot: &'static str,
    /// The name of the refusal.
    pub refusal: String,
    /// Its number.
    pub code: u16,
}

/// The state when the image starts.
#[derive(Serialize, JsonSchema)]
pub struct After {
    /// `A` or `B`.
    pub active: &'static str,
    /// The smallest security counter that boots.
    pub floor: u32,
    /// Slot A, then slot B.
    pub slots: [SlotAfter; 2],
    /// Whether that is another state than before, so that the boot writes it.
    pub written: bool,
}

/// How a slot stands when the image starts.
#[derive(Serialize, JsonSchema)]
pub struct SlotAfter {
    /// As before the boot.
    pub state: &'static str,
    /// Of a trial.
    pub attempts: Option<u8>,
    /// Of a trial.
    pub power: Option<u8>,
}

/// A sector of the journal.
#[derive(Serialize, JsonSchema)]
pub struct SectorReport {
    /// Its first byte, from the flash's start.
    pub offset: usize,
    /// `whole`, `torn`, `blank`, `zero`, `garbage`, `other-layout`, `swapped` or `not-in-file`.
    pub holds: &'static str,
    /// How many equal valid copies there are, of five.
    pub valid: u8,
    /// Their sequence number.
    pub sequence: Option<u32>,
    /// Whether this sector is the one that counts.
    pub current: bool,
    /// What each copy's place holds.
    pub copies: Vec<&'static str>,
}

impl Report for Diagnosis {
    const FORMAT: &'static str = "doctor/1";
}

impl Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Diagnosis {
    /// What is to be said of an examination.
    #[must_use]
    pub fn new(examination: &Examination, dump: &Dump, facts: &Facts) -> Self {
        let snapshot = examination.snapshot();
        let rejected = snapshot.into_iter().flat_map(|snapshot| snapshot.rejected);
        let mut diagnosis = Self {
            flash: FlashReport::new(dump, facts),
            reset: words::reset(examination.conditions.reset),
            bootloader: examination.conditions.bootloader.to_string(),
            boots: examination.boots.as_ref().map(Booting::new),
            missing: examination.missing.clone(),
            journal: JournalReport {
                health: words::health(examination.journal.as_ref()),
                rewrites: match examination.journal {
                    Some(Opened::Sound { rewrites, .. }) => rewrites,
                    _ => 0,
                },
            },
            active: snapshot.map(|snapshot| words::slot(snapshot.active)),
            floor: snapshot.map(|snapshot| snapshot.floor),
            schema: snapshot.map(|snapshot| snapshot.schema),
            forgotten: snapshot.map(|snapshot| snapshot.forgotten),
            revoked: snapshot.map_or_else(Vec::new, |snapshot| revoked(snapshot, facts)),
            slots: Slot::BOTH.map(|slot| SlotReport::new(slot, examination, facts)),
            rejected: rejected
                .flatten()
                .map(|rejection| Rejected {
                    digest: rejection.digest.to_string(),
                    sequence: rejection.sequence,
                    reason: rejection.reason.get(),
                    reason_number: number(rejection.reason),
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
            after: examination
                .boots
                .as_ref()
                .map(|boots| After::new(boots, snapshot)),
            sectors: examination.sectors.iter().map(SectorReport::new).collect(),
            history: sectors::history(&examination.sectors, facts),
            regions: map(examination, dump, facts),
            advice: Vec::new(),
            text: String::new(),
        };
        let strange = strange(dump, &examination.sectors, facts);
        diagnosis.advice = strange
            .map(|strange| strange.advice(facts))
            .into_iter()
            .collect();
        // Read by another layout or the wrong way round, nothing of the rest is so.
        if !strange.is_some_and(Strange::is_misread) {
            diagnosis.advice.extend(advise(examination, facts));
        }
        diagnosis.text = text::render(&diagnosis, examination, facts);
        diagnosis
    }
}

impl FlashReport {
    fn new(dump: &Dump, facts: &Facts) -> Self {
        let present = dump.present();
        let all = facts.row.flashes();
        let touched = |it: &&InRow| dump.holds(it.range()) != Holds::Nothing;
        let in_file: Vec<_> = all.iter().filter(touched).collect();
        // A file that holds nothing of them is said to be of all.
        let flashes = match in_file.is_empty() {
            true => all.iter().collect(),
            false => in_file,
        };
        let start = flashes.first().map_or(0, |it| it.start);
        let names: Vec<_> = flashes.iter().map(|it| it.name.as_str()).collect();
        Self {
            name: names.join(", "),
            address: flashes.first().map_or(0, |it| it.flash.address),
            size: flashes.iter().map(|it| u64::from(it.flash.size)).sum(),
            from: present.start.saturating_sub(start) as u64,
            to: present.end.saturating_sub(start) as u64,
        }
    }
}

impl Booting {
    fn new(boots: &Boots) -> Self {
        Self {
            slot: words::slot(boots.slot),
            role: words::role(boots.role),
            digest: boots.digest.to_string(),
            version: boots.version.to_string(),
        }
    }
}

impl After {
    fn new(boots: &Boots, before: Option<&Snapshot>) -> Self {
        Self {
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
            written: before != Some(&boots.after),
        }
    }
}

impl SlotReport {
    fn new(slot: Slot, examination: &Examination, facts: &Facts) -> Self {
        let state = examination.state(slot);
        let image = state.and_then(|state| state.image());
        let (attempts, power) = state.as_ref().map_or((None, None), budget);
        let booted = match &state {
            Some(SlotState::Trial(_, budget)) => Some(budget.booted),
            _ => None,
        };
        let reason = match &state {
            Some(SlotState::Rejected(_, reason)) => Some(*reason),
            _ => None,
        };
        let in_slot = slot.of(&examination.slots);
        let manifest = in_slot.manifest.well();
        let refusal = in_slot.verdict.refusal();
        Self {
            slot: words::slot(slot),
            state: state.as_ref().map_or("unknown", words::state),
            digest: image.map(|image| image.digest.to_string()),
            sequence: image.map(|image| image.sequence),
            origin: image.map(|image| words::origin(image.origin)),
            attempts,
            power,
            booted,
            reason: reason.map(ReasonCode::get),
            reason_number: reason.map(number),
            reason_text: reason.map(|reason| facts.reason_text(reason)),
            version: manifest.map(|manifest| manifest.version().to_string()),
            header_digest: manifest.map(|manifest| manifest.digest().to_string()),
            header_sequence: manifest.map(|manifest| manifest.sequence()),
            security_counter: manifest.map(|manifest| manifest.security_counter()),
            verifies: match in_slot.verdict {
                Seen::Well(()) => Some(true),
                Seen::Refused(_) => Some(false),
                Seen::NotInFile => None,
            },
            refusal: refusal.map(name),
            code: refusal.map(Refusal::code),
        }
    }
}

impl SectorReport {
    fn new(sector: &sectors::Sector) -> Self {
        let view = &sector.view;
        Self {
            offset: sector.offset,
            holds: sector.word(),
            valid: view.valid,
            sequence: view.snapshot.map(|_| view.sequence),
            current: view.current,
            copies: sector.copies.map(sectors::Copy::word).to_vec(),
        }
    }
}

fn name(refusal: Refusal) -> String {
    format!("{refusal:?}")
}

fn number(reason: ReasonCode) -> String {
    format!("B{}", reason.number())
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
