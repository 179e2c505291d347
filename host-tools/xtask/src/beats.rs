//! `cargo xtask beats`: whether applications keep a beat of 10 ms while they update themselves.

use std::process::Command;

use bistable_qemu::Board;

use crate::demo::{development_ring, set_up};
use crate::run::{Outcome, built, repository, run};

/// The board that they are for.
const BOARD: Board = Board::Mps2An385;

/// Sets everything up, and measures.
pub(crate) fn beats(arguments: &[String]) -> Outcome {
    set_up(&[BOARD])?;
    development_ring(BOARD)?;
    run(command().args(arguments))
}

/// Measures. Everything is set up.
pub(crate) fn measure() -> Outcome {
    run(&mut command())
}

fn command() -> Command {
    let mut command = Command::new(built("beats"));
    command.arg("--repository").arg(repository());
    command.arg("--bistable").arg(built("bistable"));
    command
}
