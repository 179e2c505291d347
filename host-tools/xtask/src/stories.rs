//! The stories that the checks tell: one on each board, of the same events; and failures planted into one, which
//! must be noticed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::thread;

use bistable_qemu::Board;
use bistable_qemu::story::{events, first_difference, missing};

use crate::demo::demo_command;
use crate::run::{Outcome, repository};

/// The power cuts of these stories; the demo draws its own.
const SEED: &str = "0xb157ab1e";

/// The steps of a story.
const STEPS: std::ops::RangeInclusive<u8> = 1..=13;

/// How many run at the same time: emulators wait a lot, and what they wait for is not the processor.
const AT_ONCE: usize = 2;

/// Tells the story on each board, at the same time, and compares what happened. The worlds of the first board are
/// kept as they were before each step.
pub(crate) fn on_each_board() -> Outcome {
    // Fails if there are none, which is what is wanted.
    let _ = fs::remove_dir_all(checkpoints());
    let outcomes = thread::scope(|scope| {
        let told = Board::ALL.map(|board| scope.spawn(move || tell(board)));
        told.map(|story| story.join().map_err(|_| "a story panicked".to_owned()))
    });
    let mut stories = Vec::new();
    for (board, outcome) in Board::ALL.into_iter().zip(outcomes) {
        let printed = fs::read_to_string(transcript(board));
        let shown = printed.as_deref().unwrap_or("(no story)");
        println!("\n{board}:\n{shown}");
        outcome??;
        stories.push((board, whole_story(board, printed)?));
    }
    let [(first, one), others @ ..] = &stories[..] else {
        return Err("there is no board".into());
    };
    for (board, other) in others {
        if let Some(difference) = first_difference(one, other) {
            return Err(format!("{first} and {board} differ in {difference}"));
        }
        println!("{first} and {board}: the same {} events", one.len());
    }
    Ok(())
}

/// The events of the story that was printed, which must be a whole one: two that are empty would be the same.
fn whole_story(board: Board, printed: std::io::Result<String>) -> Result<Vec<String>, String> {
    let printed = printed.map_err(|error| format!("the story on {board}: {error}"))?;
    let events = events(&printed);
    match missing(&events) {
        Some(what) => Err(format!("the story on {board} does not have {what}")),
        None => Ok(events),
    }
}

/// Plants a failure into each step, and sees that it is noticed for that step's reason.
pub(crate) fn with_planted_failures() -> Outcome {
    let steps = Mutex::new(STEPS);
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || steps.lock().ok()?.next();
                while let Some(step) = next() {
                    let outcome = planted(step);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push((step, outcome));
                    }
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_default();
    outcomes.sort_by_key(|(step, _)| *step);
    let mut unnoticed = Vec::new();
    for (step, outcome) in &outcomes {
        match outcome {
            Ok(verdict) => println!("step {step}: {verdict}"),
            Err(problem) => {
                println!("step {step}: {problem}");
                unnoticed.push(step.to_string());
            }
        }
    }
    match (outcomes.len() == STEPS.count(), unnoticed.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("only {} steps were tried", outcomes.len())),
        _ => Err(format!(
            "nobody noticed it in step {}",
            unnoticed.join(", ")
        )),
    }
}

/// Tells the story on `board`; what it prints goes to a file.
fn tell(board: Board) -> Outcome {
    let failed = |error: std::io::Error| format!("the demo on {board}: {error}");
    let mut command = demo_command();
    command.args(["--board", board.name(), "--seed", SEED, "--world"]);
    command.arg(folder(&format!("demo-{board}")));
    if Some(&board) == Board::ALL.first() {
        command.arg("--checkpoints").arg(checkpoints());
    }
    command.stdout(File::create(transcript(board)).map_err(failed)?);
    let status = command.current_dir(repository()).status().map_err(failed)?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("the demo on {board}: {status}")),
    }
}

/// Tells one step with a failure in it: it must end with exit status 1, and say that this step is not true.
/// Returns what it says.
fn planted(step: u8) -> Result<String, String> {
    let number = step.to_string();
    let output: Output = demo_command()
        .args(["--seed", SEED, "--from", &number, "--to", &number])
        .args(["--plant", &number, "--world"])
        .arg(checkpoints().join(&number))
        .current_dir(repository())
        .output()
        .map_err(|error| format!("the demo: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let verdict = said.lines().find(|line| line.starts_with("NOT TRUE"));
    let of_this_step = format!("NOT TRUE: step {step}");
    match verdict {
        Some(verdict)
            if output.status.code() == Some(1)
                && verdict.starts_with(&of_this_step)
                && !verdict.contains("nobody noticed") =>
        {
            Ok(verdict.to_owned())
        }
        _ => Err(format!("{}, expected 1:\n{said}", output.status)),
    }
}

fn transcript(board: Board) -> PathBuf {
    folder(&format!("demo-{board}.txt"))
}

fn checkpoints() -> PathBuf {
    folder("demo-checkpoints")
}

fn folder(name: &str) -> PathBuf {
    repository().join(Path::new("target")).join(name)
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_story_that_cannot_be_read_or_is_not_whole_is_not_compared() {
        let unread = whole_story(Board::Mps2An385, Err(Error::from(ErrorKind::NotFound)));
        assert!(unread.unwrap_err().contains("the story on mps2-an385"));
        let empty = whole_story(Board::Mps2An385, Ok(String::new()));
        assert!(empty.unwrap_err().contains("step 1"));
    }
}
