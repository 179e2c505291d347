//! The application's workspace: what its `Cargo.toml` says of it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use bistable_qemu::Board;
use cargo_metadata::{Metadata, MetadataCommand};
use serde::Deserialize;

use crate::image::package::Package;
use crate::run::Arguments;
use crate::{Error, files};

/// Bistable's table in `[workspace.metadata]`, or in the application's `[package.metadata]`.
const TABLE: &str = "bistable";

/// The feature of the bootloader that makes it log.
const LOG: &str = "log";

/// An application and what belongs to it.
pub(super) struct Project {
    /// The workspace's folder, which everything else is named from.
    root: PathBuf,
    /// Where files of runs go.
    folder: PathBuf,
    /// What it runs on.
    pub(super) board: Board,
    pub(super) settings: Settings,
    pub(super) package: Package,
    /// `1.0.0`: of the package.
    pub(super) version: String,
    /// Of the bootloader's package.
    pub(super) bootloader_version: String,
}

/// What `Cargo.toml` says.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Settings {
    board: String,
    layout: PathBuf,
    bootloader: String,
    /// What images are signed with here.
    pub(super) key: PathBuf,
    #[serde(default = "one")]
    pub(super) sequence: u32,
    #[serde(default = "one")]
    pub(super) security_counter: u32,
}

const fn one() -> u32 {
    1
}

impl Project {
    /// The workspace of this folder, or the one that cargo has called its runner for. From then on this
    /// process works in the workspace's folder, where cargo finds its configuration.
    pub(super) fn find(arguments: &Arguments) -> Result<Self, Error> {
        let elf = arguments.elf.as_deref().map(std::path::absolute);
        let elf = elf.transpose().map_err(|source| Error::Io {
            place: "this folder".into(),
            doing: "find the program from here",
            source,
        })?;
        let metadata = metadata()?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let manifest = root.join("Cargo.toml");
        let called_for = elf.is_some().then(|| env::var("CARGO_PKG_NAME").ok());
        let wanted = arguments.package.clone().or(called_for.flatten());
        let (name, settings) = application(&metadata, &manifest, wanted)?;
        let board = board(&settings, &manifest)?;
        let bootloader_version = version_of(&metadata, &settings.bootloader, &manifest)?;
        let built = Built::of(elf.as_deref(), &arguments.profile, board);
        let folder = metadata
            .target_directory
            .join("bistable")
            .into_std_path_buf();
        env::set_current_dir(&root).map_err(Error::io(&root, "go to the folder"))?;
        Ok(Self {
            version: version_of(&metadata, &name, &manifest)?,
            package: Package {
                name,
                bin: built.bin,
                target: built.target,
                manifest: None,
                profile: built.profile,
                features: arguments.features.clone(),
            },
            root,
            folder,
            board,
            settings,
            bootloader_version,
        })
    }

    /// Makes the folder for what runs leave. Nothing is written before.
    pub(super) fn make_folder(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.folder).map_err(Error::io(&self.folder, "make the folder"))
    }

    /// The product's layout.
    pub(super) fn layout(&self) -> PathBuf {
        self.settings.layout.clone()
    }

    /// A file of the runs.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        // From the workspace's folder it is shorter to read.
        path.strip_prefix(&self.root)
            .map(Into::into)
            .unwrap_or(path)
    }

    /// Where images may be that are not built here, with their programs beside them.
    pub(super) fn image_folders(&self) -> Vec<PathBuf> {
        let images = ["images", ""].map(|name| self.root.join(name));
        [vec![self.folder.clone()], images.into()].concat()
    }

    /// Builds the bootloader, with its log and in the application's profile, and copies it to where the next build does not touch it.
    pub(super) fn build_bootloader(&self) -> Result<PathBuf, Error> {
        let package = Package {
            name: self.settings.bootloader.clone(),
            bin: None,
            features: vec![LOG.into()],
            ..self.package.clone()
        };
        let program = package.build_once(None)?;
        let path = self.file("bootloader.elf");
        files::write_together(&[(path.clone(), &program.bytes)])?;
        Ok(path)
    }
}

fn metadata() -> Result<Metadata, Error> {
    let mut command = MetadataCommand::new();
    command.no_deps();
    // Cargo sets it for its runner, which may be called from anywhere.
    if let Some(folder) = env::var_os("CARGO_MANIFEST_DIR") {
        command.current_dir(folder);
    }
    command.exec().map_err(|error| {
        let error = error.to_string();
        let line = error.lines().find(|line| line.starts_with("error"));
        Error::argument(
            "this folder",
            format!("no workspace ({})", line.unwrap_or(error.trim())),
            "the folder of an application",
            "make one with `bistable new`, or go into it",
        )
    })
}

