//! Birth records: what went into each unit, who says so, and when. A file of signed lines, each of which names
//! the one before it.
//!
//! ```text
//!   {"birth":{"number":1,"previous":"00…","unit":"BST-000042",…},"key":"8 digits","signature":"128 digits"}
//! ```
//!
//! Signed are [`SIGNING_DOMAIN`] and the bytes of the object behind `"birth":`, as they lie in the line; nothing is
//! written again to be checked. `previous` is the SHA-256 of the whole line before it, without its line end. Lines
//! are only ever added.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is signed is this prefix and the record.
pub const SIGNING_DOMAIN: &[u8; 18] = b"bistable/birth/v1\0";

/// What is known about a unit when it leaves a station. Digests, keys and hashes are in hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Birth {
    /// Of the record in its file, from 1.
    pub number: u64,
    /// The SHA-256 of the line before it; 64 zeros in the first one.
    pub previous: String,
    /// What happened.
    pub event: Event,
    /// The unit's serial number.
    pub unit: String,
    /// How often this serial number was provisioned: 1, and one more for each rework.
    pub life: u32,
    /// Why the unit is made again; `None` in its first life.
    pub rework: Option<String>,
    /// Of the board.
    pub hardware_revision: u16,
    /// What was measured, by name.
    pub calibration: BTreeMap<String, i32>,
    /// The unit's public key (Ed25519); `None` until the device has made it.
    pub device_key: Option<String>,
    /// Where the private key was made.
    pub key_made: KeyMade,
    /// The digest of the image that the unit starts with.
    pub image: String,
    /// That image's version.
    pub version: String,
    /// The digest of the layout.
    pub layout: String,
    /// The SHA-256 of the flash file that all units have in common.
    pub common: String,
    /// The SHA-256 of the identity block.
    pub identity: String,
    /// The SHA-256 of the list that the unit came from.
    pub batch: String,
    /// These tools' version.
    pub tool: String,
    /// The station's name.
    pub station: String,
    /// The operator's name.
    pub operator: String,
    /// When the work on the unit began (RFC 3339, in UTC).
    pub began: String,
    /// When it was done.
    pub done: String,
    /// The SHA-256 of what was read back from the unit's flash; `None` if it was not flashed here.
    pub read_back: Option<String>,
    /// What is locked; `None` if it was not flashed here.
    pub locks: Option<Locks>,
}

/// What happened to a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It was given its serial number, its key and its identity file.
    Provisioned,
    /// It was flashed, read back, tried and locked.
    Flashed,
}

/// Where a private key was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyMade {
    /// By these tools, which wiped it once it was in the device.
    ByTool,
    /// On the device, which it never left.
    OnDevice,
}

/// What is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Locks {
    /// The device's key.
    pub key: bool,
    /// Reading the flash from outside.
    pub readout: bool,
    /// Writing the bootloader.
    pub bootloader: bool,
}
