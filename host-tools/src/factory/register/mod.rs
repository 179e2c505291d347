//! What a factory remembers: which serial numbers were given, and what was recorded of each. A folder.
//!
//! ```text
//!   births.jsonl   the records; lines are only ever added
//!   births.head    how many there are, signed
//!   births.index   where the last record of each serial number lies; made anew from the records if it is missing
//!   units/         an identity file for each unit that is not flashed yet (mode 0600)
//!   pending/       identity files of units that are not recorded yet
//!   lock           held by the one command that writes
//! ```
//!
//! **The order of writes** makes a serial number one that is given once, wherever a command is killed:
//!
//! 1. identity files into `pending/`, synced
//! 2. records to the end of `births.jsonl`, synced: *here the serial numbers are given*
//! 3. head and index
//! 4. identity files from `pending/` to `units/`
//!
//! Killed before 2, the files in `pending/` belong to no record, and are wiped at the next opening: nobody has seen
//! these keys. Killed behind it, they get their names then. So whoever finds a file in `units/` has a unit that is
//! recorded, with this key. A record that was cut is taken away: a line without its end is none.
//!
//! **Wiping** is overwriting and unlinking. A file system that copies on write, or a drive that spreads its wear,
//! may keep the old bytes all the same: keep the folder on an encrypted volume whose key goes with the batch.

mod identities;
mod index;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use zeroize::Zeroizing;

use self::identities::Identities;
use self::index::{Index, Place, Tail};
use super::births::audit::{MAX_LINE, next};
use super::births::lives::{self, Life};
use super::births::{self, Birth, Event, Head};
use crate::files::sync_folder;
use crate::keys::Signer;
use crate::{Error, atomic, hex, lock};

pub use self::identities::{name as file_stem, wipe};

/// The file of the records.
pub const BIRTHS: &str = "births.jsonl";

/// The file that says how many there are.
pub const HEAD: &str = "births.head";

/// The file that says where the last record of each serial number lies.
pub const INDEX: &str = "births.index";

const LOCK: &str = "lock";

/// The register is its owner's: secrets lie in it.
const FOLDER_MODE: u32 = 0o700;

/// Records are for whoever the owner gives them to, and no secrets.
const BIRTHS_MODE: u32 = 0o644;

/// How many lines are read before the index is told.
const TOGETHER: usize = 4096;

/// A factory's memory, open for writing.
pub struct Register {
    folder: PathBuf,
    births: File,
    index: Index,
    tail: Tail,
    identities: Identities,
    /// Something was written that the index does not know: nothing more may be.
    failed: bool,
    _lock: File,
}

