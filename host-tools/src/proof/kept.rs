//! The receipts that a server kept: lines of JSON, in the order in which they came.
//!
//! ```text
//!   {"received":1795262400,"receipt":"hexadecimal digits"}
//! ```
//!
//! `received` is in seconds since 1970, by the server's clock. The receipt is kept as it came, with its signature, so
//! that nobody who reads it has to believe the server.

use std::io::{self, BufRead, Read as _};

use bistable_updater::receipt::{MAX_LEN, Receipt, Signed};
use data_encoding::HEXLOWER;
use serde::Deserialize;

/// The name of the file in a store.
pub const FILE_NAME: &str = "receipts.jsonl";

/// The longest line, in bytes.
const MAX_LINE: u64 = 1024;

/// A receipt that was kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// When it came, in seconds since 1970.
    pub received: u64,
    /// Its bytes.
    pub signed: Signed,
    /// What it says.
    pub receipt: Receipt,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'l> {
    received: u64,
    receipt: &'l str,
}

/// Adds the line of `receipt` to `text`.
pub fn write(text: &mut String, received: u64, receipt: &[u8]) {
    text.push_str("{\"received\":");
    text.push_str(&received.to_string());
    text.push_str(",\"receipt\":\"");
    HEXLOWER.encode_append(receipt, text);
    text.push_str("\"}\n");
}

/// The receipt of a line without its end; `None` if it is none.
#[must_use]
pub fn parse(line: &[u8]) -> Option<Kept> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let mut bytes = [0; MAX_LEN];
    let digits = line.receipt.as_bytes();
    let bytes = bytes.get_mut(..HEXLOWER.decode_len(digits.len()).ok()?)?;
    HEXLOWER.decode_mut(digits, bytes).ok()?;
    let (signed, receipt) = Signed::new_checked(bytes).ok()?;
    Some(Kept {
        received: line.received,
        signed,
        receipt,
    })
}

/// Calls `each` with the number of every line that ends, from 1, and the receipt in it, if it is one. A last line
/// that does not end is one that is being written.
///
/// # Errors
/// What cannot be read.
pub fn read(mut lines: impl BufRead, mut each: impl FnMut(u64, Option<Kept>)) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        match line.pop() {
            Some(b'\n') => each(number, parse(&line)),
            _ if read as u64 == MAX_LINE => {
                lines.skip_until(b'\n')?;
                each(number, None);
            }
            _ => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::bench::Unit;

    fn read_all(text: &str) -> Vec<(u64, bool)> {
        let mut found = Vec::new();
        read(text.as_bytes(), |number, kept| {
            found.push((number, kept.is_some()));
        })
        .unwrap();
        found
    }

    #[test]
    fn what_was_written_is_read_again() {
        let bytes = Unit::new("BST-1", 1).next();
        let mut text = String::new();
        write(&mut text, 17, &bytes);
        let kept = parse(text.trim_end().as_bytes()).unwrap();
        assert_eq!((kept.received, kept.signed.as_bytes()), (17, &*bytes));
        assert_eq!(&*kept.receipt.unit, "BST-1");
    }

    #[test]
    fn the_longest_receipt_fits_into_the_longest_line() {
        let mut text = String::new();
        write(&mut text, u64::MAX, &[0; MAX_LEN]);
        assert!((text.len() as u64) < MAX_LINE);
    }

    #[test]
    fn a_line_that_is_cut_or_something_else_hides_no_other() {
        let mut text = String::new();
        write(&mut text, 1, &Unit::new("BST-1", 1).next());
        let whole = text.clone();
        text += "nonsense\n";
        text += &"9".repeat(5000);
        text += "\n";
        text += &whole;
        text += &whole[..whole.len() - 1];
        let found = [(1, true), (2, false), (3, false), (4, true)];
        assert_eq!(read_all(&text), found);
        assert_eq!(read_all(""), []);
    }
}
