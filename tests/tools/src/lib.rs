//! What the tests of this package share. They need more than cargo, so `cargo xtask test` runs them and
//! a plain `cargo test` does not; what is missing they install ([`bistable_firmware::ensure_command`]).
#![forbid(unsafe_code)]

mod document;

pub use document::Document;

use std::path::PathBuf;
use std::process::{Command, Output};

/// The repository.
#[must_use]
pub fn repository() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map(PathBuf::from).unwrap_or(here)
}

/// Names the command `bistable`, if it is not the one that cargo built last.
pub const BISTABLE_VARIABLE: &str = "BISTABLE";

/// The command `bistable`, which must have been built before: `cargo build -p bistable-tools`.
///
/// # Panics
/// It is not there.
#[must_use]
pub fn bistable() -> PathBuf {
    let built = target_folder().join("debug/bistable");
    let path = std::env::var_os(BISTABLE_VARIABLE).map_or(built, PathBuf::from);
    assert!(path.exists(), "{} is not built", path.display());
    path
}

/// Names the command `bistable` as it is released: optimised, with debug probes.
pub const RELEASE_VARIABLE: &str = "BISTABLE_RELEASE";

/// The released command; unless [`RELEASE_VARIABLE`] names it, cargo builds it.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn released() -> PathBuf {
    if let Some(path) = std::env::var_os(RELEASE_VARIABLE) {
        return path.into();
    }
    let build = ["build", "--release", "-p", "bistable-tools"];
    let mut cargo = Command::new("cargo");
    cargo.args(build).args(["--features", "probe"]);
    succeeds(cargo.current_dir(repository()));
    target_folder().join("release/bistable")
}

/// Where cargo puts what it builds.
#[must_use]
pub fn target_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| repository().join("target"))
}

/// Names the folder in which cargo builds on the way (`build.build-dir`).
pub const BUILD_VARIABLE: &str = "CARGO_BUILD_BUILD_DIR";

/// Where applications that tests make are built on the way: most of what they are built of is the same.
#[must_use]
pub fn shared_build() -> PathBuf {
    target_folder().join("applications")
}

/// Makes the development key ring that the emulated board's firmware needs, unless there is one.
///
/// # Panics
/// It cannot be made.
pub fn development_ring() {
    let keys = repository().join("qemu/mps2-an385/keys");
    if keys.join("ring.toml").exists() {
        return;
    }
    let mut command = Command::new(bistable());
    command.args(["key", "new", "--development", "--name", "development"]);
    command.arg("--ring").arg(keys.join("ring.toml"));
    succeeds(command.arg("--out").arg(keys.join("development.pem")));
}

/// What `command` printed on standard output.
///
/// # Panics
/// It cannot be started or fails.
pub fn succeeds(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What `command` printed on standard error.
///
/// # Panics
/// It cannot be started, or ends with another status than 1.
pub fn refused(command: &mut Command) -> String {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
    said
}

fn output(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
