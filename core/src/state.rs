//! The device's one small state, as plain values.
//!
//! ```text
//!            first chunk          activate            confirm
//!   Empty ───────────────▶ Receiving ──────▶ Trial ─────────────▶ Confirmed
//!     ▲                        ▲               │ │                    │
//!     │  fails verification    │               │ │ reject, budget     │ crash loop
//!     └────────────────────────┼───────────────┘ ▼ used up            ▼
//!                              └───────────── Rejected ◀──────────────┘
//! ```
//!
//! The active slot is always Confirmed: a state in which nothing is known to be good cannot be written
//! down, and [`Snapshot::is_sound`] says so of bytes from elsewhere.

use crate::digest::Digest;
use crate::keys::Revoked;
use crate::layout::Slot;

/// How often a trial may be started by a power-on or a brown-out.
pub const POWER_BUDGET: u8 = 16;

/// How many rejected images are remembered by digest.
pub const REJECTED_LEN: usize = 4;

/// Whence an image came. The numbers never change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Origin {
    /// Found in a slot when the journal had been lost.
    Found = 0,
    /// Flashed in the factory.
    Factory = 1,
    /// From an update source over a network: a trial must be able to reach it too.
    Network = 2,
    /// By a local link, such as a serial line.
    Local = 3,
}

/// Why an image was rejected. The numbers never change and are never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// The trial was started as often as its manifest allows, and never confirmed.
    AttemptsUsedUp,
    /// The power failed during the trial more often than a trial may see.
    PowerBudgetUsedUp,
    /// A required health check failed; its number in the product's list, from 1.
    CheckFailed(u8),
    /// The trial's time was over before every required check had passed.
    DeadlineOver,
    /// The application asked for it; the number is its own.
    OnRequest(u8),
    /// It was confirmed, and then reset abnormally again and again.
    CrashLoop,
}

impl Reason {
    /// The number that stands in the journal: kind in the high byte, detail in the low one.
    #[must_use]
    pub const fn code(self) -> u16 {
        let (kind, detail) = match self {
            Self::AttemptsUsedUp => (1, 0),
            Self::PowerBudgetUsedUp => (2, 0),
            Self::CheckFailed(number) => (3, number),
            Self::DeadlineOver => (4, 0),
            Self::OnRequest(number) => (5, number),
            Self::CrashLoop => (6, 0),
        };
        u16::from_le_bytes([detail, kind])
    }

    /// The reason with this number.
    #[must_use]
    pub const fn from_code(code: u16) -> Option<Self> {
        let [detail, kind] = code.to_le_bytes();
        let reason = match kind {
            1 => Self::AttemptsUsedUp,
            2 => Self::PowerBudgetUsedUp,
            3 => Self::CheckFailed(detail),
            4 => Self::DeadlineOver,
            5 => Self::OnRequest(detail),
            6 => Self::CrashLoop,
            _ => return None,
        };
        // A detail that the kind does not have must be zero.
        if reason.code() == code {
            Some(reason)
        } else {
            None
        }
    }
}

/// An image, as far as the state must know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Image {
    /// Of its manifest.
    pub digest: Digest,
    /// Its manifest's.
    pub sequence: u32,
    /// Whence it came.
    pub origin: Origin,
}

/// What a trial's start is charged to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Charge {
    /// The reset was not a loss of power.
    Attempt,
    /// The reset was a power-on or a brown-out.
    Power,
}

/// What is left of a trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Budget {
    /// Starts after any reset but a loss of power.
    pub attempts: u8,
    /// Starts after a loss of power.
    pub power: u8,
    /// Whether it was started at all.
    pub booted: bool,
}

impl Budget {
    /// The starts that are left after a reset that is charged so.
    #[must_use]
    pub const fn left(&self, charge: Charge) -> u8 {
        match charge {
            Charge::Attempt => self.attempts,
            Charge::Power => self.power,
        }
    }
}

/// What the journal says of one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SlotState {
    /// Nothing that anybody speaks of.
    Empty,
    /// Being written; holds nothing that boots.
    Receiving(Image),
    /// Whole and checked, to be tried.
    Trial(Image, Budget),
    /// Its application said that it is healthy.
    Confirmed(Image),
    /// It will not run again.
    Rejected(Image, Reason),
}

impl SlotState {
    /// The image that it speaks of.
    #[must_use]
    pub const fn image(&self) -> Option<Image> {
        match self.as_image() {
            Some(image) => Some(*image),
            None => None,
        }
    }

    pub(crate) const fn as_image(&self) -> Option<&Image> {
        match self {
            Self::Empty => None,
            Self::Receiving(image)
            | Self::Trial(image, _)
            | Self::Confirmed(image)
            | Self::Rejected(image, _) => Some(image),
        }
    }
}

/// One entry of the list of rejected images.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rejection {
    /// Of the manifest.
    pub digest: Digest,
    /// The manifest's.
    pub sequence: u32,
    /// Why.
    pub reason: Reason,
}

