//! Units that sign receipts, and the birth records that name them.
#![allow(dead_code, reason = "each test uses its part of it")]

use std::fs;
use std::path::Path;
use std::thread;

use bistable_core::digest::Digest;
use bistable_tools::factory::births::{self, Birth, Event, KeyMade};
use bistable_tools::hex;
use bistable_tools::keys::SigningKey;
use bistable_updater::device_key::{DeviceKey as _, SoftwareKey};
use bistable_updater::drift::{Drift, Finding};
use bistable_updater::identity::Serial;
use bistable_updater::locks::Locks;
use bistable_updater::receipt::{Receipt, State};

/// A unit, and what it says next.
pub(crate) struct Unit {
    /// The last receipt that it signed, with the digest of it as the one before.
    pub(crate) receipt: Receipt,
    key: SoftwareKey,
}

impl Unit {
    /// The unit with this number.
    pub(crate) fn new(unit: usize) -> Self {
        Self {
            receipt: receipt(unit),
            key: key(unit),
        }
    }

    /// Its next receipt.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        self.receipt.number += 1;
        let signed = self.receipt.sign(&mut self.key).unwrap();
        self.receipt.previous = signed.digest().0;
        self.receipt.challenge = None;
        signed.as_bytes().to_vec()
    }

    /// It loses its ledger.
    pub(crate) fn forget(&mut self) {
        self.receipt.number = 0;
        self.receipt.previous = [0; 32];
    }
}

/// The receipts of so many units, so many each, oldest first, signed on two threads.
pub(crate) fn signed(units: usize, receipts: usize) -> Vec<Vec<Vec<u8>>> {
    let numbers: Vec<_> = (0..units).collect();
    let sign = |unit: &usize| {
        let mut unit = Unit::new(*unit);
        (0..receipts).map(|_| unit.next()).collect()
    };
    thread::scope(|scope| {
        let halves = numbers.chunks(units.div_ceil(2));
        let threads: Vec<_> = halves
            .map(|half| scope.spawn(move || half.iter().map(sign).collect::<Vec<_>>()))
            .collect();
        let signed = threads.into_iter().flat_map(|it| it.join().unwrap());
        signed.collect()
    })
}

/// Writes the birth records of so many units to `births.jsonl` in `folder`, and `station.pem`, which signed them.
pub(crate) fn make(folder: &Path, units: usize) {
    let station = SigningKey::generate();
    station.create(&folder.join("station.pem"), None).unwrap();
    let mut previous = Digest::NONE;
    let mut text = String::new();
    for unit in 0..units {
        let line = births::seal(&birth(unit, previous), &station).unwrap();
        previous = Digest::of(line.as_bytes());
        text += &line;
        text += "\n";
    }
    fs::write(folder.join("births.jsonl"), text).unwrap();
}

pub(crate) fn serial(unit: usize) -> String {
    format!("BST-{unit:06}")
}

fn key(unit: usize) -> SoftwareKey {
    SoftwareKey::from_seed(Digest::of(serial(unit).as_bytes()).0)
}

fn receipt(unit: usize) -> Receipt {
    Receipt {
        unit: Serial::try_from(serial(unit).as_str()).unwrap(),
        number: 0,
        previous: [0; 32],
        challenge: None,
        digest: Digest::of(b"image").0,
        slot: 0,
        version: (1, 2, 3),
        sequence: 7,
        state: State::Confirmed,
        reset: 1,
        resets: 2,
        abnormal: 0,
        uptime: 86_400,
        journal: 0,
        refused: None,
        floor: 3,
        locks: Locks::default(),
        bootloader: (0, 1, 0),
        drift: Drift {
            own: Finding::Intact,
            other: Finding::NoImage,
        },
    }
}

fn birth(unit: usize, previous: Digest) -> Birth {
    let nothing = || hex::encode(&Digest::NONE.0);
    Birth {
        number: unit as u64 + 1,
        previous: hex::encode(&previous.0),
        event: Event::Provisioned,
        unit: serial(unit),
        life: 1,
        rework: None,
        hardware_revision: 3,
        calibration: [].into(),
        device_key: Some(hex::encode(&key(unit).public())),
        key_made: KeyMade::ByTool,
        image: nothing(),
        version: "1.2.3".into(),
        layout: nothing(),
        common: nothing(),
        identity: nothing(),
        batch: nothing(),
        tool: "0.1.0".into(),
        station: "line-3".into(),
        operator: "ada".into(),
        began: "2026-11-22T04:00:00Z".into(),
        done: "2026-11-22T04:00:01Z".into(),
        read_back: None,
        locks: None,
    }
}
