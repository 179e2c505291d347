//! What can go wrong with a machine and its flash file, and what to do about it.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;
use std::{error, io};

use emulated_flash::NotFormatted;

use crate::LogLine;

/// Why a machine or its flash file could not be had.
#[derive(Debug)]
pub enum Error {
    /// Something could not be done with a file.
    File {
        /// What was tried, as in "cannot … the file".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The file has not the size of the board's memory.
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Bytes that it should have.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// The file holds no flash.
    NotFormatted {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        cause: NotFormatted,
    },
    /// The flash would refuse it, too.
    Flash(emulated_flash::Error),
    /// The ELF file holds no table of log lines.
    NoLogTable {
        /// The file.
        path: PathBuf,
        /// What its reader says.
        cause: String,
    },
    /// The emulator could not be started.
    NotStarted {
        /// The program that was tried.
        emulator: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The emulator ended before it opened its serial port.
    EndedEarly {
        /// What it wrote to its standard error.
        said: String,
    },
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Error::File { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
            Error::WrongSize {
                path,
                expected,
                found,
            } => write!(
                f,
                "{}: expected {expected} bytes of memory, found {found}; create it from a factory image",
                path.display()
            ),
            Error::NotFormatted { path, cause } => write!(f, "{}: {cause}", path.display()),
            Error::Flash(cause) => write!(f, "{cause}"),
            Error::NoLogTable { path, cause } => write!(
                f,
                "{}: no table of log lines: {cause}; was it linked with defmt.x?",
                path.display()
            ),
            Error::NotStarted { emulator, .. } => write!(
                f,
                "cannot start {}; is it installed (Debian: qemu-system-arm)?",
                emulator.display()
            ),
            Error::EndedEarly { said } => write!(f, "the emulator ended at once: {}", said.trim()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::File { cause, .. } | Error::NotStarted { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// What was waited for did not happen.
#[derive(Debug)]
pub struct NotSeen {
    /// How long was waited.
    pub waited: Duration,
    /// If the emulator has ended: what it wrote to its standard error.
    pub ended: Option<String>,
    /// The last lines of the log, oldest first.
    pub last_lines: Vec<LogLine>,
}

impl Display for NotSeen {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.ended {
            Some(said) => write!(f, "the emulator has ended ({})", said.trim())?,
            None => write!(f, "not seen within {:.1} s", self.waited.as_secs_f32())?,
        }
        write!(f, "; the last {} lines were", self.last_lines.len())?;
        self.last_lines
            .iter()
            .try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl error::Error for NotSeen {}
