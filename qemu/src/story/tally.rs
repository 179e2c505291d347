//! What a device said in all while it was switched on, whether the story waited for it or not.
//!
//! A line that nobody waits for is no observation by itself. So that one too many, or one that is missing, shows when
//! the stories of two boards are compared, the lines of each kind are counted.

use std::collections::BTreeSet;

/// A kind of line: how it is called, and how such a line begins.
struct Kind(&'static str, &'static str);

const KINDS: [Kind; 15] = [
    Kind("starting", "starting "),
    Kind("running", "running "),
    Kind("RAM is empty", "in RAM lies nothing"),
    Kind("RAM is kept", "in RAM lies what"),
    Kind("installing", "installing "),
    Kind("activated", "activated "),
    Kind("stays", "this image stays"),
    Kind("goes", "this image goes"),
    Kind("confirmed", "confirmed "),
    Kind("rejected", "rejected: "),
    Kind("hanging", "hanging"),
    Kind("barked", "the watchdog barked"),
    Kind("last verdict", "last verdict"),
    Kind("journal lost", "the journal is lost"),
    Kind("nothing verifies", "nothing verifies"),
];

/// How many of `lines` are of each kind, without the kinds of which there is none. What is refused is refused again for as
/// long as nothing changes, so of refusals only different ones count.
pub(super) fn tally<'l>(lines: impl Iterator<Item = &'l str> + Clone) -> String {
    let mut counts: Vec<(usize, &str)> = KINDS
        .iter()
        .map(|Kind(name, start)| {
            let of_this = lines.clone().filter(|line| line.starts_with(start));
            (of_this.count(), *name)
        })
        .collect();
    let refusals: BTreeSet<&str> = lines.filter(|line| line.contains("refused ")).collect();
    counts.push((refusals.len(), "kinds of refused"));
    counts.retain(|(count, _)| *count > 0);
    if counts.is_empty() {
        return "nothing".to_owned();
    }
    let said = counts
        .iter()
        .map(|(count, name)| format!("{count} × {name}"));
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 6] = [
        "starting 83461f57 from slot A: Active",
        "running 83461f57 in slot A as Confirmed, reset: PowerOn",
        "refused 00112233 at byte 0: NotNewer",
        "at byte 4096",
        "refused 00112233 at byte 0: NotNewer",
        "refused 44556677 at byte 0: OtherClass",
    ];

    #[test]
    fn lines_are_counted_by_kind_and_what_is_said_again_once() {
        assert_eq!(
            tally(LINES.into_iter()),
            "1 × starting, 1 × running, 2 × kinds of refused"
        );
    }

    #[test]
    fn a_start_that_nobody_waited_for_changes_it() {
        let once_more = LINES.into_iter().chain([LINES[0], LINES[1]]);
        assert_ne!(tally(once_more), tally(LINES.into_iter()));
    }

    #[test]
    fn a_device_that_said_nothing_of_these_said_nothing() {
        assert_eq!(tally(["at byte 4096"].into_iter()), "nothing");
    }
}
