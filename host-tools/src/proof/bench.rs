//! Units for tests: they sign receipts as devices do.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use bistable_core::digest::Digest;
use bistable_updater::device_key::{DeviceKey as _, SoftwareKey};
use bistable_updater::drift::Drift;
use bistable_updater::identity::Serial;
use bistable_updater::locks::Locks;
use bistable_updater::receipt::{Challenge, Receipt, State};

use super::judge::{Authentic, PublicKey, authenticate};
use super::refused::Refused;
use super::units::Units;
use crate::factory::births::{self, Birth, tests::birth};
use crate::hex;
use crate::keys::{Signer as _, SigningKey};

/// A unit with its key, and what its ledger remembers.
pub(crate) struct Unit {
    pub(crate) receipt: Receipt,
    key: SoftwareKey,
}

impl Unit {
    pub(crate) fn new(serial: &str, seed: u8) -> Self {
        Self {
            receipt: receipt(serial),
            key: SoftwareKey::from_seed([seed; 32]),
        }
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// The next receipt, on its own.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        self.answer(None)
    }

    /// The next receipt.
    pub(crate) fn answer(&mut self, challenge: Option<Challenge>) -> Vec<u8> {
        self.receipt.number += 1;
        self.receipt.challenge = challenge;
        let signed = self.receipt.sign(&mut self.key).unwrap();
        self.receipt.previous = signed.digest().0;
        signed.as_bytes().to_vec()
    }

    /// It forgets its ledger.
    pub(crate) fn forget(&mut self) {
        self.receipt.number = 0;
        self.receipt.previous = [0; 32];
    }

    /// It, as it is now, a second time.
    pub(crate) fn cloned(&self, seed: u8) -> Self {
        Self {
            receipt: self.receipt.clone(),
            key: SoftwareKey::from_seed([seed; 32]),
        }
    }
}

/// What the judge makes of `bytes` who knows this unit only.
pub(crate) fn judged(unit: &Unit, bytes: &[u8]) -> Result<Authentic, Refused> {
    let known = |serial: &str| serial == &*unit.receipt.unit;
    authenticate(bytes, |serial| known(serial).then(|| unit.public().into()))
}

/// Before the first one: a unit that runs what it was made with.
fn receipt(serial: &str) -> Receipt {
    Receipt {
        unit: Serial::try_from(serial).unwrap(),
        number: 0,
        previous: [0; 32],
        challenge: None,
        digest: Digest::of(b"image").0,
        slot: 0,
        version: (1, 2, 3),
        sequence: 7,
        state: State::Confirmed,
        reset: 1,
        resets: 0,
        abnormal: 0,
        uptime: 60,
        journal: 0,
        refused: None,
        floor: 1,
        locks: Locks::default(),
        bootloader: (0, 1, 0),
        drift: Drift::default(),
    }
}

/// A file of birth records, which grows.
pub(crate) struct Births {
    directory: tempfile::TempDir,
    station: SigningKey,
    records: u64,
    head: Digest,
}

impl Births {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            station: SigningKey::generate(),
            records: 0,
            head: Digest::NONE,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("births.jsonl")
    }

    pub(crate) fn units(&self) -> Units {
        Units::open(&self.path(), vec![self.station.public()]).unwrap()
    }

    /// The unit begins this life with this key.
    pub(crate) fn add(&mut self, serial: &str, life: u32, key: PublicKey) {
        self.records += 1;
        let birth = Birth {
            number: self.records,
            previous: hex::encode(&self.head.0),
            life,
            rework: (life > 1).then(|| "new board".into()),
            device_key: Some(hex::encode(&key)),
            ..birth(serial)
        };
        let line = births::seal(&birth, &self.station).unwrap();
        self.head = Digest::of(line.as_bytes());
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path());
        writeln!(file.unwrap(), "{line}").unwrap();
    }
}
