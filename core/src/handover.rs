//! The handover: a checksummed block in RAM that survives a reset.
//!
//! It is what the bootloader tells the application, and what either tells the bootloader that runs
//! next. Nothing in it is trusted for safety: what it can do is spend a trial's budget faster, or give a
//! confirmed image up for the other one, which must verify.

use crate::digest::Digest;
use crate::layout::Slot;
use crate::refusal::Refusal;
use crate::reset::{ResetReason, Retained};
use crate::version::Version;
use crate::wire;

/// Length in bytes.
pub const HANDOVER_LEN: usize = 128;

const MAGIC: [u8; 4] = *b"BSH2";

/// Where the fields lie. The order cannot change; numbers are little-endian.
mod field {
    pub(super) const MAGIC: usize = 0; // 4
    pub(super) const RUNNING: usize = 4; // 1: slot
    pub(super) const STANDING: usize = 5; // 1
    // unused: 2
    pub(super) const DIGEST: usize = 8; // 32
    pub(super) const RESET: usize = 40; // 1
    pub(super) const JOURNAL: usize = 41; // 1
    pub(super) const REFUSED_SLOT: usize = 42; // 1
    pub(super) const NOTE_SLOT: usize = 43; // 1
    pub(super) const REFUSED: usize = 44; // 2
    pub(super) const NOTE_RESETS: usize = 46; // 1
    pub(super) const ANNOUNCED: usize = 47; // 1
    pub(super) const BOOTLOADER: usize = 48; // 6
    pub(super) const ABNORMAL: usize = 54; // 2
    pub(super) const RESETS: usize = 56; // 4
    pub(super) const LAST_WORDS: usize = 60; // 4
    pub(super) const BARKED: usize = 64; // 1
    // unused: 59
    pub(super) const CRC: usize = 124; // 4
}

/// How the image that runs stands. The numbers never change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Standing {
    /// No image was started yet.
    #[default]
    None = 0,
    /// On trial.
    Trial = 1,
    /// Confirmed.
    Confirmed = 2,
}

/// How the journal was found at boot. The numbers never change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum JournalHealth {
    /// Whole.
    #[default]
    Whole = 0,
    /// The power had been cut during a write; whole again.
    Healed = 1,
    /// Lost; the state was built anew from what lies in the slots.
    Rebuilt = 2,
    /// A sector cannot be written any more: no trial, no update.
    WornOut = 3,
}

/// What the block says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Handover {
    /// The slot that was started; until then, in the bootloader, the one that ran before the reset.
    pub running: Option<Slot>,
    /// How its image stands.
    pub standing: Standing,
    /// Of its manifest; until then, of the one that ran before the reset.
    pub digest: Digest,
    /// Why the processor started.
    pub reset: ResetReason,
    /// How the journal was found.
    pub journal: JournalHealth,
    /// The last image that was refused in this boot.
    pub refused: Option<(Slot, Refusal)>,
    /// The bootloader's version.
    pub bootloader: Version,

    /// Kept across resets: the slot whose verification had begun and not ended.
    pub note: Option<Slot>,
    /// Kept across resets: how many abnormal resets in a row found that note.
    pub note_resets: u8,
    /// Kept across resets: abnormal resets of the confirmed image, since it runs. A soak period clears them.
    pub abnormal: u16,
    /// Kept across resets: how many there were since the power came.
    pub resets: u32,
    /// For the next boot: a reset was announced.
    pub announced: bool,
    /// For the next boot: the watchdog's pre-reset interrupt was taken.
    pub barked: bool,
    /// For the next boot: the program counter when it was.
    pub last_words: u32,
}

impl Handover {
    /// The block that says this.
    #[must_use]
    pub fn encode(&self) -> [u8; HANDOVER_LEN] {
        let mut bytes = [0; HANDOVER_LEN];
        let (refused_slot, refused) = match self.refused {
            Some((slot, refusal)) => (Some(slot), refusal.code()),
            None => (None, 0),
        };
        wire::put(&mut bytes, field::MAGIC, &MAGIC);
        wire::put(&mut bytes, field::RUNNING, &[slot_code(self.running)]);
        wire::put(&mut bytes, field::STANDING, &[self.standing as u8]);
        wire::put(&mut bytes, field::DIGEST, &self.digest.0);
        wire::put(&mut bytes, field::RESET, &[self.reset as u8]);
        wire::put(&mut bytes, field::JOURNAL, &[self.journal as u8]);
        wire::put(&mut bytes, field::REFUSED_SLOT, &[slot_code(refused_slot)]);
        wire::put(&mut bytes, field::NOTE_SLOT, &[slot_code(self.note)]);
        wire::put(&mut bytes, field::REFUSED, &refused.to_le_bytes());
        wire::put(&mut bytes, field::NOTE_RESETS, &[self.note_resets]);
        wire::put(&mut bytes, field::ANNOUNCED, &[self.announced.into()]);
        wire::put(&mut bytes, field::BOOTLOADER, &self.bootloader.to_bytes());
        wire::put(&mut bytes, field::ABNORMAL, &self.abnormal.to_le_bytes());
        wire::put(&mut bytes, field::RESETS, &self.resets.to_le_bytes());
        wire::put(
            &mut bytes,
            field::LAST_WORDS,
            &self.last_words.to_le_bytes(),
        );
        wire::put(&mut bytes, field::BARKED, &[self.barked.into()]);
        seal(&mut bytes);
        bytes
    }

