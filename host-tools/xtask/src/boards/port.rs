//! The ports that there are: each folder of `boards/chips` with a `layout.toml`, and what its `Cargo.toml` says of it.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use super::emulator::Machine;
use crate::run::repository;

/// A port: a chip, or an emulated machine.
pub(crate) struct Port {
    /// Of its folder, and what its packages begin with.
    pub(crate) name: String,
    /// What is known of it.
    pub(crate) about: About,
    /// Its machine, `[package.metadata.qemu]`, if QEMU has it.
    machine: Option<Machine>,
}

/// `[package.metadata.port]`: what the README's table says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// For people.
    pub(crate) chip: String,
    /// The processor.
    pub(crate) core: String,
    /// The target triple.
    pub(crate) target: String,
    /// Whose drivers it uses.
    pub(crate) drivers: String,
    /// How far it was tried.
    pub(crate) tried: String,
    /// What is known to be missing.
    pub(crate) missing: String,
    /// Whether its programs have a routine of `bistable_port::from_ram`, for nothing can be fetched while flash is busy.
    #[serde(default)]
    pub(crate) calls_from_ram: bool,
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    port: About,
    qemu: Option<Machine>,
}

impl Port {
    /// All of them, in the order of their names.
    pub(crate) fn all() -> Result<Vec<Self>, String> {
        names()?.into_iter().map(Self::read).collect()
    }

    /// The one with this name.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let names = names()?;
        match names.iter().any(|known| known == name) {
            true => Self::read(name.to_owned()),
            false => Err(format!(
                "found `{name}`, expected the name of a port: {}",
                names.join(", ")
            )),
        }
    }

    fn read(name: String) -> Result<Self, String> {
        let path = workspace().join(&name).join("Cargo.toml");
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
        let manifest: Manifest = toml::from_str(&text).map_err(|error| failed(&error))?;
        let Metadata { port, qemu } = manifest.package.metadata;
        Ok(Self {
            name,
            about: port,
            machine: qemu,
        })
    }

    /// Whether QEMU has its machine.
    pub(crate) fn can_be_run(&self) -> bool {
        self.machine.is_some()
    }

    /// Its machine.
    pub(crate) fn machine(&self) -> Result<&Machine, String> {
        self.machine.as_ref().ok_or_else(|| {
            format!(
                "{}: found no [package.metadata.qemu], expected one with `machine` and `memory`: only a port to a machine \
                 of QEMU can be run",
                self.folder().join("Cargo.toml").display()
            )
        })
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> PathBuf {
        workspace().join(&self.name)
    }

    /// Its memory map.
    pub(crate) fn layout(&self) -> PathBuf {
        self.folder().join("layout.toml")
    }

    /// A copy of one of its programs, such as `bootloader` or `application-A`, that stays while others are built.
    pub(crate) fn program(&self, what: &str) -> PathBuf {
        built_programs().join(format!("{}-{what}.elf", self.name))
    }
}

/// A new folder for what a run of a port leaves, by what is run.
pub(crate) fn scratch(port: &Port, what: &str) -> Result<PathBuf, String> {
    let folder = built_programs().join(&port.name).join(what);
    let _ = fs::remove_dir_all(&folder); // Fails if there is none, which is what is wanted.
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// The folder of all ports.
pub(crate) fn workspace() -> PathBuf {
    repository().join("boards/chips")
}

/// Where programs are copied to.
pub(crate) fn built_programs() -> PathBuf {
    repository().join("target/boards")
}

fn names() -> Result<Vec<String>, String> {
    let folder = workspace();
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.join("layout.toml").exists() {
            names.extend(
                path.file_name()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort_unstable();
    Ok(names)
}