impl Register {
    /// Opens the register in `folder`, which is made if it is not there, and completes what a killed command left.
    ///
    /// # Errors
    /// Another command has it open; it cannot be written; or records are missing or changed.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(FOLDER_MODE);
        builder
            .create(folder)
            .map_err(Error::io(folder, "make the register"))?;
        let lock = hold(&folder.join(LOCK))?;
        let path = folder.join(BIRTHS);
        let births = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(BIRTHS_MODE)
            .open(&path)
            .map_err(Error::io(&path, "open the records"))?;
        let (index, tail) = Index::open(&folder.join(INDEX))?;
        let identities = Identities::open(folder)?;
        sync_folder(folder)?;
        let mut register = Self {
            folder: folder.into(),
            births,
            index,
            tail,
            identities,
            failed: false,
            _lock: lock,
        };
        register.read_on()?;
        register.check_head()?;
        register.identities.heal(|serial, life| {
            let last = register.last(serial)?;
            Ok(last.is_some_and(|it| it.life == life && it.event == Event::Provisioned))
        })?;
        register.identities.wipe_served(|serial| {
            let last = register.last(serial)?;
            Ok(last.is_some_and(|it| it.event == Event::Flashed))
        })?;
        Ok(register)
    }

    /// The serial numbers that have an identity file, with it, in the order of the files' names.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn waiting(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        self.identities.waiting()
    }

    /// The last record of this serial number; `None` if it was never given.
    ///
    /// # Errors
    /// The records cannot be read, or are others than they were.
    pub fn last(&self, serial: &str) -> Result<Option<Birth>, Error> {
        let Some(place) = self.index.place(serial)? else {
            return Ok(None);
        };
        let mut line = vec![0; place.len as usize];
        let path = self.path();
        self.births
            .read_exact_at(&mut line, place.offset)
            .map_err(Error::io(&path, "read a record"))?;
        let birth = str::from_utf8(&line).ok().and_then(births::read);
        match birth.filter(|birth| birth.unit == serial) {
            Some(birth) => Ok(Some(birth)),
            None => Err(changed(
                &path,
                format!("something else at byte {}", place.offset),
                format!("the record of `{}`", serial.escape_debug()),
            )),
        }
    }

    /// Numbers and chains these records, and adds them, all or none; they are on the disk when this returns.
    ///
    /// # Errors
    /// One of them may not follow what was recorded of its serial number, or does not fit a line; the key does not
    /// sign; or they cannot be written. Then none was added.
    pub fn append(&mut self, births: &mut [Birth], signer: &dyn Signer) -> Result<(), Error> {
        if self.failed {
            let hint = "nothing was recorded: run the command again";
            return Err(Error::unexpected(
                &self.folder,
                "a register that could not be written a moment ago",
                "one that can",
                hint,
            ));
        }
        self.check(births)?;
        let Sealed { text, places, tail } = self.seal(births, signer)?;
        let path = self.path();
        self.failed = true;
        let written = (&self.births)
            .write_all(text.as_bytes())
            .and_then(|()| self.births.sync_data());
        if let Err(source) = written {
            // If that fails too, the next opening finds lines that nobody was told of, or a cut one.
            self.failed = self.births.set_len(self.tail.bytes).is_err();
            return Err(Error::io(&path, "add records")(source));
        }
        self.tail = tail;
        self.sign_head(signer)?;
        let entries = births.iter().map(|birth| birth.unit.as_str()).zip(places);
        self.index.add(entries, tail)?;
        self.failed = false;
        Ok(())
    }

    /// Makes the signed head say what there is. After [`append`](Self::append) it does; a command that was killed may have
    /// left it behind.
    ///
    /// # Errors
    /// The key does not sign, or the head cannot be written.
    pub fn sign_head(&self, signer: &dyn Signer) -> Result<(), Error> {
        let head = Head::new(self.tail.records, self.tail.digest);
        let path = self.folder.join(HEAD);
        let there = fs::read_to_string(&path).unwrap_or_default();
        if Head::read(&there).as_ref() == Some(&head) {
            return Ok(());
        }
        let text = head.seal(signer)?;
        atomic::replace(&path, text.as_bytes()).map_err(Error::io(&path, "write the signed head"))
    }

    /// [`append`](Self::append) for units that are new, with the text of their identity files, in the order of the records. A file
    /// has its name only when its unit is recorded.
    ///
    /// # Errors
    /// As of [`append`](Self::append), and what the file system refuses.
    pub fn give(
        &mut self,
        births: &mut [Birth],
        files: &[Zeroizing<String>],
        signer: &dyn Signer,
    ) -> Result<(), Error> {
        self.check(births)?;
        self.identities.stage(&units(births), files)?;
        for birth in births.iter().filter(|birth| birth.life > 1) {
            wipe(&self.identity_file(&birth.unit))?; // that of its earlier life, if it was never flashed
        }
        self.append(births, signer)?;
        self.identities.name(&units(births))
    }

    /// Where the identity file of this serial number lies until its unit is flashed.
    #[must_use]
    pub fn identity_file(&self, serial: &str) -> PathBuf {
        self.identities.file(serial)
    }

    /// Wipes the identity files of all units; returns how many there were.
    ///
    /// # Errors
    /// One cannot be overwritten or removed.
    pub fn wipe_all(&self) -> Result<u64, Error> {
        self.identities.wipe_all()
    }

    /// How many records there are, and the SHA-256 of the last one.
    #[must_use]
    pub fn head(&self) -> (u64, Digest) {
        (self.tail.records, self.tail.digest)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of the records.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(BIRTHS)
    }

    /// Refuses records that may not follow what there is, or one another.
    fn check(&self, births: &[Birth]) -> Result<(), Error> {
        let mut group: BTreeMap<&str, Life> = BTreeMap::new();
        for birth in births {
            let before = match group.remove(birth.unit.as_str()) {
                Some(life) => Some(life),
                None => self.last(&birth.unit)?.map(|birth| Life::of(&birth)),
            };
            lives::check(before.as_ref(), birth).map_err(|misuse| {
                Error::argument(
                    format!("serial number `{}`", birth.unit.escape_debug()),
                    misuse,
                    "a record that may follow what was recorded before",
                    "a serial number is given once, ever; a unit is made again with --rework",
                )
            })?;
            group.insert(&birth.unit, Life::of(birth));
        }
        Ok(())
    }

    fn seal(&self, births: &mut [Birth], signer: &dyn Signer) -> Result<Sealed, Error> {
        let mut tail = self.tail;
        let mut text = String::new();
        let mut places = Vec::new();
        for birth in births {
            birth.number = tail.records + 1;
            birth.previous = hex::encode(&tail.digest.0);
            let line = births::seal(birth, signer)?;
            if line.len() as u64 + 1 > MAX_LINE {
                return Err(Error::argument(
                    format!("the record of `{}`", birth.unit.escape_debug()),
                    format!("{} bytes", line.len()),
                    format!("less than {MAX_LINE}"),
                    "say less about the station, the operator or the rework",
                ));
            }
            places.push(tail.take(&line));
            text += &line;
            text += "\n";
        }
        Ok(Sealed { text, places, tail })
    }

    /// Tells the index of all records that it does not know; takes a record that is cut away.
    fn read_on(&mut self) -> Result<(), Error> {
        let path = self.path();
        let cannot_read = |source| Error::io(&path, "read the records")(source);
        let len = self.births.metadata().map_err(cannot_read)?.len();
        if len < self.tail.bytes {
            return Err(missing(
                &path,
                format!("{len} bytes"),
                format!("{} bytes, as {INDEX} remembers", self.tail.bytes),
            ));
        }
        let mut lines = BufReader::new(self.births.try_clone().map_err(cannot_read)?);
        lines
            .seek(SeekFrom::Start(self.tail.bytes))
            .map_err(cannot_read)?;
        let mut line = String::new();
        let mut found = Vec::new();
        while self.tail.bytes < len {
            match next(&mut lines, &mut line) {
                Ok(true) => {}
                Ok(false) => break,
                Err(births::audit::Breach::Cut) => {
                    self.births
                        .set_len(self.tail.bytes)
                        .and_then(|()| self.births.sync_all())
                        .map_err(Error::io(&path, "take away a record that is cut"))?;
                    break;
                }
                Err(breach) => return Err(changed(&path, breach, "records")),
            }
            let number = self.tail.records + 1;
            let birth = births::read(&line).filter(|birth| {
                birth.number == number && birth.previous == hex::encode(&self.tail.digest.0)
            });
            let birth = birth.ok_or_else(|| {
                changed(
                    &path,
                    format!("something else in line {number}"),
                    format!("record {number}, which follows the line before it"),
                )
            })?;
            found.push((birth.unit, self.tail.take(&line)));
            if found.len() >= TOGETHER {
                self.remember(&mut found)?;
            }
        }
        if !found.is_empty() {
            // A killed command may not have synced them, and the index must not be ahead.
            self.births.sync_data().map_err(cannot_read)?;
            self.remember(&mut found)?;
        }
        Ok(())
    }

    fn remember(&self, found: &mut Vec<(String, Place)>) -> Result<(), Error> {
        let entries = found
            .iter()
            .map(|(serial, place)| (serial.as_str(), *place));
        self.index.add(entries, self.tail)?;
        found.clear();
        Ok(())
    }

    /// Refuses a file of records that is shorter than the head says. It may be longer: a command was killed.
    fn check_head(&self) -> Result<(), Error> {
        let path = self.folder.join(HEAD);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io(&path, "read the signed head")(error)),
        };
        let head = Head::read(&text).ok_or_else(|| changed(&path, "no head", "a signed head"))?;
        let Tail {
            records, digest, ..
        } = self.tail;
        if head.records > records {
            let expected = format!("{} records, as {HEAD} says", head.records);
            return Err(missing(
                &self.path(),
                format!("{records} records"),
                expected,
            ));
        }
        if head.records == records && head.digest != hex::encode(&digest.0) {
            let expected = format!("the last record that {HEAD} names");
            return Err(changed(&self.path(), "another last record", expected));
        }
        Ok(())
    }
}

