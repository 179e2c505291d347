//! `cargo xtask conformance`: whether the emulated boards keep what Bistable relies on.

use std::process::Command;
use std::thread;

use bistable_qemu::Board;

use crate::demo::{asked_for, development_ring, set_up};
use crate::run::{Outcome, built, repository, run};

/// Sets everything up, and tries the board that is asked for, or all.
pub(crate) fn conformance(arguments: &[String]) -> Outcome {
    let boards = match asked_for(arguments) {
        Some(board) => vec![board],
        None => Board::ALL.to_vec(),
    };
    set_up(&boards)?;
    boards.into_iter().try_for_each(development_ring)?;
    match arguments {
        [] => on_each_board(),
        _ => run(command().args(arguments)),
    }
}

/// Tries all boards at the same time, for what they do most is wait for their watchdogs. Everything is set up.
pub(crate) fn on_each_board() -> Outcome {
    let outcomes = thread::scope(|scope| {
        let tried = Board::ALL.map(|board| scope.spawn(move || keeps(board)));
        tried.map(|board| board.join().map_err(|_| "a thread panicked".to_owned()))
    });
    outcomes.into_iter().try_for_each(|outcome| outcome?)
}

fn keeps(board: Board) -> Outcome {
    let output = command()
        .args(["--board", board.name()])
        .current_dir(repository())
        .output()
        .map_err(|error| format!("conformance: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!(
        "{board}:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{board}: {}",
            said.lines().last().unwrap_or_default()
        )),
    }
}

fn command() -> Command {
    let mut command = Command::new(built("conformance"));
    command.arg("--repository").arg(repository());
    command
}
