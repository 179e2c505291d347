//! `bistable explain`: what a number such as `B033` means, and how to mend it.

use std::fmt::{self, Display};

use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::output::{FAINT, Output, Report, paint};
use crate::refusals::{Numbered, Speaker};

/// Say what was seen, what was expected, and how to mend it; without a code, list all.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable explain B033")]
pub struct Arguments {
    /// A number (`B033`, or 33) or a name (`BelowFloor`).
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}

/// What numbers mean, in their order.
#[derive(Serialize, JsonSchema)]
pub struct Explained {
    /// The one that was asked for, or all.
    pub numbers: Vec<Entry>,
}

/// What a number means.
#[derive(Serialize, JsonSchema)]
pub struct Entry {
    /// Such as `B033`.
    pub number: String,
    /// Such as `BelowFloor`.
    pub name: String,
    /// What was seen, in a sentence or two.
    pub seen: &'static str,
    /// What should have been there instead.
    pub expected: &'static str,
    /// What to do.
    pub mend: &'static str,
    /// Who says it.
    pub said_by: &'static [Speaker],
}

impl Report for Explained {
    const FORMAT: &'static str = "explain/1";
}

/// Runs the command.
///
/// # Errors
/// No number and no name is like this.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let numbers = match &arguments.code {
        Some(code) => vec![Entry::of(find(code)?)],
        None => Numbered::all().map(Entry::of).collect(),
    };
    output.say(&Explained { numbers })
}

/// What `code` names.
///
/// # Errors
/// Nothing: the nearest ones are said.
pub fn find(code: &str) -> Result<Numbered, Error> {
    let wanted = number(code);
    let is_it = |it: &Numbered| match wanted {
        Some(number) => it.number() == number,
        None => it.name().eq_ignore_ascii_case(code),
    };
    Numbered::all().find(is_it).ok_or_else(|| {
        let nearest: Vec<_> = match wanted {
            Some(number) => around(number),
            None => alike(code),
        };
        let nearest: Vec<_> = nearest.iter().map(ToString::to_string).collect();
        Error::argument(
            "CODE",
            format!("{code:?}"),
            "a number or a name that `bistable explain` lists",
            format!("the nearest: {}", nearest.join(", ")),
        )
    })
}

/// The number in `B017`, `b017`, `017` and `17`.
fn number(code: &str) -> Option<u16> {
    let digits = code.strip_prefix(['B', 'b']).unwrap_or(code);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // What is too large for a number is none that has a meaning.
    all_digits.then(|| digits.parse().unwrap_or(u16::MAX))
}

/// The last one below `number`, and the first above it.
fn around(number: u16) -> Vec<Numbered> {
    let below = Numbered::all().filter(|it| it.number() < number).last();
    let above = Numbered::all().find(|it| it.number() > number);
    below.into_iter().chain(above).collect()
}

/// The two whose names are most like this one.
fn alike(name: &str) -> Vec<Numbered> {
    let name = name.to_ascii_lowercase();
    let mut all: Vec<_> = Numbered::all().collect();
    all.sort_by_cached_key(|it| strsim::damerau_levenshtein(&name, &it.name().to_lowercase()));
    all.truncate(2);
    all
}

impl Entry {
    fn of(numbered: Numbered) -> Self {
        let explanation = numbered.explanation();
        Self {
            number: format!("B{:03}", numbered.number()),
            name: numbered.name(),
            seen: numbered.seen(),
            expected: explanation.expected,
            mend: explanation.mend,
            said_by: explanation.said_by,
        }
    }
}

impl Display for Explained {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [entry] = self.numbers.as_slice() {
            let said_by: Vec<_> = entry.said_by.iter().map(ToString::to_string).collect();
            return write!(
                formatter,
                "{} {}\n\nseen      {}\nexpected  {}\nto mend   {}\nsaid by   {}\n",
                entry.number,
                entry.name,
                entry.seen,
                entry.expected,
                entry.mend,
                said_by.join(", ")
            );
        }
        for Entry {
            number, name, seen, ..
        } in &self.numbers
        {
            writeln!(formatter, "{number}  {name:<23}  {}", paint(FAINT, seen))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(code: &str) -> String {
        find(code).unwrap().name()
    }

    #[test]
    fn a_number_is_found_however_it_is_written() {
        for code in [
            "B033",
            "b033",
            "033",
            "33",
            "B33",
            "BelowFloor",
            "belowfloor",
        ] {
            assert_eq!(name(code), "BelowFloor", "{code}");
        }
        assert_eq!(name("B103"), "CheckFailed");
        assert_eq!(name("crashloop"), "CrashLoop");
    }

    #[test]
    fn what_is_not_there_names_the_nearest() {
        for (code, nearest) in [
            ("B017", "B013 RevokesTooMany, B020 OtherVendor"),
            ("BelowFlor", "B033 BelowFloor"),
            ("B000", "B001 NotAManifest"),
            ("99999999999", "B213 Unlinked"),
            ("", "the nearest"),
            ("B", "the nearest"),
            ("B+33", "the nearest"),
        ] {
            let said = find(code).unwrap_err().to_string();
            assert!(said.contains(nearest), "{code:?}: {said}");
        }
    }
}
