//! The one file that knows how to build for a firmware target, and where to find an emulator.
//!
//! In this order:
//!
//! 1. the installed toolchain, if it has the target (`rustup target add` was done before);
//! 2. `rustup target add`;
//! 3. Debian's `rustc-web cargo-web rust-web-src lld`, which bring the sources of `core` with them:
//!    for machines that cannot reach rustup's server. `apt-get` installs them, with `sudo` unless
//!    this is root.
//!
//! The variable `BISTABLE_TOOLCHAIN` cuts this short: `rustup` means 1 and 2, `debian` means 3.
//!
//! `RUSTFLAGS` of the caller are not inherited: they would replace those of the project's
//! configuration, and what goes onto a device must not depend on who builds it.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Forces a way to build: `rustup` or `debian`.
pub const TOOLCHAIN_VARIABLE: &str = "BISTABLE_TOOLCHAIN";

const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CORE: &str = "lib/rustlib/src/rust/library/core/Cargo.toml";

/// Why there is no toolchain or program; prints as one line that says what to install.
#[derive(Debug)]
pub enum Error {
    /// Neither rustup nor Debian's packages could be had.
    NoToolchain {
        /// The target triple.
        target: String,
        /// What went wrong with each way that was tried.
        tried: Vec<String>,
    },
    /// A program is not there and could not be installed.
    NoProgram {
        /// The program.
        program: String,
        /// The Debian package that it is in.
        package: String,
        /// What went wrong.
        problem: String,
    },
    /// [`TOOLCHAIN_VARIABLE`] has another value.
    UnknownWay(String),
}

/// A way to build for one firmware target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Toolchain {
    target: String,
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// A cargo whose rustc has the target.
    Installed,
    /// Debian's, which compiles `core` itself.
    Debian,
}

impl Toolchain {
    /// Finds a way to build for `target`, such as `thumbv7m-none-eabi`; installs what is missing.
    ///
    /// # Errors
    /// There is none: the message says what to install.
    pub fn for_target(target: &str) -> Result<Self, Error> {
        let ways = ways(env::var_os(TOOLCHAIN_VARIABLE).as_deref())?;
        let mut tried = Vec::new();
        for way in ways {
            match way.make_ready(target) {
                Ok(()) => {
                    let target = target.into();
                    return Ok(Self { target, way: *way });
                }
                Err(problem) => tried.push(problem),
            }
        }
        let target = target.into();
        Err(Error::NoToolchain { target, tried })
    }

    /// The target triple that it builds for.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// `cargo <subcommand> --target …`, to which the caller adds packages and profile.
    #[must_use]
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = self.cargo(subcommand);
        if self.way == Way::Debian {
            command.args(["-Z", "build-std=core"]);
        }
        command.args(["--target", &self.target]);
        command
    }

    /// `cargo <subcommand>` alone, for a question that cargo answers without building.
    #[must_use]
    pub fn cargo(&self, subcommand: &str) -> Command {
        let upper = self.target.to_uppercase().replace('-', "_");
        let mut command = match self.way {
            Way::Installed => Command::new("cargo"),
            Way::Debian => {
                let mut command = Command::new(DEBIAN_CARGO);
                command
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env(format!("CARGO_TARGET_{upper}_LINKER"), "ld.lld")
                    .env_remove("RUSTUP_TOOLCHAIN")
                    // Under `cargo run` of another toolchain this names its libraries.
                    .env_remove("LD_LIBRARY_PATH");
                command
            }
        };
        command
            .arg(subcommand)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_RUSTFLAGS")
            .env_remove(format!("CARGO_TARGET_{upper}_RUSTFLAGS"));
        command
    }

    /// The compiler that cargo calls, for questions about it.
    #[must_use]
    pub fn rustc(&self) -> Command {
        match self.way {
            Way::Installed => Command::new("rustc"),
            Way::Debian => {
                let mut command = Command::new(DEBIAN_RUSTC);
                command.env_remove("LD_LIBRARY_PATH");
                command
            }
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Installed => write!(formatter, "cargo for {}", self.target),
            Way::Debian => write!(formatter, "Debian's cargo for {}", self.target),
        }
    }
}

