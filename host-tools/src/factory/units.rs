//! The list of units to be provisioned: CSV (RFC 4180) with the columns `serial`, `hardware_revision`, and one for
//! each calibration value that the layout names, in any order. It is read line by line.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bistable_core::digest::{Digest, Hasher};
use bistable_updater::identity::{Calibration, Identity, Serial};
use csv::{Position, StringRecord};

use crate::Error;

const SERIAL: &str = "serial";
const REVISION: &str = "hardware_revision";

/// A unit of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    /// The line that it stands in.
    pub line: u64,
    /// Who it is.
    pub identity: Identity,
    /// Its calibration values by name.
    pub calibration: BTreeMap<String, i32>,
}

/// Where a list lies, and what its columns must be.
#[derive(Clone, Debug)]
pub struct List<'a> {
    /// The file.
    pub path: &'a Path,
    /// The names of the calibration values, in the order in which an identity has them.
    pub calibration: &'a [String],
}

impl List<'_> {
    /// Hands every unit to `each`, in the order of the lines. Returns the SHA-256 of the file.
    ///
    /// # Errors
    /// The first line that is not as it should be, or what `each` says of it.
    pub fn read(&self, mut each: impl FnMut(Unit) -> Result<(), Error>) -> Result<Digest, Error> {
        let file = File::open(self.path).map_err(Error::io(self.path, "read the list of units"))?;
        let mut reader = csv::Reader::from_reader(Hashed {
            file,
            hasher: Hasher::new(),
            ends: Ends::default(),
        });
        let header = reader.headers().cloned();
        let header = header.map_err(|error| self.unreadable(&error, reader.get_ref()))?;
        let columns = self.columns(&header)?;
        let mut record = StringRecord::new();
        let mut any = false;
        loop {
            let read = reader.read_record(&mut record);
            let source = reader.get_ref();
            if !read.map_err(|error| self.unreadable(&error, source))? {
                break;
            }
            any = true;
            let line = reader.get_ref().line(record.position());
            each(self.unit(&columns, &record, line)?)?;
        }
        if !any {
            let hint = "write a line for each unit below the names of the columns";
            return Err(Error::unexpected(self.path, "no units", "some", hint));
        }
        Ok(reader.into_inner().hasher.finish())
    }

    /// As an error says where something is.
    #[must_use]
    pub fn line(&self, line: u64) -> String {
        format!("{}, line {line}", self.path.display())
    }

    fn columns(&self, header: &StringRecord) -> Result<Columns, Error> {
        let names: Vec<&str> = header.iter().collect();
        let wanted: Vec<&str> = [SERIAL, REVISION]
            .into_iter()
            .chain(self.calibration.iter().map(String::as_str))
            .collect();
        let refuse = |found: String| {
            Error::argument(
                self.line(1),
                found,
                format!("the columns {}, separated by commas", wanted.join(", ")),
                "the calibration values are those of [factory] in the layout",
            )
        };
        let place = |name: &str| {
            let mut places = names.iter().enumerate().filter(|(_, it)| **it == name);
            match (places.next(), places.next()) {
                (Some((place, _)), None) => Ok(place),
                (Some(_), Some(_)) => Err(refuse(format!("the column `{name}` twice"))),
                (None, _) => Err(refuse(format!("no column `{name}`"))),
            }
        };
        if let Some(unknown) = names.iter().find(|name| !wanted.contains(name)) {
            let found = format!("a column `{}`", unknown.escape_debug());
            return Err(refuse(found));
        }
        Ok(Columns {
            serial: place(SERIAL)?,
            revision: place(REVISION)?,
            calibration: self
                .calibration
                .iter()
                .map(|name| place(name))
                .collect::<Result<_, _>>()?,
        })
    }

    fn unit(&self, columns: &Columns, record: &StringRecord, line: u64) -> Result<Unit, Error> {
        let cell = Cell { list: self, line };
        let field = |place: usize| record.get(place).unwrap_or_default();
        let serial = cell.serial(field(columns.serial))?;
        let hardware_revision =
            cell.number(REVISION, field(columns.revision), u16::MIN, u16::MAX)?;
        let mut calibration = BTreeMap::new();
        let mut values = Calibration::new();
        for (name, place) in self.calibration.iter().zip(&columns.calibration) {
            let value = cell.number(name, field(*place), i32::MIN, i32::MAX)?;
            calibration.insert(name.clone(), value);
            let _ = values.push(value); // a layout names at most as many as there is room for
        }
        let identity = Identity {
            serial,
            hardware_revision,
            calibration: values,
        };
        Ok(Unit {
            line,
            identity,
            calibration,
        })
    }

    fn unreadable(&self, error: &csv::Error, source: &Hashed) -> Error {
        let line = source.line(error.position());
        match error.kind() {
            csv::ErrorKind::Io(source) => Error::Io {
                place: self.path.display().to_string(),
                doing: "read the list of units",
                source: io::Error::new(source.kind(), source.to_string()),
            },
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => Error::argument(
                self.line(line),
                format!("{len} columns"),
                format!("{expected_len}, as in the first line"),
                "an empty field is written too; one with a comma in it stands in quotation marks",
            ),
            csv::ErrorKind::Utf8 { .. } => Error::argument(
                self.line(line),
                "bytes that are no text",
                "UTF-8",
                "save the list as CSV in UTF-8",
            ),
            _ => Error::argument(self.line(line), error, "CSV", "see RFC 4180"),
        }
    }
}

