//! Cargo, called once for each slot: what differs between the two links is an environment variable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bistable_core::layout::Slot;
use bistable_firmware::Toolchain;
use bistable_layout::build::SLOT_VARIABLE;
use bistable_layout::product::Architecture;
use cargo_metadata::PackageId;
use serde::Deserialize;

use crate::image::project::{Project, called_in};
use crate::image::remap;
use crate::{Error, files};

/// The target of a Cortex-M product, if nobody says another.
pub(crate) const CORTEX_M_TARGET: &str = "thumbv7m-none-eabi";

/// The target of a RISC-V product, if nobody says another.
pub(crate) const RISCV32_TARGET: &str = "riscv32imac-unknown-none-elf";

/// The target triple of a product's packages, if nobody says it.
#[must_use]
pub const fn usual_target(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::CortexM => CORTEX_M_TARGET,
        Architecture::Riscv32 => RISCV32_TARGET,
    }
}

/// An application package, and how it is built.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its binary, if it has several.
    pub bin: Option<String>,
    /// The target triple.
    pub target: String,
    /// The workspace's or package's `Cargo.toml`, if it is not that of the present directory.
    pub manifest: Option<PathBuf>,
    /// The profile.
    pub profile: String,
    /// Features to turn on.
    pub features: Vec<String>,
}

/// A program that cargo built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// Where cargo put it.
    pub path: PathBuf,
    /// The bytes, as they were when it was built for this slot.
    pub bytes: Vec<u8>,
}

/// Both programs, and what they were made of.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// As linked for A, and as linked for B.
    pub programs: [Program; 2],
    /// The project.
    pub project: Project,
    /// The packages that cargo compiled for it, or had compiled before.
    pub compiled: BTreeMap<PackageId, Use>,
}

/// What a package is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Use {
    /// It runs while the program is built, and is no part of it.
    Building,
    /// It is linked into the program.
    Linked,
}

impl Package {
    /// Builds it for A, then for B, into the same directory, so that others who build it get the same bytes;
    /// and says what the programs were made of.
    ///
    /// # Errors
    /// There is no toolchain, cargo fails (what it says is on standard error), or it is not clear
    /// which program is meant.
    pub fn build_recorded(&self) -> Result<Recorded, Error> {
        let toolchain = self.toolchain()?;
        let manifest = self.manifest.as_deref();
        let project = Project::of(&toolchain, &self.name, manifest, &self.features)?;
        let configuration = remap::configuration(&project, &toolchain);
        let build = |slot| {
            let mut command = self.command(&toolchain, Some(slot));
            command.args(["--config", &configuration]);
            called_in(&mut command, project.directory());
            self.build_with(command, Some(slot))
        };
        let (a, messages) = build(Slot::A)?;
        let (b, _) = build(Slot::B)?;
        Ok(Recorded {
            programs: [a, b],
            compiled: compiled(&messages, &self.target),
            project,
        })
    }

    /// Builds it once, as `cargo build` does: for a slot, or where it always lies, as a bootloader does.
    ///
    /// # Errors
    /// As [`build_recorded`](Self::build_recorded).
    pub fn build_once(&self, slot: Option<Slot>) -> Result<Program, Error> {
        let mut command = self.command(&self.toolchain()?, slot);
        command.stdin(Stdio::null());
        if let Some(manifest) = &self.manifest {
            command.arg("--manifest-path").arg(manifest);
        }
        self.build_with(command, slot).map(|(program, _)| program)
    }

    fn toolchain(&self) -> Result<Toolchain, Error> {
        Toolchain::for_target(&self.target).map_err(|error| {
            Error::argument(
                format!("--target {}", self.target),
                format!("no way to build for it ({error})"),
                "an installed toolchain",
                "or give two finished links with --program-a and --program-b",
            )
        })
    }