/// Serial number and life of each.
fn units(births: &[Birth]) -> Vec<(&str, u32)> {
    let units = births.iter().map(|birth| (birth.unit.as_str(), birth.life));
    units.collect()
}

/// Records as they will be written.
struct Sealed {
    text: String,
    places: Vec<Place>,
    tail: Tail,
}

/// Holds the lock until it is closed, which the end of the process does too.
fn hold(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Error::io(path, "open the lock"))?;
    match lock::take(&file).map_err(Error::io(path, "lock the register"))? {
        true => Ok(file),
        false => Err(Error::unexpected(
            path,
            "the lock of another command",
            "nobody else who writes",
            "wait until that command has ended; killed, it holds no lock",
        )),
    }
}

fn missing(path: &Path, found: String, expected: String) -> Error {
    let hint = "records are missing at the end: put back the newest copy; a serial number could be given twice";
    Error::unexpected(path, found, expected, hint)
}

fn changed(path: &Path, found: impl std::fmt::Display, expected: impl std::fmt::Display) -> Error {
    let hint = "nothing was written: `bistable factory audit` says what was changed";
    Error::unexpected(path, found, expected, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::births::tests::birth;
    use crate::keys::SigningKey;

    const SERIALS: [&str; 3] = ["A", "B/1", "C"];

    struct Bench {
        folder: tempfile::TempDir,
        key: SigningKey,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let key = SigningKey::generate();
            Self { folder, key }
        }

        fn open(&self) -> Register {
            Register::open(self.folder.path()).unwrap()
        }

        fn refused(&self) -> String {
            let opened = Register::open(self.folder.path());
            opened.err().expect("it is damaged").to_string()
        }

        /// A register of three units.
        fn filled(&self) {
            let mut births = SERIALS.map(birth);
            let files = SERIALS.map(|serial| Zeroizing::new(format!("secret of {serial}")));
            self.open().give(&mut births, &files, &self.key).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn records(&self) -> u64 {
            let file = File::open(self.path(BIRTHS)).unwrap();
            let stations = [self.key.public()];
            let text = fs::read_to_string(self.path(HEAD)).unwrap();
            let mut auditor = births::Auditor::new(&stations);
            auditor.head = Some(Head::verified(&text, &stations).unwrap());
            auditor.run(BufReader::new(file), |_| {}).unwrap().records
        }
    }

    #[test]
    fn what_was_given_is_remembered_and_has_its_identity_file() {
        let bench = Bench::new();
        bench.filled();
        assert_eq!(bench.records(), 3);
        let register = bench.open();
        for serial in SERIALS {
            assert_eq!(register.last(serial).unwrap().unwrap().unit, serial);
            let path = register.identity_file(serial);
            assert_eq!(
                fs::read_to_string(&path).unwrap(),
                format!("secret of {serial}")
            );
            let mode = fs::metadata(&path).unwrap().permissions();
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
                0o600
            );
        }
        assert_eq!(register.last("D").unwrap(), None);
        assert_eq!(fs::read_dir(bench.path("pending")).unwrap().count(), 0);
    }

    #[test]
    fn a_serial_number_is_not_given_again_nor_twice_in_one_group() {
        let bench = Bench::new();
        bench.filled();
        let mut register = bench.open();
        for mut group in [vec![birth("B/1")], vec![birth("D"), birth("D")]] {
            let error = register.append(&mut group, &bench.key).unwrap_err();
            assert!(error.to_string().contains("in life 1 already"), "{error}");
        }
        drop(register);
        assert_eq!(bench.records(), 3);
    }

    #[test]
    fn there_is_one_writer_at_a_time() {
        let bench = Bench::new();
        let first = bench.open();
        assert!(bench.refused().contains("the lock of another command"));
        drop(first);
        bench.open();
    }

    #[test]
    fn a_record_that_was_cut_anywhere_is_taken_away_and_its_identity_file_wiped() {
        let whole = Bench::new();
        whole.filled();
        let text = fs::read_to_string(whole.path(BIRTHS)).unwrap();
        let start = text.trim_end().rfind('\n').unwrap() + 1;
        for len in [start, start + 1, start + 200, text.len() - 1] {
            let bench = Bench::new();
            bench.open();
            fs::write(bench.path(BIRTHS), &text[..len]).unwrap();
            for pending in ["B%2F1.1.hex", "C.1.hex"] {
                fs::write(bench.path("pending").join(pending), "secret").unwrap();
            }
            let register = bench.open();
            assert!(register.last("B/1").unwrap().is_some());
            assert!(register.identity_file("B/1").exists(), "it was recorded");
            assert_eq!(register.last("C").unwrap(), None, "{len}");
            assert!(!register.identity_file("C").exists());
            assert_eq!(fs::read_dir(bench.path("pending")).unwrap().count(), 0);
            assert_eq!(fs::read_to_string(register.path()).unwrap(), text[..start]);
        }
    }

    #[test]
    fn an_index_that_is_missing_damaged_or_behind_is_made_anew() {
        let bench = Bench::new();
        bench.open();
        let behind = fs::read(bench.path(INDEX)).unwrap();
        bench.filled();
        for index in [None, Some(&b"nonsense"[..]), Some(&behind)] {
            match index {
                None => fs::remove_file(bench.path(INDEX)).unwrap(),
                Some(bytes) => fs::write(bench.path(INDEX), bytes).unwrap(),
            }
            let register = bench.open();
            assert_eq!(register.head().0, 3);
            assert_eq!(register.last("C").unwrap().unwrap().number, 3);
        }
    }

    #[test]
    fn records_that_are_missing_at_the_end_are_missed_by_index_and_head() {
        let bench = Bench::new();
        bench.filled();
        let text = fs::read_to_string(bench.path(BIRTHS)).unwrap();
        let start = text.trim_end().rfind('\n').unwrap() + 1;
        for len in [start, start + 10] {
            fs::write(bench.path(BIRTHS), &text[..len]).unwrap();
            assert!(bench.refused().contains("births.index remembers"));
            fs::remove_file(bench.path(INDEX)).unwrap();
            assert!(bench.refused().contains("3 records, as births.head says"));
            fs::remove_file(bench.path(INDEX)).unwrap();
            fs::write(bench.path(BIRTHS), &text).unwrap();
            bench.open();
        }
    }

    #[test]
    fn a_head_that_a_killed_command_left_behind_is_signed_again() {
        let bench = Bench::new();
        bench.filled();
        let mut register = bench.open();
        let behind = fs::read(bench.path(HEAD)).unwrap();
        register.append(&mut [birth("D")], &bench.key).unwrap();
        drop(register);
        fs::write(bench.path(HEAD), &behind).unwrap();
        let register = bench.open();
        register.sign_head(&bench.key).unwrap();
        let head = Head::read(&fs::read_to_string(bench.path(HEAD)).unwrap());
        assert_eq!(head.unwrap().records, 4);
        assert_eq!(bench.records(), 4);
    }

    #[test]
    fn a_rework_is_a_new_record_and_wipes_the_identity_file_of_the_life_before() {
        let bench = Bench::new();
        bench.filled();
        let mut register = bench.open();
        let second = Birth {
            life: 2,
            rework: Some("cracked".into()),
            ..birth("A")
        };
        let old = bench.path("old");
        fs::hard_link(register.identity_file("A"), &old).unwrap();
        let file = [Zeroizing::new("another".into())];
        register.give(&mut [second], &file, &bench.key).unwrap();
        let text = fs::read_to_string(register.identity_file("A")).unwrap();
        assert_eq!(text, "another");
        assert_eq!(fs::read(&old).unwrap(), b"0".repeat("secret of A".len()));
        assert_eq!(register.last("A").unwrap().unwrap().life, 2);
    }
}
