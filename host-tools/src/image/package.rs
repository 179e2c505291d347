//! Cargo, called once for each slot: what differs between the two links is an environment variable.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bistable_core::layout::Slot;
use bistable_firmware::Toolchain;
use bistable_layout::build::SLOT_VARIABLE;
use serde::Deserialize;

use crate::{Error, files};

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

impl Package {
    /// Builds it for A, then for B, into the same directory.
    ///
    /// # Errors
    /// There is no toolchain, cargo fails (what it says is on standard error), or it is not clear
    /// which program is meant.
    pub fn build(&self) -> Result<[Program; 2], Error> {
        let toolchain = self.toolchain()?;
        Ok([
            self.build_with(&toolchain, Some(Slot::A))?,
            self.build_with(&toolchain, Some(Slot::B))?,
        ])
    }

    /// Builds it once: for a slot, or where it always lies, as a bootloader does.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_once(&self, slot: Option<Slot>) -> Result<Program, Error> {
        self.build_with(&self.toolchain()?, slot)
    }

    fn toolchain(&self) -> Result<Toolchain, Error> {
        Toolchain::for_target(&self.target).map_err(|error| {
            Error::argument(
                format!("--target {}", self.target),
                format!("no way to build for it ({error})"),
                "an installed toolchain",
                "or give two finished links with --elf-a and --elf-b",
            )
        })
    }

    fn build_with(&self, toolchain: &Toolchain, slot: Option<Slot>) -> Result<Program, Error> {
        match slot {
            Some(slot) => eprintln!("building {} for slot {slot:?}", self.name),
            None => eprintln!("building {}", self.name),
        }
        let mut command = self.command(toolchain, slot);
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
        Ok(Program { path, bytes })
    }

    fn command(&self, toolchain: &Toolchain, slot: Option<Slot>) -> Command {
        let mut command = toolchain.command("build");
        command
            .args(["--package", &self.name])
            .args(["--profile", &self.profile])
            .arg("--message-format=json-render-diagnostics")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        if let Some(slot) = slot {
            command.env(SLOT_VARIABLE, format!("{slot:?}"));
        }
        if let Some(bin) = &self.bin {
            command.args(["--bin", bin]);
        }
        if let Some(manifest) = &self.manifest {
            command.arg("--manifest-path").arg(manifest);
        }
        if !self.features.is_empty() {
            command.args(["--features", &self.features.join(",")]);
        }
        command
    }

    /// The one program that cargo's messages speak of.
    fn program(&self, messages: &str) -> Result<PathBuf, Error> {
        let artifacts = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Message>(line).ok());
        let programs: Vec<_> = artifacts.filter_map(|message| message.executable).collect();
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

/// What matters in a line of `cargo build --message-format=json`.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
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
