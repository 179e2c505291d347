//! The way to a state, as text that can be given back.
//!
//! `3.0.1@17u/0!0`: a boot with the choices 3, 0, 1, cut at its 17th point in the way `u`; then a boot with the
//! choice 0 that ended in the first way in which it may end.

use std::rc::Rc;

use anyhow::{Context as _, bail};

use super::flash::Outcome;

/// How a boot is cut short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// The power goes.
    Power(Outcome),
    /// The processor is reset, and RAM stays.
    Reset,
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
    /// A bit flips in this sector of the journal.
    Flip(u8),
}

impl Default for Step {
    fn default() -> Self {
        Self::Flip(0)
    }
}

impl Step {
    /// A boot that is cut short.
    #[must_use]
    pub const fn cut(choices: Rc<[u8]>, point: u16, how: How) -> Self {
        Self::Cut {
            choices,
            point,
            how,
        }
    }

    /// A boot that ends by itself.
    #[must_use]
    pub const fn end(choices: Rc<[u8]>, end: u8) -> Self {
        Self::End { choices, end }
    }

    /// A bit flips in the journal.
    #[must_use]
    pub const fn flip(sector: u8) -> Self {
        Self::Flip(sector)
    }
}

fn letter(how: How) -> String {
    match how {
        How::Reset => "r".to_owned(),
        How::Power(Outcome::Before) => "b".to_owned(),
        How::Power(Outcome::After) => "a".to_owned(),
        How::Power(Outcome::Unstable) => "u".to_owned(),
        How::Power(Outcome::Garbage) => "g".to_owned(),
        How::Power(Outcome::Fails) => "f".to_owned(),
        How::Power(Outcome::Lacks) => "l".to_owned(),
        How::Power(Outcome::Blank) => "e".to_owned(),
        How::Power(Outcome::Keeps(kept)) => format!("k{kept}"),
        How::Power(Outcome::Drawn(seed)) => format!("d{seed}"),
    }
}

fn how(text: &str) -> anyhow::Result<How> {
    let (letter, number) = text.split_at_checked(1).context("a letter is missing")?;
    Ok(match letter {
        "r" => How::Reset,
        "b" => How::Power(Outcome::Before),
        "a" => How::Power(Outcome::After),
        "u" => How::Power(Outcome::Unstable),
        "g" => How::Power(Outcome::Garbage),
        "f" => How::Power(Outcome::Fails),
        "l" => How::Power(Outcome::Lacks),
        "e" => How::Power(Outcome::Blank),
        "k" => How::Power(Outcome::Keeps(number.parse()?)),
        "d" => How::Power(Outcome::Drawn(number.parse()?)),
        other => bail!("`{other}`: expected one of r b a u g f l e k d"),
    })
}

/// The path as text.
#[must_use]
pub fn write(path: &[Step]) -> String {
    let digits = |choices: &[u8]| {
        let digits: Vec<_> = choices.iter().map(ToString::to_string).collect();
        digits.join(".")
    };
    let steps = path.iter().map(|step| match step {
        Step::Cut {
            choices,
            point,
            how,
        } => format!("{}@{point}{}", digits(choices), letter(*how)),
        Step::End { choices, end } => format!("{}!{end}", digits(choices)),
        Step::Flip(sector) => format!("~{sector}"),
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
        if let Some(sector) = text.strip_prefix('~') {
            return Ok(Step::Flip(sector.parse()?));
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
        for text in ["", "3.0.1@17u/0!0", "~2/!1/0@3k4/0.0@9d77/@0r"] {
            assert_eq!(write(&read(text).unwrap()), text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_step() {
        let error = read("0!0/0@4x").unwrap_err();
        assert!(error.to_string().contains("0@4x"), "{error}");
    }
}
