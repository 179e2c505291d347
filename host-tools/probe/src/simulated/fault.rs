//! What may go wrong with the simulated chip, for training and for tests: each must be noticed by the station.

use std::fmt;
use std::str::FromStr;

/// One thing that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The first erase of a sector leaves it as it was, and reports success.
    EraseLeavesSector,
    /// The first page that is programmed gets one bit that it should not have.
    ProgramFlipsBit,
    /// The first page is not programmed, and success is reported.
    ProgramWritesNothing,
    /// What was programmed first is right, and reads wrong from outside.
    ReadDiffers,
    /// The flash algorithm reports failure.
    ProgramFails,
    /// The firmware says nothing.
    Silent,
    /// The firmware says another serial number.
    WrongSerial,
    /// The key is not locked, although it was asked for.
    KeyStaysOpen,
    /// The read-out protection stays off.
    ReadoutStaysOpen,
    /// The bootloader stays writable.
    BootloaderStaysOpen,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::EraseLeavesSector,
        Self::ProgramFlipsBit,
        Self::ProgramWritesNothing,
        Self::ReadDiffers,
        Self::ProgramFails,
        Self::Silent,
        Self::WrongSerial,
        Self::KeyStaysOpen,
        Self::ReadoutStaysOpen,
        Self::BootloaderStaysOpen,
    ];

    /// As it is called on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EraseLeavesSector => "erase-leaves-sector",
            Self::ProgramFlipsBit => "program-flips-bit",
            Self::ProgramWritesNothing => "program-writes-nothing",
            Self::ReadDiffers => "read-differs",
            Self::ProgramFails => "program-fails",
            Self::Silent => "silent",
            Self::WrongSerial => "wrong-serial",
            Self::KeyStaysOpen => "key-stays-open",
            Self::ReadoutStaysOpen => "readout-stays-open",
            Self::BootloaderStaysOpen => "bootloader-stays-open",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|fault| fault.name() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no fault is called `{text}`; there are {names}")
        })
    }
}
