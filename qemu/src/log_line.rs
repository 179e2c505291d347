//! A line of a board's log.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

/// Which UART a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// UART 0.
    Bootloader,
    /// UART 1.
    Application,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `defmt::trace!`.
    Trace,
    /// `defmt::debug!`.
    Debug,
    /// `defmt::info!`, and `defmt::println!`.
    Info,
    /// `defmt::warn!`.
    Warn,
    /// `defmt::error!`.
    Error,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it arrived, since the machine was started.
    pub at: Duration,
    /// Where it came from.
    pub source: Source,
    /// The program that logged it, as it announced itself.
    pub program: Arc<str>,
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub text: String,
    /// Whether this is no line of its own: the program has just announced itself. Only where
    /// [`Config::announcements`](crate::Config::announcements) asks for it.
    pub announces: bool,
}

impl LogLine {
    /// Whether it came from the bootloader.
    pub fn is_bootloader(&self) -> bool {
        self.source == Source::Bootloader
    }

    /// Whether it came from the application.
    pub fn is_application(&self) -> bool {
        self.source == Source::Application
    }
}

impl Level {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl Display for LogLine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_secs_f64();
        let level = self.level.as_str();
        let Self { program, text, .. } = self;
        write!(f, "{seconds:9.3}  {program:<12} {level:<5}  {text}")
    }
}
