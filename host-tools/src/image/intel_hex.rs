//! Intel HEX: the pieces of a program, from lines of text (Intel, "Hexadecimal Object File Format
//! Specification", revision A, 1988).
//!
//! Records may come in any order, and twice if they say the same twice. Start addresses (types 03 and
//! 05) say nothing that the vector table does not.

use std::borrow::Cow;
use std::path::Path;

use ihex::Record;

use crate::Error;
use crate::image::pieces::Piece;

/// Whether these are the first bytes of such a file, and not those of a binary: text whose first line is a
/// record's.
#[must_use]
pub fn is_intel_hex(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.first_chunk()
        .is_some_and(|[colon, digits @ ..]: &[u8; 9]| {
            *colon == b':' && digits.iter().all(u8::is_ascii_hexdigit)
        })
}

/// The bytes of one record.
struct Data {
    line: usize,
    address: u32,
    bytes: Vec<u8>,
}

/// How the offsets of records become addresses.
#[derive(Clone, Copy)]
enum Base {
    /// Added to the offset.
    Linear(u32),
    /// The same, but a record ends where its 64 KiB end.
    Segment(u32),
}

/// The pieces in `bytes`, which `path` held, each as large as possible.
///
/// # Errors
/// A line that is no record, nothing behind which the file may end, or two records that contradict each
/// other.
pub(crate) fn pieces(path: &Path, bytes: &[u8]) -> Result<Vec<Piece<'static>>, Error> {
    let mut records = records(path, bytes)?;
    // Those that come first in the file first: of two records, the second one contradicts.
    records.sort_by_key(|record| record.address);
    let mut runs: Vec<Run> = Vec::new();
    for record in records {
        match runs.last_mut() {
            Some(run) if u64::from(record.address) <= run.end() => run.take(path, record)?,
            _ => runs.push(Run::new(record)),
        }
    }
    Ok(runs.into_iter().map(Run::into_piece).collect())
}

fn records(path: &Path, bytes: &[u8]) -> Result<Vec<Data>, Error> {
    let again = "make the file again";
    let mut base = Base::Linear(0);
    let mut records = Vec::new();
    let mut ended = None;
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        if let Some(end) = ended {
            let found = format!("line {line} behind the end-of-file record in line {end}");
            let hint = "a file holds one program: give one link, not several files together";
            return Err(Error::unexpected(path, found, "nothing more", hint));
        }
        let refuse = |found: String| {
            let found = format!("in line {line} {found}");
            Error::unexpected(path, found, "a record of Intel HEX", again)
        };
        let record = std::str::from_utf8(text).map_err(|_| refuse("bytes that are no text".into()));
        let record = Record::from_record_string(record?)
            .map_err(|error| refuse(format!("a broken record ({error})")))?;
        match record {
            Record::Data { value, .. } if value.is_empty() => {}
            Record::Data { offset, value } => {
                let address = base.address(offset, value.len());
                let address =
                    address.ok_or_else(|| refuse("a record that runs over its segment".into()))?;
                let bytes = value;
                records.push(Data {
                    line,
                    address,
                    bytes,
                });
            }
            Record::ExtendedLinearAddress(upper) => base = Base::Linear(u32::from(upper) << 16),
            Record::ExtendedSegmentAddress(segment) => {
                base = Base::Segment(u32::from(segment) << 4);
            }
            Record::StartLinearAddress(_) | Record::StartSegmentAddress { .. } => {}
            Record::EndOfFile => ended = Some(line),
        }
    }
    match ended {
        Some(_) => Ok(records),
        None => Err(Error::unexpected(
            path,
            "no end-of-file record",
            "`:00000001FF` in the last line",
            "the file was cut short: make or fetch it again",
        )),
    }
}

impl Base {
    /// Where a record of `len` bytes begins, if its end can be reached from there.
    fn address(self, offset: u16, len: usize) -> Option<u32> {
        let end = usize::from(offset) + len;
        match self {
            Self::Linear(base) => u32::try_from(end)
                .ok()
                .and_then(|end| base.checked_add(end - 1))
                .map(|_| base + u32::from(offset)),
            Self::Segment(base) => (end <= 0x1_0000).then(|| base + u32::from(offset)),
        }
    }
}

/// Records that lie together.
struct Run {
    address: u32,
    bytes: Vec<u8>,
    /// Line, first byte and end of each record.
    lines: Vec<(usize, u32, u64)>,
}

impl Run {
    fn new(record: Data) -> Self {
        let mut run = Self {
            address: record.address,
            bytes: Vec::new(),
            lines: Vec::new(),
        };
        run.append(record, 0);
        run
    }

    fn end(&self) -> u64 {
        u64::from(self.address) + self.bytes.len() as u64
    }

    /// Takes a record that begins in this run, or at its end.
    fn take(&mut self, path: &Path, record: Data) -> Result<(), Error> {
        let start = (record.address - self.address) as usize;
        let known = self.bytes.get(start..).unwrap_or_default();
        let both = known.iter().zip(&record.bytes);
        let differs = both.clone().position(|(before, now)| before != now);
        if let Some(at) = differs {
            let address = u64::from(record.address) + at as u64;
            let holds =
                |(_, start, end): &&(usize, u32, u64)| (u64::from(*start)..*end).contains(&address);
            let other = self.lines.iter().find(holds).map_or(0, |(line, ..)| *line);
            let [first, second] = [other.min(record.line), other.max(record.line)];
            return Err(Error::unexpected(
                path,
                format!("in lines {first} and {second} different bytes for {address:#x}"),
                "one byte for each address",
                "a file holds one program: give one link, not several files together",
            ));
        }
        let overlap = both.len();
        self.append(record, overlap);
        Ok(())
    }