/// Where the columns are.
struct Columns {
    serial: usize,
    revision: usize,
    calibration: Vec<usize>,
}

/// For what is said of a field.
struct Cell<'a> {
    list: &'a List<'a>,
    line: u64,
}

impl Cell<'_> {
    fn serial(&self, text: &str) -> Result<Serial, Error> {
        let refuse = |found: String| {
            self.refuse(
                SERIAL,
                found,
                "1 to 32 bytes, without control characters and spaces around them",
                "a serial number is given once, ever: choose a short form",
            )
        };
        if text.is_empty() {
            return Err(refuse("nothing".into()));
        }
        if text.trim() != text || text.chars().any(char::is_control) {
            return Err(refuse(format!("`{}`", text.escape_debug())));
        }
        Serial::try_from(text).map_err(|_| refuse(format!("{} bytes", text.len())))
    }

    fn number<N: std::str::FromStr + Display>(
        &self,
        column: &str,
        text: &str,
        least: N,
        most: N,
    ) -> Result<N, Error> {
        text.parse().map_err(|_| {
            self.refuse(
                column,
                format!("`{}`", text.escape_debug()),
                format!("a whole number from {least} to {most}"),
                "nothing was provisioned yet: mend the list",
            )
        })
    }

    fn refuse(
        &self,
        column: &str,
        found: impl Display,
        expected: impl Display,
        hint: impl Display,
    ) -> Error {
        let place = format!("{}, column `{column}`", self.list.line(self.line));
        Error::argument(place, found, expected, hint)
    }
}

/// A file that is hashed while it is read.
struct Hashed {
    file: File,
    hasher: Hasher,
    ends: Ends,
}

/// How its lines end, as far as is known.
#[derive(Clone, Copy, Default)]
enum Ends {
    #[default]
    Unknown,
    AfterReturn,
    WithFeed,
    WithBoth,
}

impl Hashed {
    /// The line in which a record begins. Where lines end in two bytes, the reader believes that it begins with the
    /// second one, which still belongs to the line before.
    fn line(&self, position: Option<&Position>) -> u64 {
        let line = position.map_or(1, Position::line);
        line + u64::from(matches!(self.ends, Ends::WithBoth))
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read(buffer)?;
        let bytes = buffer.get(..len).unwrap_or_default();
        self.hasher.update(bytes);
        for byte in bytes {
            self.ends = match (self.ends, byte) {
                (Ends::Unknown, b'\r') => Ends::AfterReturn,
                (Ends::Unknown, b'\n') => Ends::WithFeed,
                (Ends::AfterReturn, b'\n') => Ends::WithBoth,
                (Ends::AfterReturn, _) => Ends::Unknown,
                (known, _) => known,
            };
            if matches!(self.ends, Ends::WithFeed | Ends::WithBoth) {
                break;
            }
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["offset-mv", "gain-ppm"].map(str::to_owned).into()
    }

    fn read(text: &[u8]) -> Result<Vec<Unit>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("units.csv");
        std::fs::write(&path, text).unwrap();
        let mut units = Vec::new();
        let list = List {
            path: &path,
            calibration: &names(),
        };
        let read = list.read(|unit| {
            units.push(unit);
            Ok(())
        });
        match read {
            Ok(digest) => {
                assert_eq!(digest, Digest::of(text));
                Ok(units)
            }
            Err(error) => {
                let folder = format!("{}/", folder.path().display());
                Err(error.to_string().replace(&folder, ""))
            }
        }
    }