    fn build_with(
        &self,
        mut command: Command,
        slot: Option<Slot>,
    ) -> Result<(Program, String), Error> {
        match slot {
            Some(slot) => eprintln!("building {} for slot {slot:?}", self.name),
            None => eprintln!("building {}", self.name),
        }
        let failed = |found: String| {
            Error::argument(
                format!("package `{}`", self.name),
                found,
                "a build without errors",
                "what cargo says stands above",
            )
        };
        let output = command
            .output()
            .map_err(|error| failed(format!("no way to start cargo ({error})")))?;
        if !output.status.success() {
            return Err(failed(format!("that cargo failed ({})", output.status)));
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let path = self.program(&messages)?;
        let bytes = files::read(&path, "read the program")?;
        Ok((Program { path, bytes }, messages.into_owned()))
    }

    fn command(&self, toolchain: &Toolchain, slot: Option<Slot>) -> Command {
        let mut command = toolchain.command("build");
        command
            .args(["--package", &self.name])
            .args(["--profile", &self.profile])
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit());
        if let Some(slot) = slot {
            command.env(SLOT_VARIABLE, format!("{slot:?}"));
        }
        if let Some(bin) = &self.bin {
            command.args(["--bin", bin]);
        }
        if !self.features.is_empty() {
            command.args(["--features", &self.features.join(",")]);
        }
        command
    }

    /// The one program that cargo's messages speak of.
    fn program(&self, messages: &str) -> Result<PathBuf, Error> {
        let programs = parse(messages).filter_map(|message| message.executable);
        let programs: Vec<_> = programs.collect();
        match programs.as_slice() {
            [program] => Ok(program.clone()),
            programs => {
                let names: Vec<_> = programs.iter().map(|path| name(path)).collect();
                Err(Error::argument(
                    format!("package `{}`", self.name),
                    match names.is_empty() {
                        true => "no program".into(),
                        false => format!("the programs {}", names.join(", ")),
                    },
                    "one",
                    "name one with --bin",
                ))
            }
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The packages that cargo speaks of. What is linked lies in a directory that is named after the target.
fn compiled(messages: &str, target: &str) -> BTreeMap<PackageId, Use> {
    let mut compiled = BTreeMap::new();
    for message in parse(messages) {
        let Some(package) = message.package_id else {
            continue;
        };
        let for_target = |path: &PathBuf| path.iter().any(|part| part == target);
        let purpose = match message.filenames.iter().any(for_target) {
            true => Use::Linked,
            false if message.filenames.is_empty() => continue,
            false => Use::Building,
        };
        let known = compiled.entry(package).or_insert(purpose);
        *known = purpose.max(*known);
    }
    compiled
}

fn parse(messages: &str) -> impl Iterator<Item = Message> {
    let lines = messages.lines();
    lines.filter_map(|line| serde_json::from_str(line).ok())
}

/// What matters in a line of `cargo build --message-format=json`.
#[derive(Deserialize)]
struct Message {
    package_id: Option<PackageId>,
    executable: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        Package {
            name: "demo".into(),
            bin: None,
            target: "thumbv7m-none-eabi".into(),
            manifest: None,
            profile: "firmware".into(),
            features: Vec::new(),
        }
    }

    #[test]
    fn the_program_is_the_one_that_cargo_names() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"core"},"executable":null}"#,
            "\nwarning: not a message\n",
            r#"{"reason":"compiler-artifact","executable":"/t/demo"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(package().program(messages).unwrap(), Path::new("/t/demo"));
    }

    #[test]
    fn a_package_that_is_linked_and_used_for_building_counts_as_linked() {
        let line = |name: &str, path: &str| {
            format!(r#"{{"package_id":"{name}@1.0.0","filenames":["{path}"]}}"#)
        };
        let messages = [
            line("both", "/t/thumbv7m-none-eabi/firmware/deps/libboth.rlib"),
            line("both", "/t/firmware/deps/libboth.rlib"),
            line("macros", "/t/firmware/deps/libmacros.so"),
            r#"{"reason":"build-finished","success":true}"#.into(),
        ];
        let compiled = compiled(&messages.join("\n"), "thumbv7m-none-eabi");
        let found: Vec<_> = compiled
            .iter()
            .map(|(id, purpose)| (id.repr.as_str(), *purpose))
            .collect();
        let expected = [("both@1.0.0", Use::Linked), ("macros@1.0.0", Use::Building)];
        assert_eq!(found, expected);
    }

    #[test]
    fn two_programs_are_one_too_many_and_none_is_one_too_few() {
        let messages = "{\"executable\":\"/t/one\"}\n{\"executable\":\"/t/two\"}";
        let message = package().program(messages).unwrap_err().to_string();
        assert_eq!(
            message,
            "package `demo`: found the programs one, two, expected one; name one with --bin"
        );
        assert!(package().program("").is_err());
    }
}