    /// Appends all of a record but its first `known` bytes.
    fn append(&mut self, record: Data, known: usize) {
        let end = u64::from(record.address) + record.bytes.len() as u64;
        self.lines.push((record.line, record.address, end));
        self.bytes
            .extend(record.bytes.get(known..).unwrap_or_default());
    }

    fn into_piece(self) -> Piece<'static> {
        let lines = self.lines.iter().map(|(line, ..)| *line);
        let (first, last) = (lines.clone().min(), lines.max());
        let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
        Piece {
            name: match first == last {
                true => format!("line {first}"),
                false => format!("lines {first} to {last}"),
            },
            address: self.address,
            data: Cow::Owned(self.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Vec<(String, u32, Vec<u8>)>, String> {
        let pieces = pieces(Path::new("v1.hex"), lines.join("\n").as_bytes());
        let pieces = pieces.map_err(|error| error.to_string())?;
        let parts = pieces.into_iter();
        Ok(parts
            .map(|piece| (piece.name, piece.address, piece.data.into_owned()))
            .collect())
    }

    /// A record with its checksum.
    fn record(offset: u16, kind: u8, bytes: &[u8]) -> String {
        let [high, low] = offset.to_be_bytes();
        let all = [&[bytes.len() as u8, high, low, kind], bytes].concat();
        let sum = all.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
        let digits: String = all.iter().map(|byte| format!("{byte:02X}")).collect();
        format!(":{digits}{sum:02X}")
    }

    const END: &str = ":00000001FF";

    #[test]
    fn records_in_any_order_are_joined_and_gaps_divide_them() {
        let base = record(0, 4, &[0x21, 0x02]);
        let [late, early, far] = [(0x104, 3), (0x100, 4), (0x200, 2)]
            .map(|(offset, len)| record(offset, 0, &vec![len; usize::from(len)]));
        let start = record(0, 5, &[0x21, 0x02, 0x01, 0x01]);
        let found = read(&[&base, &late, &early, "", &far, &start, END, ""]).unwrap();
        assert_eq!(
            found,
            [
                (
                    "lines 2 to 3".to_owned(),
                    0x2102_0100,
                    vec![4, 4, 4, 4, 3, 3, 3]
                ),
                ("line 5".to_owned(), 0x2102_0200, vec![2, 2]),
            ]
        );
    }

    #[test]
    fn segments_of_sixteen_bits_are_addresses_too() {
        let base = record(0, 2, &[0x10, 0x00]);
        let found = read(&[&base, &record(0xFFFF, 0, &[7]), END]).unwrap();
        assert_eq!(found, [("line 2".to_owned(), 0x1_FFFF, vec![7])]);
        let over = read(&[&base, &record(0xFFFF, 0, &[7, 7]), END]).unwrap_err();
        assert!(over.contains("in line 2 a record that runs over"), "{over}");
        let top = record(0, 4, &[0xFF, 0xFF]);
        read(&[&top, &record(0xFFFF, 0, &[7]), END]).unwrap();
        read(&[&top, &record(0xFFFF, 0, &[7, 7]), END]).unwrap_err();
    }

    #[test]
    fn the_same_byte_twice_is_no_contradiction_and_another_one_is() {
        let first = record(0x10, 0, &[1, 2, 3, 4]);
        let again = record(0x12, 0, &[3, 4, 5]);
        let inside = record(0x11, 0, &[2]);
        let found = read(&[&again, &first, &inside, END]).unwrap();
        assert_eq!(
            found,
            [("lines 1 to 3".to_owned(), 0x10, vec![1, 2, 3, 4, 5])]
        );
        let other = record(0x13, 0, &[5]);
        let error = read(&[&first, &other, END]).unwrap_err();
        assert!(
            error.contains("in lines 1 and 2 different bytes for 0x13"),
            "{error}"
        );
    }

    #[test]
    fn a_digit_that_changed_is_told_with_its_line() {
        let mut line = record(0x10, 0, &[1, 2, 3, 4]);
        line.replace_range(10..11, "F");
        let error = read(&[&record(0, 0, &[1]), &line, END]).unwrap_err();
        assert!(
            error.starts_with("v1.hex: found in line 2 a broken record (invalid checksum"),
            "{error}"
        );
        for broken in ["00000001FF", ":0000", ":é0000000", ":0000000G", "S1130000"] {
            let behind = read(&[END, broken]);
            assert!(behind.is_err(), "{broken}");
            assert!(read(&[broken, END]).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_file_that_was_cut_and_two_files_in_one_are_refused() {
        let data = record(0, 0, &[1]);
        let error = read(&[&data]).unwrap_err();
        assert!(error.contains("found no end-of-file record"), "{error}");
        let error = read(&[&data, END, &data, END]).unwrap_err();
        assert!(
            error.contains("line 3 behind the end-of-file record in line 2"),
            "{error}"
        );
    }

    #[test]
    fn a_file_is_recognised_by_its_first_record() {
        assert!(is_intel_hex(b":020000042102D7\n"));
        assert!(is_intel_hex(b"\r\n:00000001FF"));
        for bytes in [b"".as_slice(), b":", b":\x00\x80\x00\x20abcd", b"\x7FELF"] {
            assert!(!is_intel_hex(bytes), "{bytes:?}");
        }
    }
}
