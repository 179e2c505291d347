//! Why images are rejected: what was seen, what is expected and what to do, for each reason.

use bistable_core::state::{Reason, ReasonCode};

use crate::refusals::{Explanation, Speaker};

/// Every kind of reason, in the order of the numbers, with 0 as its detail. They are all that the
/// journal's own function reads, so that none can be forgotten here.
pub fn all() -> impl Iterator<Item = Reason> {
    let kinds = 1..=u8::MAX;
    kinds.filter_map(|kind| ReasonCode::new(u16::from_le_bytes([0, kind]))?.reason())
}

/// The name of its kind, such as `CheckFailed`.
#[must_use]
pub fn name(reason: Reason) -> String {
    let text = format!("{reason:?}");
    let (name, _) = text.split_once('(').unwrap_or((&text, ""));
    name.into()
}

/// What was seen.
#[must_use]
pub const fn seen(reason: Reason) -> &'static str {
    match reason {
        Reason::AttemptsUsedUp => {
            "The trial was started as often as its manifest allows, and never confirmed."
        }
        Reason::PowerBudgetUsedUp => {
            "The power failed during the trial more often than a trial may see."
        }
        Reason::CheckFailed(_) => {
            "A required health check failed; the detail is its number in the layout's list, from 1."
        }
        Reason::DeadlineOver => "The trial's time was over before every required check had passed.",
        Reason::OnRequest(_) => {
            "The application asked for it; the detail is the application's own number."
        }
        Reason::CrashLoop => "It was confirmed, and then reset abnormally again and again.",
        Reason::OnOrder(_) => {
            "Somebody outside asked for it, in a signed request; the detail is the number in it."
        }
        Reason::SourceUnreachable(_) => {
            "Nothing spoke against it but that it never reached the update source that it came from; \
             the detail is the number of that check. It may be offered once more."
        }
        Reason::Crashed(_) => {
            "It was reset abnormally on trial, and the product forgives no such reset; the detail is \
             the number of the reset reason."
        }
    }
}

/// What was expected, what to do, and who says it.
#[must_use]
pub const fn explain(reason: Reason) -> Explanation {
    let (expected, mend) = match reason {
        Reason::AttemptsUsedUp => (
            "a confirmation before the attempts are used up",
            "look for what resets it before its checks have passed (the reset reason of its reports), \
             and publish a fixed image with a higher sequence",
        ),
        Reason::PowerBudgetUsedUp => (
            "a trial that keeps its power until it is confirmed",
            "see to the unit's supply, or shorten the time that the checks take, and publish the image \
             again with a higher sequence",
        ),
        Reason::CheckFailed(_) => (
            "every required check of the layout passed",
            "find out why the check fails on this unit, and publish a fixed image with a higher sequence",
        ),
        Reason::DeadlineOver => (
            "every required check passed within the manifest's trial time",
            "build it with a longer `--trial-seconds`, or make the slowest check faster, with a higher \
             sequence",
        ),
        Reason::OnRequest(_) => (
            "an application that is content with itself",
            "look the number up in the application's source, and publish a fixed image with a higher \
             sequence",
        ),
        Reason::CrashLoop => (
            "fewer abnormal resets between two soaks than the layout's `crash_loop`",
            "find the crash, and publish a fixed image with a higher sequence; until then the unit runs \
             its other image",
        ),
        Reason::OnOrder(_) => (
            "no order to leave it",
            "nothing, if the request was meant; else publish an image with a higher sequence",
        ),
        Reason::SourceUnreachable(_) => (
            "an answer of the update source to the image on trial",
            "see to the network between unit and update source, and offer the image again: the second \
             time counts as a failed check",
        ),
        Reason::Crashed(_) => (
            "a trial without any abnormal reset",
            "find the crash, and publish a fixed image with a higher sequence",
        ),
    };
    Explanation {
        expected,
        mend,
        said_by: &[Speaker::Journal],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_without_details() {
        let names: Vec<_> = all().map(name).collect();
        assert_eq!(names.len(), 9);
        assert_eq!((&*names[0], &*names[2]), ("AttemptsUsedUp", "CheckFailed"));
    }
}
