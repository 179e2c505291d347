//! How health checks and verdicts are said: each outcome once, reasons with the names of checks.

use bistable_core::state::{Reason, ReasonCode};
use bistable_updater::health::{Check, Health, Outcome, Probe};
use defmt::info;

use crate::health::{CHECKS, COUNT};
use crate::layout;

/// The outcomes that were said already.
#[derive(Default)]
pub(crate) struct Said([Outcome; COUNT]);

impl Said {
    /// Says what has changed.
    pub(crate) fn say(&mut self, health: &Health) {
        for ((number, check, outcome), said) in health.iter().zip(&mut self.0) {
            if *said != outcome {
                info!("check {=u8} `{=str}`: {}", number, check.name, outcome);
                *said = outcome;
            }
        }
    }

    /// Whether the update source was reached.
    pub(crate) fn source_answered(&self) -> bool {
        let is_source = |check: &Check| check.probe == Probe::UpdateSource;
        let mut both = CHECKS.iter().zip(self.0);
        both.any(|(check, outcome)| is_source(check) && outcome == Outcome::Passed)
    }
}

/// A reason, with the name of the check if it is about one.
pub(crate) struct Words(pub(crate) ReasonCode);

impl defmt::Format for Words {
    fn format(&self, formatter: defmt::Formatter<'_>) {
        let Some(reason) = self.0.reason() else {
            let (number, code) = (self.0.number(), self.0.get());
            return defmt::write!(formatter, "B{=u16} ({=u16:#06x})", number, code);
        };
        defmt::write!(formatter, "B{=u16} ", self.0.number());
        let (Reason::CheckFailed(number) | Reason::SourceUnreachable(number)) = reason else {
            return defmt::write!(formatter, "{}", reason);
        };
        let place = usize::from(number).wrapping_sub(1);
        let name = layout::CHECKS.get(place).copied().unwrap_or("unknown");
        defmt::write!(formatter, "{}, check `{=str}`", reason, name);
    }
}
