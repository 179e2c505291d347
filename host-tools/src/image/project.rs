//! The project that an application package belongs to, as cargo and the compiler tell of it.
//!
//! Cargo is called in the package's directory, with the configuration that lies there and above it:
//! where the caller stands makes no difference to what is built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bistable_firmware::Toolchain;
use cargo_metadata::{Metadata, MetadataCommand, Package, PackageId};

use crate::Error;

/// A package, its dependencies, and the compiler.
#[derive(Clone, Debug)]
pub struct Project {
    /// What cargo knows of the whole workspace, for one target.
    pub metadata: Metadata,
    /// Which package of it is meant.
    pub package: PackageId,
    /// The compiler that cargo calls.
    pub rustc: Rustc,
    /// The version of cargo, such as `1.95.0`.
    pub cargo: String,
}

/// A compiler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rustc {
    /// Its version, such as `1.95.0`.
    pub release: String,
    /// The commit that it was built from; a distribution's compiler may not say it.
    pub commit: Option<String>,
    /// Where its libraries and their sources lie.
    pub sysroot: PathBuf,
}

impl Project {
    /// Asks cargo for the package `name` of the workspace of `manifest`, or of the present directory,
    /// with `features` turned on. Nothing is fetched that cargo has.
    ///
    /// # Errors
    /// There is no such package, or cargo has no answer: what it says is on standard error.
    pub fn of(
        toolchain: &Toolchain,
        name: &str,
        manifest: Option<&Path>,
        features: &[String],
    ) -> Result<Self, Error> {
        let manifest = find(toolchain, name, manifest)?;
        let directory = manifest.parent().unwrap_or(&manifest);
        let metadata = with_dependencies(toolchain, name, &manifest, features)?;
        let same = |package: &&Package| package.manifest_path.as_std_path() == manifest;
        let package = metadata.packages.iter().find(same).ok_or_else(|| {
            let expected = format!("`{name}` of {}", manifest.display());
            unanswered(name, "another package", expected)
        })?;
        Ok(Self {
            package: package.id.clone(),
            rustc: Rustc::of(toolchain, directory)?,
            cargo: cargo_version(toolchain, directory)?,
            metadata,
        })
    }

    /// The package that is meant.
    #[must_use]
    pub fn package(&self) -> Option<&Package> {
        let mut packages = self.metadata.packages.iter();
        packages.find(|package| package.id == self.package)
    }

    /// The directory of the package, where cargo is called.
    #[must_use]
    pub fn directory(&self) -> &Path {
        let manifest = self.package().map(|package| &package.manifest_path);
        let directory = manifest.and_then(|manifest| manifest.parent());
        directory
            .unwrap_or(&self.metadata.workspace_root)
            .as_std_path()
    }

    /// The root of the workspace, where `Cargo.lock` lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }
}

/// Calls cargo or rustc in `directory`, and leaves out what of the caller's environment would change
/// the program that is built.
pub(crate) fn called_in<'c>(command: &'c mut Command, directory: &Path) -> &'c mut Command {
    for variable in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"] {
        // A relative one means the caller's directory.
        let absolute = env::var_os(variable).and_then(|path| std::path::absolute(path).ok());
        if let Some(path) = absolute {
            command.env(variable, path);
        }
    }
    for (variable, _) in env::vars_os() {
        let name = variable.to_string_lossy();
        let incremental = ["CARGO_INCREMENTAL", "CARGO_BUILD_INCREMENTAL"].contains(&&*name);
        if name.starts_with("CARGO_PROFILE_") || incremental {
            command.env_remove(&variable);
        }
    }
    command.current_dir(directory).stdin(Stdio::null())
}

/// The `Cargo.toml` of the package.
fn find(toolchain: &Toolchain, name: &str, manifest: Option<&Path>) -> Result<PathBuf, Error> {
    let mut command = toolchain.cargo("metadata");
    command.args(["--format-version=1", "--no-deps"]);
    if let Some(manifest) = manifest {
        command.arg("--manifest-path").arg(manifest);
    }
    let metadata = parse(name, &answer(name, &mut command)?)?;
    let mut packages = metadata.packages.iter();
    let found = packages.find(|package| package.name.as_str() == name);
    found
        .map(|package| package.manifest_path.clone().into_std_path_buf())
        .ok_or_else(|| {
            let names = metadata.packages.iter().map(|it| it.name.to_string());
            let names: Vec<_> = names.collect();
            Error::argument(
                format!("package `{name}`"),
                format!("no such package in {}", metadata.workspace_root),
                format!("one of {}", names.join(", ")),
                "or name another workspace with --manifest-path",
            )
        })
}

fn with_dependencies(
    toolchain: &Toolchain,
    name: &str,
    manifest: &Path,
    features: &[String],
) -> Result<Metadata, Error> {
    let directory = manifest.parent().unwrap_or(manifest);
    let command = || {
        let mut command = toolchain.cargo("metadata");
        command
            .args(["--format-version=1", "--filter-platform"])
            .arg(toolchain.target())
            .arg("--manifest-path")
            .arg(manifest);
        if !features.is_empty() {
            command.args(["--features", &features.join(",")]);
        }
        called_in(&mut command, directory);
        command
    };
    // What is here already is enough, unless a crate was never fetched or the lock file is not there.
    let mut offline = command();
    let offline = offline.args(["--locked", "--offline"]).output();
    if let Ok(output) = offline
        && output.status.success()
    {
        return parse(name, &String::from_utf8_lossy(&output.stdout));
    }
    parse(name, &answer(name, &mut command())?)
}

fn parse(name: &str, answer: &str) -> Result<Metadata, Error> {
    MetadataCommand::parse(answer)
        .map_err(|error| unanswered(name, error, "what `cargo metadata` prints"))
}

/// What the command prints.
fn answer(name: &str, command: &mut Command) -> Result<String, Error> {
    let asked = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = output.output();
    let output = output
        .map_err(|error| unanswered(name, format!("no way to start {asked} ({error})"), "one"))?;
    if !output.status.success() {
        let found = format!("that {asked} failed ({})", output.status);
        return Err(unanswered(name, found, "an answer"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn unanswered(
    name: &str,
    found: impl std::fmt::Display,
    expected: impl std::fmt::Display,
) -> Error {
    let place = format!("package `{name}`");
    Error::argument(place, found, expected, "what cargo says stands above")
}

impl Rustc {
    fn of(toolchain: &Toolchain, directory: &Path) -> Result<Self, Error> {
        let ask = |arguments: &[&str]| {
            let mut command = toolchain.rustc();
            answer("rustc", called_in(&mut command, directory).args(arguments))
        };
        let version = ask(&["-vV"])?;
        let line = |key: &str| line_of(&version, key).filter(|value| *value != "unknown");
        Ok(Self {
            release: line("release: ").unwrap_or("unknown").into(),
            commit: line("commit-hash: ").map(String::from),
            sysroot: ask(&["--print", "sysroot"])?.trim().into(),
        })
    }
}

fn cargo_version(toolchain: &Toolchain, directory: &Path) -> Result<String, Error> {
    let mut command = toolchain.cargo("version");
    let said = answer("cargo", called_in(&mut command, directory).arg("--verbose"))?;
    Ok(line_of(&said, "release: ").unwrap_or("unknown").into())
}

fn line_of<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(key))
}