/// The path of `program`; if there is none, the Debian package `package` is installed.
///
/// # Errors
/// It is not there and cannot be installed: the message says what to install.
pub fn ensure_command(program: &str, package: &str) -> Result<PathBuf, Error> {
    if let Some(path) = find(program) {
        return Ok(path);
    }
    let installed = install(&[package]);
    let missing = || format!("the package `{package}` is installed and has no `{program}`");
    installed
        .and_then(|()| find(program).ok_or_else(missing))
        .map_err(|problem| Error::NoProgram {
            program: program.into(),
            package: package.into(),
            problem,
        })
}

fn ways(variable: Option<&OsStr>) -> Result<&'static [Way], Error> {
    match variable.map(OsStr::to_str) {
        None => Ok(&[Way::Installed, Way::Debian]),
        Some(Some("rustup")) => Ok(&[Way::Installed]),
        Some(Some("debian")) => Ok(&[Way::Debian]),
        Some(_) => Err(Error::UnknownWay(
            variable.unwrap_or_default().to_string_lossy().into(),
        )),
    }
}

impl Way {
    fn make_ready(self, target: &str) -> Result<(), String> {
        match self {
            Self::Installed if has_target(target) => Ok(()),
            Self::Installed => {
                run(Command::new("rustup").args(["target", "add", target]))?;
                if has_target(target) {
                    return Ok(());
                }
                Err("cargo's rustc is not the one that rustup added the target to".into())
            }
            Self::Debian if has_debian() => Ok(()),
            Self::Debian => {
                install(&DEBIAN_PACKAGES)?;
                if has_debian() {
                    return Ok(());
                }
                Err(format!(
                    "Debian's packages have no {DEBIAN_CARGO} with the sources of core"
                ))
            }
        }
    }
}

