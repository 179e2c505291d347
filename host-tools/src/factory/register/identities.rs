//! Identity files: written before their units are recorded, named after it, and wiped when they have served.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

use super::FOLDER_MODE;
use crate::files::sync_folder;
use crate::{Error, atomic, files};

const UNITS: &str = "units";
const PENDING: &str = "pending";

/// How an identity file's name ends: it is Intel HEX, which programmers read.
const SUFFIX: &str = ".hex";

/// Secrets lie in it.
const MODE: u32 = 0o600;

/// What a file's name takes as it is; a point only within it.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

pub(super) struct Identities {
    units: PathBuf,
    pending: PathBuf,
}

impl Identities {
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let [units, pending] = [UNITS, PENDING].map(|name| folder.join(name));
        for folder in [&units, &pending] {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(FOLDER_MODE).create(folder);
            made.map_err(Error::io(folder, "make the folder"))?;
        }
        Ok(Self { units, pending })
    }

    pub(super) fn file(&self, serial: &str) -> PathBuf {
        self.units.join(name(serial) + SUFFIX)
    }

    fn pending(&self, serial: &str, life: u32) -> PathBuf {
        let name = name(serial);
        self.pending.join(format!("{name}.{life}{SUFFIX}"))
    }

    /// Writes the files of these units, each by its serial number and life, and syncs them.
    pub(super) fn stage(
        &self,
        units: &[(&str, u32)],
        files: &[Zeroizing<String>],
    ) -> Result<(), Error> {
        let files: Vec<_> = units
            .iter()
            .zip(files)
            .map(|((serial, life), text)| (self.pending(serial, *life), text.as_str()))
            .collect();
        files::write_many(&files, MODE)?;
        sync_folder(&self.pending)
    }

    /// Gives the files of these units their names, now that the units are recorded.
    pub(super) fn name(&self, units: &[(&str, u32)]) -> Result<(), Error> {
        for (serial, life) in units {
            self.name_one(serial, *life)?;
        }
        sync_folder(&self.units)
    }

    fn name_one(&self, serial: &str, life: u32) -> Result<(), Error> {
        let to = self.file(serial);
        fs::rename(self.pending(serial, life), &to)
            .map_err(Error::io(&to, "name the identity file"))
    }

    /// Wipes the files of all units; returns how many there were.
    pub(super) fn wipe_all(&self) -> Result<u64, Error> {
        let cannot_read = |error| Error::io(&self.units, "read the folder")(error);
        let mut wiped = 0;
        for entry in fs::read_dir(&self.units).map_err(cannot_read)? {
            wiped += u64::from(overwrite_and_remove(&entry.map_err(cannot_read)?.path())?);
        }
        sync_folder(&self.units)?;
        Ok(wiped)
    }

    /// The serial numbers that have a file, with it, in the order of the files' names.
    pub(super) fn waiting(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let cannot_read = |error| Error::io(&self.units, "read the folder")(error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.units).map_err(cannot_read)? {
            let path = entry.map_err(cannot_read)?.path();
            if let Some(serial) = serial_of(&path) {
                files.push((serial, path));
            }
        }
        files.sort_by(|(_, a), (_, b)| a.cmp(b));
        Ok(files)
    }

    /// Wipes the files that have served, which a killed command left.
    pub(super) fn wipe_served(
        &self,
        has_served: impl Fn(&str) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for (serial, path) in self.waiting()? {
            if has_served(&serial)? {
                wipe(&path)?;
            }
        }
        Ok(())
    }

    /// Names or wipes each file that a killed command left, as `is_recorded` says of its serial number and life.
    pub(super) fn heal(
        &self,
        is_recorded: impl Fn(&str, u32) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let cannot_read = |error| Error::io(&self.pending, "read the folder")(error);
        for entry in fs::read_dir(&self.pending).map_err(cannot_read)? {
            let path = entry.map_err(cannot_read)?.path();
            match parse(&path) {
                Some((serial, life)) if is_recorded(&serial, life)? => {
                    self.name_one(&serial, life)?;
                }
                _ => {
                    overwrite_and_remove(&path)?;
                }
            }
        }
        sync_folder(&self.pending)?;
        sync_folder(&self.units)
    }
}

/// Overwrites the file at `path` and removes it; returns whether there was one.
///
/// # Errors
/// It cannot be overwritten or removed.
pub fn wipe(path: &Path) -> Result<bool, Error> {
    let there = overwrite_and_remove(path)?;
    if there {
        sync_folder(atomic::directory_of(path))?;
    }
    Ok(there)
}

/// The same; that the name is gone is the caller's to sync.
fn overwrite_and_remove(path: &Path) -> Result<bool, Error> {
    let refused = |source| Error::io(path, "wipe the file")(source);
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(refused(error)),
    };
    let len = file.metadata().map_err(refused)?.len();
    let overwritten = io::copy(&mut io::Read::take(io::repeat(b'0'), len), &mut file);
    overwritten
        .and_then(|_| file.sync_data())
        .map_err(refused)?;
    fs::remove_file(path).map_err(refused)?;
    Ok(true)
}

/// The name of a serial number's file, without its end: whatever it says, it stays in its folder.
#[must_use]
pub fn name(serial: &str) -> String {
    let name = utf8_percent_encode(serial, PLAIN).to_string();
    match name.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => name,
    }
}

/// The serial number and the life in the name of a pending file.
/// The serial number whose file this is, by its name.
fn serial_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    let serial = percent_decode_str(name).decode_utf8().ok()?;
    Some(serial.into_owned())
}

fn parse(path: &Path) -> Option<(String, u32)> {
    let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    let (name, life) = name.rsplit_once('.')?;
    let serial = percent_decode_str(name).decode_utf8().ok()?;
    Some((serial.into_owned(), life.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_serial_number_leads_out_of_its_folder_and_each_has_its_own_name() {
        let serials = [
            "a/b",
            "../../etc",
            ".",
            "..",
            "a b",
            "ä",
            "A.1",
            "A%2E1",
            "-",
            "a\0b",
            "~",
        ];
        let names: Vec<_> = serials.map(name).into();
        for (serial, name) in serials.iter().zip(&names) {
            assert!(
                !name.contains(['/', '\0', ' ']) && !name.starts_with('.'),
                "{name}"
            );
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1);
            let path = PathBuf::from(format!("pending/{name}.12{SUFFIX}"));
            assert_eq!(parse(&path), Some(((*serial).into(), 12)));
        }
        assert_eq!(name("BST-000042"), "BST-000042");
    }

    #[test]
    fn a_wiped_file_was_overwritten_before_it_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["secret", "other"].map(|name| folder.path().join(name));
        fs::write(&path, b"secret").unwrap();
        fs::hard_link(&path, &other).unwrap();
        assert!(wipe(&path).unwrap());
        assert!(!path.exists());
        assert_eq!(fs::read(&other).unwrap(), b"000000");
        assert!(!wipe(&path).unwrap());
    }
}
