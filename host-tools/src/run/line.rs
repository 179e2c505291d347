//! A line of the log, in two lanes: what the bootloader says on the left, the application beside it.

use std::fmt::{self, Display};

use anstyle::{AnsiColor, Style};
use bistable_qemu::LogLine;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::{BAD, FAINT, Report, paint};

const BOOTLOADER: Style = AnsiColor::Cyan.on_default();
const IN_A: Style = AnsiColor::Green.on_default();
const IN_B: Style = AnsiColor::Magenta.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();

/// A line of a board's log, or the announcement of a program that starts.
#[derive(Serialize, JsonSchema, Clone, PartialEq, Debug)]
pub struct RunLine {
    /// Since the board was switched on, in seconds.
    pub seconds: f64,
    /// Resets since then.
    pub resets: u32,
    /// Who says it.
    pub source: Source,
    /// The application's slot, `A` or `B`, if it says it.
    pub slot: Option<String>,
    /// The first 8 hexadecimal digits of the application's digest, if it says them.
    pub image: Option<String>,
    /// Whether the program has just started: then `text` is about that.
    pub starts: bool,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// What it says.
    pub text: String,
}

/// Who says a line.
#[derive(Serialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The bootloader, on UART 0.
    Bootloader,
    /// The application, on UART 1.
    Application,
}

impl Report for RunLine {
    const FORMAT: &'static str = "run-line/1";
}

impl RunLine {
    /// `line`, after so many resets.
    pub(super) fn new(line: &LogLine, resets: u32) -> Self {
        let mut words = line.program.split(' ').skip(1).map(String::from);
        let (image, slot) = (words.next(), words.next());
        let source = match line.is_bootloader() {
            true => Source::Bootloader,
            false => Source::Application,
        };
        let text = match (line.announces, source, resets) {
            (false, ..) => line.text.clone(),
            (true, Source::Application, _) => "starts".into(),
            (true, Source::Bootloader, 0) => "power on".into(),
            (true, Source::Bootloader, _) => format!("reset {resets}"),
        };
        Self {
            seconds: line.at.as_secs_f64(),
            resets,
            source,
            slot,
            image,
            starts: line.announces,
            level: line.level.as_str(),
            text,
        }
    }

    /// The mark of who says it, in its lane.
    fn mark(&self) -> (Style, String) {
        let Source::Application = self.source else {
            return (BOOTLOADER, "bootloader".into());
        };
        let style = match self.slot.as_deref() {
            Some("B") => IN_B,
            _ => IN_A,
        };
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        (
            style,
            format!("         app {} {}", part(&self.slot), part(&self.image)),
        )
    }
}

impl Display for RunLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (style, mark) = self.mark();
        let level = match self.level {
            "warn" => WARNING,
            "error" => BAD,
            _ => FAINT,
        };
        let text = match self.starts {
            true => format!("── {} ──", self.text),
            false => self.text.clone(),
        };
        writeln!(
            formatter,
            "{}  {}  {}  {}",
            paint(FAINT, format!("{:9.3}", self.seconds)),
            paint(style, format!("{mark:<23}")),
            paint(level, format!("{:<5}", self.level)),
            paint(if self.starts { style } else { Style::new() }, text)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bistable_qemu::Level;

    use super::*;

    fn line(program: &str, announces: bool, text: &str) -> LogLine {
        let source = match program {
            "bootloader" => bistable_qemu::Source::Bootloader,
            _ => bistable_qemu::Source::Application,
        };
        LogLine {
            at: Duration::from_millis(1_250),
            source,
            program: program.into(),
            level: Level::Warn,
            text: text.into(),
            announces,
        }
    }

    fn plain(line: &RunLine) -> String {
        anstream::adapter::strip_str(&line.to_string()).to_string()
    }

    #[test]
    fn the_application_speaks_in_a_lane_of_its_own_and_says_who_it_is() {
        let said = RunLine::new(&line("application d87fbe18 B", false, "hot"), 2);
        assert_eq!(said.slot.as_deref(), Some("B"));
        assert_eq!(said.image.as_deref(), Some("d87fbe18"));
        assert_eq!(
            plain(&said),
            "    1.250           app B d87fbe18  warn   hot\n"
        );
        let said = RunLine::new(&line("bootloader", false, "cold"), 2);
        assert_eq!(
            plain(&said),
            "    1.250  bootloader               warn   cold\n"
        );
    }

    #[test]
    fn a_bootloader_that_starts_again_is_a_reset() {
        let announcement = line("bootloader", true, "starts");
        assert_eq!(RunLine::new(&announcement, 0).text, "power on");
        assert_eq!(RunLine::new(&announcement, 3).text, "reset 3");
    }

    #[test]
    fn an_application_that_does_not_say_who_it_is_is_shown_all_the_same() {
        let said = RunLine::new(&line("application", false, "hello"), 0);
        assert_eq!((said.slot.as_ref(), said.image.as_ref()), (None, None));
        assert!(plain(&said).contains(" app "));
    }
}
