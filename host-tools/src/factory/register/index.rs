//! Where the last record of each serial number lies, on disk: looked up in constant memory, and never ahead of the
//! records that it is made from.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use redb::{Database, ReadableDatabase as _, TableDefinition, TableError};

use crate::Error;
use crate::factory::births::scratch::CACHE;

/// Offset and length of a record's line, by serial number.
const PLACES: TableDefinition<'_, &str, (u64, u32)> = TableDefinition::new("places");

/// How far the records were read: bytes, lines, and the digest of the last line.
const TAIL: TableDefinition<'_, (), (u64, u64, [u8; 32])> = TableDefinition::new("tail");

/// Where a line lies, in bytes; without its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u32,
}

/// The end of the records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tail {
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) digest: Digest,
}

impl Tail {
    /// Goes behind `line`, which comes without its end; returns where it lies.
    pub(super) fn take(&mut self, line: &str) -> Place {
        let place = Place {
            offset: self.bytes,
            len: line.len() as u32, // a line is shorter than 16 KiB
        };
        *self = Self {
            bytes: self.bytes + line.len() as u64 + 1,
            records: self.records + 1,
            digest: Digest::of(line.as_bytes()),
        };
        place
    }
}

pub(super) struct Index {
    database: Database,
    path: PathBuf,
}

impl Index {
    /// Opens the index at `path`, and says how far it knows the records. One that cannot be read is begun anew.
    pub(super) fn open(path: &Path) -> Result<(Self, Tail), Error> {
        let opened = Self::at(path).and_then(|index| index.tail().map(|tail| (index, tail)));
        if let Ok(opened) = opened {
            return Ok(opened);
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(path, "make the index anew")(error))
            }
            _ => Ok((Self::at(path)?, Tail::default())),
        }
    }

    fn at(path: &Path) -> Result<Self, Error> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let database = builder.create(path).map_err(refused(path))?;
        let path = path.into();
        Ok(Self { database, path })
    }

    fn tail(&self) -> Result<Tail, Error> {
        let transaction = self.database.begin_read().map_err(self.refused())?;
        let table = match transaction.open_table(TAIL) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Tail::default()),
            table => table.map_err(self.refused())?,
        };
        let entry = table.get(()).map_err(self.refused())?;
        Ok(entry.map_or_else(Tail::default, |entry| {
            let (bytes, records, digest) = entry.value();
            Tail {
                bytes,
                records,
                digest: Digest(digest),
            }
        }))
    }

    /// Where the last record of this serial number lies.
    pub(super) fn place(&self, serial: &str) -> Result<Option<Place>, Error> {
        let transaction = self.database.begin_read().map_err(self.refused())?;
        let table = match transaction.open_table(PLACES) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table.map_err(self.refused())?,
        };
        let entry = table.get(serial).map_err(self.refused())?;
        Ok(entry.map(|entry| {
            let (offset, len) = entry.value();
            Place { offset, len }
        }))
    }

    /// Remembers these, and that the records are known up to `tail`: both, or neither.
    pub(super) fn add<'s>(
        &self,
        entries: impl Iterator<Item = (&'s str, Place)>,
        tail: Tail,
    ) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(self.refused())?;
        let mut places = transaction.open_table(PLACES).map_err(self.refused())?;
        for (serial, Place { offset, len }) in entries {
            let inserted = places.insert(serial, (offset, len));
            inserted.map_err(self.refused())?;
        }
        drop(places);
        let mut end = transaction.open_table(TAIL).map_err(self.refused())?;
        let value = (tail.bytes, tail.records, tail.digest.0);
        end.insert((), value).map_err(self.refused())?;
        drop(end);
        transaction.commit().map_err(self.refused())
    }

    fn refused<E: Display>(&self) -> impl Fn(E) -> Error {
        refused(&self.path)
    }
}

fn refused<E: Display>(path: &Path) -> impl Fn(E) -> Error {
    let place = path.display().to_string();
    move |error| Error::Io {
        place: place.clone(),
        doing: "use the index, which may be removed: it is made anew",
        source: io::Error::other(error.to_string()),
    }
}