/// All that the journal keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Snapshot {
    /// The confirmed slot that boots.
    pub active: Slot,
    /// Slot A and slot B.
    pub slots: [SlotState; 2],
    /// The smallest security counter that boots.
    pub floor: u32,
    /// The keys that count no more.
    pub revoked: Revoked,
    /// The last rejected images, the newest first, without gaps.
    pub rejected: [Option<Rejection>; REJECTED_LEN],
    /// The highest sequence among those that fell out of that list.
    pub forgotten: u32,
    /// The data schema that the application's data are in.
    pub schema: u16,
}

impl Snapshot {
    /// A device with one confirmed image and nothing else.
    #[must_use]
    pub const fn with_confirmed(slot: Slot, image: Image, floor: u32) -> Self {
        let mut snapshot = Self::blank(slot);
        *snapshot.slot_mut(slot) = SlotState::Confirmed(image);
        snapshot.floor = floor;
        snapshot
    }

    /// To be filled in: it is not sound yet.
    pub(crate) const fn blank(active: Slot) -> Self {
        Self {
            active,
            slots: [SlotState::Empty; 2],
            floor: 0,
            revoked: Revoked(0),
            rejected: [None; REJECTED_LEN],
            forgotten: 0,
            schema: 0,
        }
    }

    /// What it says of `slot`.
    #[must_use]
    pub const fn slot(&self, slot: Slot) -> SlotState {
        *slot.of(&self.slots)
    }

    /// The same, to change it.
    pub const fn slot_mut(&mut self, slot: Slot) -> &mut SlotState {
        slot.of_mut(&mut self.slots)
    }

    /// The same, but for `slot`.
    #[must_use]
    pub const fn with_slot(mut self, slot: Slot, state: SlotState) -> Self {
        *slot.of_mut(&mut self.slots) = state;
        self
    }

    /// Why the image with this digest was rejected, if it was one of the last four.
    #[must_use]
    pub fn rejection(&self, digest: Digest) -> Option<Rejection> {
        let mut rejected = self.rejected.iter().flatten();
        rejected.find(|entry| entry.digest == digest).copied()
    }

    /// The same, with this image at the head of the list of rejected ones.
    #[must_use]
    pub fn remember_rejected(mut self, image: Image, reason: Reason) -> Self {
        self.add_rejected(&image, reason);
        self
    }

    /// Puts this image at the head of the list of rejected ones.
    pub(crate) fn add_rejected(&mut self, image: &Image, reason: Reason) {
        let mut carried = Some(Rejection {
            digest: image.digest,
            sequence: image.sequence,
            reason,
        });
        for entry in &mut self.rejected {
            core::mem::swap(entry, &mut carried);
            if carried
                .as_ref()
                .is_none_or(|old| old.digest == image.digest)
            {
                return;
            }
        }
        if let Some(fallen) = carried {
            self.forgotten = self.forgotten.max(fallen.sequence);
        }
    }

    /// Whether the active slot is Confirmed and the list of rejected images has no gaps.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        matches!(self.slot(self.active), SlotState::Confirmed(_))
            && self.rejected.is_sorted_by_key(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(number: u8) -> Image {
        Image {
            digest: Digest([number; 32]),
            sequence: number.into(),
            origin: Origin::Network,
        }
    }

    #[test]
    fn what_falls_out_of_the_list_raises_the_forgotten_sequence() {
        let mut snapshot = Snapshot::with_confirmed(Slot::A, image(100), 0);
        for number in [9, 3, 4, 5] {
            snapshot = snapshot.remember_rejected(image(number), Reason::DeadlineOver);
        }
        assert_eq!(snapshot.forgotten, 0);
        snapshot = snapshot.remember_rejected(image(6), Reason::DeadlineOver);
        assert_eq!(snapshot.forgotten, 9);
        assert_eq!(snapshot.rejection(image(9).digest), None);
        snapshot = snapshot.remember_rejected(image(7), Reason::DeadlineOver);
        assert_eq!(snapshot.forgotten, 9, "it never falls");
        assert!(snapshot.rejection(image(4).digest).is_some());
        assert!(snapshot.is_sound());
    }

    #[test]
    fn an_image_rejected_twice_stands_in_the_list_once() {
        let mut snapshot = Snapshot::with_confirmed(Slot::A, image(100), 0);
        for number in [1, 2, 3, 4, 2] {
            snapshot = snapshot.remember_rejected(image(number), Reason::CheckFailed(number));
        }
        let order = snapshot
            .rejected
            .map(|entry| entry.map(|entry| entry.sequence));
        assert_eq!(order, [Some(2), Some(4), Some(3), Some(1)]);
        assert_eq!(snapshot.forgotten, 0);
    }

    #[test]
    fn reasons_have_numbers_and_numbers_reasons() {
        for code in 0..=u16::MAX {
            if let Some(reason) = Reason::from_code(code) {
                assert_eq!(reason.code(), code);
            }
        }
        assert_eq!(Reason::CheckFailed(7).code(), 0x0307);
    }

    #[test]
    fn an_active_slot_that_is_not_confirmed_is_unsound() {
        let snapshot = Snapshot::with_confirmed(Slot::A, image(1), 0);
        for state in [
            SlotState::Empty,
            SlotState::Receiving(image(2)),
            SlotState::Rejected(image(2), Reason::CrashLoop),
        ] {
            assert!(!snapshot.with_slot(Slot::A, state).is_sound());
            assert!(snapshot.with_slot(Slot::B, state).is_sound());
        }
    }
}
