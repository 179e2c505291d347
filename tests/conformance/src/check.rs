//! What is checked, in words, and the promise of `docs/design.md` that rests on it.

use core::fmt::{self, Display, Formatter};

/// What a port must keep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Check {
    /// The flash's constants make sense.
    Geometry,
    /// The scratch range can be used: whole sectors, at least two, within the flash.
    Scratch,
    /// What can be read is read.
    Read,
    /// A read in pieces, at any place and of any length, sees what a long one sees.
    ReadPieces,
    /// A read beyond the end is refused.
    ReadBounds,
    /// A read that is not aligned is refused, or right.
    ReadAlignment,
    /// What can be erased is erased.
    Erase,
    /// Erased bytes read as 0xFF, all of them, at once.
    Erased,
    /// An erase changes its sectors and no other.
    EraseKeepsOthers,
    /// An erase beyond the end, or of a range that ends before it starts, is refused.
    EraseBounds,
    /// An erase of what is no whole sector is refused.
    EraseAlignment,
    /// What can be programmed is programmed.
    Program,
    /// What was programmed is read, wherever it lies and however long the call was.
    Programmed,
    /// A program call changes its units and no other.
    ProgramKeepsOthers,
    /// A program call beyond the end is refused.
    ProgramBounds,
    /// A program call of what are no whole units is refused.
    ProgramAlignment,
    /// An operation on an empty range is done, and does nothing.
    Empty,
    /// What was refused changed nothing.
    RefusedIsNothing,
    /// A unit that is programmed again refuses, or loses bits; it gains none.
    SecondProgram,
    /// What was written stays, whatever happens to other sectors.
    Stays,
    /// Outside the scratch range nothing changes.
    Outside,
    /// Two handles of one flash see the same.
    Handles,
    /// Slots and journal are what the layout says, as each flash type sees them.
    SlotFlash,
    /// The handover reads as it was stored.
    Handover,
    /// The handover survives a reset that software asked for.
    HandoverSoftware,
    /// The handover survives the watchdog's reset.
    HandoverWatchdog,
    /// A reset that software asked for and announced is told as that.
    ReasonSoftware,
    /// One that nobody announced is told as a crash.
    ReasonCrash,
    /// A reset by the watchdog is told as one.
    ReasonWatchdog,
    /// The coming of power is told as that.
    ReasonPower,
    /// The watchdog resets a board that does not feed it.
    WatchdogBites,
    /// The watchdog resets a board that hangs with interrupts disabled.
    WatchdogBitesAtHang,
    /// The watchdog does not reset a board that feeds it, nor within one erase.
    WatchdogWaits,
    /// Nothing else resets the board.
    NoOtherReset,
    /// The clock never goes back, and goes on.
    Clock,
    /// The fuses can be read, and raising them to what they hold changes nothing.
    Fuses,
}

impl Check {
    /// Those of a flash alone.
    pub const FLASH: [Self; 21] = [
        Self::Geometry,
        Self::Scratch,
        Self::Read,
        Self::ReadPieces,
        Self::ReadBounds,
        Self::ReadAlignment,
        Self::Erase,
        Self::Erased,
        Self::EraseKeepsOthers,
        Self::EraseBounds,
        Self::EraseAlignment,
        Self::Program,
        Self::Programmed,
        Self::ProgramKeepsOthers,
        Self::ProgramBounds,
        Self::ProgramAlignment,
        Self::Empty,
        Self::RefusedIsNothing,
        Self::SecondProgram,
        Self::Stays,
        Self::Outside,
    ];

    /// All of them: of a flash, of a board, of a platform.
    pub const ALL: [Self; 36] = [
        Self::Geometry,
        Self::Scratch,
        Self::Read,
        Self::ReadPieces,
        Self::ReadBounds,
        Self::ReadAlignment,
        Self::Erase,
        Self::Erased,
        Self::EraseKeepsOthers,
        Self::EraseBounds,
        Self::EraseAlignment,
        Self::Program,
        Self::Programmed,
        Self::ProgramKeepsOthers,
        Self::ProgramBounds,
        Self::ProgramAlignment,
        Self::Empty,
        Self::RefusedIsNothing,
        Self::SecondProgram,
        Self::Stays,
        Self::Outside,
        Self::Handles,
        Self::SlotFlash,
        Self::Handover,
        Self::HandoverSoftware,
        Self::HandoverWatchdog,
        Self::ReasonSoftware,
        Self::ReasonCrash,
        Self::ReasonWatchdog,
        Self::ReasonPower,
        Self::WatchdogBites,
        Self::WatchdogBitesAtHang,
        Self::WatchdogWaits,
        Self::NoOtherReset,
        Self::Clock,
        Self::Fuses,
    ];

