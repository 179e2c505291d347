//! Units that sign receipts, and the birth records that name them.

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

/// The receipts of each unit, oldest first.
pub(crate) struct Fleet(pub(crate) Vec<Vec<Vec<u8>>>);

impl Fleet {
    /// Makes so many units, which sign so many receipts each, and writes `births.jsonl` and `station.pem` into
    /// `folder`.
    pub(crate) fn new(folder: &Path, units: usize, receipts: u32) -> Self {
        let numbers: Vec<_> = (0..units).collect();
        let halves = numbers.chunks(units.div_ceil(2));
        let signed = thread::scope(|scope| {
            let sign = |half: &[usize]| half.iter().map(|it| sign(*it, receipts)).collect();
            let threads: Vec<_> = halves
                .map(|half| scope.spawn(move || -> Vec<_> { sign(half) }))
                .collect();
            let signed = threads.into_iter().flat_map(|it| it.join().unwrap());
            signed.collect()
        });
        write_births(folder, units);
        Self(signed)
    }
}

fn serial(unit: usize) -> String {
    format!("BST-{unit:06}")
}

fn key(unit: usize) -> SoftwareKey {
    SoftwareKey::from_seed(Digest::of(serial(unit).as_bytes()).0)
}

fn sign(unit: usize, receipts: u32) -> Vec<Vec<u8>> {
    let mut key = key(unit);
    let mut previous = [0; 32];
    let receipts = (1..=receipts).map(|number| {
        let signed = receipt(unit, number, previous).sign(&mut key).unwrap();
        previous = signed.digest().0;
        signed.as_bytes().to_vec()
    });
    receipts.collect()
}

fn receipt(unit: usize, number: u32, previous: [u8; 32]) -> Receipt {
    Receipt {
        unit: Serial::try_from(serial(unit).as_str()).unwrap(),
        number,
        previous,
        challenge: None,
        digest: Digest::of(b"image").0,
        slot: 0,
        version: (1, 2, 3),
        sequence: 7,
        state: State::Confirmed,
        reset: 1,
        resets: number,
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

fn write_births(folder: &Path, units: usize) {
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
