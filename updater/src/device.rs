//! What the device says of itself.

use bistable_core::digest::Digest;
use bistable_core::handover::{JournalHealth, Standing};
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Rejection, SlotState};
use bistable_core::version::Version;

use crate::drift::Drift;
use crate::locks::Locks;

/// What the device says of itself, from handover, journal and headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Device {
    /// The slot that runs.
    pub running: Slot,
    /// How the image in it stands.
    pub standing: Standing,
    /// The image's name.
    pub digest: Digest,
    /// The image's version.
    pub version: Version,
    /// The image's sequence.
    pub sequence: u32,
    /// What the journal says of both slots.
    pub slots: [SlotState; 2],
    /// The bootloader's version.
    pub bootloader: Version,
    /// Why the processor started.
    pub reset: ResetReason,
    /// Resets since the power came.
    pub resets: u32,
    /// How the journal was found at boot.
    pub journal: JournalHealth,
    /// What the bootloader refused in this boot.
    pub refused: Option<(Slot, Refusal)>,
    /// The last verdict against an image.
    pub last_rejection: Option<Rejection>,
    /// The program counter when the watchdog barked, if it did before this boot.
    pub last_words: Option<u32>,
    /// The smallest security counter that boots.
    pub floor: u32,
    /// Abnormal resets of the confirmed image that no soak period has cleared.
    pub abnormal_resets: u16,
    /// The schema that the application's data are in.
    pub schema: u16,
    /// Seconds since this boot.
    pub uptime: u32,
    /// What is locked.
    pub locks: Locks,
    /// What the last measurements of the slots found.
    pub drift: Drift,
}
