//! What a port did that it must not do, and what would break by it.

use core::fmt::{self, Display, Formatter};

use bistable_core::reset::ResetReason;
use embedded_storage::nor_flash::NorFlashErrorKind;

use crate::check::Check;

/// The first thing that a port did and must not do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Breach {
    /// What was not kept.
    pub check: Check,
    /// Where, in bytes from the start of the flash or of the block; 0 where there is no place.
    pub offset: u32,
    /// What should have been there.
    pub expected: Seen,
    /// What was.
    pub found: Seen,
}

/// What a check saw, or wanted to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// A byte.
    Byte(u8),
    /// A number: bytes, milliseconds, a count.
    Number(u64),
    /// The CRC-32 of bytes that nobody should have touched.
    Crc(u32),
    /// The operation said that it was done.
    Done,
    /// The operation failed, or was refused, with an error of this kind.
    Error(NorFlashErrorKind),
    /// Why the processor started, as the port tells it; `None`: it tells nothing.
    Reset(Option<ResetReason>),
    /// The processor started again.
    Restart,
    /// It did not.
    NoRestart,
}

impl Display for Breach {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            check,
            offset,
            expected,
            found,
        } = self;
        write!(
            f,
            "{check}. At {offset:#x}: expected {expected}, found {found}. Otherwise {}",
            check.promise()
        )
    }
}

impl core::error::Error for Breach {}

impl Display for Seen {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(byte) => write!(f, "{byte:#04x}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Crc(crc) => write!(f, "bytes of CRC-32 {crc:#010x}"),
            Self::Done => f.write_str("success"),
            Self::Error(kind) => write!(f, "the error {kind:?}"),
            Self::Reset(Some(reason)) => write!(f, "the reset reason {reason:?}"),
            Self::Reset(None) => f.write_str("no reset reason"),
            Self::Restart => f.write_str("a reset"),
            Self::NoRestart => f.write_str("no reset"),
        }
    }
}
