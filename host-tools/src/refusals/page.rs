//! `docs/refusals.md`: every number on one page.

use std::fmt::Write as _;

use crate::refusals::{Explanation, Numbered};

const INTRODUCTION: &str = "\
# Refusals and reasons

What a device or a tool means by `B033`: what was seen, what was expected, and how to mend it. `bistable explain B033`
says the same, and `bistable explain` lists all. The numbers are the same in the device's log, in what the tools say
(as text, and in their JSON), in the handover, in reports and in the journal. They never change and are never reused.

`B001` to `B099` are *refusals*: an image, a page, a chunk or a request was not taken, or a slot not booted. `B101` and up
are *reasons* why an image was rejected for good, as the journal keeps them; some have a detail, such as the number of
a health check: `B103 CheckFailed(2)`.

`B201` and up are why a *receipt* is not believed.

This page is generated from the tools' sources (`host-tools/src/refusals/`).
";

/// The whole page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    for numbered in Numbered::all() {
        let Explanation {
            expected,
            mend,
            said_by,
        } = numbered.explanation();
        let said_by: Vec<_> = said_by.iter().map(ToString::to_string).collect();
        // A String takes everything.
        let _ = write!(
            text,
            "\n## {numbered}\n\n\
             - **Seen:** {}\n\
             - **Expected:** {expected}.\n\
             - **To mend it:** {mend}.\n\
             - **Said by:** {}.\n",
            numbered.seen(),
            said_by.join(", ")
        );
    }
    text
}
