//! What may be recorded of a serial number after what: given once, flashed once, and made again only as a new
//! life.
//!
//! ```text
//!   nothing ──▶ provisioned, life 1 ──▶ flashed ──▶ provisioned, life 2, and why ──▶ …
//!                         └─────────────────────────▶
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Birth, Event, KeyMade};

/// Where a serial number stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Life {
    /// 1, and one more for each rework.
    pub number: u32,
    /// Whether a unit with it was flashed in this life.
    pub flashed: bool,
    /// The unit's public key, once it is known.
    pub key: Option<String>,
}

/// Why a record cannot follow what was recorded of its serial number before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Misuse {
    /// A serial number that was given before, in the same or an earlier life.
    GivenBefore(u32),
    /// A life that does not follow the one before it, which is 0 if there is none.
    SkippedLife(u32),
    /// A later life without a reason, or a first one with it.
    ReworkUnclear,
    /// Flashed, but not provisioned in this life.
    NotProvisioned,
    /// Flashed twice in one life.
    FlashedBefore,
    /// Another key than before, in the same life.
    OtherKey,
    /// The tools made a key, and do not say which; or a key of the device is not known when it is flashed.
    NoKey,
}

impl Life {
    /// Where `birth`'s serial number stands after it.
    #[must_use]
    pub fn of(birth: &Birth) -> Self {
        Self {
            number: birth.life,
            flashed: birth.event == Event::Flashed,
            key: birth.device_key.clone(),
        }
    }
}

/// Whether `birth` may be recorded where its serial number stands so.
///
/// # Errors
/// Why not.
pub fn check(before: Option<&Life>, birth: &Birth) -> Result<(), Misuse> {
    let number = before.map_or(0, |life| life.number);
    match birth.event {
        Event::Provisioned => {
            if birth.life <= number {
                return Err(Misuse::GivenBefore(number));
            }
            if birth.life != number.saturating_add(1) {
                return Err(Misuse::SkippedLife(number));
            }
            if birth.rework.is_some() != (birth.life > 1) {
                return Err(Misuse::ReworkUnclear);
            }
            if birth.device_key.is_none() && birth.key_made == KeyMade::ByTool {
                return Err(Misuse::NoKey);
            }
        }
        Event::Flashed => {
            let Some(life) = before.filter(|life| life.number == birth.life) else {
                return Err(Misuse::NotProvisioned);
            };
            if life.flashed {
                return Err(Misuse::FlashedBefore);
            }
            if birth.device_key.is_none() {
                return Err(Misuse::NoKey);
            }
            if life.key.is_some() && life.key != birth.device_key {
                return Err(Misuse::OtherKey);
            }
        }
    }
    Ok(())
}

impl fmt::Display for Misuse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GivenBefore(life) => {
                write!(formatter, "a serial number that is in life {life} already")
            }
            Self::SkippedLife(0) => {
                formatter.write_str("a rework of a serial number that was never given")
            }
            Self::SkippedLife(life) => write!(formatter, "a life that does not follow life {life}"),
            Self::ReworkUnclear => formatter.write_str(
                "a rework without its reason, or a reason for a rework that there was not",
            ),
            Self::NotProvisioned => {
                formatter.write_str("a unit that was flashed, and not provisioned in this life")
            }
            Self::FlashedBefore => {
                formatter.write_str("a serial number that was flashed in this life already")
            }
            Self::OtherKey => {
                formatter.write_str("another device key than this life was provisioned with")
            }
            Self::NoKey => formatter.write_str("no device key, although there must be one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::births::tests::birth;

    fn provisioned(life: u32) -> Birth {
        Birth {
            life,
            rework: (life > 1).then(|| "broken".into()),
            ..birth("A")
        }
    }

    fn flashed(life: u32) -> Birth {
        Birth {
            event: Event::Flashed,
            ..provisioned(life)
        }
    }

    #[test]
    fn a_serial_number_is_given_and_flashed_once_in_each_life() {
        let first = Life::of(&provisioned(1));
        assert_eq!(check(None, &provisioned(1)), Ok(()));
        assert_eq!(
            check(Some(&first), &provisioned(1)),
            Err(Misuse::GivenBefore(1))
        );
        assert_eq!(check(Some(&first), &flashed(1)), Ok(()));
        let used = Life::of(&flashed(1));
        assert_eq!(check(Some(&used), &flashed(1)), Err(Misuse::FlashedBefore));
        assert_eq!(check(Some(&used), &provisioned(2)), Ok(()));
        assert_eq!(
            check(Some(&first), &provisioned(2)),
            Ok(()),
            "scrapped before it was flashed"
        );
    }

    #[test]
    fn no_life_is_skipped_and_none_begins_without_a_reason() {
        assert_eq!(check(None, &provisioned(2)), Err(Misuse::SkippedLife(0)));
        let first = Life::of(&provisioned(1));
        assert_eq!(
            check(Some(&first), &provisioned(3)),
            Err(Misuse::SkippedLife(1))
        );
        let silent = Birth {
            rework: None,
            ..provisioned(2)
        };
        assert_eq!(check(Some(&first), &silent), Err(Misuse::ReworkUnclear));
    }

    #[test]
    fn what_is_flashed_was_provisioned_in_this_life_and_keeps_its_key() {
        let first = Life::of(&provisioned(1));
        assert_eq!(check(None, &flashed(1)), Err(Misuse::NotProvisioned));
        assert_eq!(
            check(Some(&first), &flashed(2)),
            Err(Misuse::NotProvisioned)
        );
        let other = Birth {
            device_key: Some("22".repeat(32)),
            ..flashed(1)
        };
        assert_eq!(check(Some(&first), &other), Err(Misuse::OtherKey));
        let made_there = Life { key: None, ..first };
        assert_eq!(check(Some(&made_there), &other), Ok(()));
        let unknown = Birth {
            device_key: None,
            ..flashed(1)
        };
        assert_eq!(check(Some(&made_there), &unknown), Err(Misuse::NoKey));
    }
}
