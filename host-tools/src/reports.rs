//! What devices said: lines of JSON, each on the disk before its device hears that it was taken.
//!
//! ```text
//!   {"received":1795262400,"report":"hexadecimal digits"}
//! ```
//!
//! `received` is in seconds since 1970. The report is kept as it came: whoever reads it checks it.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::lines::Lines;
use crate::{Error, hex};

/// The longest report in bytes.
pub const MAX_REPORT_LEN: usize = 4096;

/// The name of the file in a store.
pub const FILE_NAME: &str = "reports.jsonl";

/// The longest line that can be half-written is shorter than this, in bytes.
const WINDOW: u64 = 2 * MAX_REPORT_LEN as u64 + 256;

/// A file of reports, with one writer.
pub struct Reports(Lines);

impl Reports {
    /// Opens the reports in `directory`, and cuts off a line that a power cut left half-written:
    /// nobody was told that it was taken.
    ///
    /// # Errors
    /// The file cannot be opened, or another process writes to it.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        Lines::open(&directory.join(FILE_NAME), WINDOW).map(Self)
    }

    /// Adds a report, which is on the disk when this returns.
    ///
    /// # Errors
    /// It is not there, and the file is as it was.
    pub fn append(&mut self, report: &[u8]) -> io::Result<()> {
        let received = seconds_since_1970();
        let report = hex::encode(report);
        let line = format!("{{\"received\":{received},\"report\":\"{report}\"}}\n");
        self.0.append(line.as_bytes())
    }
}

/// By this machine's clock; 0 if it is set to before.
#[must_use]
pub fn seconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
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
