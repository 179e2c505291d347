//! `cargo xtask bench`: sets everything up and starts the measuring.

use bistable_qemu::Board;

use crate::demo::{development_ring, set_up};
use crate::run::{Outcome, built, cargo, repository, run};

/// Measures.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    set_up(&Board::ALL)?;
    Board::ALL.into_iter().try_for_each(development_ring)?;
    measure(arguments)
}

/// Builds the command `bench` and runs it; everything else is there.
pub(crate) fn measure(arguments: &[String]) -> Outcome {
    run(cargo("build").args(["--quiet", "-p", "bistable-bench"]))?;
    let mut command = std::process::Command::new(built("bench"));
    command.arg("--repository").arg(repository());
    command.arg("--bistable").arg(built("bistable"));
    run(command.args(arguments))
}
