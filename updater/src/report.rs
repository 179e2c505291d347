//! What a device tells its update server: postcard behind a version byte.

use serde::{Deserialize, Serialize};

use crate::device::Device;
use crate::identity::Serial;

/// The version byte.
pub const VERSION: u8 = 1;

/// The longest report, in bytes.
pub const MAX_LEN: usize = 192;

/// How a slot stands, as far as a report says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Standing {
    /// Neither of the others.
    None,
    /// On trial.
    Trial,
    /// Confirmed.
    Confirmed,
}

/// A rejected image, as far as a report says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rejected {
    /// Of its manifest.
    pub digest: [u8; 32],
    /// [`bistable_core::state::ReasonCode`].
    pub reason: u16,
}

/// What a device says of itself. Nobody signed it: it is as true as the network it came over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Which device.
    pub serial: Serial,
    /// The running slot: 0 is A, 1 is B.
    pub slot: u8,
    /// How the running image stands.
    pub standing: Standing,
    /// Of the running image's manifest.
    pub digest: [u8; 32],
    /// Of the running image: major, minor, patch.
    pub version: (u16, u16, u16),
    /// Of the running image.
    pub sequence: u32,
    /// [`bistable_core::reset::ResetReason`], as a number.
    pub reset: u8,
    /// Resets since the power came.
    pub resets: u32,
    /// [`bistable_core::handover::JournalHealth`], as a number.
    pub journal: u8,
    /// What the bootloader refused in this boot: [`bistable_core::refusal::Refusal::code`].
    pub refused: Option<u16>,
    /// The last image that was rejected.
    pub rejected: Option<Rejected>,
    /// The smallest security counter that boots.
    pub floor: u32,
}

impl Report {
    /// The report of `device`.
    #[must_use]
    pub fn new(serial: Serial, device: &Device) -> Self {
        use bistable_core::handover::Standing as Stands;
        let version = device.version;
        Self {
            serial,
            slot: *device.running.of(&[0, 1]),
            standing: match device.standing {
                Stands::None => Standing::None,
                Stands::Trial => Standing::Trial,
                Stands::Confirmed => Standing::Confirmed,
            },
            digest: device.digest.0,
            version: (version.major, version.minor, version.patch),
            sequence: device.sequence,
            reset: device.reset as u8,
            resets: device.resets,
            journal: device.journal as u8,
            refused: device.refused.map(|(_, refusal)| refusal.code()),
            rejected: device.last_rejection.map(|rejection| Rejected {
                digest: rejection.digest.0,
                reason: rejection.reason.get(),
            }),
            floor: device.floor,
        }
    }

    /// Puts the report into `buffer`; `None` if it is shorter than [`MAX_LEN`] and that is too short.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let (version, rest) = buffer.split_first_mut()?;
        *version = VERSION;
        let len = postcard::to_slice(self, rest).ok()?.len();
        buffer.get(..len.checked_add(1)?)
    }

    /// Reads a report; `None` for another version, for what is not one, and for trailing bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (report, trailing) = postcard::take_from_bytes(rest).ok()?;
        (*version == VERSION && trailing.is_empty()).then_some(report)
    }
}
