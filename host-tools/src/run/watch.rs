//! Shows the log of a board until something ends it, and says how it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bistable_qemu::{LogLine, Machine};

use crate::Error;
use crate::output::Output;
use crate::run::image::flash_path;
use crate::run::project::Project;
use crate::run::{Arguments, RunLine};

/// How often it is looked whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// After how much silence it is said that the board runs.
const SILENCE: Duration = Duration::from_secs(30);

/// After how many resets it is said where to look.
const MANY_RESETS: u32 = 5;

/// Shows what `machine` logs, until the text comes that is waited for, the time is over, somebody
/// interrupts, or it ends by itself.
pub(super) fn watch(
    mut machine: Machine,
    arguments: &Arguments,
    output: &Output,
    project: &Project,
) -> Result<(), Error> {
    let interrupted = interruption()?;
    let limit = arguments.seconds.map(Duration::from_secs);
    let mut watch = Watch {
        boots: 0,
        last_line: Instant::now(),
        doctor: format!(
            "bistable doctor {} --layout {}",
            flash_path(project).display(),
            project.layout().display()
        ),
    };
    let begun = Instant::now();
    loop {
        let line = machine.next_line(LOOK);
        if let Some(line) = &line {
            let is_read = output.say_line(&watch.seen(line))?;
            let found = |text: &String| !line.announces && line.text.contains(text);
            if arguments.until.as_ref().is_some_and(found) {
                return Ok(());
            }
            if !is_read {
                return finish(arguments, "nobody read on");
            }
        }
        if interrupted.load(Ordering::Relaxed) {
            return finish(arguments, "it was interrupted");
        }
        if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            return finish(arguments, "the time was over");
        }
        if line.is_some() {
            continue;
        }
        if !machine.is_running() {
            return Err(ended(&machine, &watch));
        }
        watch.nothing_seen();
    }
}

/// What was seen so far.
struct Watch {
    /// How often the bootloader has started.
    boots: u32,
    last_line: Instant,
    /// The command that explains what boots.
    doctor: String,
}

impl Watch {
    fn seen(&mut self, line: &LogLine) -> RunLine {
        self.last_line = Instant::now();
        if line.announces && line.is_bootloader() {
            self.boots += 1;
            if self.boots == MANY_RESETS + 1 {
                let Self { doctor, .. } = self;
                eprintln!("{MANY_RESETS} resets so far; what boots, and why: {doctor}");
            }
        }
        RunLine::new(line, self.boots.saturating_sub(1))
    }

    fn nothing_seen(&mut self) {
        if self.last_line.elapsed() >= SILENCE {
            self.last_line = Instant::now();
            let seconds = SILENCE.as_secs();
            eprintln!("nothing was logged for {seconds} s; the board runs on; Ctrl-C ends it");
        }
    }
}

/// It ended without the text, if one was waited for.
fn finish(arguments: &Arguments, why: &str) -> Result<(), Error> {
    let Some(text) = &arguments.until else {
        return Ok(());
    };
    Err(Error::argument(
        "--until",
        format!("no line with `{text}` before {why}"),
        "one",
        "the log is above",
    ))
}

fn ended(machine: &Machine, watch: &Watch) -> Error {
    let said = machine.said();
    Error::argument(
        "the emulator",
        format!("that it ended by itself ({})", said.trim()),
        "one that runs until it is interrupted",
        format!(
            "a processor that locks up ends it; what lies in the flash: {}",
            watch.doctor
        ),
    )
}

/// Becomes true when somebody asks this process to end.
fn interruption() -> Result<Arc<AtomicBool>, Error> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    let handler = ctrlc::set_handler(move || set.store(true, Ordering::Relaxed));
    handler.map_err(|error| {
        let source = std::io::Error::other(error);
        Error::Io {
            place: "this process".into(),
            doing: "be told of signals",
            source,
        }
    })?;
    Ok(flag)
}
