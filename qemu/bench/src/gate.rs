//! The gate: text and instructions must stay within 2 % of the committed figures, or those are raised or lowered.

use std::collections::BTreeMap;

use crate::figures::{COMMITTED, Figures};

/// What the gate compares of one bootloader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Quick {
    /// Bytes of flash.
    pub(crate) text: u64,
    /// Instructions to boot 64 KiB.
    pub(crate) instructions_64k: u64,
    /// Instructions to boot 256 KiB.
    pub(crate) instructions_256k: u64,
}

/// By board, then by profile.
pub(crate) type Found = BTreeMap<String, BTreeMap<String, Quick>>;

/// Puts 3 % more than is committed into what was found; returns how many figures there were.
pub(crate) fn plant(committed: &Figures, found: &mut Found) -> usize {
    let mut planted = 0;
    for (board, profiles) in found {
        for (profile, found) in profiles {
            let committed = committed.boards.get(board);
            let Some(measured) = committed.and_then(|profiles| profiles.get(profile)) else {
                continue;
            };
            for (figure, committed) in [
                (&mut found.text, measured.text),
                (&mut found.instructions_64k, measured.instructions_64k),
                (&mut found.instructions_256k, measured.instructions_256k),
            ] {
                *figure = committed * 103 / 100;
                planted += 1;
            }
        }
    }
    planted
}

/// Compares what was found with what is committed; returns why it fails, if it does.
pub(crate) fn compare(committed: &Figures, found: &Found) -> Vec<String> {
    let mut failures = Vec::new();
    for (board, profiles) in &committed.boards {
        for profile in profiles.keys() {
            if !found
                .get(board)
                .is_some_and(|found| found.contains_key(profile))
            {
                failures.push(format!(
                    "{board} {profile}: {COMMITTED} has its figures, and it was not measured. If it is gone for \
                     good, commit what `cargo xtask bench` writes"
                ));
            }
        }
    }
    for (board, profiles) in found {
        for (profile, found) in profiles {
            let committed = committed.boards.get(board);
            let Some(committed) = committed.and_then(|profiles| profiles.get(profile)) else {
                failures.push(format!(
                    "{board} {profile}: {COMMITTED} has no figures; `cargo xtask bench` measures them"
                ));
                continue;
            };
            for (figure, committed, found) in [
                ("text", committed.text, found.text),
                (
                    "instructions_64k",
                    committed.instructions_64k,
                    found.instructions_64k,
                ),
                (
                    "instructions_256k",
                    committed.instructions_256k,
                    found.instructions_256k,
                ),
            ] {
                let which =
                    format!("{board} {profile} {figure}: committed {committed}, found {found}");
                if found * 100 > committed * 102 {
                    failures.push(format!(
                        "{which}, which is more than 2 % above. If that is meant, run `cargo xtask bench` \
                         and say why in the commit that raises the figure"
                    ));
                } else if found * 102 < committed * 100 {
                    failures.push(format!(
                        "{which}, which is more than 2 % below: commit what `cargo xtask bench` writes, or there is \
                         room to grow unnoticed"
                    ));
                }
            }
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Measured;

    const QUICK: Quick = Quick {
        text: 20_000,
        instructions_64k: 5_000_000,
        instructions_256k: 15_000_000,
    };

    fn committed() -> Figures {
        let measured = Measured {
            text: QUICK.text,
            instructions_64k: QUICK.instructions_64k,
            instructions_256k: QUICK.instructions_256k,
            ..Measured::default()
        };
        let mut figures = Figures::default();
        let profiles = BTreeMap::from([("small".into(), measured)]);
        figures.boards.insert("board".into(), profiles);
        figures
    }

    fn found(quick: Quick) -> Found {
        let profiles = BTreeMap::from([("small".into(), quick)]);
        BTreeMap::from([("board".into(), profiles)])
    }

    #[test]
    fn what_was_committed_passes_and_so_do_two_per_cent_more_or_less() {
        for text in [19_608, 20_000, 20_400] {
            let failures = compare(&committed(), &found(Quick { text, ..QUICK }));
            assert!(failures.is_empty(), "{text}: {failures:?}");
        }
    }

    #[test]
    fn growth_of_each_figure_fails_and_names_it_with_both_values() {
        let grown = |change: fn(&mut Quick) -> &mut u64| {
            let mut quick = QUICK;
            let figure = change(&mut quick);
            *figure = *figure * 102 / 100 + 1;
            let failures = compare(&committed(), &found(quick));
            assert_eq!(failures.len(), 1, "{failures:?}");
            failures[0].clone()
        };
        let text = grown(|quick| &mut quick.text);
        assert!(
            text.starts_with("board small text: committed 20000, found 20401"),
            "{text}"
        );
        assert!(text.contains("say why in the commit"));
        assert!(grown(|quick| &mut quick.instructions_64k).contains("instructions_64k"));
        assert!(grown(|quick| &mut quick.instructions_256k).contains("instructions_256k"));
    }

    #[test]
    fn planted_growth_of_all_three_fails_whatever_was_found() {
        for text in [15_000, 20_000, 25_000] {
            let mut found = found(Quick { text, ..QUICK });
            assert_eq!(plant(&committed(), &mut found), 3);
            let failures = compare(&committed(), &found);
            assert_eq!(failures.len(), 3, "{failures:?}");
            assert!(failures.iter().all(|failure| failure.contains("2 % above")));
        }
    }

    #[test]
    fn a_bootloader_without_committed_figures_fails() {
        let failures = compare(&Figures::default(), &found(QUICK));
        assert!(failures[0].contains("no figures"), "{failures:?}");
    }

    #[test]
    fn what_shrank_fails_for_the_committed_figures_went_stale() {
        let text = 19_607;
        let failures = compare(&committed(), &found(Quick { text, ..QUICK }));
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(failures[0].contains("text: committed 20000, found 19607"));
        assert!(failures[0].contains("commit what `cargo xtask bench` writes"));
    }

    #[test]
    fn a_committed_board_or_profile_that_was_not_measured_fails() {
        let no_profile = BTreeMap::from([("board".into(), BTreeMap::new())]);
        for found in [Found::new(), no_profile] {
            let failures = compare(&committed(), &found);
            assert_eq!(failures.len(), 1, "{failures:?}");
            assert!(failures[0].starts_with("board small: "), "{failures:?}");
        }
    }
}
