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

use core::fmt;
use core::num::NonZeroU16;

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
#[repr(u8)] // with the numbers of the journal: then nothing is translated
pub enum Reason {
    /// The trial was started as often as its manifest allows, and never confirmed.
    AttemptsUsedUp = 1,
    /// The power failed during the trial more often than a trial may see.
    PowerBudgetUsedUp = 2,
    /// A required health check failed; its number in the product's list, from 1.
    CheckFailed(u8) = 3,
    /// The trial's time was over before every required check had passed.
    DeadlineOver = 4,
    /// The application asked for it; the number is its own.
    OnRequest(u8) = 5,
    /// It was confirmed, and then reset abnormally again and again.
    CrashLoop = 6,
    /// Somebody outside asked for it, in a signed request; the number is theirs.
    OnOrder(u8) = 7,
    /// Nothing spoke against it but that it never reached the update source that it came from. It may be
    /// offered once more: the next time this stands as [`Self::CheckFailed`].
    SourceUnreachable(u8) = 8,
    /// On trial it was reset abnormally, and the product forgives no such reset; the number is that of the
    /// [`crate::reset::ResetReason`].
    Crashed(u8) = 9,
}

impl Reason {
    /// How it stands in the journal.
    #[must_use]
    pub const fn code(self) -> ReasonCode {
        let (kind, detail) = match self {
            Self::AttemptsUsedUp => (1, 0),
            Self::PowerBudgetUsedUp => (2, 0),
            Self::CheckFailed(number) => (3, number),
            Self::DeadlineOver => (4, 0),
            Self::OnRequest(number) => (5, number),
            Self::CrashLoop => (6, 0),
            Self::OnOrder(number) => (7, number),
            Self::SourceUnreachable(number) => (8, number),
            Self::Crashed(number) => (9, number),
        };
        match ReasonCode::new(u16::from_le_bytes([detail, kind])) {
            Some(code) => code,
            None => ReasonCode(NonZeroU16::MIN), // no kind is 0
        }
    }

    /// The reason with this number, if this code knows it.
    #[must_use]
    pub const fn from_code(code: ReasonCode) -> Option<Self> {
        let [detail, kind] = code.get().to_le_bytes();
        let reason = match kind {
            1 => Self::AttemptsUsedUp,
            2 => Self::PowerBudgetUsedUp,
            3 => Self::CheckFailed(detail),
            4 => Self::DeadlineOver,
            5 => Self::OnRequest(detail),
            6 => Self::CrashLoop,
            7 => Self::OnOrder(detail),
            8 => Self::SourceUnreachable(detail),
            9 => Self::Crashed(detail),
            _ => return None,
        };
        // A detail that the kind does not have must be zero.
        if reason.code().get() == code.get() {
            Some(reason)
        } else {
            None
        }
    }
}

/// A [`Reason`] as it stands in the journal: kind in the high byte, detail in the low one, never 0. What a
/// newer image wrote stays as it is, though older code cannot say what it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReasonCode(NonZeroU16);

impl ReasonCode {
    /// The reason with this number, whatever it means; 0 is none.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match NonZeroU16::new(code) {
            Some(code) => Some(Self(code)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// What it means, if this code knows it.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        Reason::from_code(self)
    }

    /// The number of its kind as people read it, behind a `B`: 101 and up, where refusals are below 100.
    #[must_use]
    pub const fn number(self) -> u16 {
        let [_, kind] = self.get().to_le_bytes();
        FIRST_NUMBER.saturating_add(kind as u16)
    }
}

/// What the number of a reason's kind is counted from: refusals have the numbers below.
const FIRST_NUMBER: u16 = 100;

impl fmt::Display for ReasonCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        match self.reason() {
            Some(reason) => write!(formatter, "B{number} {reason:?}"),
            None => write!(formatter, "B{number} ({:#06x})", self.get()),
        }
    }
}

impl PartialEq<Reason> for ReasonCode {
    fn eq(&self, reason: &Reason) -> bool {
        *self == reason.code()
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
    /// That of a trial that was never started, with so many attempts.
    #[must_use]
    pub const fn new(attempts: u8) -> Self {
        Self {
            attempts,
            power: POWER_BUDGET,
            booted: false,
        }
    }

    /// All starts that are left, after whatever reset.
    #[must_use]
    pub const fn starts_left(&self) -> u8 {
        self.attempts.saturating_add(self.power)
    }

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
    Rejected(Image, ReasonCode),
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
    pub reason: ReasonCode,
}

impl Rejection {
    /// Whether the image may be offered again.
    #[must_use]
    pub const fn is_forgiven(&self) -> bool {
        matches!(self.reason.reason(), Some(Reason::SourceUnreachable(_)))
    }
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
    /// The last rejected images, the newest first, the empty places behind them.
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
        self.add_rejected(&image, reason.code());
        self
    }

    /// Puts this image at the head of the list of rejected ones.
    pub(crate) fn add_rejected(&mut self, image: &Image, reason: ReasonCode) {
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

    /// Whether the active slot is Confirmed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        matches!(self.slot(self.active), SlotState::Confirmed(_))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;

    use super::*;
    use crate::refusal::Refusal;

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
            if let Some(reason) = ReasonCode::new(code).and_then(ReasonCode::reason) {
                assert_eq!(reason.code().get(), code);
            }
        }
        assert_eq!(Reason::CheckFailed(7).code().get(), 0x0307);
        assert_eq!(ReasonCode::new(0), None);
    }

    #[test]
    fn people_read_the_number_of_a_reason_behind_those_of_the_refusals() {
        let code = Reason::CheckFailed(7).code();
        assert_eq!(code.to_string(), "B103 CheckFailed(7)");
        assert_eq!(Reason::Crashed(5).code().number(), 109);
        let newer = ReasonCode::new(0x0C01).map(|code| code.to_string());
        assert_eq!(newer.as_deref(), Some("B112 (0x0c01)"));
        let refusals = Refusal::ALL.map(Refusal::code);
        assert!(refusals.into_iter().all(|code| code <= FIRST_NUMBER));
    }

    #[test]
    fn an_active_slot_that_is_not_confirmed_is_unsound() {
        let snapshot = Snapshot::with_confirmed(Slot::A, image(1), 0);
        for state in [
            SlotState::Empty,
            SlotState::Receiving(image(2)),
            SlotState::Rejected(image(2), Reason::CrashLoop.code()),
        ] {
            assert!(!snapshot.with_slot(Slot::A, state).is_sound());
            assert!(snapshot.with_slot(Slot::B, state).is_sound());
        }
    }
}
