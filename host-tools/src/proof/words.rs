//! A receipt in words.

use std::fmt::{self, Display};

use bistable_core::digest::Digest;
use bistable_core::refusal::Refusal;
use bistable_core::reset::ResetReason;
use bistable_core::state::ReasonCode;
use bistable_updater::drift::{Drift, Finding};
use bistable_updater::locks::{Lock, Locks};
use bistable_updater::receipt::{self, Receipt, State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::doctor::words;
use crate::facts::Facts;
use crate::hex;
use crate::refusals::Numbered;

/// What a receipt says. Digests are in 64 hexadecimal digits.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Said {
    /// The unit's serial number.
    pub unit: String,
    /// The receipt's number in the unit's ledger.
    pub number: u32,
    /// Its digest, by which the next one names it.
    pub receipt: String,
    /// The digest of the receipt before it; `null` in the first one of a ledger.
    pub previous: Option<String>,
    /// What it answers; `null` if nobody asked.
    pub challenge: Option<String>,
    /// The digest of the running image's manifest.
    pub image: String,
    /// The running image's version.
    pub version: String,
    /// The running image's sequence.
    pub sequence: u32,
    /// The running slot: A or B.
    pub slot: &'static str,
    /// How the running image stands.
    pub state: StateName,
    /// On trial: how many starts are left after any reset but a loss of power.
    pub attempts: Option<u8>,
    /// On trial: how many starts are left after a loss of power.
    pub power: Option<u8>,
    /// Which image was rejected, and why: the one that was tried after this one, or this one.
    pub rejected: Option<RejectedImage>,
    /// Why the processor started.
    pub reset: String,
    /// Resets since the power came.
    pub resets: u32,
    /// Abnormal resets of the confirmed image since the last soak.
    pub abnormal_resets: u16,
    /// Seconds since this boot.
    pub uptime: u32,
    /// How the journal was found.
    pub journal: String,
    /// What the bootloader refused in this boot, such as `B033 BelowFloor`.
    pub refused: Option<String>,
    /// The smallest security counter that boots.
    pub floor: u32,
    /// What is locked.
    pub locks: LocksSaid,
    /// The bootloader's version.
    pub bootloader: String,
    /// What the last measurements of the slots found.
    pub drift: DriftSaid,
}

/// How the running image stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum StateName {
    /// The journal says nothing of it.
    Unclear,
    /// On trial.
    Trial,
    /// Confirmed.
    Confirmed,
    /// Confirmed, and running because another image was rejected.
    Reverted,
    /// Rejected: the other image boots after the next reset.
    Rejected,
}

/// An image that was rejected.
#[derive(Clone, Serialize, JsonSchema)]
pub struct RejectedImage {
    /// Its digest.
    pub image: String,
    /// Number, name and detail, such as `B103 CheckFailed(2)`.
    pub reason: String,
    /// The same in words; the names of the checks are in them if a layout was given.
    pub about: String,
}

/// What is locked: `locked`, `open` or `unknown`.
#[derive(Clone, Serialize, JsonSchema)]
pub struct LocksSaid {
    /// The device's key.
    pub key: &'static str,
    /// Reading the flash from outside.
    pub readout: &'static str,
    /// Writing the bootloader.
    pub bootloader: &'static str,
}

/// What measurements found: `intact`, `differs`, `no-image` or `not-yet`.
#[derive(Clone, Serialize, JsonSchema)]
pub struct DriftSaid {
    /// In the slot that runs.
    pub own: &'static str,
    /// In the other one.
    pub other: &'static str,
}

impl Said {
    /// What `receipt`, whose digest is `digest`, says; with the names of the product's checks.
    #[must_use]
    pub fn new(receipt: &Receipt, digest: Digest, facts: Option<&Facts>) -> Self {
        let rejected = |image: &[u8; 32], reason| RejectedImage {
            image: hex::encode(image),
            reason: number_of(reason),
            about: about(reason, facts),
        };
        let (state, budget, rejected) = match receipt.state {
            State::Unclear => (StateName::Unclear, None, None),
            State::Trial { attempts, power } => (StateName::Trial, Some((attempts, power)), None),
            State::Confirmed => (StateName::Confirmed, None, None),
            State::Reverted(other) => {
                let other = rejected(&other.digest, other.reason);
                (StateName::Reverted, None, Some(other))
            }
            State::Rejected { reason } => {
                let own = rejected(&receipt.digest, reason);
                (StateName::Rejected, None, Some(own))
            }
        };
        let (attempts, power) = budget.unzip();
        Self {
            unit: receipt.unit.to_string(),
            number: receipt.number,
            receipt: digest.to_string(),
            previous: (receipt.previous != [0; 32]).then(|| hex::encode(&receipt.previous)),
            challenge: receipt.challenge.map(|challenge| hex::encode(&challenge)),
            image: hex::encode(&receipt.digest),
            version: version(receipt.version),
            sequence: receipt.sequence,
            slot: words::slot(receipt::slot(receipt)),
            state,
            attempts,
            power,
            rejected,
            reset: match ResetReason::from_code(receipt.reset) {
                Some(reason) => words::reset(reason).into(),
                None => newer(receipt.reset),
            },
            resets: receipt.resets,
            abnormal_resets: receipt.abnormal,
            uptime: receipt.uptime,
            journal: journal(receipt.journal),
            refused: receipt.refused.map(|code| match Refusal::from_code(code) {
                Some(refusal) => refusal.to_string(),
                None => format!("B{code:03}"),
            }),
            floor: receipt.floor,
            locks: LocksSaid::new(receipt.locks),
            bootloader: version(receipt.bootloader),
            drift: DriftSaid::new(receipt.drift),
        }
    }
}

