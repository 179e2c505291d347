//! What the functions return: 0, the number of a refusal, or that of a mistake of the caller.

use bistable_core::refusal::Refusal;

/// Mistakes of the caller, and failures of what the caller brings. They are no refusals, so they have
/// no `B`, and no device or tool ever reports them. The numbers never change and are never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Misuse {
    /// `bistable_start` has not succeeded yet.
    NotStarted = 901,
    /// It has succeeded before: there is one updater, and it runs.
    AlreadyStarted = 902,
    /// Called from within another call, such as from an interrupt or from a download's `read`.
    Busy = 903,
    /// A pointer that must not be null is, or one is not aligned.
    NullPointer = 904,
    /// The product has no health check with this number.
    NoSuchCheck = 905,
    /// The platform could not be opened.
    NoPlatform = 906,
    /// A download's `read` reported a failure. Trying again goes on where it was.
    ReadFailed = 907,
    /// The trial's time is over, so the watchdog was not fed: a reset follows.
    NotFed = 908,
}

impl Misuse {
    /// Every one, in the order of the numbers.
    pub const ALL: [Self; 8] = [
        Self::NotStarted,
        Self::AlreadyStarted,
        Self::Busy,
        Self::NullPointer,
        Self::NoSuchCheck,
        Self::NoPlatform,
        Self::ReadFailed,
        Self::NotFed,
    ];

    /// What happened, in a sentence or two.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotStarted => "bistable_start has not succeeded yet.",
            Self::AlreadyStarted => "bistable_start has succeeded before.",
            Self::Busy => {
                "Called from an interrupt, another thread or a read, within another call."
            }
            Self::NullPointer => "A pointer that must not be null is, or one is not aligned.",
            Self::NoSuchCheck => "The product has no such health check.",
            Self::NoPlatform => "The board could not be opened.",
            Self::ReadFailed => "A download's read failed. Trying again goes on where it was.",
            Self::NotFed => {
                "The trial's time is over: the watchdog was not fed, and a reset follows."
            }
        }
    }

    /// The number that C sees.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }
}

/// Why a call did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    Misused(Misuse),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Self {
        Self::Misused(misuse)
    }
}

/// 0 for success.
pub(crate) fn code(outcome: Result<(), Failure>) -> u16 {
    match outcome {
        Ok(()) => 0,
        Err(Failure::Refused(refusal)) => refusal.code(),
        Err(Failure::Misused(misuse)) => misuse.code(),
    }
}
