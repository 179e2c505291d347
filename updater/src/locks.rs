//! What is locked on a device, as far as it can tell: a factory does it, a receipt says it.

use serde::{Deserialize, Serialize};

/// Whether something is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Lock {
    /// The chip cannot say.
    #[default]
    Unknown,
    /// It is not.
    Open,
    /// It is.
    Locked,
}

/// What a factory locks last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Locks {
    /// The device's key cannot be read from outside, or replaced.
    pub key: Lock,
    /// A debugger cannot read the flash.
    pub readout: Lock,
    /// The bootloader cannot be written.
    pub bootloader: Lock,
}