    #[test]
    fn columns_may_stand_in_any_order_and_calibration_gets_the_layouts() {
        let text = b"\xEF\xBB\xBFgain-ppm,serial,hardware_revision,offset-mv\r\n1000,A,3,-5\r\n-7,\"B,1\",0,8\r\n";
        let units = read(text).unwrap();
        let [a, b] = units.as_slice() else {
            panic!("{units:?}");
        };
        assert_eq!((a.line, a.identity.serial.as_str()), (2, "A"));
        assert_eq!(a.identity.calibration, [-5, 1000]);
        assert_eq!(a.calibration["offset-mv"], -5);
        assert_eq!(a.identity.hardware_revision, 3);
        assert_eq!((b.line, b.identity.serial.as_str()), (3, "B,1"));
    }

    #[test]
    fn a_list_that_is_not_as_it_should_be_is_refused_with_line_and_column() {
        let long = format!("{},0,0,0", "9".repeat(33));
        for (row, expected) in [
            (
                "A,65536,0,0",
                "line 3, column `hardware_revision`: found `65536`, expected a whole number from 0 to 65535",
            ),
            ("A,,0,0", "line 3, column `hardware_revision`: found ``"),
            (
                "A,0,2147483648,0",
                "line 3, column `offset-mv`: found `2147483648`, expected a whole number from -2147483648 to 2147483647",
            ),
            ("A,0,0,1.5", "line 3, column `gain-ppm`: found `1.5`"),
            (",0,0,0", "line 3, column `serial`: found nothing"),
            (" A,0,0,0", "line 3, column `serial`: found ` A`"),
            ("\"A\tB\",0,0,0", "line 3, column `serial`: found `A\\tB`"),
            (
                &long,
                "line 3, column `serial`: found 33 bytes, expected 1 to 32 bytes",
            ),
            (
                "A,0,0",
                "line 3: found 3 columns, expected 4, as in the first line",
            ),
        ] {
            let text = format!("serial,hardware_revision,offset-mv,gain-ppm\nX,0,0,0\n{row}\n");
            let error = read(text.as_bytes()).unwrap_err();
            assert!(
                error.starts_with(&format!("units.csv, {expected}")),
                "{error}"
            );
        }
        let error =
            read(b"serial,hardware_revision,offset-mv,gain-ppm\nX\xFF,0,0,0\n").unwrap_err();
        assert!(
            error.starts_with("units.csv, line 2: found bytes that are no text"),
            "{error}"
        );
    }

    #[test]
    fn a_column_that_is_missing_unknown_or_there_twice_is_refused() {
        for (header, expected) in [
            (
                "serial,hardware_revision,offset-mv",
                "found no column `gain-ppm`",
            ),
            (
                "serial;hardware_revision",
                "found a column `serial;hardware_revision`",
            ),
            (
                "serial,hardware_revision,offset-mv,gain-ppm,colour",
                "found a column `colour`",
            ),
            (
                "serial,serial,hardware_revision,offset-mv,gain-ppm",
                "found the column `serial` twice",
            ),
            (
                "hardware_revision,offset-mv,gain-ppm",
                "found no column `serial`",
            ),
        ] {
            let error = read(format!("{header}\nA,0,0,0\n").as_bytes()).unwrap_err();
            assert!(
                error.starts_with(&format!("units.csv, line 1: {expected}")),
                "{error}"
            );
        }
        let nothing = read(b"serial,hardware_revision,offset-mv,gain-ppm\n").unwrap_err();
        assert!(nothing.contains("found no units"), "{nothing}");
    }
}
