//! What lies where on the flash, or the flashes, how full it is, and how it stands.

use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_layout::Region;
use schemars::JsonSchema;
use serde::Serialize;

use crate::doctor::dump::{Dump, Holds};
use crate::doctor::examine::{Examination, Seen};
use crate::doctor::words;
use crate::facts::Facts;
use crate::memory_flash::ERASED;

/// One region of the flash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Place {
    /// Such as `slot A`.
    pub name: String,
    /// Where the processor sees its first byte.
    pub address: u64,
    /// From the flash's start, in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
    /// How many bytes of it are used; `null` if it is not all in the file.
    pub used: Option<u64>,
    /// How it stands, in a few words.
    pub state: String,
    /// Whether that is good: `true` for what boots, `false` for what should and does not.
    pub good: Option<bool>,
}

/// The regions of the flash, in the order of their addresses.
#[must_use]
pub fn map(examination: &Examination, dump: &Dump, facts: &Facts) -> Vec<Place> {
    let product = &facts.product;
    let row = &facts.row;
    let place = |region: Region| {
        let range = row.place(&region)?;
        let address = row.address(range.start);
        let holds = dump.holds(range.clone());
        let slot = Slot::BOTH
            .into_iter()
            .find(|slot| slot.of(&row.layout().slots).offset as usize == range.start);
        let is_journal = range.start == row.layout().journal.offset as usize;
        let bytes = dump.bytes().get(range).unwrap_or_default();
        let used = match (holds, slot) {
            (Holds::All, Some(slot)) => in_slot(slot, examination, bytes, facts),
            (Holds::All, None) => written(bytes),
            (Holds::Part | Holds::Nothing, _) => 0,
        };
        let (state, good) = match (holds, slot) {
            (Holds::Nothing, None) => ("not in this file".into(), None),
            (_, Some(slot)) => slot_state(slot, examination),
            _ if is_journal => journal(examination),
            (Holds::Part, None) => ("only a part is in this file".into(), None),
            (Holds::All, None) if used == 0 => ("erased".into(), None),
            (Holds::All, None) => (format!("{used} bytes used"), None),
        };
        Some(Place {
            name: region.name,
            address,
            offset: region.start,
            size: region.end - region.start,
            used: (holds == Holds::All).then_some(used),
            state,
            good,
        })
    };
    let mut places: Vec<_> = product.regions().into_iter().filter_map(place).collect();
    places.sort_by_key(|place| place.address);
    places
}

/// Up to the last byte that does not read as erased.
fn written(bytes: &[u8]) -> u64 {
    let last = bytes.iter().rposition(|byte| *byte != ERASED);
    last.map_or(0, |last| last as u64 + 1)
}

/// Header and payload, where there is a header; else whatever is written there.
fn in_slot(slot: Slot, examination: &Examination, bytes: &[u8], facts: &Facts) -> u64 {
    match slot.of(&examination.slots).manifest {
        Seen::Well(manifest) => {
            let layout = &facts.product.layout;
            let payload = manifest.payload_len().min(layout.payload_capacity());
            HEADER_LEN as u64 + u64::from(payload)
        }
        Seen::Refused(_) | Seen::NotInFile => written(bytes),
    }
}

fn journal(examination: &Examination) -> (String, Option<bool>) {
    let sectors = &examination.sectors;
    let whole = sectors.iter().filter(|it| it.word() == "whole").count();
    let health = words::health(examination.journal.as_ref());
    let good = match health {
        "whole" => Some(true),
        "not-in-file" => None,
        _ => Some(false),
    };
    let health = match health {
        "not-in-file" => "partly in this file",
        "healed" => "cut, to be healed",
        health => health,
    };
    let text = format!("{health}, {whole} of {} sectors", sectors.len());
    (text, good)
}

fn slot_state(slot: Slot, examination: &Examination) -> (String, Option<bool>) {
    let in_slot = slot.of(&examination.slots);
    let state = examination.state(slot);
    let said = state.as_ref().map_or("unknown", words::state);
    let version = in_slot
        .manifest
        .well()
        .map_or(String::new(), |it| format!(" {}", it.version()));
    let boots = examination.boots.is_some_and(|boots| boots.slot == slot);
    match in_slot.verdict {
        Seen::Well(()) if boots => (format!("{said}{version}, boots"), Some(true)),
        Seen::Well(()) => (format!("{said}{version}, verifies"), None),
        Seen::Refused(_) if matches!(said, "empty" | "receiving") => (said.into(), None),
        Seen::Refused(refusal) => {
            let expected = matches!(said, "trial" | "confirmed");
            let text = format!("{said}{version}, refused B{:03}", refusal.code());
            (text, expected.then_some(false))
        }
        Seen::NotInFile => (format!("{said}{version}, not all in file"), None),
    }
}
