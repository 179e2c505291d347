//! Which keys the units have: from a file of birth records that grows while it is read.
//!
//! The chain of the records is verified line by line, from where the last look ended. A line that does not end is one
//! that is being written: the next look sees it whole.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bistable_core::digest::Digest;
use bistable_updater::identity::Serial;

use crate::factory::births::audit::{Auditor, Breach, next};
use crate::factory::births::lives::{Life, check};
use crate::factory::births::{Birth, Event};
use crate::proof::judge::{Keys, PublicKey};
use crate::{Error, hex};

/// How long a look at the file holds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who was made, and which keys they have.
pub struct Units {
    known: RwLock<HashMap<Serial, Unit>>,
    source: Mutex<Source>,
}

struct Unit {
    life: u32,
    flashed: bool,
    keys: Keys,
}

struct Source {
    path: PathBuf,
    stations: Vec<PublicKey>,
    /// Where the next record begins, in bytes.
    place: u64,
    records: u64,
    head: Digest,
    looked: Instant,
}

impl Units {
    /// Of the birth records at `path`, which these stations signed.
    ///
    /// # Errors
    /// They cannot be read, or their chain is broken.
    pub fn open(path: &Path, stations: Vec<PublicKey>) -> Result<Self, Error> {
        let units = Self {
            known: RwLock::default(),
            source: Mutex::new(Source {
                path: path.into(),
                stations,
                place: 0,
                records: 0,
                head: Digest::NONE,
                looked: Instant::now(),
            }),
        };
        units.read_on()?;
        Ok(units)
    }

    /// The keys of the unit with this serial number.
    #[must_use]
    pub fn keys(&self, serial: &str) -> Option<Keys> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let serial = Serial::try_from(serial).ok()?;
        known.get(&serial).map(|unit| unit.keys.clone())
    }

    /// All serial numbers, in their order.
    #[must_use]
    pub fn serials(&self) -> Vec<Serial> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut serials: Vec<_> = known.keys().cloned().collect();
        serials.sort();
        serials
    }

    /// Looks at the records again, at most once a second. Returns whether it did.
    ///
    /// # Errors
    /// What is wrong with them; all that was known before still is.
    pub fn look_again(&self) -> Result<bool, Error> {
        {
            let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            if source.looked.elapsed() < PATIENCE {
                return Ok(false);
            }
            source.looked = Instant::now();
        }
        self.read_on().map(|()| true)
    }

    fn read_on(&self) -> Result<(), Error> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let Source { path, .. } = &*source;
        let read = |source| Error::io(path, "read the birth records")(source);
        let mut file = File::open(path).map_err(read)?;
        let len = file.metadata().map_err(read)?.len();
        if len < source.place {
            return Err(Error::unexpected(
                path,
                format!("{len} bytes"),
                format!("at least the {} bytes that there were", source.place),
                "birth records are only ever added: put the file back, or start the server again",
            ));
        }
        file.seek(SeekFrom::Start(source.place)).map_err(read)?;
        let mut lines = BufReader::new(file).take(len - source.place);
        let mut line = String::new();
        loop {
            let number = source.records + 1;
            let birth = match next(&mut lines, &mut line) {
                Ok(false) | Err(Breach::Cut) => return Ok(()),
                Ok(true) => {
                    let auditor = Auditor::new(&source.stations);
                    auditor.record(&line, number, source.head)
                }
                Err(breach) => Err(breach),
            };
            let broken = |what: String| {
                Error::unexpected(
                    &source.path,
                    format!("line {number}: {what}"),
                    "birth records that a station signed, in their order",
                    "`bistable factory audit` says more",
                )
            };
            let birth = birth.map_err(|breach| broken(breach.to_string()))?;
            self.add(&birth).map_err(broken)?;
            source.records = number;
            source.head = Digest::of(line.as_bytes());
            source.place += line.len() as u64 + 1;
        }
    }

    fn add(&self, birth: &Birth) -> Result<(), String> {
        let serial = Serial::try_from(birth.unit.as_str())
            .map_err(|_| "a serial number of more than 32 bytes")?;
        let key = match birth.device_key.as_deref() {
            Some(digits) => Some(hex::decode(digits).ok_or("a device key that is no key")?),
            None => None,
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(&serial);
        check(before.map(Unit::life).as_ref(), birth)
            .map_err(|misuse| format!("{}: {misuse}", birth.unit.escape_debug()))?;
        let mut earlier = Vec::new();
        let mut present = key;
        if let Some(Unit { life, keys, .. }) = before {
            earlier.clone_from(&keys.earlier);
            match *life == birth.life {
                true => present = key.or(keys.present),
                false => earlier.extend(keys.present),
            }
        }
        let unit = Unit {
            life: birth.life,
            flashed: birth.event == Event::Flashed,
            keys: Keys { present, earlier },
        };
        known.insert(serial, unit);
        Ok(())
    }
}

