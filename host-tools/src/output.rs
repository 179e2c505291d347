//! What a command says on standard output: text for people, or one JSON document for programs.
//!
//! A command hands its [`Report`] to [`Output::say`], once, and does not print itself. With `--json`
//! nothing else comes out of it, and the document says in `format` what it is. Each format has a schema
//! (`docs/json/<name>.json`). Colours and progress bars are for terminals only, and `NO_COLOR`
//! (no-color.org) switches colours off there too. Whoever closes the pipe early has read enough: that
//! is no error.

use std::cell::Cell;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::Error;

/// Something good.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something bad.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What matters less.
pub const FAINT: Style = Style::new().dimmed();

/// What a command found or did: its JSON is documented by its schema, its text is `Display`.
///
/// Texts may hold colours ([`paint`]): they are taken out where nobody would see them.
pub trait Report: Serialize + JsonSchema + Display {
    /// The name and the version of the JSON document, such as `key-show/1`. The number rises when a key
    /// changes its meaning or goes; a new key alone changes nothing.
    const FORMAT: &'static str;
}

/// How this process speaks.
#[derive(Debug)]
pub struct Output {
    json: bool,
    said: Cell<bool>,
}

/// A report with its format in front.
#[derive(Serialize)]
struct Document<'r, R> {
    format: &'static str,
    #[serde(flatten)]
    report: &'r R,
}

impl Output {
    /// Text, or JSON.
    #[must_use]
    pub const fn new(json: bool) -> Self {
        let said = Cell::new(false);
        Self { json, said }
    }

    /// Whether programs read it.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Says it.
    ///
    /// # Errors
    /// Standard output cannot be written, for another reason than that nobody reads it any more.
    pub fn say<R: Report>(&self, report: &R) -> Result<(), Error> {
        self.said.set(true);
        match self.json {
            true => write(&json(report)),
            false => write(&report.to_string()),
        }
        .map(drop)
    }

    /// Says what is no report and looks the same to everybody, such as a script for a shell.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub fn say_as_it_is(&self, text: &str) -> Result<(), Error> {
        self.said.set(true);
        write(text).map(drop)
    }

    /// Says one of many things, as it happens: with `--json` each is a document on a line of its own.
    /// Returns whether somebody may still read it.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub fn say_line<R: Report>(&self, report: &R) -> Result<bool, Error> {
        self.said.set(true);
        match self.json {
            true => write(&json_line(report)),
            false => write(&report.to_string()),
        }
    }

    /// Says why the command failed: one line on standard error, and with `--json` a document too, if
    /// there is none yet.
    pub fn fail(&self, error: &Error) {
        eprintln!("error: {error}");
        if self.json && !self.said.get() {
            let error = error.to_string();
            let _ = self.say(&Failure { error }); // what went wrong has been said
        }
    }

    /// What shows how far something of `len` steps has come.
    #[must_use]
    pub fn progress(&self, doing: &'static str, len: u64) -> Progress {
        Progress {
            doing,
            len,
            done: AtomicU64::new(0),
            begun: Instant::now(),
            bar: OnceLock::new(),
        }
    }
}

/// Why a command failed before it had anything to report.
#[derive(Serialize, JsonSchema)]
pub struct Failure {
    /// What, where, what was expected, and what to do, in one line.
    pub error: String,
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.error)
    }
}

impl Report for Failure {
    const FORMAT: &'static str = "failure/1";
}

/// From when on a progress bar is worth its line.
const PATIENCE: Duration = Duration::from_secs(1);

/// A progress bar on standard error, if that is a terminal. It comes with the first step after a second,
/// and goes when this is dropped.
pub struct Progress {
    doing: &'static str,
    len: u64,
    done: AtomicU64,
    begun: Instant,
    bar: OnceLock<ProgressBar>,
}

impl Progress {
    /// One step more is done.
    pub fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.begun.elapsed() >= PATIENCE {
            self.bar.get_or_init(|| self.draw()).set_position(done);
        }
    }

    fn draw(&self) -> ProgressBar {
        let target = match io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr_with_hz(5),
            false => ProgressDrawTarget::hidden(),
        };
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left");
        ProgressBar::with_draw_target(Some(self.len), target)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(self.doing)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

/// Writes all of it to standard output, unless somebody closes it; whether somebody may still read it.
fn write(text: &str) -> Result<bool, Error> {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(source) => Err(Error::Io {
            place: "standard output".into(),
            doing: "write the report",
            source,
        }),
    }
}

/// The whole JSON document of a report, on several lines.
#[must_use]
pub fn json<R: Report>(report: &R) -> String {
    let document = Document {
        format: R::FORMAT,
        report,
    };
    // Nothing in a report can fail to be written: no map with odd keys, no number that JSON lacks.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// The whole JSON document of a report, on one line.
#[must_use]
pub fn json_line<R: Report>(report: &R) -> String {
    let document = Document {
        format: R::FORMAT,
        report,
    };
    let mut text = serde_json::to_string(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// The schema of a report's document (JSON Schema 2020-12).
#[must_use]
pub fn schema<R: Report>() -> Schema {
    let mut schema = schemars::schema_for!(R);
    schema.insert("title".into(), R::FORMAT.into());
    if let Some(properties) = schema
        .get_mut("properties")
        .and_then(|it| it.as_object_mut())
    {
        let constant = serde_json::json!({ "const": R::FORMAT, "type": "string" });
        properties.insert("format".into(), constant);
    }
    if let Some(required) = schema.get_mut("required").and_then(|it| it.as_array_mut()) {
        required.insert(0, "format".into());
    }
    schema
}

/// `what` in the colours of `style`.
pub fn paint(style: Style, what: impl Display) -> impl Display {
    Painted { style, what }
}

struct Painted<T> {
    style: Style,
    what: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Padding is for what is seen, so it goes to the inner one.
        write!(formatter, "{}", self.style)?;
        self.what.fmt(formatter)?;
        write!(formatter, "{:#}", self.style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, JsonSchema)]
    struct Weather {
        degrees: i8,
    }

    impl Display for Weather {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            writeln!(formatter, "{} degrees", self.degrees)
        }
    }

    impl Report for Weather {
        const FORMAT: &'static str = "weather/1";
    }

    #[test]
    fn a_document_says_its_format_first() {
        let text = json(&Weather { degrees: -3 });
        assert_eq!(
            text,
            "{\n  \"format\": \"weather/1\",\n  \"degrees\": -3\n}\n"
        );
    }

    #[test]
    fn a_document_is_valid_by_its_schema_and_another_one_is_not() {
        let schema = serde_json::to_value(schema::<Weather>()).unwrap();
        let valid = |text: &str| {
            let value = serde_json::from_str(text).unwrap();
            jsonschema::is_valid(&schema, &value)
        };
        assert!(valid(&json(&Weather { degrees: -3 })));
        assert!(!valid(r#"{ "format": "weather/2", "degrees": -3 }"#));
        assert!(!valid(r#"{ "format": "weather/1", "degrees": "cold" }"#));
        assert!(!valid(r#"{ "degrees": -3 }"#));
    }
}
