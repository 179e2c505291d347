//! `cargo xtask bench`: sets everything up and starts the measuring.

use std::process::Command;

use bistable_qemu::Board;

use crate::demo::{asked_for, set_up};
use crate::run::{Outcome, built, cargo, repository, run};

/// Measures.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    match asked_for(arguments) {
        Some(board) => set_up(&[board])?,
        None => set_up(&Board::ALL)?,
    }
    run(cargo("build").args(["--quiet", "-p", "bistable-bench"]))?;
    run(bench_command().args(arguments))
}

/// What the command `bench` says when it noticed all the growth that was planted.
const NOTICED: &str = " have grown, and all were noticed";

/// What came of comparing with the committed figures.
pub(crate) enum Compared {
    /// Nothing grew.
    Equal,
    /// Nothing was compared, and why.
    Skipped(String),
}

/// The exit status of the command `bench` when it compared nothing.
const SKIPPED: i32 = 3;

/// What its line begins with that says why.
const MARK: &str = "nothing is compared: ";

/// Compares with the committed figures; then that planted growth is noticed. Everything is built.
pub(crate) fn check() -> Result<Compared, String> {
    let measure = |arguments: &[&str]| -> Result<(Option<i32>, String, String), String> {
        let mut command = bench_command();
        let output = command.args(arguments).output();
        let output = output.map_err(|error| format!("{command:?}: {error}"))?;
        let [said, complained] = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((output.status.code(), said, complained))
    };
    let (status, said, complained) = measure(&["--check"])?;
    print!("{said}{complained}");
    match status {
        Some(0) => {}
        Some(SKIPPED) => {
            let mut lines = said.lines();
            let reason = lines.find_map(|line| line.strip_prefix(MARK));
            let reason = reason.ok_or("nothing was compared, and no line says why")?;
            return Ok(Compared::Skipped(reason.to_owned()));
        }
        _ => return Err(complained),
    }
    match measure(&["--check", "--plant"])? {
        (Some(1), said, _) if said.contains(NOTICED) => Ok(Compared::Equal),
        (_, _, complained) => Err(format!("planted growth was not noticed: {complained}")),
    }
}

/// The command `bench`, as it was built.
fn bench_command() -> Command {
    let mut command = Command::new(built("bench"));
    command.arg("--repository").arg(repository());
    command.arg("--bistable").arg(built("bistable"));
    command
}
