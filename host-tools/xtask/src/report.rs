//! What came of each check, in the order in which they were made; and checks that a process beside this one makes.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Instant;

use crate::bench::Compared;
use crate::run::{Outcome, repository};

/// This program as it was when it began: cargo, which it calls, may build it again, and puts the new one in its place.
pub(crate) struct Own(PathBuf);

impl Own {
    /// Copies it.
    pub(crate) fn copied() -> Result<Self, String> {
        let folder = repository().join("target");
        let copy = folder.join("xtask-beside");
        let program = std::env::current_exe();
        let copied = fs::create_dir_all(&folder)
            .and(program)
            .and_then(|program| fs::copy(program, &copy));
        copied.map_err(|error| format!("{}: {error}", copy.display()))?;
        Ok(Self(copy))
    }
}

enum Finding {
    Passed,
    Failed(String),
    Skipped(String),
}

/// The checks so far: name, what came of it, and how long it took in seconds.
#[derive(Default)]
pub(crate) struct Report(Vec<(String, Finding, u64)>);

/// A command of this program whose checks run beside those of this process.
pub(crate) struct Beside {
    process: Child,
    said: PathBuf,
}

impl Beside {
    /// Starts `cargo xtask <command>`; what it says goes to a file.
    pub(crate) fn start(own: &Own, command: &str) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cargo xtask {command}: {error}");
        let said = repository().join(format!("target/{command}.txt"));
        let output = File::create(&said).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let mut process = Command::new(&own.0);
        let process = process.arg(command).stdout(output).stderr(errors);
        let process = process.spawn().map_err(failed)?;
        Ok(Self { process, said })
    }

    /// Waits for it; what it said, and how it ended.
    fn end(mut self) -> (String, String) {
        let ended = match self.process.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        (fs::read_to_string(&self.said).unwrap_or_default(), ended)
    }
}

impl Report {
    /// Whether it passed.
    pub(crate) fn check(&mut self, name: &str, check: impl FnOnce() -> Outcome) -> bool {
        self.check_unless_skipped(name, || check().map(|()| Compared::Equal))
    }

    /// The same, of a check that may find that it cannot say anything here.
    pub(crate) fn check_unless_skipped(
        &mut self,
        name: &str,
        check: impl FnOnce() -> Result<Compared, String>,
    ) -> bool {
        println!("\n── {name}");
        let begun = Instant::now();
        let finding = match check() {
            Ok(Compared::Equal) => Finding::Passed,
            Ok(Compared::Skipped(why)) => Finding::Skipped(why),
            Err(message) => {
                println!("{message}");
                Finding::Failed(message)
            }
        };
        let passed = matches!(finding, Finding::Passed);
        self.0
            .push((name.to_owned(), finding, begun.elapsed().as_secs()));
        passed
    }

    /// Notes that none of these was made.
    pub(crate) fn skip_each(&mut self, names: &[&str], why: &str) {
        names.iter().for_each(|name| self.skip(name, why));
    }

    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.0
            .push((name.to_owned(), Finding::Skipped(why.to_owned()), 0));
    }

    /// Says what came of each check.
    pub(crate) fn close(self) -> Outcome {
        println!();
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for (name, finding, seconds) in &self.0 {
            match finding {
                Finding::Passed => {
                    passed += 1;
                    println!("passed   {seconds:>4} s  {name}");
                }
                Finding::Failed(message) => {
                    failed += 1;
                    let line = message.lines().next().unwrap_or_default();
                    println!("FAILED   {seconds:>4} s  {name}: {line}");
                }
                Finding::Skipped(why) => {
                    skipped += 1;
                    println!("SKIPPED          {name}: {why}");
                }
            }
        }
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        match failed {
            0 => Ok(()),
            _ => Err("not every check passed".to_owned()),
        }
    }

    /// Waits for the process beside this one, shows what it said, and takes over what came of its checks. One that it
    /// says nothing about has failed.
    pub(crate) fn take_over(&mut self, beside: Result<Beside, String>, checks: &[&str]) {
        let (said, ended) = match beside {
            Ok(beside) => beside.end(),
            Err(error) => (String::new(), error),
        };
        print!("{said}");
        for check in checks {
            let mut lines = said.lines().rev();
            let (finding, seconds) = lines
                .find_map(|line| finding(line, check))
                .unwrap_or_else(|| (Finding::Failed(format!("it was not made: {ended}")), 0));
            self.0.push(((*check).to_owned(), finding, seconds));
        }
    }
}

/// What a line of a report, as [`Report::close`] writes it, says about a check.
fn finding(line: &str, check: &str) -> Option<(Finding, u64)> {
    let (word, rest) = line.split_once(' ')?;
    if word == "SKIPPED" {
        let why = rest.trim_start().strip_prefix(check)?.strip_prefix(": ")?;
        return Some((Finding::Skipped(why.to_owned()), 0));
    }
    let (seconds, rest) = rest.trim_start().split_once(" s  ")?;
    let seconds = seconds.parse().ok()?;
    let rest = rest.strip_prefix(check)?;
    match (word, rest.strip_prefix(": ")) {
        ("passed", None) if rest.is_empty() => Some((Finding::Passed, seconds)),
        ("FAILED", Some(message)) => Some((Finding::Failed(message.to_owned()), seconds)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_report_says_is_taken_over_as_it_was() {
        let found = |line| {
            finding(line, "the demo").map(|(finding, seconds)| match finding {
                Finding::Passed => format!("passed {seconds}"),
                Finding::Failed(message) => format!("failed {seconds} {message}"),
                Finding::Skipped(why) => format!("skipped {why}"),
            })
        };
        assert_eq!(found("passed    134 s  the demo").unwrap(), "passed 134");
        let failed = found("FAILED      3 s  the demo: step 2: no").unwrap();
        assert_eq!(failed, "failed 3 step 2: no");
        let skipped = found("SKIPPED          the demo: no emulator").unwrap();
        assert_eq!(skipped, "skipped no emulator");
        for other in [
            "passed 1 s  the demo, twice",
            "step 2: passed",
            "",
            "passed",
        ] {
            assert!(found(other).is_none(), "{other}");
        }
    }
}
