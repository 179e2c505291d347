//! Whether what lies in the slots is still what was verified: both are measured again while the application runs.

use serde::{Deserialize, Serialize};

/// What the last measurement of a slot found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Finding {
    /// It was not measured in this boot.
    #[default]
    NotYet,
    /// There is no image that could be measured: none, one that is being received, or one that was rejected.
    NoImage,
    /// Header and payload are what the manifest says.
    Intact,
    /// They are not, or cannot be read.
    Differs,
}

/// What was found in both slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drift {
    /// In the slot that runs.
    pub own: Finding,
    /// In the other one.
    pub other: Finding,
}
