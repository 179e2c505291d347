//! What the numbers `B0xx`, `B1xx` and `B2xx` mean: what was seen, what was expected, how to mend it.
//!
//! Refusals (`B001` to `B099`) are what bootloader, updater and tools say; reasons (`B101` and up) are
//! why an image was rejected, as the journal keeps it. Those from `B201` on are why a receipt is not believed. Every text about one of them is here, once.
//!
//! | file | idea |
//! | --- | --- |
//! | [`refusal`] | what is expected and what to do, for each refusal |
//! | [`reason`] | the same, for each reason of a rejection |
//! | [`receipt`] | the same, for each receipt that is not believed |
//! | [`page`] | `docs/refusals.md`, made from all |

pub mod page;
pub mod reason;
pub mod receipt;
pub mod refusal;

use std::fmt;

use bistable_core::refusal::Refusal;
use bistable_core::state::Reason;
use schemars::JsonSchema;
use serde::Serialize;

use crate::proof::refused::Refused;

/// Who says a number first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// Before it jumps.
    Bootloader,
    /// In the application.
    Updater,
    /// The command `bistable`.
    Tools,
    /// The device's memory of a rejection.
    Journal,
}

/// What there is to say about a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// What should have been there instead, as in "expected …".
    pub expected: &'static str,
    /// What to do, without a full stop.
    pub mend: &'static str,
    /// Who says it.
    pub said_by: &'static [Speaker],
}

/// Something that has a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Numbered {
    /// An image, a page, a chunk or a request was refused.
    Refusal(Refusal),
    /// An image was rejected; its detail means nothing here.
    Reason(Reason),
    /// A receipt is not believed.
    Receipt(Refused),
}

impl Numbered {
    /// All of them, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        let refusals = Refusal::ALL.into_iter().map(Self::Refusal);
        let reasons = reason::all().map(Self::Reason);
        let receipts = Refused::ALL.into_iter().map(Self::Receipt);
        refusals.chain(reasons).chain(receipts)
    }

    /// Without the `B`.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Refusal(refusal) => refusal.code(),
            Self::Reason(reason) => reason.code().number(),
            Self::Receipt(refused) => refused.code(),
        }
    }

    /// As it is read beside the number, such as `BelowFloor`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Refusal(refusal) => format!("{refusal:?}"),
            Self::Reason(reason) => reason::name(reason),
            Self::Receipt(refused) => format!("{refused:?}"),
        }
    }

    /// What was seen, in a sentence or two.
    #[must_use]
    pub const fn seen(self) -> &'static str {
        match self {
            Self::Refusal(refusal) => refusal.text(),
            Self::Reason(reason) => reason::seen(reason),
            Self::Receipt(refused) => receipt::seen(refused),
        }
    }

    /// The rest.
    #[must_use]
    pub const fn explanation(self) -> Explanation {
        match self {
            Self::Refusal(refusal) => refusal::explain(refusal),
            Self::Reason(reason) => reason::explain(reason),
            Self::Receipt(refused) => receipt::explain(refused),
        }
    }
}

/// Number and name, such as `B033 BelowFloor`.
impl fmt::Display for Numbered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "B{:03} {}", self.number(), self.name())
    }
}

impl fmt::Display for Speaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bootloader => "bootloader",
            Self::Updater => "updater",
            Self::Tools => "tools",
            Self::Journal => "journal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_there_once_and_has_one_meaning() {
        let numbers: Vec<_> = Numbered::all().map(Numbered::number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }

    #[test]
    fn explanations_can_be_put_into_a_line() {
        for numbered in Numbered::all() {
            let Explanation {
                expected,
                mend,
                said_by,
            } = numbered.explanation();
            for text in [expected, mend] {
                let whole = !text.is_empty() && !text.ends_with('.') && !text.contains('\n');
                assert!(whole, "{numbered}: {text}");
            }
            assert!(numbered.seen().ends_with('.'), "{numbered}");
            assert!(!said_by.is_empty(), "{numbered}");
        }
    }
}
