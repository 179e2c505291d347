//! Why a receipt is not believed: each has a number, `B201` and up, which never changes.

use std::fmt;

use bistable_updater::receipt::Malformed;

/// Why a receipt is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Refused {
    /// It ends too early.
    ReceiptTruncated = 201,
    /// It is longer than any receipt.
    ReceiptTooLong = 202,
    /// Its version byte is none that is known.
    ReceiptVersion = 203,
    /// Bytes are left behind it.
    ReceiptTrailingBytes = 204,
    /// Its bytes mean nothing.
    NotAReceipt = 205,
    /// No birth record names its unit, or none gives a key.
    UnknownUnit = 206,
    /// The unit's key did not sign it.
    Forged = 207,
    /// A key signed it that the unit had before it was made anew.
    EarlierLife = 208,
    /// It is older than the newest one, and none of those that are remembered.
    Replayed = 209,
    /// It answers another challenge than the one that was asked, one that is too old, or none.
    Stale = 210,
    /// Another receipt has its number, or its predecessor.
    Forked = 211,
    /// It is the first one of a ledger, but the unit had sent receipts before.
    BeginsAgain = 212,
    /// Numbers are missing before it, in a chain that has begun again once.
    Unlinked = 213,
}

impl Refused {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::ReceiptTruncated,
        Self::ReceiptTooLong,
        Self::ReceiptVersion,
        Self::ReceiptTrailingBytes,
        Self::NotAReceipt,
        Self::UnknownUnit,
        Self::Forged,
        Self::EarlierLife,
        Self::Replayed,
        Self::Stale,
        Self::Forked,
        Self::BeginsAgain,
        Self::Unlinked,
    ];

    /// The number, without the `B`.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Whether the receipt is the unit's own, and only its place in the chain speaks against it: then a
    /// receipt that answers a challenge settles it.
    #[must_use]
    pub const fn asks_for_a_challenge(self) -> bool {
        match self {
            Self::Replayed | Self::Stale | Self::Forked | Self::BeginsAgain | Self::Unlinked => {
                true
            }
            Self::ReceiptTruncated
            | Self::ReceiptTooLong
            | Self::ReceiptVersion
            | Self::ReceiptTrailingBytes
            | Self::NotAReceipt
            | Self::UnknownUnit
            | Self::Forged
            | Self::EarlierLife => false,
        }
    }
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Truncated => Self::ReceiptTruncated,
            Malformed::TooLong => Self::ReceiptTooLong,
            Malformed::UnknownVersion(_) => Self::ReceiptVersion,
            Malformed::TrailingBytes => Self::ReceiptTrailingBytes,
            Malformed::NoReceipt => Self::NotAReceipt,
        }
    }
}

/// Number and name, such as `B207 Forged`.
impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "B{} {self:?}", self.code())
    }
}

impl std::error::Error for Refused {}
