//! A file to which lines are only added: each is on the disk before whoever it came from hears that it was taken.
//!
//! It has one writer. What a cut left half-written is cut off when it is opened: nobody was told that it was
//! taken.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::{Error, atomic, lock};

/// A file of lines, with one writer.
pub struct Lines {
    file: File,
    /// Length of the whole lines in bytes.
    len: u64,
}

impl Lines {
    /// Opens the lines in the file at `path`, which is made if it is not there. No more than `longest` bytes behind
    /// the last line that ends can be half-written.
    ///
    /// # Errors
    /// The file cannot be opened, another process writes to it, or it is something else.
    pub fn open(path: &Path, longest: u64) -> Result<Self, Error> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::io(path, "open it"))?;
        if !lock::take(&file).map_err(Error::io(path, "lock it"))? {
            return Err(Error::unexpected(
                path,
                "another process that writes to it",
                "to be the only one",
                "stop the other `bistable serve`, or serve another directory",
            ));
        }
        let sync_directory = || File::open(atomic::directory_of(path))?.sync_all();
        let len = whole_lines(&mut file, longest)
            .and_then(|len| file.set_len(len).map(|()| len))
            .and_then(|len| sync_directory().map(|()| len))
            .map_err(Error::io(path, "read it"))?;
        Ok(Self { file, len })
    }

    /// Adds whole lines, which are on the disk when this returns.
    ///
    /// # Errors
    /// They are not there, and the file is as it was.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.write(lines);
        match written {
            Ok(()) => self.len += lines.len() as u64,
            // If it cannot be cut off now, the next write goes over it, or the next start cuts it off.
            Err(_) => drop(self.file.set_len(self.len)),
        }
        written
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(lines)?;
        self.file.sync_data()
    }
}

/// The length of the lines that end, in bytes.
fn whole_lines(file: &mut File, longest: u64) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let start = len.saturating_sub(longest);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(longest).read_to_end(&mut tail)?;
    match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => Ok(start + end as u64 + 1),
        None if start == 0 => Ok(0),
        None => Err(io::Error::other("its last line is longer than any of ours")),
    }
}