impl LocksSaid {
    /// In words.
    #[must_use]
    pub const fn new(locks: Locks) -> Self {
        Self {
            key: lock(locks.key),
            readout: lock(locks.readout),
            bootloader: lock(locks.bootloader),
        }
    }
}

impl DriftSaid {
    /// In words.
    #[must_use]
    pub const fn new(drift: Drift) -> Self {
        Self {
            own: finding(drift.own),
            other: finding(drift.other),
        }
    }
}

/// Whether something lies in a slot that is not what was verified.
#[must_use]
pub fn has_drifted(drift: Drift) -> bool {
    [drift.own, drift.other].contains(&Finding::Differs)
}

fn version((major, minor, patch): (u16, u16, u16)) -> String {
    format!("{major}.{minor}.{patch}")
}

/// [`bistable_core::handover::JournalHealth`], which has no way back from its number.
fn journal(health: u8) -> String {
    match health {
        0 => "whole".into(),
        1 => "healed".into(),
        2 => "rebuilt".into(),
        3 => "worn-out".into(),
        other => newer(other),
    }
}

fn newer(number: u8) -> String {
    format!("{number}, which is newer than these tools")
}

fn number_of(reason: u16) -> String {
    match ReasonCode::new(reason) {
        Some(code) => code.to_string(),
        None => "no reason".into(),
    }
}

fn about(reason: u16, facts: Option<&Facts>) -> String {
    let Some(code) = ReasonCode::new(reason) else {
        return "it does not say why".into();
    };
    match (facts, code.reason()) {
        (Some(facts), _) => facts.reason_text(code),
        (None, Some(reason)) => {
            let seen = Numbered::Reason(reason).seen();
            seen.trim_end_matches('.').into()
        }
        (None, None) => "a reason that is newer than these tools".into(),
    }
}

const fn lock(lock: Lock) -> &'static str {
    match lock {
        Lock::Unknown => "unknown",
        Lock::Open => "open",
        Lock::Locked => "locked",
    }
}

const fn finding(finding: Finding) -> &'static str {
    match finding {
        Finding::NotYet => "not-yet",
        Finding::NoImage => "no-image",
        Finding::Intact => "intact",
        Finding::Differs => "differs",
    }
}

impl Display for StateName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Unclear => "unclear",
            Self::Trial => "trial",
            Self::Confirmed => "confirmed",
            Self::Reverted => "reverted",
            Self::Rejected => "rejected",
        })
    }
}

impl Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit, number, .. } = self;
        let previous = self.previous.as_deref().unwrap_or("none: it is the first");
        let challenge = self.challenge.as_deref().unwrap_or("nobody's challenge");
        writeln!(formatter, "unit        {}", unit.escape_debug())?;
        writeln!(formatter, "receipt     {number}, {}", self.receipt)?;
        writeln!(formatter, "before it   {previous}")?;
        writeln!(formatter, "answers     {challenge}")?;
        writeln!(
            formatter,
            "runs        {} {} in slot {}, sequence {}",
            self.version, self.image, self.slot, self.sequence
        )?;
        write!(formatter, "state       {}", self.state)?;
        if let (Some(attempts), Some(power)) = (self.attempts, self.power) {
            write!(
                formatter,
                ", {attempts} starts left, {power} more after losses of power"
            )?;
        }
        writeln!(formatter)?;
        if let Some(RejectedImage {
            image,
            reason,
            about,
        }) = &self.rejected
        {
            writeln!(
                formatter,
                "rejected    {image}\n            {reason}: {about}"
            )?;
        }
        writeln!(
            formatter,
            "reset       {}; {} since the power came, {} abnormal, up for {} s",
            self.reset, self.resets, self.abnormal_resets, self.uptime
        )?;
        let refused = self.refused.as_deref().unwrap_or("nothing");
        let Self { bootloader, .. } = self;
        writeln!(
            formatter,
            "bootloader  {bootloader}, refused {refused} in this boot; floor {}, journal {}",
            self.floor, self.journal
        )?;
        let LocksSaid {
            key,
            readout,
            bootloader,
        } = self.locks;
        writeln!(
            formatter,
            "locks       key {key}, read-out {readout}, bootloader {bootloader}"
        )?;
        let DriftSaid { own, other } = self.drift;
        writeln!(formatter, "drift       own slot {own}, other slot {other}")
    }
}

#[cfg(test)]
mod tests {
    use bistable_updater::receipt::Rejected;

    use super::*;
    use crate::proof::bench::Unit;

    fn said(change: impl Fn(&mut Receipt)) -> String {
        let mut receipt = Unit::new("BST-1", 1).receipt;
        change(&mut receipt);
        Said::new(&receipt, Digest::NONE, None).to_string()
    }

    #[test]
    fn a_reverted_unit_says_which_image_was_rejected_and_why() {
        let text = said(|receipt| {
            receipt.state = State::Reverted(Rejected {
                digest: [0xEE; 32],
                reason: 0x0302,
            });
        });
        assert!(text.contains("state       reverted\n"), "{text}");
        assert!(text.contains(&"ee".repeat(32)), "{text}");
        assert!(text.contains("B103 CheckFailed(2): A required"), "{text}");
    }

    #[test]
    fn numbers_of_newer_devices_are_said_as_they_are() {
        let text = said(|receipt| {
            receipt.reset = 99;
            receipt.journal = 77;
            receipt.refused = Some(99);
            receipt.state = State::Rejected { reason: 0xFF01 };
        });
        for expected in [
            "99, which is newer",
            "77, which is newer",
            "refused B099",
            "B355",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn a_serial_number_cannot_write_on_other_lines() {
        let text = said(|receipt| {
            receipt.unit = "A\nstate       confirmed".try_into().unwrap();
            receipt.state = State::Unclear;
        });
        assert!(text.starts_with("unit        A\\nstate"), "{text}");
    }
}