    /// What must be so, as a sentence without its full stop.
    #[must_use]
    pub const fn contract(self) -> &'static str {
        match self {
            Self::Geometry => {
                "Write and read size must be powers of two of at most 32 and 8 bytes, the erase size a power of two \
                 and a multiple of both, the capacity a multiple of that"
            }
            Self::Scratch => {
                "The scratch range must be two whole erase sectors or more, within the flash"
            }
            Self::Read => "What lies within the flash must be readable",
            Self::ReadPieces => "A read in pieces must see what a long one sees",
            Self::ReadBounds => "A read beyond the end must be refused as OutOfBounds",
            Self::ReadAlignment => {
                "A read that is not aligned must be refused as NotAligned, or be right"
            }
            Self::Erase => "Whole sectors within the flash must be erasable",
            Self::Erased => "Every erased byte must read as 0xff, at once",
            Self::EraseKeepsOthers => "An erase must change its sectors and no other",
            Self::EraseBounds => {
                "An erase beyond the end, or that ends before it starts, must be refused as OutOfBounds"
            }
            Self::EraseAlignment => {
                "An erase of what is no whole sector must be refused as NotAligned"
            }
            Self::Program => "Whole units that are erased must be programmable",
            Self::Programmed => "What was programmed must be read",
            Self::ProgramKeepsOthers => "A program call must change its units and no other",
            Self::ProgramBounds => "A program call beyond the end must be refused as OutOfBounds",
            Self::ProgramAlignment => {
                "A program call of what are no whole units must be refused as NotAligned"
            }
            Self::Empty => "An erase or a program call of nothing must succeed and do nothing",
            Self::RefusedIsNothing => "An operation that was refused must have changed nothing",
            Self::SecondProgram => {
                "A unit that is programmed again must refuse and stay, or lose bits and gain none"
            }
            Self::Stays => "What was written must stay while other sectors change",
            Self::Outside => "Outside the scratch range nothing must change",
            Self::Handles => "Two handles of one flash must see the same",
            Self::SlotFlash => {
                "The flash of both slots must be readable from its start to its end, and no further"
            }
            Self::Handover => "The handover must read as it was stored, byte for byte",
            Self::HandoverSoftware => "The handover must survive a software reset, byte for byte",
            Self::HandoverWatchdog => {
                "The handover must survive the watchdog's reset, byte for byte but for its last words"
            }
            Self::ReasonSoftware => "A software reset that was announced must be told as Software",
            Self::ReasonCrash => {
                "A software reset that nobody announced must be told as abnormal: Unknown or Watchdog"
            }
            Self::ReasonWatchdog => {
                "A reset by the watchdog must be told as Watchdog, or at least as Unknown"
            }
            Self::ReasonPower => "The coming of power must be told as PowerOn, or as BrownOut",
            Self::WatchdogBites => "The watchdog must reset a board that does not feed it",
            Self::WatchdogBitesAtHang => {
                "The watchdog must reset a board that hangs with interrupts disabled"
            }
            Self::WatchdogWaits => {
                "The watchdog must not reset a board that feeds it, nor within one erase"
            }
            Self::NoOtherReset => "Nothing must reset the board that nobody asked for",
            Self::Clock => "The clock must go on, and never back",
            Self::Fuses => {
                "The fused floor must read alike twice, and raising it to what it is must change nothing"
            }
        }
    }

    /// What breaks if it is not so, as a clause with its full stop.
    #[must_use]
    pub const fn promise(self) -> &'static str {
        match self {
            Self::Geometry => {
                "snapshots and chunks cannot be cut into whole units and sectors, and an image's first vectors \
                 cannot be read."
            }
            Self::Scratch => "nothing can be tried.",
            Self::Read | Self::ReadPieces | Self::SlotFlash => {
                "a sound image is refused, or the one that is verified is not the one that runs (invariants 1 \
                 and 2)."
            }
            Self::ReadBounds | Self::ReadAlignment => {
                "a layout that does not fit the chip is not noticed, and something else is verified (invariant 1)."
            }
            Self::Erase | Self::Program => "no update is ever completed (invariant 5).",
            Self::Erased => {
                "snapshots and images come out wrong, and a journal sector that was made whole is not \
                 (invariants 4 and 5)."
            }
            Self::EraseKeepsOthers | Self::ProgramKeepsOthers => {
                "writing one slot harms the image that runs, or the newest snapshot (invariants 3 and 4)."
            }
            Self::EraseBounds
            | Self::EraseAlignment
            | Self::ProgramBounds
            | Self::ProgramAlignment => {
                "a mistake in the layout destroys what lies elsewhere instead of being refused (invariant 3)."
            }
            Self::Programmed => {
                "chunks do not read back and no update is completed (invariant 5), and the copies of a snapshot \
                 differ (invariant 4)."
            }
            Self::Empty => "an operation that is refused for nothing ends an update (invariant 5).",
            Self::RefusedIsNothing => {
                "what the updater believes to be untouched is not (invariants 3 and 4)."
            }
            Self::SecondProgram => {
                "a unit that was torn in a power cut can turn into something that nobody wrote (invariant 4)."
            }
            Self::Stays | Self::Outside => {
                "an update harms the image to go back to, or the journal (invariants 3 and 4)."
            }
            Self::Handles => {
                "what one part of a program wrote is not what the other verifies (invariant 1)."
            }
            Self::Handover | Self::HandoverSoftware | Self::HandoverWatchdog => {
                "the application is told wrong things, installing is refused, and crash loops are not counted \
                 (invariant 2)."
            }
            Self::ReasonSoftware => {
                "resets on purpose count as crashes, and a healthy image is given up."
            }
            Self::ReasonCrash | Self::ReasonWatchdog => {
                "a crash loop is never noticed, and its attempts are charged to the power (invariant 2)."
            }
            Self::ReasonPower => {
                "losses of power use up a trial's attempts, and a healthy image is rejected."
            }
            Self::WatchdogBites | Self::WatchdogBitesAtHang => {
                "a trial that hangs hangs for ever (invariant 2)."
            }
            Self::WatchdogWaits => {
                "an update, or a boot, is reset again and again before it ends (invariants 2 and 5)."
            }
            Self::NoOtherReset => {
                "trials are charged for what they did not do, and updates do not end (invariants 2 and 5)."
            }
            Self::Clock => "deadlines of a trial never come, or come at once (invariant 2).",
            Self::Fuses => {
                "the floor falls, or the one image that may boot does not (invariants 2 and 4)."
            }
        }
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.contract())
    }
}
