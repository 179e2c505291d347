//! `cargo xtask demo`: sets everything up and starts the demo.

use std::process::Command;

use bistable_firmware::{Toolchain, ensure_command};

use crate::run::{FIRMWARE_TARGET, Outcome, built, cargo, repository, run};

/// Tells the story.
pub(crate) fn demo(arguments: &[String]) -> Outcome {
    set_up()?;
    run(demo_command().args(arguments))
}

/// Emulator, firmware target and host tools.
pub(crate) fn set_up() -> Outcome {
    emulator()?;
    Toolchain::for_target(FIRMWARE_TARGET).map_err(|error| error.to_string())?;
    host_tools()
}

/// The emulator.
pub(crate) fn emulator() -> Outcome {
    ensure_command("qemu-system-arm", "qemu-system-arm")
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

/// Makes the development key ring that firmware builds need, unless there is one.
pub(crate) fn development_ring() -> Outcome {
    let keys = repository().join("qemu/mps2-an385/keys");
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