/// The application's package and its settings.
fn application(
    metadata: &Metadata,
    manifest: &Path,
    wanted: Option<String>,
) -> Result<(String, Settings), Error> {
    let packages = metadata.workspace_packages();
    let only = match packages.as_slice() {
        [package] => Some(package.name.to_string()),
        _ => metadata.root_package().map(|root| root.name.to_string()),
    };
    let package = wanted.or(only).and_then(|name| {
        let mut packages = packages.iter();
        packages.find(|package| package.name.as_str() == name)
    });
    let Some(package) = package else {
        let names: Vec<_> = packages
            .iter()
            .map(|package| package.name.as_str())
            .collect();
        return Err(Error::unexpected(
            manifest,
            format!("the packages {}", names.join(", ")),
            "one that is the application",
            "name it with --package",
        ));
    };
    let tables = [&package.metadata, &metadata.workspace_metadata];
    let table = tables.iter().find_map(|table| table.get(TABLE));
    let refuse = |found: String| {
        Error::unexpected(
            manifest,
            found,
            "[workspace.metadata.bistable] with board, layout, bootloader and key",
            "`bistable new` makes a project that has it",
        )
    };
    let table = table.ok_or_else(|| refuse("no table".into()))?;
    let settings = Settings::deserialize(table);
    let settings = settings.map_err(|error| refuse(format!("another table ({error})")))?;
    Ok((package.name.to_string(), settings))
}

fn version_of(metadata: &Metadata, name: &str, manifest: &Path) -> Result<String, Error> {
    let packages = metadata.workspace_packages().into_iter();
    let package = packages
        .into_iter()
        .find(|package| package.name.as_str() == name);
    let version = package.map(|package| package.version.to_string());
    version.ok_or_else(|| {
        let found = format!("no package `{name}`");
        let expected = "the one that [workspace.metadata.bistable] names";
        Error::unexpected(
            manifest,
            found,
            expected,
            "add it to the workspace's members",
        )
    })
}

/// The board that the settings name.
fn board(settings: &Settings, manifest: &Path) -> Result<Board, Error> {
    let name = settings.board.as_str();
    Board::named(name).ok_or_else(|| {
        let names = Board::ALL.map(Board::name).join(", ");
        Error::unexpected(
            manifest,
            format!("the board `{name}`"),
            format!("one that is emulated: {names}"),
            "other boards cannot be run from here",
        )
    })
}

/// How a program was built, by where cargo put it: `target/TRIPLE/PROFILE/NAME`.
struct Built {
    target: String,
    profile: String,
    bin: Option<String>,
}

impl Built {
    fn of(elf: Option<&Path>, profile: &str, board: Board) -> Self {
        let part = |place: usize| {
            let part = elf?.ancestors().nth(place)?.file_name()?;
            Some(part.to_string_lossy().into_owned())
        };
        let folder = part(1).map(|folder| match folder.as_str() {
            "debug" => "dev".into(),
            _ => folder,
        });
        Self {
            target: part(2).unwrap_or_else(|| board.target().into()),
            profile: folder.unwrap_or_else(|| profile.into()),
            bin: part(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_program_was_built_is_told_by_its_place() {
        let of = |path, profile| Built::of(path, profile, Board::Mps2An385);
        let path = Path::new("/w/target/thumbv7m-none-eabi/debug/blinky");
        let built = of(Some(path), "ignored");
        assert_eq!(built.target, "thumbv7m-none-eabi");
        assert_eq!(built.profile, "dev");
        assert_eq!(built.bin.as_deref(), Some("blinky"));
        let path = Path::new("/w/target/thumbv7em-none-eabi/firmware/blinky");
        assert_eq!(of(Some(path), "ignored").profile, "firmware");
        assert_eq!(of(None, "firmware").profile, "firmware");
    }

    #[test]
    fn what_is_not_built_yet_is_built_for_the_board() {
        for (board, target) in [
            (Board::Mps2An385, "thumbv7m-none-eabi"),
            (Board::Riscv32Virt, "riscv32imac-unknown-none-elf"),
        ] {
            assert_eq!(Built::of(None, "dev", board).target, target);
        }
    }

    #[test]
    fn a_board_that_is_not_emulated_is_refused_with_those_that_are() {
        let settings = |board: &str| Settings {
            board: board.into(),
            layout: PathBuf::new(),
            bootloader: String::new(),
            key: PathBuf::new(),
            sequence: 1,
            security_counter: 1,
        };
        let of = |name| board(&settings(name), Path::new("Cargo.toml"));
        assert_eq!(of("riscv32-virt").unwrap(), Board::Riscv32Virt);
        let said = of("esp32-c3").unwrap_err().to_string();
        let expected =
            "found the board `esp32-c3`, expected one that is emulated: mps2-an385, riscv32-virt";
        assert!(said.contains(expected), "{said}");
    }
}
