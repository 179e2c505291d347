//! Why something was refused: one list for bootloader, updater, journal and tools.
//!
//! The numbers are part of the formats (handover, reports): they never change and are never reused.
//! People read them as `B033`, with the name behind it: in the device's log, in what the tools say, and
//! in the documentation.

use core::fmt;

/// The enum, the list of it, its texts and the way back from a number, from one list.
macro_rules! refusals {
    ($($(#[doc = $text:literal])* $name:ident = $number:literal,)*) => {
        /// Why an image, a page, a chunk or a request was refused.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u16)]
        pub enum Refusal {
            $($(#[doc = $text])* $name = $number,)*
        }

        /// The names alone: an enum of their own, which is logged in one byte.
        #[cfg(feature = "defmt")]
        #[derive(defmt::Format)]
        enum Name {
            $($name,)*
        }

        impl Refusal {
            /// Every refusal, in the order of the numbers.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$name),*];

            /// The refusal with this number.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                Some(match code {
                    $($number => Self::$name,)*
                    _ => return None,
                })
            }

            /// What was seen, in a sentence or two.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($text),*).trim_ascii_start(),)*
                }
            }

            #[cfg(feature = "defmt")]
            const fn name(self) -> Name {
                match self {
                    $(Self::$name => Name::$name,)*
                }
            }
        }
    };
}

refusals! {
    // What the bytes are.
    /// The first bytes are not those of a manifest.
    NotAManifest = 1,
    /// A manifest, page or request of a format that this code does not know.
    UnknownFormat = 2,
    /// Bytes that must be zero are not.
    NonZeroPadding = 3,
    /// A field holds a value that the format does not allow.
    FieldOutOfRange = 4,
    /// Signatures are too many, not in ascending order of key, or a key's are there twice.
    SignaturesOutOfOrder = 5,
    /// The header's digest is not the one that was asked for, or a request names another image than the
    /// running one.
    OtherImage = 6,
    /// The bytes are not those of a request.
    NotARequest = 7,
    /// The request names another unit.
    OtherUnit = 8,

    // Who signed it.
    /// A key of the ring is named beside a signature that it did not make.
    BadSignature = 10,
    /// Fewer release keys of the ring have signed than the threshold asks for.
    TooFewReleaseSignatures = 11,
    /// It revokes keys, and fewer root keys have signed than the threshold asks for.
    TooFewRootSignatures = 12,
    /// With its revocations applied, a role would keep fewer keys than its threshold.
    RevokesTooMany = 13,

    // Whom it is for.
    /// The vendor id is not the board's.
    OtherVendor = 20,
    /// The class id is not the board's.
    OtherClass = 21,
    /// It was linked for another layout.
    OtherLayout = 22,
    /// The payload does not fit into the slot.
    TooLarge = 23,
    /// The payload's length is not a multiple of the flash's write size.
    UnalignedLength = 24,
    /// Its chunks are larger than the updater's buffer, or do not divide the payload's offset.
    ChunkSize = 25,
    /// It needs a newer bootloader.
    BootloaderTooOld = 26,
    /// It cannot read the present data schema.
    OtherSchema = 27,

    // Whether it may come now.
    /// Its sequence is not above that of the running image.
    NotNewer = 30,
    /// Its sequence is not above that of a rejected image which is no longer on the list.
    OlderThanForgotten = 31,
    /// It was rejected before: the journal says why.
    RejectedBefore = 32,
    /// Its security counter is below the floor.
    BelowFloor = 33,
    /// A newer image is being downloaded, or waits for its trial.
    NewerInProgress = 34,
    /// The running image is on trial: confirm or reject it first.
    TrialNotFinished = 35,
    /// The running image was rejected: reset first.
    ResetFirst = 36,
    /// Too many downloads were begun: wait.
    Throttled = 37,
    /// Handover and address name different running slots.
    RunningSlotUnclear = 38,
    /// It is the image that runs.
    AlreadyRunning = 39,
    /// It is installed and waits for its trial: reset.
    AlreadyWaiting = 40,

    // Whether the parts are what was signed.
    /// A page is not the one that its predecessor, or the manifest, names.
    BadPage = 50,
    /// A page's records are not whole, or fix-ups are out of order or range.
    MalformedPage = 51,
    /// A chunk is not the one that its page names.
    BadChunk = 52,
    /// The payload is not the one that the manifest names.
    BadPayload = 53,
    /// A part has another length than the one that was wanted.
    WrongLength = 54,
    /// What was read back is not what was programmed.
    ReadBack = 55,
    /// The installation is not whole yet.
    NotWhole = 56,

    // Whether it can run.
    /// The reset vector does not point to code in the payload, or the payload begins with no instruction.
    BadResetVector = 60,
    /// The initial stack pointer is not in the board's RAM, or not 8-aligned.
    BadStackPointer = 61,
    /// Verifying it ended in a reset twice in a row.
    ResetWhileVerifying = 62,

    // What the device can do.
    /// Flash could not be read.
    FlashRead = 70,
    /// Flash could not be erased.
    FlashErase = 71,
    /// Flash could not be programmed.
    FlashProgram = 72,
    /// The journal could not be written.
    Journal = 73,
    /// The journal has a sector that cannot be written any more: no trial, no update.
    JournalWornOut = 74,

    // What the states allow.
    /// There is nothing in the state that the request needs.
    Impossible = 80,
    /// The trial's budget is used up.
    BudgetUsedUp = 81,
    /// There is no acceptable image to go back to.
    NoAcceptableOther = 82,
    /// A required health check has not passed.
    CheckOpen = 83,
    /// The trial's deadline is over.
    DeadlineOver = 84,
}

impl Refusal {
    /// The number, as it stands in the handover and in reports.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "B{:03} {self:?}", self.code())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Refusal {
    fn format(&self, formatter: defmt::Formatter<'_>) {
        defmt::write!(formatter, "B{=u16:03} {}", self.code(), self.name());
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;

    use super::*;

    #[test]
    fn people_read_number_and_name() {
        assert_eq!(Refusal::BelowFloor.to_string(), "B033 BelowFloor");
        assert_eq!(
            Refusal::BelowFloor.text(),
            "Its security counter is below the floor."
        );
        // Several lines are one sentence.
        assert!(
            Refusal::OtherImage
                .text()
                .ends_with("another image than the running one.")
        );
    }

    #[test]
    fn numbers_ascend_and_name_their_refusal() {
        assert!(Refusal::ALL.is_sorted_by(|a, b| a.code() < b.code()));
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_code(refusal.code()), Some(refusal));
        }
        assert_eq!(Refusal::from_code(0), None);
    }
}
