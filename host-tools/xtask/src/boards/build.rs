//! Building a port, and what is measured of it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bistable_firmware::Toolchain;
use bistable_layout::Product;
use bistable_qemu::ram_routine::{self, May};
use object::{Object as _, ObjectSegment as _};

use super::port::{Port, built_programs, workspace};
use crate::run::{Outcome, built, repository, run};

/// How many lines a port may have: Rust, without blank lines and comments.
const LINES: usize = 300;

/// What a built port is known by.
pub(crate) struct Built {
    /// What its layout says.
    pub(crate) product: Product,
    /// Bytes of the bootloader in flash.
    pub(crate) bootloader: u64,
    /// Bytes of the application in flash, as linked for slot A.
    pub(crate) application: u64,
    /// Lines of Rust.
    pub(crate) lines: usize,
}

/// Builds bootloader and application, and an image of the application's two links.
pub(crate) fn build(port: &Port) -> Result<Built, String> {
    println!("\n{}", port.about.chip);
    let lines = lines(&port.folder())?;
    if lines > LINES {
        let folder = port.folder();
        return Err(format!(
            "{}: {lines} lines of Rust, expected at most {LINES}",
            folder.display()
        ));
    }
    let layout = port.layout();
    let product = Product::read(&layout).map_err(|error| error.to_string())?;
    let bootloader = compile(port, "bootloader")?;
    let a = compile_for(port, "application", Some("A"))?;
    let b = compile_for(port, "application", Some("B"))?;
    if port.about.calls_from_ram {
        what_runs_from_ram(&bootloader)?;
        what_runs_from_ram(&a)?;
    }
    if port.can_be_run() {
        compile(port, "conformance")?;
    }
    let image = a.with_extension("img");
    let mut command = Command::new(built("bistable"));
    command.args(["image", "build", "--version", "1.0.0", "--sequence", "1"]);
    command
        .args(["--security-counter", "1", "--layout"])
        .arg(layout);
    command.arg("--program-a").arg(&a).arg("--program-b").arg(b);
    command.arg("--key").arg(key()).arg("--out").arg(image);
    run(&mut command)?;
    Ok(Built {
        product,
        bootloader: bytes_in_flash(&bootloader)?,
        application: bytes_in_flash(&a)?,
        lines,
    })
}

/// Makes the key ring that all ports share, unless there is one: these are no development keys, for the boards are not
/// emulated. Keys stay on the machine that makes them.
pub(crate) fn ring() -> Outcome {
    let ring = workspace().join("keys/ring.toml");
    if ring.exists() {
        return Ok(());
    }
    let mut command = Command::new(built("bistable"));
    command.args(["key", "new", "--name", "example", "--ring"]);
    run(command.arg(ring).arg("--out").arg(key()))
}

/// The private half of its one key.
pub(crate) fn key() -> PathBuf {
    workspace().join("keys/example.pem")
}

/// Compiles one of a port's packages that has one place, without a warning; returns a copy of the program.
pub(crate) fn compile(port: &Port, what: &str) -> Result<PathBuf, String> {
    compile_for(port, what, None)
}

/// The same for a slot.
pub(crate) fn compile_for(port: &Port, what: &str, slot: Option<&str>) -> Result<PathBuf, String> {
    let toolchain = Toolchain::for_target(&port.about.target).map_err(|error| error.to_string())?;
    let package = format!("{}-{what}", port.name);
    let target = repository().join("target");
    let mut command = toolchain.command("build");
    command.args(["--profile", "firmware", "-p", &package]);
    command
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", &target);
    if let Some(slot) = slot {
        command.env("BISTABLE_SLOT", slot);
    }
    // A panic says in which file it is: the same everywhere, or sizes would depend on folders.
    let repository = format!("--remap-path-prefix={}=", repository().display());
    let crates = format!("--remap-path-prefix={}=crates", cargo_home().display());
    command.env(
        "CARGO_ENCODED_RUSTFLAGS",
        format!("{repository}\x1f{crates}"),
    );
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let warned = said.lines().any(|line| line.starts_with("warning"));
    if warned || !output.status.success() {
        return Err(format!(
            "{package}: {}, with warnings or errors:\n{said}",
            output.status
        ));
    }
    let program = target.join(&port.about.target).join("firmware");
    let program = program.join(&package);
    let copy = port.program(&slot.map_or(what.to_owned(), |slot| format!("{what}-{slot}")));
    let folder = built_programs();
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    fs::copy(&program, &copy).map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(copy)
}

/// Nothing of it may lie in flash, or be fetched from there.
fn what_runs_from_ram(elf: &Path) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", elf.display());
    let bytes = fs::read(elf).map_err(|error| failed(&error))?;
    ram_routine::check(&bytes, May::CallWhatItIsHanded).map_err(|unfit| failed(&unfit))
}

/// Where cargo keeps what it fetched.
fn cargo_home() -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_default().join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// All that a program loads: code, constants, and what RAM is initialised with.
fn bytes_in_flash(elf: &Path) -> Result<u64, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", elf.display());
    let bytes = fs::read(elf).map_err(|error| failed(&error))?;
    let file = object::File::parse(&*bytes).map_err(|error| failed(&error))?;
    Ok(file.segments().map(|segment| segment.file_range().1).sum())
}

/// Lines of Rust in a folder, without blank lines and comments.
fn lines(folder: &Path) -> Result<usize, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut count = 0;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            count += lines(&path)?;
        } else if path.extension() == Some(OsStr::new("rs")) {
            count += lines_of(&fs::read_to_string(&path).map_err(failed)?);
        }
    }
    Ok(count)
}

fn lines_of(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_do_not_count() {
        assert_eq!(
            lines_of("//! A\n\n/// b\nfn c() {\n    // d\n    e() // f\n}\n"),
            3
        );
    }
}
