//! Whether a file of birth records is whole: line by line, in constant memory, up to the first one that is not
//! as it should be.

use std::fmt::{self, Display};
use std::io::{self, BufRead, Read as _};
use std::{env, mem};

use bistable_core::digest::Digest;

use super::head::Head;
use super::lives::{self, Life, Misuse};
use super::scratch::Scratch;
use super::sealed::Sealed;
use super::{Birth, KIND, SIGNING_DOMAIN};
use crate::{Error, hex};

/// The longest line, in bytes: several times what a record needs.
pub const MAX_LINE: u64 = 16 * 1024;

/// A file that is whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audited {
    /// How many records it has.
    pub records: u64,
    /// How many serial numbers they speak of.
    pub units: u64,
    /// How many records begin a life that is not the first one.
    pub reworks: u64,
    /// How many records say that a unit was flashed.
    pub flashed: u64,
    /// The SHA-256 of the last line; all zero if there is none.
    pub head: Digest,
    /// The number of the record that the anchor names, if one was given.
    pub anchored: Option<u64>,
}

/// The first line that is not as it should be.
#[derive(Debug)]
pub struct Broken {
    /// Its number, from 1; one more than there are, if what is missing is behind the last.
    pub line: u64,
    /// What is wrong with it.
    pub what: Breach,
}

/// What is wrong with a line.
#[derive(Debug)]
pub enum Breach {
    /// It cannot be read.
    Unreadable(Error),
    /// The file ends within it.
    Cut,
    /// It is no record, or one in another form.
    NoRecord,
    /// A key signed it that belongs to no station.
    Foreign(String),
    /// The signature is not of what it says.
    Changed,
    /// Records are missing before it: from the first number to the last one.
    Removed(u64, u64),
    /// Its record has this number; the one that should be here is at that line.
    Moved(u64, u64),
    /// Its record, with this number, stands at an earlier line already.
    Repeated(u64),
    /// It names another line before it than the one that is there.
    Unchained,
    /// It says of its serial number what cannot be.
    Misused(String, Misuse),
    /// The signed head says that there are so many records.
    Short(u64),
    /// The signed head names another last line with this number.
    OtherHead,
    /// No record has the digest that was given as the anchor.
    NoAnchor,
}

/// Verifies the records in `lines`, signed by these stations' keys, and calls `each` with every one that is sound
/// together with all before it.
///
/// # Errors
/// The first line that is not as it should be.
pub fn audit(
    lines: impl BufRead,
    stations: &[[u8; 32]],
    each: impl FnMut(&Birth),
) -> Result<Audited, Broken> {
    Auditor::new(stations).run(lines, each)
}

/// What a file is held against.
#[derive(Clone, Debug)]
pub struct Auditor<'a> {
    /// The public keys of the stations.
    pub stations: &'a [[u8; 32]],
    /// What the signed head says, if there is one.
    pub head: Option<Head>,
    /// The digest of a line that must be there.
    pub anchor: Option<Digest>,
}

impl<'a> Auditor<'a> {
    /// Nothing but the keys of the stations.
    #[must_use]
    pub const fn new(stations: &'a [[u8; 32]]) -> Self {
        Self {
            stations,
            head: None,
            anchor: None,
        }
    }

    /// As [`audit`].
    ///
    /// # Errors
    /// As of [`audit`].
    pub fn run(
        &self,
        mut lines: impl BufRead,
        mut each: impl FnMut(&Birth),
    ) -> Result<Audited, Broken> {
        let at = |line, what| Broken { line, what };
        let mut lives =
            Scratch::new(&env::temp_dir()).map_err(|error| at(1, Breach::Unreadable(error)))?;
        let mut so_far = Audited {
            records: 0,
            units: 0,
            reworks: 0,
            flashed: 0,
            head: Digest::NONE,
            anchored: None,
        };
        let mut line = String::new();
        loop {
            let number = so_far.records + 1;
            if !next(&mut lines, &mut line).map_err(|what| at(number, what))? {
                break;
            }
            let birth = self.record(&line, number, so_far.head);
            let birth = birth.map_err(|what| at(number, look_ahead(what, number, &mut lines)))?;
            follow(&mut lives, &birth, &mut so_far).map_err(|what| at(number, what))?;
            so_far.records = number;
            so_far.head = Digest::of(line.as_bytes());
            self.meet(&mut so_far).map_err(|what| at(number, what))?;
            each(&birth);
        }
        let behind = so_far.records + 1;
        match &self.head {
            Some(head) if head.records > so_far.records => {
                return Err(at(behind, Breach::Short(head.records)));
            }
            _ => {}
        }
        if self.anchor.is_some() && so_far.anchored.is_none() {
            return Err(at(behind, Breach::NoAnchor));
        }
        Ok(so_far)
    }

