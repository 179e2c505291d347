//! The gate: text and instructions must not grow by more than 2 % over the committed figures unnoticed.

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

/// Makes what is committed 3 % smaller, so that what is found has grown.
pub(crate) fn plant(committed: &mut Figures) {
    for measured in committed.boards.values_mut().flat_map(BTreeMap::values_mut) {
        for figure in [
            &mut measured.text,
            &mut measured.instructions_64k,
            &mut measured.instructions_256k,
        ] {
            *figure = *figure * 97 / 100;
        }
    }
}

/// What came of a comparison: sentences.
#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    /// Why it fails.
    pub(crate) failures: Vec<String>,
    /// What should be looked at: figures that shrank leave room to grow unnoticed.
    pub(crate) stale: Vec<String>,
}

/// Compares what was found with what is committed.
pub(crate) fn compare(committed: &Figures, found: &Found) -> Verdict {
    let mut verdict = Verdict::default();
    for (board, profiles) in found {
        for (profile, found) in profiles {
            let committed = committed.boards.get(board);
            let Some(committed) = committed.and_then(|profiles| profiles.get(profile)) else {
                verdict.failures.push(format!(
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
                    verdict.failures.push(format!(
                        "{which}, which is more than 2 % above. If that is meant, run `cargo xtask bench` \
                         and say why in the commit that raises the figure"
                    ));
                } else if found * 102 < committed * 100 {
                    verdict.stale.push(format!(
                        "{which}, which is more than 2 % below: commit what `cargo xtask bench` writes"
                    ));
                }
            }
        }
    }
    verdict
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
        for text in [19_700, 20_000, 20_400] {
            let verdict = compare(&committed(), &found(Quick { text, ..QUICK }));
            assert_eq!(verdict, Verdict::default(), "{text}");
        }
    }

    #[test]
    fn growth_of_each_figure_fails_and_names_it_with_both_values() {
        let grown = |change: fn(&mut Quick) -> &mut u64| {
            let mut quick = QUICK;
            let figure = change(&mut quick);
            *figure = *figure * 102 / 100 + 1;
            let verdict = compare(&committed(), &found(quick));
            assert_eq!(verdict.failures.len(), 1, "{verdict:?}");
            verdict.failures[0].clone()
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
    fn planted_growth_of_all_three_fails() {
        let mut committed = committed();
        plant(&mut committed);
        assert_eq!(compare(&committed, &found(QUICK)).failures.len(), 3);
    }

    #[test]
    fn a_bootloader_without_committed_figures_fails() {
        let verdict = compare(&Figures::default(), &found(QUICK));
        assert!(verdict.failures[0].contains("no figures"), "{verdict:?}");
    }

    #[test]
    fn what_shrank_is_said_and_passes() {
        let text = 15_000;
        let verdict = compare(&committed(), &found(Quick { text, ..QUICK }));
        assert!(verdict.failures.is_empty());
        assert_eq!(verdict.stale.len(), 1, "{verdict:?}");
    }
}
