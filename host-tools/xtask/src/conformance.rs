//! `cargo xtask conformance`: whether the emulated boards keep what Bistable relies on.

use std::process::Command;

use bistable_firmware::ensure_command;

use crate::demo::{development_ring, host_tools};
use crate::run::{Outcome, built, repository, run};

/// Every board, with its emulator and the package that it is in.
pub(crate) const BOARDS: [(&str, &str, &str); 1] =
    [("mps2-an385", "qemu-system-arm", "qemu-system-arm")];

/// Sets everything up, and tries one board, or all.
pub(crate) fn conformance(arguments: &[String]) -> Outcome {
    host_tools()?;
    development_ring()?;
    if !arguments.is_empty() {
        return run(command().args(arguments));
    }
    BOARDS.iter().try_for_each(|(board, ..)| keeps(board))
}

/// Whether `board` does, with host tools and ring as they are.
pub(crate) fn keeps(board: &str) -> Outcome {
    for (_, program, package) in BOARDS.iter().filter(|(name, ..)| *name == board) {
        ensure_command(program, package).map_err(|error| error.to_string())?;
    }
    run(command().args(["--board", board]))
}

fn command() -> Command {
    let mut command = Command::new(built("conformance"));
    command.arg("--repository").arg(repository());
    command
}
