//! How states, roles and resets are called, in text and in JSON.

use bistable_core::choose::Role;
use bistable_core::journal::Opened;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Origin, ReasonCode, SlotState, Snapshot};

use crate::facts::Facts;

/// `A` or `B`.
#[must_use]
pub const fn slot(slot: Slot) -> &'static str {
    match slot {
        Slot::A => "A",
        Slot::B => "B",
    }
}

/// What the journal says of a slot.
#[must_use]
pub const fn state(state: &SlotState) -> &'static str {
    match state {
        SlotState::Empty => "empty",
        SlotState::Receiving(_) => "receiving",
        SlotState::Trial(..) => "trial",
        SlotState::Confirmed(_) => "confirmed",
        SlotState::Rejected(..) => "rejected",
    }
}

/// Whence an image came.
#[must_use]
pub const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Found => "found",
        Origin::Factory => "factory",
        Origin::Network => "network",
        Origin::Local => "local",
    }
}

/// As what an image boots.
#[must_use]
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Trial(_) => "trial",
        Role::Active => "active",
        Role::Other => "other",
        Role::LastResort => "last-resort",
    }
}

/// How the journal was found.
#[must_use]
pub const fn health(opened: Option<&Opened>) -> &'static str {
    match opened {
        Some(Opened::Sound { rewrites: 0, .. }) => "whole",
        Some(Opened::Sound { .. }) => "healed",
        Some(Opened::GaveUp(_)) => "worn-out",
        Some(Opened::Lost) => "lost",
        None => "not-in-file",
    }
}

/// Why an image was rejected: number and words.
#[must_use]
pub fn reason(code: ReasonCode, facts: &Facts) -> String {
    format!("B{}: {}", code.number(), facts.reason_text(code))
}

/// The names of the keys that count no more, or that there are none.
#[must_use]
pub fn revoked(snapshot: &Snapshot, facts: &Facts) -> String {
    let keys = facts.ring.keys.iter().enumerate();
    let revoked = keys.filter(|(place, _)| snapshot.revoked.contains(*place));
    let revoked: Vec<_> = revoked.map(|(_, entry)| entry.name.as_str()).collect();
    match revoked.is_empty() {
        true => "no key".into(),
        false => revoked.join(", "),
    }
}

/// Why a processor starts.
#[must_use]
pub const fn reset(reason: ResetReason) -> &'static str {
    match reason {
        ResetReason::Unknown => "unknown",
        ResetReason::PowerOn => "power-on",
        ResetReason::BrownOut => "brown-out",
        ResetReason::Pin => "pin",
        ResetReason::Software => "software",
        ResetReason::Watchdog => "watchdog",
        ResetReason::LockUp => "lock-up",
    }
}

/// For the command line.
///
/// # Errors
/// The reasons that there are.
pub fn parse_reset(text: &str) -> Result<ResetReason, String> {
    let mut reasons = ResetReason::ALL.into_iter();
    reasons
        .find(|reason| reset(*reason) == text)
        .ok_or_else(|| {
            let names = ResetReason::ALL.map(reset);
            format!("a reset reason is one of: {}", names.join(", "))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reset_reason_is_read_as_it_is_printed() {
        for reason in ResetReason::ALL {
            assert_eq!(parse_reset(reset(reason)), Ok(reason));
        }
        assert!(parse_reset("power on").is_err());
    }
}
