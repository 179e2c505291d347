//! Files that are whole or absent, whatever happens in between.
//!
//! The bytes go into a temporary file in the same directory, are synced, and then get their name in
//! one step; the directory is synced last. On an error the temporary file is removed.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

/// Writes `path`, replacing what is there; a reader sees the old bytes or the new ones.
///
/// Permissions of a file that is there are kept.
///
/// # Errors
/// What the operating system says; what was there is still there, unless only the last sync of the
/// directory failed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    stage(path, bytes)?.commit()
}

/// Bytes that are written and synced beside the file that they shall replace. Dropped, they are removed.
pub struct Staged {
    temporary: Temporary,
    target: PathBuf,
}

/// The first half of [`replace`]: all that can fail for want of space or rights.
///
/// # Errors
/// What the operating system says; what is at `path` is untouched.
pub fn stage(path: &Path, bytes: &[u8]) -> io::Result<Staged> {
    let permissions = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Some(metadata.permissions()),
        Ok(_) => {
            let problem = "it is there, and no regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // A symbolic link stays one: what it leads to is replaced.
    let target = match permissions.is_some() && path.is_symlink() {
        true => fs::canonicalize(path)?,
        false => path.into(),
    };
    let temporary = Temporary::write(&target, bytes, 0o666, permissions)?;
    Ok(Staged { temporary, target })
}

impl Staged {
    /// The second half of [`replace`]: the bytes get their name.
    ///
    /// # Errors
    /// As of [`replace`].
    pub fn commit(self) -> io::Result<()> {
        fs::rename(&self.temporary.0, &self.target)?;
        sync_directory(&self.target)
    }
}

/// Writes `path` with the permissions `mode`, replacing what is there, its permissions too.
///
/// # Errors
/// As of [`replace`].
pub fn replace_with_mode(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let permissions = Some(Permissions::from_mode(mode));
    let temporary = Temporary::write(path, bytes, mode, permissions)?;
    fs::rename(&temporary.0, path)?;
    sync_directory(path)
}

/// Writes `path` with the permissions `mode`; what is there is never replaced.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if it exists; else what the operating system says.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let permissions = Some(Permissions::from_mode(mode));
    let temporary = Temporary::write(path, bytes, mode, permissions)?;
    // A second name for the file: unlike a rename, this fails if the name is taken.
    fs::hard_link(&temporary.0, path)?;
    drop(temporary);
    sync_directory(path)
}

/// The directory that `path` lies in.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

/// A file that is removed when it goes out of scope. After a rename there is nothing to remove.
struct Temporary(PathBuf);

impl Temporary {
    fn write(
        target: &Path,
        bytes: &[u8],
        mode: u32,
        permissions: Option<Permissions>,
    ) -> io::Result<Self> {
        let (temporary, mut file) = Self::open(target, mode)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(temporary)
    }

    /// A new file beside `target`; leftovers of a process that was killed are stepped over.
    fn open(target: &Path, mode: u32) -> io::Result<(Self, File)> {
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut attempt = 0_u32;
        loop {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}.{attempt}.tmp", process::id()));
            let path = directory_of(target).join(hidden);
            let options = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&path);
            match options {
                Ok(file) => return Ok((Self(path), file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // It is gone after a rename, and nobody to tell otherwise.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_file_has_the_new_bytes_and_its_old_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ring.toml");
        create(&path, b"old", 0o640).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(names(directory.path()), ["ring.toml"]);
    }

    #[test]
    fn a_file_that_is_replaced_with_its_permissions_is_not_open_to_others_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        create(&path, b"old", 0o644).unwrap();
        replace_with_mode(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_exists_is_never_replaced_by_create() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        create(&path, b"first", 0o600).unwrap();
        let error = create(&path, b"second", 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(directory.path()), ["key.pem"]);
    }

    #[test]
    fn what_a_symbolic_link_leads_to_is_replaced_and_the_link_stays() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link] = ["v2.img", "latest.img"].map(|name| directory.path().join(name));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink("v2.img", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(link.is_symlink());
        assert_eq!(names(directory.path()), ["latest.img", "v2.img"]);
    }

    #[test]
    fn a_device_is_not_replaced_by_a_file() {
        let error = replace(Path::new("/dev/null"), b"bytes").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_failed_replace_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"bytes").is_err());
        assert_eq!(names(directory.path()), ["taken"]);
    }

    #[test]
    fn the_leftover_of_a_killed_process_is_stepped_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("latest");
        let leftover = format!(".latest.{}.0.tmp", process::id());
        fs::write(directory.path().join(&leftover), b"half").unwrap();
        replace(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(directory.path()), [leftover.as_str(), "latest"]);
    }
}
