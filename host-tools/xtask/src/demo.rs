//! `cargo xtask demo`: sets everything up and starts the demo.

use std::process::Command;

use bistable_firmware::{Toolchain, ensure_command};
use bistable_qemu::Board;

use crate::run::{Outcome, built, cargo, repository, run};

/// Tells the story.
pub(crate) fn demo(arguments: &[String]) -> Outcome {
    // One that there is not is the demo's to refuse.
    let board = asked_for(arguments).unwrap_or(Board::Mps2An385);
    set_up(&[board])?;
    run(demo_command().args(arguments))
}

/// Emulators, firmware targets and host tools.
pub(crate) fn set_up(boards: &[Board]) -> Outcome {
    for board in boards {
        emulator(*board)?;
        toolchain(*board)?;
    }
    host_tools()
}

/// The board that `--board` names.
pub(crate) fn asked_for(arguments: &[String]) -> Option<Board> {
    Board::named(asked_for_by("--board", arguments)?)
}

/// What follows an option, as one word with it or as the next.
pub(crate) fn asked_for_by<'a>(option: &str, arguments: &'a [String]) -> Option<&'a str> {
    let mut arguments = arguments.iter().map(String::as_str);
    let value = arguments.find_map(|argument| match argument.strip_prefix(option) {
        Some("") => Some(None),
        Some(rest) => rest.strip_prefix('=').map(Some),
        None => None,
    })?;
    value.or_else(|| arguments.next())
}

/// A way to build the firmware of a board.
pub(crate) fn toolchain(board: Board) -> Result<Toolchain, String> {
    Toolchain::for_target(board.target()).map_err(|error| error.to_string())
}

/// The emulator of a board.
pub(crate) fn emulator(board: Board) -> Outcome {
    let (emulator, package) = board.emulator();
    ensure_command(emulator, package)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The commands `bistable` and `demo`.
pub(crate) fn host_tools() -> Outcome {
    run(cargo("build").args(["-p", "bistable-tools", "-p", "bistable-qemu", "--bins"]))
}

/// The demo, as it was built.
pub(crate) fn demo_command() -> Command {
    let mut command = Command::new(built("demo"));
    command.arg("--repository").arg(repository());
    command.arg("--bistable").arg(built("bistable"));
    command
}

/// Makes the development key ring that the builds of a board's firmware need, unless there is one.
pub(crate) fn development_ring(board: Board) -> Outcome {
    let keys = repository().join("qemu").join(board.name()).join("keys");
    let (ring, key) = (keys.join("ring.toml"), keys.join("development.pem"));
    if ring.exists() {
        return Ok(());
    }
    let mut command = Command::new(built("bistable"));
    command.args([
        "key",
        "new",
        "--development",
        "--name",
        "development",
        "--ring",
    ]);
    run(command.arg(ring).arg("--out").arg(key))
}
