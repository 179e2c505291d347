//! What each unit said last: the newest receipt of its chain, and nothing else, says what a unit runs.
//!
//! When a unit was seen is when that receipt came, by the server's clock. One that is sent again is not kept again,
//! so that nobody makes a silent unit look alive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use bistable_updater::identity::Serial;
use rayon::prelude::*;

use crate::Error;
use crate::proof::judge::is_signed_by;
use crate::proof::kept::{self, FILE_NAME, Kept};
use crate::proof::units::Units;

/// What the units of a store said last.
#[derive(Debug, Default)]
pub struct Fleet {
    /// The newest receipt of each.
    pub newest: BTreeMap<Serial, Kept>,
    /// Those that were made and never spoke, or not since they were made anew.
    pub never_spoke: Vec<Serial>,
    /// Those whose newest receipt is not signed by a key that they have or had: it is not believed.
    pub not_believed: Vec<Serial>,
    /// How many lines are no receipts.
    pub strange: u64,
}

impl Fleet {
    /// Of the store in `directory`, which a server may be adding to. With the `units` that were made, each newest
    /// receipt is verified again; without them, the server is believed that wrote them.
    ///
    /// # Errors
    /// The receipts cannot be read.
    pub fn read(directory: &Path, units: Option<&Units>) -> Result<Self, Error> {
        let path = directory.join(FILE_NAME);
        let mut fleet = Self::default();
        match File::open(&path) {
            Ok(file) => fleet
                .remember(file)
                .map_err(Error::io(&path, "read the receipts"))?,
            // Nobody was asked yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(&path, "read the receipts")(error)),
        }
        if let Some(units) = units {
            fleet.verify(units);
        }
        Ok(fleet)
    }

    fn remember(&mut self, file: File) -> io::Result<()> {
        kept::read(BufReader::with_capacity(1 << 20, file), |_, kept| {
            match kept {
                // The order of the lines is that in which the server took them.
                Some(kept) => drop(self.newest.insert(kept.receipt.unit.clone(), kept)),
                None => self.strange += 1,
            }
        })
    }

    fn verify(&mut self, units: &Units) {
        let whose = |(unit, kept): (&Serial, &Kept)| {
            let keys = units.keys(unit).unwrap_or_default();
            let signed = |key: &_| is_signed_by(&kept.signed, key);
            match (keys.present, keys.earlier.as_slice()) {
                (Some(key), _) if signed(&key) => Whose::Present,
                (_, earlier) if earlier.iter().any(signed) => Whose::Earlier,
                _ => Whose::Nobodys,
            }
        };
        let verdicts: Vec<_> = self.newest.par_iter().map(whose).collect();
        let mut verdicts = verdicts.into_iter();
        let not_believed = &mut self.not_believed;
        self.newest.retain(|unit, _| match verdicts.next() {
            Some(Whose::Present) => true,
            Some(Whose::Earlier) => false,
            Some(Whose::Nobodys) | None => {
                not_believed.push(unit.clone());
                false
            }
        });
        let silent = |unit: &Serial| {
            !self.newest.contains_key(unit) && self.not_believed.binary_search(unit).is_err()
        };
        self.never_spoke = units.serials().into_iter().filter(silent).collect();
    }
}

/// Whose signature a receipt bears.
enum Whose {
    /// The unit's.
    Present,
    /// The unit's, before it was made anew.
    Earlier,
    /// That of nobody who could have signed it.
    Nobodys,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::proof::bench::{Births, Unit};

    fn store(receipts: &[(u64, &[u8])]) -> tempfile::TempDir {
        let store = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for (received, bytes) in receipts {
            kept::write(&mut text, *received, bytes);
        }
        fs::write(store.path().join(FILE_NAME), text).unwrap();
        store
    }

    #[test]
    fn the_newest_receipt_counts_whatever_the_clock_did() {
        let mut unit = Unit::new("BST-1", 1);
        let [first, second] = [unit.next(), unit.next()];
        let store = store(&[(1000, &first), (900, &second)]);
        let fleet = Fleet::read(store.path(), None).unwrap();
        let newest = fleet.newest.values().next().unwrap();
        assert_eq!((newest.received, newest.receipt.number), (900, 2));
    }

    #[test]
    fn who_never_spoke_since_it_was_made_is_said() {
        let mut births = Births::new();
        let [mut first, mut other] = [Unit::new("BST-1", 1), Unit::new("BST-2", 2)];
        births.add("BST-1", 1, first.public());
        births.add("BST-2", 1, other.public());
        births.add("BST-3", 1, [3; 32]);
        let store = store(&[(1, &first.next()), (2, &other.next())]);
        let fleet = Fleet::read(store.path(), Some(&births.units())).unwrap();
        assert_eq!(
            (fleet.newest.len(), &*fleet.never_spoke),
            (2, &["BST-3".try_into().unwrap()][..])
        );
        births.add("BST-1", 2, [4; 32]);
        let fleet = Fleet::read(store.path(), Some(&births.units())).unwrap();
        assert_eq!(fleet.newest.keys().collect::<Vec<_>>(), ["BST-2"]);
        assert_eq!(fleet.never_spoke, ["BST-1", "BST-3"]);
    }

    #[test]
    fn a_receipt_that_nobody_signed_is_believed_of_nobody() {
        let mut births = Births::new();
        births.add("BST-1", 1, [9; 32]);
        let forged = Unit::new("BST-1", 1).next();
        let stranger = Unit::new("BST-2", 1).next();
        let store = store(&[(1, &forged), (1, &stranger)]);
        let fleet = Fleet::read(store.path(), Some(&births.units())).unwrap();
        assert!(fleet.newest.is_empty() && fleet.never_spoke.is_empty());
        assert_eq!(fleet.not_believed, ["BST-1", "BST-2"]);
    }

    #[test]
    fn a_store_without_receipts_has_no_devices() {
        let store = tempfile::tempdir().unwrap();
        assert!(Fleet::read(store.path(), None).unwrap().newest.is_empty());
    }
}
