//! What devices said: lines of JSON, each on the disk before its device hears that it was taken.
//!
//! ```text
//!   {"received":1795262400,"report":"hexadecimal digits"}
//! ```
//!
//! `received` is in seconds since 1970. The report is kept as it came: whoever reads it checks it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, atomic, hex};

/// The longest report in bytes.
pub const MAX_REPORT_LEN: usize = 4096;

/// The name of the file in a store.
pub const FILE_NAME: &str = "reports.jsonl";

/// A file of reports, with one writer.
pub struct Reports {
    file: File,
    /// Length of the whole lines in bytes.
    len: u64,
}

impl Reports {
    /// Opens the reports in `directory`, and cuts off a line that a power cut left half-written:
    /// nobody was told that it was taken.
    ///
    /// # Errors
    /// The file cannot be opened, or another process writes to it.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io(&path, "open the reports"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::unexpected(
                    &path,
                    "another process that writes to it",
                    "to be the only one",
                    "stop the other `bistable serve`, or serve another directory",
                ));
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::io(&path, "lock the reports")(source));
            }
        }
        let sync_directory = || File::open(atomic::directory_of(&path))?.sync_all();
        let len = whole_lines(&mut file)
            .and_then(|len| file.set_len(len).map(|()| len))
            .and_then(|len| sync_directory().map(|()| len))
            .map_err(Error::io(&path, "read the reports"))?;
        Ok(Self { file, len })
    }

    /// Adds a report, which is on the disk when this returns.
    ///
    /// # Errors
    /// It is not there, and the file is as it was.
    pub fn append(&mut self, report: &[u8]) -> io::Result<()> {
        let received = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs());
        let report = hex::encode(report);
        let line = format!("{{\"received\":{received},\"report\":\"{report}\"}}\n");
        let written = self.write(line.as_bytes());
        match written {
            Ok(()) => self.len += line.len() as u64,
            // If it cannot be cut off now, the next write goes over it, or the next start cuts it off.
            Err(_) => drop(self.file.set_len(self.len)),
        }
        written
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(line)?;
        self.file.sync_data()
    }
}

/// The length of the lines that end, in bytes.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    // A line that does not end is shorter than this one would be.
    const WINDOW: u64 = 2 * MAX_REPORT_LEN as u64 + 256;
    let len = file.metadata()?.len();
    let start = len.saturating_sub(WINDOW);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(WINDOW).read_to_end(&mut tail)?;
    match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => Ok(start + end as u64 + 1),
        None if start == 0 => Ok(0),
        None => Err(io::Error::other("its last line is longer than any report")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn lines(directory: &Path) -> Vec<String> {
        let text = fs::read_to_string(directory.join(FILE_NAME)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn reports_are_lines_in_the_order_in_which_they_came() {
        let directory = tempfile::tempdir().unwrap();
        for report in [b"\x01\x02", b"\xff\x00"] {
            let mut reports = Reports::open(directory.path()).unwrap();
            reports.append(report).unwrap();
        }
        let lines = lines(directory.path());
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("{\"received\":"));
        assert!(lines[0].ends_with(",\"report\":\"0102\"}"));
        assert!(lines[1].ends_with(",\"report\":\"ff00\"}"));
    }

    #[test]
    fn a_line_that_was_cut_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let longest = [0x5a; MAX_REPORT_LEN];
        let mut reports = Reports::open(directory.path()).unwrap();
        reports.append(b"whole").unwrap();
        reports.append(&longest).unwrap();
        drop(reports);
        let path = directory.path().join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 1]).unwrap();
        let mut reports = Reports::open(directory.path()).unwrap();
        reports.append(b"next").unwrap();
        let lines = lines(directory.path());
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with(&format!("{}\"}}", hex::encode(b"whole"))));
        assert!(lines[1].ends_with(&format!("{}\"}}", hex::encode(b"next"))));
    }

    #[test]
    fn a_file_that_is_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        fs::write(&path, [b'x'; 10_000]).unwrap();
        assert!(Reports::open(directory.path()).is_err());
        assert_eq!(fs::read(&path).unwrap().len(), 10_000);
    }

    #[test]
    fn a_second_writer_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Reports::open(directory.path()).unwrap();
        let message = Reports::open(directory.path()).err().unwrap().to_string();
        assert!(
            message.contains("found another process that writes to it"),
            "{message}"
        );
    }
}
