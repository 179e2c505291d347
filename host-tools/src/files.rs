//! Files are read whole, and written whole or not at all; several together, too.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;

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

/// How many files are synced at once: a file system writes its journal once for all who wait.
const AT_ONCE: usize = 16;

/// Writes each of these files and syncs it, several at once, with the permissions `mode` if it is new. Their names are
/// the caller's to sync.
///
/// # Errors
/// One of those that cannot be written. Others may have been.
pub fn write_many(files: &[(PathBuf, &str)], mode: u32) -> Result<(), Error> {
    let write = |path: &Path, text: &str| {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    let share = files.len().div_ceil(AT_ONCE).max(1);
    thread::scope(|scope| {
        let shares = files.chunks(share).map(|share| {
            scope.spawn(move || {
                let mut share = share.iter();
                share.try_for_each(|(path, text)| {
                    write(path, text).map_err(Error::io(path, "write the file"))
                })
            })
        });
        let threads: Vec<_> = shares.collect();
        threads.into_iter().try_for_each(|thread| {
            let panicked = || {
                Err(Error::argument(
                    "a thread",
                    "its end",
                    "its work",
                    "try again",
                ))
            };
            thread.join().unwrap_or_else(|_| panicked())
        })
    })
}

/// Writes a file that may be longer than memory, by `write`: whole, in place of what is there, or not at all.
///
/// # Errors
/// What `write` says, or the file cannot be written; what was there is still there.
pub fn write_streamed<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<T, Error>,
) -> Result<T, Error> {
    let refused = || Error::io(path, "write the file");
    let folder = atomic::directory_of(path);
    let temporary = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(refused())?;
    let mut buffered = BufWriter::new(temporary.as_file());
    let result = write(&mut buffered)?;
    buffered.flush().map_err(refused())?;
    drop(buffered);
    temporary.as_file().sync_all().map_err(refused())?;
    temporary
        .persist(path)
        .map_err(|error| refused()(error.error))?;
    sync_folder(folder)?;
    Ok(result)
}

/// Syncs the names in a folder.
///
/// # Errors
/// What the operating system says.
pub fn sync_folder(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io(folder, "sync the folder"))
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
