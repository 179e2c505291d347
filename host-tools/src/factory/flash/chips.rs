//! Which chip a serial number went into, and what was read back from it: a small file for each, durable before
//! anything that depends on it.
//!
//! ```text
//!   register/chips/BST-000042.json   {"life":1,"chip":"…","read_back":"…" or null,"said":"…" or null}
//! ```
//!
//! It is there before the first byte is programmed, so that a serial number that was begun in one chip goes into no
//! other; and it says what was read back before anything is locked, so that a command that was killed between two
//! locks goes on, although the chip cannot be read any more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, atomic};

/// The folder in the register.
const FOLDER: &str = "chips";

/// What is known of the chip that a serial number went into.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chip {
    /// The life of the serial number, as in its birth records.
    pub(super) life: u32,
    /// The chip's unique number.
    pub(super) chip: String,
    /// The SHA-256 of what was read back, once it was right and the boot test had passed.
    pub(super) read_back: Option<String>,
    /// What the unit said in its boot test.
    pub(super) said: Option<String>,
}

/// Where they are kept.
pub(super) struct Chips(PathBuf);

impl Chips {
    pub(super) fn open(register: &Path) -> Result<Self, Error> {
        let folder = register.join(FOLDER);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "make the folder"))?;
        File::open(register)
            .and_then(|folder| folder.sync_all())
            .map_err(Error::io(register, "sync the register"))?;
        Ok(Self(folder))
    }

    /// The chip that the unit whose identity file this is went into, in its last life that was begun.
    pub(super) fn of(&self, identity: &Path) -> Result<Option<Chip>, Error> {
        let path = self.path(identity);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(Error::io(&path, "read"))?,
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Error::unexpected(
                &path,
                error,
                "what an earlier `factory flash` wrote",
                "put it back from a copy; without it a second unit could get this serial number",
            )
        })
    }

    /// Remembers it; durable when this returns.
    pub(super) fn keep(&self, identity: &Path, chip: &Chip) -> Result<(), Error> {
        let path = self.path(identity);
        // Plain fields can always be written.
        let text = serde_json::to_string(chip).unwrap_or_default() + "\n";
        atomic::replace(&path, text.as_bytes()).map_err(Error::io(&path, "write"))
    }

    /// Named as the identity file, whose name is safe.
    fn path(&self, identity: &Path) -> PathBuf {
        let name = identity.file_name().unwrap_or_default();
        self.0.join(name).with_extension("json")
    }
}
