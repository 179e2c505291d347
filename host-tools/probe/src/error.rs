//! Why the work on a unit stopped: what was found, what was expected, what to do.

use std::fmt;

/// Why the work on a unit stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
    /// What to do about it.
    pub hint: String,
}

impl Error {
    pub(crate) fn new(
        found: impl fmt::Display,
        expected: impl fmt::Display,
        hint: impl fmt::Display,
    ) -> Self {
        Self {
            found: found.to_string(),
            expected: expected.to_string(),
            hint: hint.to_string(),
        }
    }

    /// For `map_err`: probe-rs could not do what is `expected`.
    pub(crate) fn probe<E: std::error::Error>(expected: &'static str) -> impl FnOnce(E) -> Self {
        move |error| {
            Self::new(
                chain(&error),
                expected,
                "look at wiring, power and the chip's name, and try again",
            )
        }
    }
}

/// An error with all its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let said: Vec<String> = causes
        .map(|error| {
            error
                .to_string()
                .replace('\n', " ")
                .trim_end_matches('.')
                .to_owned()
        })
        .collect();
    said.join(": ")
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            found,
            expected,
            hint,
        } = self;
        write!(formatter, "found {found}, expected {expected}; {hint}")
    }
}

impl std::error::Error for Error {}
