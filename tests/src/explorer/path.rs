//! The way to a state, as text that can be given back.
//!
//! `3.0.1@17u/0!0`: a boot with the choices 3, 0, 1, cut at its 17th point in the way `u`; then a boot with the
//! choice 0 that ended in the first way in which it may end. `ru`: cut in that way by a reset, which leaves RAM.

use std::rc::Rc;

use anyhow::{Context as _, bail};

use bistable_core::layout::Slot;

use super::scenario::Flip;
use super::truth::Outcome;

/// How a boot is cut short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct How {
    /// How far the operation gets.
    pub outcome: Outcome,
    /// Whether the processor is reset and RAM stays; else the power goes.
    pub keeps_ram: bool,
}

/// From one state to the next one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A boot that is cut short.
    Cut {
        /// What is chosen in it.
        choices: Rc<[u8]>,
        /// At which of its points.
        point: u16,
        /// How.
        how: How,
    },
    /// A boot that ends by itself.
    End {
        /// What is chosen in it.
        choices: Rc<[u8]>,
        /// In which of the ways in which it may.
        end: u8,
    },
    /// A bit flips.
    Flip(Flip),
}

impl Step {
    /// A boot that is cut short.
    pub(super) const fn cut(choices: Rc<[u8]>, point: u16, how: How) -> Self {
        Self::Cut {
            choices,
            point,
            how,
        }
    }

    /// A boot that ends by itself.
    pub(super) const fn end(choices: Rc<[u8]>, end: u8) -> Self {
        Self::End { choices, end }
    }
}

fn letters(how: How) -> String {
    let outcome = match how.outcome {
        Outcome::Before => "b".to_owned(),
        Outcome::After => "a".to_owned(),
        Outcome::Unstable => "u".to_owned(),
        Outcome::Garbage => "g".to_owned(),
        Outcome::Fails => "f".to_owned(),
        Outcome::Lacks => "l".to_owned(),
        Outcome::Blank => "e".to_owned(),
        Outcome::Keeps(kept) => format!("k{kept}"),
        Outcome::Drawn(seed) => format!("d{seed}"),
    };
    let reset = if how.keeps_ram { "r" } else { "" };
    format!("{reset}{outcome}")
}

fn how(text: &str) -> anyhow::Result<How> {
    let (keeps_ram, text) = match text.strip_prefix('r') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (letter, number) = text.split_at_checked(1).context("a letter is missing")?;
    let outcome = match letter {
        "b" => Outcome::Before,
        "a" => Outcome::After,
        "u" => Outcome::Unstable,
        "g" => Outcome::Garbage,
        "f" => Outcome::Fails,
        "l" => Outcome::Lacks,
        "e" => Outcome::Blank,
        "k" => Outcome::Keeps(number.parse()?),
        "d" => Outcome::Drawn(number.parse()?),
        other => bail!("`{other}`: expected one of b a u g f l e k d"),
    };
    Ok(How { outcome, keeps_ram })
}

/// The path as text.
pub(super) fn write(path: &[Step]) -> String {
    let digits = |choices: &[u8]| {
        let digits: Vec<_> = choices.iter().map(ToString::to_string).collect();
        digits.join(".")
    };
    let steps = path.iter().map(|step| match step {
        Step::Cut {
            choices,
            point,
            how,
        } => format!("{}@{point}{}", digits(choices), letters(*how)),
        Step::End { choices, end } => format!("{}!{end}", digits(choices)),
        Step::Flip(Flip::Journal(sector)) => format!("~{sector}"),
        Step::Flip(Flip::Header(slot)) => format!("~h{slot:?}"),
        Step::Flip(Flip::Payload(slot)) => format!("~p{slot:?}"),
    });
    steps.collect::<Vec<_>>().join("/")
}

/// The path that the text means.
///
/// # Errors
/// What is not understood.
pub fn read(text: &str) -> anyhow::Result<Vec<Step>> {
    let choices = |text: &str| -> anyhow::Result<Rc<[u8]>> {
        let digits = text.split('.').filter(|digits| !digits.is_empty());
        let digits: Result<Vec<u8>, _> = digits.map(str::parse).collect();
        Ok(digits?.into())
    };
    let step = |text: &str| -> anyhow::Result<Step> {
        if let Some(place) = text.strip_prefix('~') {
            return Ok(Step::Flip(match place {
                "hA" => Flip::Header(Slot::A),
                "hB" => Flip::Header(Slot::B),
                "pA" => Flip::Payload(Slot::A),
                "pB" => Flip::Payload(Slot::B),
                sector => Flip::Journal(sector.parse()?),
            }));
        }
        if let Some((before, end)) = text.split_once('!') {
            return Ok(Step::end(choices(before)?, end.parse()?));
        }
        let (before, behind) = text.split_once('@').context("expected `@`, `!` or `~`")?;
        let digits = behind.find(|c: char| !c.is_ascii_digit());
        let (point, letter) = behind.split_at(digits.unwrap_or(behind.len()));
        Ok(Step::cut(choices(before)?, point.parse()?, how(letter)?))
    };
    text.split('/')
        .filter(|text| !text.is_empty())
        .map(|text| step(text).with_context(|| format!("step `{text}` of the path")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_was_written() {
        for text in [
            "",
            "3.0.1@17u/0!0",
            "~2/~hA/~pB/!1/0@3k4/0.0@9d77/@0rb/1@2rd5",
        ] {
            assert_eq!(write(&read(text).unwrap()), text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_step() {
        let error = read("0!0/0@4x").unwrap_err();
        assert!(error.to_string().contains("0@4x"), "{error}");
    }
}