    /// The record in `line`, which must have this number and follow the line with the digest `previous`.
    fn record(&self, line: &str, number: u64, previous: Digest) -> Result<Birth, Breach> {
        let sealed = Sealed::parse(KIND, line).ok_or(Breach::NoRecord)?;
        let mut named = self
            .stations
            .iter()
            .filter(|it| sealed.names(it))
            .peekable();
        if named.peek().is_none() {
            return Err(Breach::Foreign(sealed.key().into()));
        }
        if !named.any(|public| sealed.is_signed_by(public, SIGNING_DOMAIN)) {
            return Err(Breach::Changed);
        }
        let birth: Birth = sealed.body().ok_or(Breach::NoRecord)?;
        if birth.number > number {
            return Err(Breach::Removed(number, birth.number - 1));
        }
        if birth.number < number {
            return Err(Breach::Repeated(birth.number));
        }
        if birth.previous != hex::encode(&previous.0) {
            return Err(Breach::Unchained);
        }
        Ok(birth)
    }

    /// Holds the last line against head and anchor.
    fn meet(&self, so_far: &mut Audited) -> Result<(), Breach> {
        if self.anchor == Some(so_far.head) {
            so_far.anchored = Some(so_far.records);
        }
        match &self.head {
            Some(head)
                if head.records == so_far.records && head.digest != hex::encode(&so_far.head.0) =>
            {
                Err(Breach::OtherHead)
            }
            _ => Ok(()),
        }
    }
}

/// Reads the next line, without its end; `false` if there is none.
///
/// # Errors
/// It is cut, too long, or no text.
pub fn next(lines: &mut impl BufRead, line: &mut String) -> Result<bool, Breach> {
    let mut bytes = mem::take(line).into_bytes();
    bytes.clear();
    let read = lines.take(MAX_LINE).read_until(b'\n', &mut bytes);
    let read = read.map_err(unreadable)?;
    if read == 0 {
        return Ok(false);
    }
    if bytes.pop() != Some(b'\n') {
        return Err(match read as u64 >= MAX_LINE {
            true => Breach::NoRecord,
            false => Breach::Cut,
        });
    }
    *line = String::from_utf8(bytes).map_err(|_| Breach::NoRecord)?;
    Ok(true)
}

fn unreadable(source: io::Error) -> Breach {
    Breach::Unreadable(Error::Io {
        place: "the records".into(),
        doing: "read them",
        source,
    })
}

/// Whether records that are missing at line `number` stand further down: then they were moved.
fn look_ahead(what: Breach, number: u64, lines: &mut impl BufRead) -> Breach {
    let Breach::Removed(_, last) = what else {
        return what;
    };
    let mut line = String::new();
    for place in number + 1.. {
        if !matches!(next(lines, &mut line), Ok(true)) {
            break;
        }
        if super::read(&line).is_some_and(|birth| birth.number == number) {
            return Breach::Moved(last + 1, place);
        }
    }
    what
}

/// Whether the record may follow what is known of its serial number, which it is added to.
fn follow(lives: &mut Scratch, birth: &Birth, so_far: &mut Audited) -> Result<(), Breach> {
    let life = Life::of(birth);
    let before = lives.put(&birth.unit, &life).map_err(Breach::Unreadable)?;
    lives::check(before.as_ref(), birth)
        .map_err(|misuse| Breach::Misused(birth.unit.clone(), misuse))?;
    so_far.units += u64::from(before.is_none());
    so_far.reworks += u64::from(life.number > 1 && !life.flashed);
    so_far.flashed += u64::from(life.flashed);
    Ok(())
}

impl Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.what)
    }
}

impl Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(formatter, "{error}"),
            Self::Cut => formatter.write_str("cut: the file ends within this line"),
            Self::NoRecord => {
                formatter.write_str("changed: no birth record as these tools write it")
            }
            Self::Foreign(key) => write!(
                formatter,
                "foreign: signed by the key {key}, which belongs to none of the stations"
            ),
            Self::Changed => {
                formatter.write_str("changed: the signature is not of what this line says")
            }
            Self::Removed(first, last) if first == last => {
                write!(formatter, "removed: record {first} is missing before it")
            }
            Self::Removed(first, last) => write!(
                formatter,
                "removed: records {first} to {last} are missing before it"
            ),
            Self::Moved(number, place) => write!(
                formatter,
                "reordered: it is record {number}, and the one that belongs here is at line {place}"
            ),
            Self::Repeated(number) => write!(
                formatter,
                "duplicated: it is record {number} again, which is at line {number}"
            ),
            Self::Unchained => {
                formatter.write_str("replaced: it follows another line than the one before it")
            }
            Self::Misused(serial, misuse) => {
                write!(formatter, "misused: {}: {misuse}", serial.escape_debug())
            }
            Self::Short(records) => write!(
                formatter,
                "truncated: the file ends before this line, and its signed head says {records} records"
            ),
            Self::OtherHead => {
                formatter.write_str("replaced: the signed head names another line with this number")
            }
            Self::NoAnchor => formatter.write_str(
                "truncated or replaced: no line up to the end has the digest that was given",
            ),
        }
    }
}