impl Unit {
    fn life(&self) -> Life {
        Life {
            number: self.life,
            flashed: self.flashed,
            key: self.keys.present.map(|key| hex::encode(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::keys::{Signer as _, SigningKey};
    use crate::proof::bench::Births;

    fn bytes(path: &Path) -> Vec<u8> {
        fs::read(path).unwrap()
    }

    #[test]
    fn a_unit_that_is_made_later_is_known_at_the_next_look() {
        let mut births = Births::new();
        births.add("BST-1", 1, [1; 32]);
        let units = births.units();
        assert_eq!(units.keys("BST-1"), Some([1; 32].into()));
        births.add("BST-2", 1, [2; 32]);
        assert_eq!(units.keys("BST-2"), None);
        units.read_on().unwrap();
        assert_eq!(units.keys("BST-2"), Some([2; 32].into()));
        assert_eq!(units.serials(), ["BST-1", "BST-2"]);
        // Whoever asks again and again reads the file once a second at most.
        assert!(!units.look_again().unwrap());
    }

    #[test]
    fn a_line_that_is_being_written_is_read_when_it_is_whole() {
        let mut births = Births::new();
        births.add("BST-1", 1, [1; 32]);
        births.add("BST-2", 1, [2; 32]);
        let whole = bytes(&births.path());
        for len in [whole.len() - 1, whole.len() / 2 + 3] {
            fs::write(births.path(), &whole[..len]).unwrap();
            let units = births.units();
            assert_eq!(units.serials(), ["BST-1"]);
            fs::write(births.path(), &whole).unwrap();
            units.read_on().unwrap();
            assert_eq!(units.serials(), ["BST-1", "BST-2"]);
        }
    }

    #[test]
    fn a_unit_that_is_made_anew_has_its_old_key_no_more() {
        let mut births = Births::new();
        births.add("BST-1", 1, [1; 32]);
        births.add("BST-1", 2, [2; 32]);
        let keys = Keys {
            present: Some([2; 32]),
            earlier: vec![[1; 32]],
        };
        assert_eq!(births.units().keys("BST-1"), Some(keys));
    }

    #[test]
    fn a_file_that_was_cut_short_or_changed_is_refused_and_what_was_known_stays() {
        let mut births = Births::new();
        births.add("BST-1", 1, [1; 32]);
        births.add("BST-2", 1, [2; 32]);
        let units = births.units();
        let whole = bytes(&births.path());
        fs::write(births.path(), &whole[..10]).unwrap();
        let error = units.read_on().unwrap_err().to_string();
        assert!(error.contains("only ever added"), "{error}");
        assert_eq!(units.serials().len(), 2);
        // The first line again is not the third one.
        let first = whole.split_inclusive(|byte| *byte == b'\n').next();
        fs::write(births.path(), [&*whole, first.unwrap()].concat()).unwrap();
        let error = units.read_on().unwrap_err().to_string();
        assert!(error.contains("line 3: duplicated"), "{error}");
        assert_eq!(units.serials().len(), 2);
    }

    #[test]
    fn what_another_station_signed_counts_for_nothing() {
        let mut births = Births::new();
        births.add("BST-1", 1, [1; 32]);
        let other = SigningKey::generate().public();
        let error = Units::open(&births.path(), vec![other]).err().unwrap();
        assert!(error.to_string().contains("line 1: foreign"), "{error}");
    }
}
