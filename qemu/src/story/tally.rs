//! What a device said in all while it was switched on, whether the story waited for it or not.
//!
//! A line that nobody waits for is no observation by itself. So that one too many, or one that is missing, shows when
//! the stories of two boards are compared, the lines of each kind are counted.

/// A kind of line: how it is called, the words in it, and whether it is said again for as long as nothing changes, so
/// that only different lines count.
struct Kind(&'static str, &'static [&'static str], bool);

const KINDS: [Kind; 16] = [
    Kind("starting", &["starting "], false),
    Kind("running", &["running ", " in slot "], false),
    Kind("RAM is empty", &["in RAM lies nothing"], false),
    Kind("RAM is kept", &["in RAM lies what"], false),
    Kind("installing", &["installing "], false),
    Kind("activated", &["activated "], false),
    Kind("stays", &["this image stays"], false),
    Kind("goes", &["this image goes"], false),
    Kind("confirmed", &["confirmed "], false),
    Kind("rejected", &["rejected: "], false),
    Kind("hanging", &["hanging"], false),
    Kind("barked", &["the watchdog barked"], false),
    Kind("last verdict", &["last verdict"], false),
    Kind("journal lost", &["the journal is lost"], false),
    Kind("nothing verifies", &["nothing verifies"], false),
    Kind("kinds of refused", &["refused "], true),
];

/// How many of `lines` are of each kind, without the kinds of which there is none.
pub(super) fn tally<'l>(lines: impl Iterator<Item = &'l str> + Clone) -> String {
    let counted = KINDS.iter().filter_map(|Kind(name, words, repeats)| {
        let is_one = |line: &&str| words.iter().all(|word| line.contains(word));
        let mut found: Vec<&str> = lines.clone().filter(is_one).collect();
        if *repeats {
            found.sort_unstable();
            found.dedup();
        }
        (!found.is_empty()).then(|| format!("{} × {name}", found.len()))
    });
    match counted.collect::<Vec<_>>() {
        none if none.is_empty() => "nothing".to_owned(),
        some => some.join(", "),
    }
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
