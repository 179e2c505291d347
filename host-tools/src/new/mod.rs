//! `bistable new`: a small application that updates itself, to begin with.
//!
//! The folder is made beside its place, under another name, and gets its own in one step: there is a
//! whole application or none.

mod name;
mod templates;

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use bistable_core::keys::Roles;
use bistable_layout::{RingKey, ring_file};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;

use crate::keys::{Signer as _, SigningKey};
use crate::output::{Output, Report};
use crate::{Error, atomic};

/// Where the development key goes, in the new folder.
const KEY: &str = "keys/development.pem";

/// The key ring, in the new folder.
const RING: &str = "keys/ring.toml";

/// Make a folder with a small application that updates itself.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable new blinky --board mps2-an385")]
pub struct Arguments {
    /// The folder, which must not be there yet, or be empty. Its name becomes the application's.
    #[arg(value_name = "APP")]
    pub folder: PathBuf,
    /// The board that it runs on.
    #[arg(long)]
    pub board: Board,
    /// The application's name, if it is not that of the folder.
    #[arg(long)]
    pub name: Option<String>,
    /// The sources of Bistable; those that this tool was built from without it.
    #[arg(long, value_name = "DIR")]
    pub bistable: Option<PathBuf>,
}

/// A board that there are templates for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Board {
    /// QEMU's Cortex-M3, with Ethernet.
    #[value(name = "mps2-an385")]
    #[serde(rename = "mps2-an385")]
    Mps2An385,
}

/// What was made.
#[derive(Serialize, JsonSchema)]
pub struct New {
    /// The application's name.
    pub name: String,
    /// Its board.
    pub board: Board,
    /// Its folder.
    pub folder: PathBuf,
    /// The id of its development key, 8 hexadecimal digits.
    pub key: String,
    /// All files, from the folder on.
    pub files: Vec<String>,
}

impl Report for New {
    const FORMAT: &'static str = "new/1";
}

/// Runs the command.
///
/// # Errors
/// The name is none, something is in the way, or the sources of Bistable are not there: nothing was made.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let folder = &arguments.folder;
    let name = name::parse(arguments)?;
    let bistable = sources(arguments.bistable.as_deref())?;
    refuse_existing(folder)?;
    let staging = Staging::beside(folder)?;
    let mut files = templates::files(arguments.board, &name, &bistable.display().to_string());
    let lock = bistable.join("Cargo.lock");
    if let Ok(text) = fs::read_to_string(&lock) {
        // The versions that were tested together; cargo leaves out what the application does not use.
        files.push(("Cargo.lock", text));
    }
    for (path, text) in &files {
        staging.write(path, text)?;
    }
    let key = staging.make_key()?;
    let mut files: Vec<_> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    files.extend([KEY, RING].map(String::from));
    files.sort();
    staging.take_place_of(folder)?;
    output.say(&New {
        name,
        board: arguments.board,
        folder: folder.clone(),
        key,
        files,
    })
}

/// The sources that the application is built with.
fn sources(given: Option<&Path>) -> Result<PathBuf, Error> {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = given.unwrap_or(&built_from);
    let parts = ["bootloader", "core", "updater", "qemu/mps2-an385"];
    let missing = parts
        .iter()
        .find(|part| !path.join(part).join("Cargo.toml").exists());
    let refuse = |found: String| {
        Error::unexpected(
            path,
            found,
            "the sources of Bistable",
            "name their folder with --bistable",
        )
    };
    if let Some(part) = missing {
        return Err(refuse(format!("no {part}/Cargo.toml")));
    }
    let path = path
        .canonicalize()
        .map_err(Error::io(path, "find the sources of Bistable"))?;
    match path.to_str() {
        Some(text) if !text.contains(['"', '\\']) && !text.contains(char::is_control) => Ok(path),
        _ => Err(refuse("a path that a Cargo.toml cannot hold".into())),
    }
}

fn refuse_existing(folder: &Path) -> Result<(), Error> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::unexpected(
            folder,
            "a folder with something in it",
            "no folder, or an empty one",
            "choose another name, or move what is there away",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(folder, "look into the folder")(error)),
    }
}

/// A folder that is being made; it is removed if it never takes its place.
struct Staging(PathBuf);

impl Staging {
    fn beside(folder: &Path) -> Result<Self, Error> {
        let parent = atomic::directory_of(folder);
        fs::create_dir_all(parent).map_err(Error::io(parent, "make the folder"))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let path = parent.join(format!(".{name}.{}.tmp", process::id()));
        fs::create_dir(&path).map_err(Error::io(&path, "make the folder"))?;
        Ok(Self(path))
    }

    fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let path = self.0.join(path);
        let directory = atomic::directory_of(&path);
        fs::create_dir_all(directory).map_err(Error::io(directory, "make the folder"))?;
        atomic::replace(&path, text.as_bytes()).map_err(Error::io(&path, "write the file"))
    }

    /// Makes a development key, and the ring that knows it. Returns its id.
    fn make_key(&self) -> Result<String, Error> {
        let key = SigningKey::generate();
        let roles = Roles {
            release: true,
            root: true,
        };
        let entry = RingKey {
            development: true,
            ..RingKey::new("development", key.public(), roles)
        };
        ring_file::append(&self.0.join(RING), &entry)?;
        key.create(&self.0.join(KEY), None)?;
        Ok(key.id().to_string())
    }

    fn take_place_of(self, folder: &Path) -> Result<(), Error> {
        // An empty folder gives way; one that was filled in the meantime does not.
        fs::rename(&self.0, folder).map_err(Error::io(folder, "make the folder"))?;
        let parent = atomic::directory_of(folder);
        File::open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(Error::io(parent, "sync the folder"))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // After the rename there is nothing to remove.
    }
}

impl Display for New {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, folder, key, ..
        } = self;
        let folder = folder.display();
        writeln!(
            formatter,
            "made `{name}` in {folder}, with {} files",
            self.files.len()
        )?;
        writeln!(
            formatter,
            "development key {key}: {folder}/{KEY}, for emulated boards only"
        )?;
        writeln!(formatter, "\nnext: cd {folder} && cargo run")?;
        writeln!(formatter, "your code goes into src/app.rs")
    }
}