    /// What the block says, if it is one: after a loss of power it is not. A refusal whose number
    /// this code does not know is left out.
    #[must_use]
    pub fn decode(bytes: &[u8; HANDOVER_LEN]) -> Option<Self> {
        if !is_whole(bytes) {
            return None;
        }
        let refused = Refusal::from_code(wire::half(bytes, field::REFUSED));
        Some(Self {
            running: slot_from(wire::byte(bytes, field::RUNNING))?,
            standing: match wire::byte(bytes, field::STANDING) {
                0 => Standing::None,
                1 => Standing::Trial,
                2 => Standing::Confirmed,
                _ => return None,
            },
            digest: Digest(wire::bytes(bytes, field::DIGEST)),
            reset: ResetReason::from_code(wire::byte(bytes, field::RESET))?,
            journal: match wire::byte(bytes, field::JOURNAL) {
                0 => JournalHealth::Whole,
                1 => JournalHealth::Healed,
                2 => JournalHealth::Rebuilt,
                3 => JournalHealth::WornOut,
                _ => return None,
            },
            refused: slot_from(wire::byte(bytes, field::REFUSED_SLOT))?.zip(refused),
            bootloader: Version::from_bytes(wire::bytes(bytes, field::BOOTLOADER)),
            note: slot_from(wire::byte(bytes, field::NOTE_SLOT))?,
            note_resets: wire::byte(bytes, field::NOTE_RESETS),
            abnormal: wire::half(bytes, field::ABNORMAL),
            resets: wire::word(bytes, field::RESETS),
            announced: wire::byte(bytes, field::ANNOUNCED) == 1,
            barked: wire::byte(bytes, field::BARKED) == 1,
            last_words: wire::word(bytes, field::LAST_WORDS),
        })
    }

    /// Notes in `block` that the watchdog's pre-reset interrupt was taken, and where. Only what must change
    /// changes, so that an interrupt handler can afford it; what is no handover stays none.
    pub fn note_watchdog(block: &mut [u8; HANDOVER_LEN], program_counter: u32) {
        if is_whole(block) {
            wire::put(block, field::BARKED, &[true.into()]);
            wire::put(block, field::LAST_WORDS, &program_counter.to_le_bytes());
            seal(block);
        }
    }

    /// What the reset's reason is decided from.
    #[must_use]
    pub const fn retained(&self) -> Retained {
        Retained {
            announced: self.announced,
            watchdog_barked: self.barked,
        }
    }

    /// What the next boot starts from: what is kept across resets, which image ran last, this reset counted,
    /// and the messages to the next boot taken out.
    #[must_use]
    pub fn after_reset(last: Option<Self>, reset: ResetReason) -> Self {
        let last = last.unwrap_or_default();
        let mut next = Self {
            running: last.running,
            digest: last.digest,
            reset,
            abnormal: last.abnormal,
            resets: last.resets.saturating_add(1),
            last_words: if last.barked { last.last_words } else { 0 },
            ..Self::default()
        };
        if reset.is_loss_of_power() {
            // RAM may survive one that is short.
            next.abnormal = 0;
            next.resets = 1;
        }
        if reset.is_abnormal() {
            if last.note.is_some() {
                next.note = last.note;
                next.note_resets = last.note_resets.saturating_add(1);
            }
            if last.standing == Standing::Confirmed {
                next.abnormal = last.abnormal.saturating_add(1);
            }
        }
        next
    }

    /// Whether the confirmed image in `active` was reset abnormally `most` times or more, without a soak
    /// period in between. 0: no number is too many.
    #[must_use]
    pub fn crashes(&self, active: Slot, most: u16) -> bool {
        most > 0 && self.abnormal >= most && self.running == Some(active)
    }

    /// The slot whose verification ended in an abnormal reset twice in a row: that is a failure too. It counts
    /// once, and the note of it is taken out: where nothing else verifies, this is tried again.
    pub fn take_failed_by_reset(&mut self) -> Option<Slot> {
        match self.note_resets {
            0 | 1 => None,
            _ => self.note.take(),
        }
    }
}

fn is_whole(bytes: &[u8; HANDOVER_LEN]) -> bool {
    wire::bytes(bytes, field::MAGIC) == MAGIC && wire::word(bytes, field::CRC) == crc_of(bytes)
}

fn seal(bytes: &mut [u8; HANDOVER_LEN]) {
    let crc = crc_of(bytes);
    wire::put(bytes, field::CRC, &crc.to_le_bytes());
}

fn crc_of(bytes: &[u8; HANDOVER_LEN]) -> u32 {
    bytes.get(..field::CRC).map_or(0, wire::crc32)
}

/// 0 for none, 1 for A, 2 for B.
const fn slot_code(slot: Option<Slot>) -> u8 {
    match slot {
        None => 0,
        Some(slot) => (slot as u8).wrapping_add(1),
    }
}

#[expect(clippy::option_option, reason = "a slot is nonsense, none or one")]
const fn slot_from(code: u8) -> Option<Option<Slot>> {
    match code {
        0 => Some(None),
        1 => Some(Some(Slot::A)),
        2 => Some(Some(Slot::B)),
        _ => None,
    }
}