/// Whether the rustc that cargo calls has a compiled `core` for `target`.
fn has_target(target: &str) -> bool {
    let query = ["--print", "target-libdir", "--target", target];
    let Ok(output) = Command::new("rustc").args(query).output() else {
        return false;
    };
    let path = String::from_utf8_lossy(&output.stdout);
    // A directory that is left after `rustup target remove` is empty.
    let mut files = Path::new(path.trim()).read_dir().into_iter().flatten();
    output.status.success()
        && files.any(|file| {
            let name = file.map(|file| file.file_name()).unwrap_or_default();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
}

fn has_debian() -> bool {
    let Ok(output) = Command::new(DEBIAN_RUSTC)
        .args(["--print", "sysroot"])
        .output()
    else {
        return false;
    };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    let sources = Path::new(sysroot.trim()).join(DEBIAN_CORE);
    Path::new(DEBIAN_CARGO).exists() && sources.exists() && find("ld.lld").is_some()
}

fn install(packages: &[&str]) -> Result<(), String> {
    eprintln!("installing {}", packages.join(" "));
    // One unreachable source makes it fail, and the packages may come from another.
    let updated = run(apt_get().arg("update"));
    let options = ["install", "--yes", "--no-install-recommends"];
    run(apt_get().args(options).args(packages)).map_err(|problem| match updated {
        Ok(()) => problem,
        Err(before) => format!("{before}; {problem}"),
    })
}

fn apt_get() -> Command {
    let quiet = "--quiet=2";
    if is_root() {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg(quiet);
        return command;
    }
    // Not `sudo` alone: a question for a password would wait for an answer that nobody gives in CI.
    let mut command = Command::new("sudo");
    command.args([
        "--non-interactive",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        quiet,
    ]);
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Runs to the end, output to standard error; a failure is one line.
fn run(command: &mut Command) -> Result<(), String> {
    let words = || {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        words.join(" ")
    };
    let line = words();
    let status = command
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .map_err(|error| format!("`{line}`: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{line}`: {status}"))
}

fn find(program: &str) -> Option<PathBuf> {
    find_in(&env::var_os("PATH").unwrap_or_default(), program)
}

fn find_in(search: &OsStr, program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    env::split_paths(search)
        .map(|directory| directory.join(program))
        .find(|path| {
            let executable = path.metadata();
            executable.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        })
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToolchain { target, tried } => write!(
                formatter,
                "no toolchain for {target} ({}): run `rustup target add {target}`, or `apt-get install {}`",
                tried.join("; "),
                DEBIAN_PACKAGES.join(" ")
            ),
            Self::NoProgram {
                program,
                package,
                problem,
            } => write!(
                formatter,
                "no {program} ({problem}): run `apt-get install {package}`"
            ),
            Self::UnknownWay(found) => write!(
                formatter,
                "{TOOLCHAIN_VARIABLE}: found `{found}`, expected `rustup` or `debian`"
            ),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "thumbv7m-none-eabi";

    fn command(way: Way) -> Command {
        let target = TARGET.into();
        Toolchain { target, way }.command("build")
    }

    fn variable(command: &Command, name: &str) -> Option<Option<String>> {
        let mut variables = command.get_envs();
        let (_, value) = variables.find(|(key, _)| *key == name)?;
        Some(value.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn the_installed_cargo_is_called_with_the_target() {
        let command = command(Way::Installed);
        assert_eq!(command.get_program(), "cargo");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["build", "--target", TARGET]);
    }

    #[test]
    fn debians_cargo_compiles_core_and_links_with_lld() {
        let command = command(Way::Debian);
        assert_eq!(command.get_program(), "/usr/bin/cargo");
        let arguments: Vec<_> = command.get_args().collect();
        let expected = ["build", "-Z", "build-std=core", "--target", TARGET];
        assert_eq!(arguments, expected);
        for (name, value) in [
            ("RUSTC", "/usr/bin/rustc"),
            ("RUSTC_BOOTSTRAP", "1"),
            ("CARGO_TARGET_THUMBV7M_NONE_EABI_LINKER", "ld.lld"),
        ] {
            assert_eq!(variable(&command, name), Some(Some(value.into())), "{name}");
        }
    }

    #[test]
    fn flags_of_the_caller_are_not_inherited() {
        for way in [Way::Installed, Way::Debian] {
            for name in [
                "RUSTFLAGS",
                "CARGO_ENCODED_RUSTFLAGS",
                "CARGO_BUILD_RUSTFLAGS",
                "CARGO_TARGET_THUMBV7M_NONE_EABI_RUSTFLAGS",
            ] {
                assert_eq!(variable(&command(way), name), Some(None), "{name}");
            }
        }
    }

    #[test]
    fn the_variable_chooses_the_way() {
        assert_eq!(ways(None).unwrap(), [Way::Installed, Way::Debian]);
        assert_eq!(ways(Some(OsStr::new("rustup"))).unwrap(), [Way::Installed]);
        assert_eq!(ways(Some(OsStr::new("debian"))).unwrap(), [Way::Debian]);
        let message = ways(Some(OsStr::new("gcc"))).unwrap_err().to_string();
        assert_eq!(
            message,
            "BISTABLE_TOOLCHAIN: found `gcc`, expected `rustup` or `debian`"
        );
    }

    #[test]
    fn a_target_that_rustc_does_not_know_is_not_installed() {
        assert!(!has_target("z80-none-none"));
    }

    #[test]
    fn the_target_of_this_machine_is_installed() {
        let output = Command::new("rustc").arg("-vV").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let host = text.lines().find_map(|line| line.strip_prefix("host: "));
        assert!(has_target(host.unwrap()));
    }

    #[test]
    fn a_program_is_found_where_the_path_says() {
        let found = find_in(OsStr::new("/nowhere:/bin"), "sh");
        assert_eq!(found, Some("/bin/sh".into()));
        assert_eq!(find_in(OsStr::new("/nowhere:/etc"), "sh"), None);
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_program() {
        assert_eq!(find_in(OsStr::new("/etc"), "passwd"), None);
    }

    #[test]
    fn errors_are_one_line_that_says_what_to_install() {
        let error = Error::NoToolchain {
            target: TARGET.into(),
            tried: vec!["`rustup`: not found".into(), "`apt-get`: not found".into()],
        };
        assert_eq!(
            error.to_string(),
            "no toolchain for thumbv7m-none-eabi (`rustup`: not found; `apt-get`: not found): \
             run `rustup target add thumbv7m-none-eabi`, \
             or `apt-get install rustc-web cargo-web rust-web-src lld`"
        );
        let error = Error::NoProgram {
            program: "qemu-system-arm".into(),
            package: "qemu-system-arm".into(),
            problem: "`apt-get update`: exit status: 100".into(),
        };
        assert!(
            error
                .to_string()
                .ends_with("run `apt-get install qemu-system-arm`")
        );
    }
}
