//! Files are read whole, and written whole or not at all; several together, too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, atomic};

/// All bytes of the file at `path`; `doing` as in "cannot read the image".
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path, doing: &'static str) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::io(path, doing))
}

/// Writes several files that belong together: all of them, or on an error none.
///
/// All are written and synced before the first gets its name, so a full disk changes nothing. If the
/// process is killed, or the power fails, while they get their names, each is the old one or the new one,
/// whole. They get them in the list's order, so where the last one is new, all are.
///
/// # Errors
/// The first that cannot be written; those that had their names already are put back to what they were.
pub fn write_together(files: &[(PathBuf, &[u8])]) -> Result<(), Error> {
    let refused = |path| Error::io(path, "write the file");
    let mut staged = Vec::new();
    for (path, bytes) in files {
        let old = present(path).map_err(refused(path))?;
        let file = atomic::stage(path, bytes).map_err(refused(path))?;
        staged.push((path.as_path(), old, file));
    }
    let mut before = Vec::new();
    for (path, old, file) in staged {
        before.push((path, old));
        if let Err(source) = file.commit() {
            put_back(&before);
            return Err(refused(path)(source));
        }
    }
    Ok(())
}

fn present(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The error that led here is the one that is told: another one would hide it.
fn put_back(before: &[(&Path, Option<Vec<u8>>)]) {
    for (path, old) in before {
        let _ = match old {
            Some(old) => atomic::replace(path, old),
            None => fs::remove_file(path),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_belong_together_are_all_written_or_all_as_before() {
        let directory = tempfile::tempdir().unwrap();
        let [old, new, bad] = ["old", "new", "bad"].map(|name| directory.path().join(name));
        fs::write(&old, b"before").unwrap();
        fs::create_dir(&bad).unwrap();
        let files: [(PathBuf, &[u8]); 3] = [
            (old.clone(), b"after"),
            (new.clone(), b"after"),
            (bad.clone(), b"after"),
        ];
        write_together(&files).unwrap_err();
        assert_eq!(fs::read(&old).unwrap(), b"before");
        assert!(!new.exists());
        fs::remove_dir(&bad).unwrap();
        write_together(&files).unwrap();
        assert_eq!(fs::read(&old).unwrap(), b"after");
        assert_eq!(fs::read(&new).unwrap(), b"after");
    }
}
