//! What can be wrong with a layout or a key ring, and in which file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::region::Region;

/// A file and what is wrong with it. Prints as one line.
#[derive(Debug)]
pub struct Error {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a `layout.toml` or a key ring.
#[derive(Debug)]
pub enum Problem {
    /// The operating system refused.
    Io {
        /// What was tried, as in "cannot …".
        doing: &'static str,
        /// What it answered.
        source: io::Error,
    },
    /// Not TOML, or a field that is unknown, missing or of another type.
    Syntax {
        /// The line, from 1; 0 if it is about the whole file.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// There is no key ring yet.
    NoRing {
        /// The command that makes one.
        command: String,
    },
    /// A value that is not allowed.
    Value {
        /// The field, as one would write it in TOML.
        field: String,
        /// What is there.
        found: String,
        /// What may be there.
        expected: String,
    },
    /// A flash or RAM name that the file does not define.
    UnknownName {
        /// The field that names it.
        field: String,
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A region that does not lie wholly in its device.
    Outside {
        /// The region.
        region: Box<Region>,
        /// The device, all of it.
        device: Box<Region>,
    },
    /// A region that begins in one run of erase sectors and ends in the next.
    AcrossFlashes {
        /// The region.
        region: Box<Region>,
        /// The erase size of the flash that it begins in, in bytes.
        erase_size: u32,
        /// The flash behind that.
        next: String,
        /// Its erase size in bytes.
        next_erase_size: u32,
    },
    /// A region that does not begin and end where the flash can be erased.
    Misaligned {
        /// The region.
        region: Region,
        /// The flash's erase size in bytes.
        erase_size: u32,
    },
    /// Two regions that share bytes.
    Overlap {
        /// One.
        first: Box<Region>,
        /// The other.
        second: Box<Region>,
    },
}

impl Problem {
    /// This problem, in `file`.
    pub fn at(self, file: impl Into<PathBuf>) -> Error {
        Error {
            file: file.into(),
            problem: self,
        }
    }

    pub(crate) fn value(
        field: impl Into<String>,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Self::Value {
            field: field.into(),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    pub(crate) fn syntax(text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map_or(0, |span| {
            let before = text.as_bytes().iter().take(span.start);
            before.filter(|byte| **byte == b'\n').count() + 1
        });
        Self::Syntax {
            line,
            message: error.message().replace('\n', ", "),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.file.display(), self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, source } => write!(formatter, "cannot {doing}: {source}"),
            Self::Syntax { line: 0, message } => write!(formatter, "{message}"),
            Self::Syntax { line, message } => write!(formatter, "line {line}: {message}"),
            Self::NoRing { command } => {
                write!(
                    formatter,
                    "found no key ring, expected one; make it with `{command}`"
                )
            }
            Self::Value {
                field,
                found,
                expected,
            } => write!(formatter, "{field}: found {found}, expected {expected}"),
            Self::UnknownName { field, name, known } => write!(
                formatter,
                "{field}: found `{name}`, expected one of: {}",
                known.join(", ")
            ),
            Self::Outside { region, device } => write!(
                formatter,
                "{region} lies outside {device}: move or shrink {}",
                region.name
            ),
            Self::AcrossFlashes {
                region,
                erase_size,
                next,
                next_erase_size,
            } => {
                let (flash, name) = (&region.device, &region.name);
                let larger = erase_size.max(next_erase_size);
                write!(
                    formatter,
                    "{region} begins on flash `{flash}`, with erase sectors of {erase_size:#x} bytes, and would end on \
                     `{next}`, with sectors of {next_erase_size:#x}; expected one run of equal sectors: move or shrink \
                     {name}, or describe both as one flash with sectors of {larger:#x}, where the driver erases whole \
                     ranges (`bistable_port::flash::Coarse` makes it)"
                )
            }
            Self::Misaligned { region, erase_size } => write!(
                formatter,
                "{region} is not made of whole erase sectors of `{}`: begin and end at multiples of {erase_size:#x}",
                region.device
            ),
            Self::Overlap { first, second } => {
                write!(formatter, "{first} overlaps {second}: move one of them")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
