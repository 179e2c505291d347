//! Why receipts are not believed: what was seen, what is expected and what to do, for each number.

use crate::proof::refused::Refused;
use crate::refusals::{Explanation, Speaker};

/// What was seen.
#[must_use]
pub const fn seen(refused: Refused) -> &'static str {
    match refused {
        Refused::ReceiptTruncated => "The receipt ends too early.",
        Refused::ReceiptTooLong => "It is longer than any receipt.",
        Refused::ReceiptVersion => "Its version byte is none that is known.",
        Refused::ReceiptTrailingBytes => "Bytes are left behind the receipt.",
        Refused::NotAReceipt => "Its bytes mean nothing.",
        Refused::UnknownUnit => {
            "No birth record names the unit that it names, or none gives that unit's present key."
        }
        Refused::Forged => "The key of the unit that it names did not sign it.",
        Refused::EarlierLife => {
            "The key that signed it was the unit's before the unit was made anew."
        }
        Refused::Replayed => {
            "Its number is below that of the unit's newest receipt, and it is none of those that are \
             remembered."
        }
        Refused::Stale => {
            "It answers another challenge than the one that was asked, one that is too old, or none."
        }
        Refused::Forked => {
            "Another receipt of the unit has the same number, or names the same one as the one before it."
        }
        Refused::BeginsAgain => {
            "It is the first one of a ledger, but the unit had sent receipts before."
        }
        Refused::Unlinked => {
            "Receipts before it are missing, in a chain that has begun again: it may be one of the old \
             chain's."
        }
    }
}

/// What was expected, what to do, and who says it.
#[must_use]
pub const fn explain(refused: Refused) -> Explanation {
    const DAMAGED: &str = "the bytes are damaged: take them from the device, or from the server's `receipts.jsonl`, again";
    let (expected, mend) = match refused {
        Refused::ReceiptTruncated => ("a whole receipt: at least 64 bytes of signature", DAMAGED),
        Refused::ReceiptTooLong => ("at most 336 bytes", DAMAGED),
        Refused::ReceiptVersion => (
            "version 1",
            "the device's application is newer than these tools, or the bytes are no receipt",
        ),
        Refused::ReceiptTrailingBytes => ("nothing behind the receipt", DAMAGED),
        Refused::NotAReceipt => ("a receipt, as a device signed it", DAMAGED),
        Refused::UnknownUnit => (
            "a unit of which a birth record gives the key",
            "give the birth records that it is in, with `--births`; if it is in none, somebody else made it",
        ),
        Refused::Forged => (
            "a signature by the unit's own key",
            "if the unit itself sent it, it was flashed with another unit's identity file; else somebody \
             pretends to be it",
        ),
        Refused::EarlierLife => (
            "a signature by the key that the unit got when it was made anew",
            "nothing, if it is an old one; if the unit sends it now, its new identity file was not flashed",
        ),
        Refused::Replayed => (
            "a number above that of the newest receipt",
            "nothing, if it is an old one; the unit itself is asked for an answer to a challenge, which \
             settles it",
        ),
        Refused::Stale => (
            "an answer to the challenge that was asked, within five minutes where a server asks",
            "ask again, with a new challenge",
        ),
        Refused::Forked => (
            "one receipt for each number, each naming the one before it",
            "two devices have this unit's key, or its ledger was set back: the unit is asked for an answer \
             to a challenge; if that keeps happening, make the unit anew with another key",
        ),
        Refused::BeginsAgain => (
            "a number above that of the newest receipt",
            "nothing, if the ledger was lost or erased: the unit is asked for an answer to a challenge, and \
             a new chain begins with it",
        ),
        Refused::Unlinked => (
            "a receipt that names the newest one as the one before it",
            "nothing: the unit is asked for an answer to a challenge",
        ),
    };
    Explanation {
        expected,
        mend,
        said_by: &[Speaker::Tools],
    }
}
