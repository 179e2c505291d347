//! What `bistable doctor --json` says of a flash file.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use bistable_core::layout::Slot;
use serde::Deserialize;

/// The state of a device, read from its flash by the host tools.
#[derive(Clone, Deserialize, Debug)]
pub struct JournalView {
    /// What would boot.
    pub boots: Option<Boots>,
    /// The active slot.
    pub active: String,
    /// Slot A and slot B.
    pub slots: Vec<SlotView>,
    /// The smallest security counter that boots.
    pub floor: u32,
}

/// What would boot.
#[derive(Clone, Deserialize, Debug)]
pub struct Boots {
    /// `A` or `B`.
    pub slot: String,
    /// As what.
    pub role: String,
}

/// What the journal says of a slot.
#[derive(Clone, Deserialize, Debug)]
pub struct SlotView {
    /// `empty`, `receiving`, `trial`, `confirmed` or `rejected`.
    pub state: String,
    /// Of the manifest.
    pub digest: Option<String>,
    /// The image's, if its header lies in the slot.
    pub version: Option<String>,
    /// Of a trial.
    pub attempts: Option<u8>,
    /// Of a trial.
    pub power: Option<u8>,
    /// Of a trial.
    pub booted: Option<bool>,
    /// Of a rejected one, in words.
    pub reason_text: Option<String>,
}

impl JournalView {
    pub(super) fn parse(json: &str) -> Result<Self> {
        let view: Self = serde_json::from_str(json).context("read what bistable doctor printed")?;
        ensure!(view.slots.len() == 2, "bistable doctor speaks of two slots");
        Ok(view)
    }

    pub(super) fn slot(&self, slot: Slot) -> &SlotView {
        &self.slots[*slot.of(&[0, 1])]
    }

    /// Fails unless `slot` stands like this, and is active or not.
    pub(super) fn ensure(&self, slot: Slot, state: &str, digest: &str, active: bool) -> Result<()> {
        let seen = self.slot(slot);
        ensure!(
            seen.state == state && seen.digest.as_deref() == Some(digest),
            "expected slot {slot:?} to be {state} {}, the journal says {self}",
            &digest[..8]
        );
        let is_active = self.active == format!("{slot:?}");
        ensure!(
            is_active == active,
            "expected slot {slot:?} active: {active}, the journal says {self}"
        );
        Ok(())
    }
}

impl fmt::Display for JournalView {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, slot) in ["A", "B"].into_iter().zip(&self.slots) {
            write!(formatter, "{name}: {}", slot.state)?;
            if let Some(digest) = &slot.digest {
                write!(formatter, " {}", &digest[..8])?;
            }
            if slot.state == "trial" {
                let (attempts, power) = (slot.attempts.unwrap_or(0), slot.power.unwrap_or(0));
                write!(formatter, " ({attempts} attempts, {power} power-ons left)")?;
            }
            if let Some(reason) = &slot.reason_text {
                write!(formatter, " ({reason})")?;
            }
            if self.active == name {
                write!(formatter, " active")?;
            }
            write!(formatter, " · ")?;
        }
        write!(formatter, "floor {}", self.floor)
    }
}
