//! `struct bistable_status`: what the device says of itself, as C reads it.

use bistable_core::layout::Slot;
use bistable_core::state::SlotState;
use bistable_core::version::Version;
use bistable_updater::Device;

/// What the device says of itself. The fields are explained in `bistable.h`, in the same order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "the header documents them")]
pub struct Status {
    pub slot: u8,
    pub standing: u8,
    pub reset: u8,
    pub journal: u8,
    pub digest: [u8; 32],
    pub version: [u16; 3],
    pub bootloader: [u16; 3],
    pub sequence: u32,
    pub floor: u32,
    pub resets: u32,
    pub last_words: u32,
    pub abnormal_resets: u16,
    pub schema: u16,
    pub starts_left: u8,
    pub refused_slot: u8,
    pub refused: u16,
    pub rejected: u16,
    pub rejected_detail: u8,
    pub reserved: u8,
    pub rejected_digest: [u8; 32],
}

// As in the header: no compiler pads it.
const _: () = assert!(size_of::<Status>() == 108 && align_of::<Status>() == 4);

impl Status {
    pub(crate) fn of(device: &Device) -> Self {
        let running: &SlotState = device.running.of(&device.slots);
        let (standing, starts_left) = match running {
            SlotState::Trial(_, budget) => (1, budget.starts_left()),
            SlotState::Confirmed(_) => (2, 0),
            SlotState::Rejected(..) => (3, 0),
            _ => (0, 0),
        };
        let rejection = device.last_rejection;
        let [detail, kind] =
            rejection.map_or([0; 2], |rejection| rejection.reason.get().to_le_bytes());
        Self {
            slot: letter(device.running),
            standing,
            reset: device.reset as u8,
            journal: device.journal as u8,
            digest: device.digest.0,
            version: numbers(device.version),
            bootloader: numbers(device.bootloader),
            sequence: device.sequence,
            floor: device.floor,
            resets: device.resets,
            last_words: device.last_words.unwrap_or(0),
            abnormal_resets: device.abnormal_resets,
            schema: device.schema,
            starts_left,
            refused_slot: device.refused.map_or(0, |(slot, _)| letter(slot)),
            refused: device.refused.map_or(0, |(_, refusal)| refusal.code()),
            rejected: rejection.map_or(0, |_| u16::from(kind).saturating_add(REASONS)),
            rejected_detail: detail,
            reserved: 0,
            rejected_digest: rejection.map_or([0; 32], |rejection| rejection.digest.0),
        }
    }
}

/// Reasons are read as `B103`: their kind and this.
const REASONS: u16 = 100;

const fn letter(slot: Slot) -> u8 {
    match slot {
        Slot::A => b'A',
        Slot::B => b'B',
    }
}

const fn numbers(version: Version) -> [u16; 3] {
    [version.major, version.minor, version.patch]
}
