//! A map from serial numbers to what is remembered of them, for lists that are longer than memory: it lies on
//! disk, in a file without a name, and is gone with its owner, however that ends.

use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use redb::{Database, ReadableTable as _, StorageBackend, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// How much of it is kept in memory, in bytes.
pub const CACHE: usize = 4 * 1024 * 1024;

/// How many entries are written together.
const TOGETHER: usize = 4096;

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("seen");

/// Such a map.
pub struct Scratch {
    database: Database,
    open: Option<WriteTransaction>,
    waiting: usize,
}

impl Scratch {
    /// An empty one, on the file system of `folder`.
    ///
    /// # Errors
    /// No file can be made there.
    pub fn new(folder: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(folder)
            .map_err(Error::io(folder, "make a temporary file in this folder"))?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let database = builder
            .create_with_backend(Unnamed(file))
            .map_err(refused)?;
        Ok(Self {
            database,
            open: None,
            waiting: 0,
        })
    }

    /// Remembers `value` for `serial`; returns what was remembered before.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn put<V: Serialize + DeserializeOwned>(
        &mut self,
        serial: &str,
        value: &V,
    ) -> Result<Option<V>, Error> {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        let transaction = self.transaction()?;
        let mut table = transaction.open_table(TABLE).map_err(refused)?;
        let before = table.insert(serial, bytes.as_slice()).map_err(refused)?;
        let before = before.and_then(|bytes| serde_json::from_slice(bytes.value()).ok());
        drop(table);
        self.waiting += 1;
        if self.waiting >= TOGETHER {
            self.waiting = 0;
            if let Some(transaction) = self.open.take() {
                transaction.commit().map_err(refused)?;
            }
        }
        Ok(before)
    }

    /// What is remembered of `serial`.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn of<V: DeserializeOwned>(&mut self, serial: &str) -> Result<Option<V>, Error> {
        let transaction = self.transaction()?;
        let table = transaction.open_table(TABLE).map_err(refused)?;
        let bytes = table.get(serial).map_err(refused)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(bytes.value()).ok()))
    }

    fn transaction(&mut self) -> Result<&WriteTransaction, Error> {
        if self.open.is_none() {
            self.open = Some(self.database.begin_write().map_err(refused)?);
        }
        self.open.as_ref().ok_or_else(|| refused("no transaction"))
    }
}

/// A file that nobody will ever read again, so it need not be synced.
#[derive(Debug)]
struct Unnamed(File);

impl StorageBackend for Unnamed {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}

fn refused(error: impl Display) -> Error {
    Error::Io {
        place: "a temporary file".into(),
        doing: "remember serial numbers in it",
        source: io::Error::other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found_across_many_writes_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut seen = Scratch::new(folder.path()).unwrap();
        for number in 0..10_000_u32 {
            let serial = format!("BST-{number:06}");
            assert_eq!(seen.put(&serial, &number).unwrap(), None);
        }
        assert_eq!(seen.put("BST-000007", &8).unwrap(), Some(7));
        assert_eq!(seen.of("BST-000007").unwrap(), Some(8));
        assert_eq!(seen.of("BST-009999").unwrap(), Some(9999));
        assert_eq!(seen.of::<u32>("BST-010000").unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
