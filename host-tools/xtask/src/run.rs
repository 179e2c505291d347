//! Running commands in the repository.

use std::path::PathBuf;
use std::process::Command;

/// Why something is not so, for people.
pub(crate) type Outcome = Result<(), String>;

/// The repository.
pub(crate) fn repository() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map(PathBuf::from).unwrap_or(here)
}

/// A file that cargo builds for the host.
pub(crate) fn built(name: &str) -> PathBuf {
    repository().join("target/debug").join(name)
}

/// A file that cargo builds for the host, to be released.
pub(crate) fn released(name: &str) -> PathBuf {
    repository().join("target/release").join(name)
}

/// The cargo that runs this.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .arg(subcommand)
        .env("CARGO_TARGET_DIR", repository().join("target"));
    command
}

/// What does not run on the host, and what only the released tools are built with.
const NOT_HOST: [&str; 10] = [
    "bistable-probe",
    "mps2-an385",
    "mps2-an385-bootloader",
    "mps2-an385-c",
    "mps2-an385-demo",
    "mps2-an385-embassy",
    "mps2-an385-interrupts",
    "riscv32-virt",
    "riscv32-virt-bootloader",
    "riscv32-virt-demo",
];

/// `cargo <subcommand>` for all that runs on the host. Cargo chooses the features of what packages share by the packages
/// that are asked for: asked for in different company, they would be compiled again.
pub(crate) fn host(subcommand: &str) -> Command {
    let mut command = cargo(subcommand);
    command.arg("--workspace");
    for package in NOT_HOST {
        command.args(["--exclude", package]);
    }
    command
}

/// Runs a command in the repository; what it prints is shown.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let shown = format!("{command:?}");
    match command.current_dir(repository()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown}: {status}")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}
