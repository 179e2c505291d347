//! The one line that a failed command prints: where, what was found, what was expected, a hint.

use std::fmt;
use std::io;
use std::path::Path;

/// Why a command could not be done. Prints as one line.
#[derive(Debug)]
pub enum Error {
    /// The operating system refused.
    Io {
        /// The file or address.
        place: String,
        /// What was tried, as in "cannot …".
        doing: &'static str,
        /// What it answered.
        source: io::Error,
    },
    /// Something else is there than there should be.
    Unexpected {
        /// The file or argument.
        place: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
        /// What to do about it.
        hint: String,
    },
    /// The layout or the key ring breaks a rule.
    Layout(bistable_layout::Error),
}

impl Error {
    /// For `map_err`: `doing` something with the file at `path` was refused by the operating system.
    pub fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let place = path.display().to_string();
        move |source| Self::Io {
            place,
            doing,
            source,
        }
    }

    /// The file at `path` holds something else than it should.
    pub fn unexpected(
        path: &Path,
        found: impl fmt::Display,
        expected: impl fmt::Display,
        hint: impl fmt::Display,
    ) -> Self {
        Self::argument(path.display(), found, expected, hint)
    }

    /// The argument `place` is not what it should be.
    pub fn argument(
        place: impl fmt::Display,
        found: impl fmt::Display,
        expected: impl fmt::Display,
        hint: impl fmt::Display,
    ) -> Self {
        Self::Unexpected {
            place: place.to_string(),
            found: found.to_string(),
            expected: expected.to_string(),
            hint: hint.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                place,
                doing,
                source,
            } => write!(formatter, "{place}: cannot {doing}: {source}"),
            Self::Unexpected {
                place,
                found,
                expected,
                hint,
            } => write!(
                formatter,
                "{place}: found {found}, expected {expected}; {hint}"
            ),
            Self::Layout(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Unexpected { .. } => None,
            Self::Layout(error) => Some(error),
        }
    }
}

impl From<bistable_layout::Error> for Error {
    fn from(error: bistable_layout::Error) -> Self {
        Self::Layout(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_place_found_expected_and_hint() {
        let error = Error::unexpected(
            Path::new("a.elf"),
            "a PNG",
            "an ELF file",
            "give the linked program",
        );
        assert_eq!(
            error.to_string(),
            "a.elf: found a PNG, expected an ELF file; give the linked program"
        );
    }

    #[test]
    fn what_the_operating_system_refuses_names_the_file_and_what_was_tried() {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Error::io(Path::new("a.elf"), "read the program")(refused);
        assert_eq!(
            error.to_string(),
            "a.elf: cannot read the program: permission denied"
        );
    }
}
