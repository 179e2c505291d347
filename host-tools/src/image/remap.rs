//! Paths of this machine, which a program must not hold: they would make it another one elsewhere.
//!
//! A panic message, `file!()` and the debug information name source files. Rustc writes other names for
//! them (`--remap-path-prefix`):
//!
//! | what lies in | becomes |
//! | --- | --- |
//! | the workspace | `.` |
//! | the target and the build directory | `./target` |
//! | a crate from a registry, a git repository or elsewhere | `/crates/<name>-<version>` |
//! | the standard library's sources | `/rustc/<commit>`, as in the compiled one |
//!
//! A debugger that is started in the workspace finds the workspace's files under these names.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use bistable_firmware::Toolchain;
use cargo_metadata::Package;
use cargo_metadata::cargo_platform::{Cfg, Platform};
use toml::{Table, Value};

use crate::image::project::{Project, called_in};

/// Where the sources of the standard library lie in a compiler's directory, if they are installed.
const LIBRARY: &str = "lib/rustlib/src/rust";

/// The value for cargo's `--config` that makes rustc write other names for this machine's paths, on top
/// of the flags that the project's own configuration asks for.
#[must_use]
pub fn configuration(project: &Project, toolchain: &Toolchain) -> String {
    let flags = prefixes(project)
        .into_iter()
        .flat_map(with_its_real_path)
        .map(|(from, to)| Value::String(format!("--remap-path-prefix={from}={to}")));
    let flags = Value::Array(flags.collect());
    // Cargo joins the flags of one key, and ignores those of `build` where those of a target apply.
    match has_flags_for_target(project, toolchain) {
        true => format!("target.{}.rustflags={flags}", toolchain.target()),
        false => format!("build.rustflags={flags}"),
    }
}

/// What is replaced by what. Of several that fit, rustc takes the last.
fn prefixes(project: &Project) -> Vec<(String, String)> {
    let metadata = &project.metadata;
    let library = project.rustc.sysroot.join(LIBRARY);
    let commit = project.rustc.commit.as_ref();
    let mut prefixes = vec![
        (metadata.workspace_root.to_string(), ".".into()),
        (metadata.target_directory.to_string(), "./target".into()),
        (
            library.display().to_string(),
            format!("/rustc/{}", commit.unwrap_or(&project.rustc.release)),
        ),
    ];
    // What it builds on the way may lie apart from what it leaves (cargo's `build.build-dir`).
    let build = metadata.build_directory.iter();
    prefixes.extend(build.map(|build| (build.to_string(), "./target".into())));
    let elsewhere = |package: &&Package| {
        package.source.is_some() || !package.manifest_path.starts_with(&metadata.workspace_root)
    };
    let crates = metadata.packages.iter().filter(elsewhere);
    let crates: BTreeSet<_> = crates.filter_map(prefix_of_crate).collect();
    prefixes.extend(crates);
    prefixes
}

/// The compiler's working directory is told without symbolic links, and files are told with them.
fn with_its_real_path((from, to): (String, String)) -> Vec<(String, String)> {
    let real = fs::canonicalize(&from).map(|path| path.display().to_string());
    match real {
        Ok(real) if real != from => vec![(real, to.clone()), (from, to)],
        _ => vec![(from, to)],
    }
}

/// The directory of a crate; that of all crates around it, if it is named as it should be.
fn prefix_of_crate(package: &Package) -> Option<(String, String)> {
    let directory = package.manifest_path.parent()?;
    let name = format!("{}-{}", package.name, package.version);
    match directory.parent() {
        Some(around) if directory.file_name() == Some(&name) => {
            Some((around.to_string(), "/crates".into()))
        }
        _ => Some((directory.to_string(), format!("/crates/{name}"))),
    }
}

/// Whether a configuration file that cargo reads has flags for this very target.
fn has_flags_for_target(project: &Project, toolchain: &Toolchain) -> bool {
    let target = toolchain.target();
    let applies = |key: &str| match key.starts_with("cfg(") {
        false => key == target,
        true => Platform::from_str(key)
            .is_ok_and(|platform| platform.matches(target, &cfgs(project, toolchain))),
    };
    let files = configuration_files(project.directory());
    files.iter().any(|file| {
        let targets = file.get("target").and_then(Value::as_table);
        let mut targets = targets.into_iter().flatten();
        targets.any(|(key, table)| table.get("rustflags").is_some() && applies(key))
    })
}

/// The configuration files for a build in `directory`. One that cargo cannot read either is for cargo to
/// complain about.
fn configuration_files(directory: &Path) -> Vec<Table> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let above = directory.ancestors().map(|folder| folder.join(".cargo"));
    let tables = above.chain(home).filter_map(|folder| {
        let read = |name| fs::read_to_string(folder.join(name)).ok();
        read("config").or_else(|| read("config.toml"))?.parse().ok()
    });
    tables.collect()
}

/// What is true of the target, as `cfg(…)` asks.
fn cfgs(project: &Project, toolchain: &Toolchain) -> Vec<Cfg> {
    let mut command = toolchain.rustc();
    let command = called_in(&mut command, project.directory());
    let command = command.args(["--print", "cfg", "--target", toolchain.target()]);
    let said = command.output().map(|output| output.stdout);
    let said = said.unwrap_or_default();
    let lines = String::from_utf8_lossy(&said);
    lines
        .lines()
        .filter_map(|line| Cfg::from_str(line).ok())
        .collect()
}
