//! `cargo xtask explore`: builds the power-cut explorer twice, and lets it go.
//!
//! Both builds are of copies, for what they change is not for the sources: one remembers the answers of
//! Ed25519 and is otherwise what ships, the other also holds the deliberate defects. The first explores, and
//! runs the second to see that each defect is caught.

use std::path::PathBuf;
use std::process::Command;

use crate::run::{Outcome, cargo, repository, run};

/// Explores, and fails if anything was broken or a defect was not noticed.
pub(crate) fn explore(arguments: &[String]) -> Outcome {
    let shipped = build("shipped", false)?;
    let planted = build("planted", true)?;
    let figures = repository().join("target/explore.json");
    let mut explorer = Command::new(shipped);
    explorer.args(arguments).arg("--planted").arg(planted);
    run(explorer.arg("--json").arg(figures))
}

/// Makes a copy and builds the explorer in it, in a target folder of its own.
fn build(name: &str, with_defects: bool) -> Result<PathBuf, String> {
    let folder = repository().join("target/explore");
    let copy = folder.join(name);
    let target = folder.join(format!("{name}-target"));
    bistable_defects::copy(&repository(), &copy, with_defects)
        .map_err(|error| format!("{error:#}"))?;
    run(cargo("build")
        .args(["--quiet", "--profile", "explore"])
        .args(["-p", "bistable-tests", "--bin", "explore"])
        .arg("--manifest-path")
        .arg(copy.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target))?;
    Ok(target.join("explore/explore"))
}

/// The comparison with embassy-boot, a workspace of its own.
pub(crate) fn compare(arguments: &[String]) -> Outcome {
    run(cargo("run")
        .args(["--release", "--manifest-path", COMPARISON, "--"])
        .args(arguments)
        .env("CARGO_TARGET_DIR", repository().join("target/compare")))
}

/// What the comparison is built from.
pub(crate) const COMPARISON: &str = "tests/embassy-boot/Cargo.toml";
