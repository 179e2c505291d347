//! A station for the tests: a register with units in it, a file for all of them, and simulated chips.
#![allow(dead_code, reason = "each test program uses its part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bistable_core::digest::Digest;
use bistable_layout::hex;
use bistable_tools::factory::births::{self, Birth, Event, KeyMade};
use bistable_tools::factory::register::{BIRTHS, Register};
use bistable_tools::keys::{Signer as _, SigningKey};
use bistable_tools_tests::{released, repository, succeeds};
use bistable_updater::device_key::{self, DeviceKey as _, SoftwareKey};
use bistable_updater::identity::{self, Identity, Serial};
use tempfile::TempDir;
use zeroize::Zeroizing;

const MAIN: u32 = 0x2100_0000;
const IDENTITY: u32 = MAIN + 0x3000;
const KEY: u32 = MAIN + 0x8000;
const SLOT_A: u32 = MAIN + 0x2_0000;

/// The head of a simulated chip's file, and its first flash.
pub(crate) const MAIN_IN_FILE: usize = 4096 + 0x1_0000;

/// A station's desk.
pub(crate) struct Station {
    folder: TempDir,
    bistable: PathBuf,
    key: SigningKey,
    common: Digest,
}

impl Station {
    /// Units of these serial numbers wait to be flashed.
    pub(crate) fn with(serials: &[&str]) -> Self {
        let station = Self::empty();
        for (number, serial) in (1_usize..).zip(serials) {
            station.provision(serial, number as u8, 1);
        }
        station
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bistable = released();
        let board = repository().join("qemu/mps2-an385/layout.toml");
        fs::copy(board, folder.path().join("layout.toml")).expect("it is there");
        let mut command = Command::new(&bistable);
        command
            .current_dir(&folder)
            .args(["key", "new", "--development"]);
        command.args([
            "--name",
            "development",
            "--ring",
            "keys/ring.toml",
            "--out",
            "keys/dev.pem",
        ]);
        succeeds(&mut command);
        let key = SigningKey::generate();
        key.create(&folder.path().join("station.pem"), None)
            .expect("it is new");
        let vectors = [0x2000_8000_u32, 0x0000_0101]
            .map(u32::to_le_bytes)
            .concat();
        let payload: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8).collect();
        let text = intel_hex(&[(0, &vectors), (SLOT_A, &payload)]);
        fs::write(folder.path().join("common.hex"), &text).expect("a new file");
        Self {
            common: Digest::of(text.as_bytes()),
            folder,
            bistable,
            key,
        }
    }

    /// Gives a serial number, as `factory provision` does.
    pub(crate) fn provision(&self, serial: &str, seed: u8, life: u32) {
        let identity = Identity {
            serial: Serial::try_from(serial).expect("it is short"),
            hardware_revision: 2,
            ..Identity::default()
        };
        let mut buffer = [0; identity::MAX_LEN];
        let block = identity.encode(&mut buffer).expect("it fits");
        let secret = device_key::encode(&[seed; 32]);
        let file = intel_hex(&[(IDENTITY, block), (KEY, &secret)]);
        let birth = Birth {
            number: 0,
            previous: String::new(),
            event: Event::Provisioned,
            unit: serial.into(),
            life,
            rework: (life > 1).then(|| "a test".into()),
            hardware_revision: 2,
            calibration: BTreeMap::new(),
            device_key: Some(hex::encode(&SoftwareKey::from_seed([seed; 32]).public())),
            key_made: KeyMade::ByTool,
            image: "00".repeat(32),
            version: "1.0.0".into(),
            layout: "00".repeat(32),
            common: self.common.to_string(),
            identity: Digest::of(block).to_string(),
            batch: "00".repeat(32),
            tool: "0.1.0".into(),
            station: "office".into(),
            operator: "bea".into(),
            began: "2026-01-02T03:04:05Z".into(),
            done: "2026-01-02T03:04:06Z".into(),
            read_back: None,
            locks: None,
        };
        let file = [Zeroizing::new(file)];
        self.register()
            .give(&mut [birth], &file, &self.key)
            .expect("it is new");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn identity_file(&self, serial: &str) -> PathBuf {
        self.path("register/units").join(format!("{serial}.hex"))
    }

    /// `factory flash` of these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.bistable);
        command.current_dir(&self.folder).args(["factory", "flash"]);
        command.args(["--layout", "layout.toml", "--register", "register"]);
        command.args([
            "--common",
            "common.hex",
            "--station",
            "line-1",
            "--operator",
            "ada",
        ]);
        command.args(["--key", "station.pem", "--chip", "bistable-simulated"]);
        command.args(arguments);
        command
    }

    /// Runs it with `--json`: whether it succeeded, and what it said of each unit.
    pub(crate) fn flash(&self, arguments: &[&str]) -> (Output, Vec<serde_json::Value>) {
        let mut command = self.command(arguments);
        let output = command.arg("--json").output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        (output, lines.collect())
    }

    /// Runs it for one unit, which must be refused; why.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let (output, units) = self.flash(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        match units.first().and_then(|unit| unit["error"].as_str()) {
            Some(error) => error.to_owned(),
            None => said,
        }
    }

    /// The records, as they lie in their file.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.path("register").join(BIRTHS)).expect("it is there")
    }

    /// All records, audited with the station's key.
    pub(crate) fn records(&self) -> Vec<Birth> {
        let text = self.text();
        let mut records = Vec::new();
        let audited = births::audit(text.as_bytes(), &[self.key.public()], |birth| {
            records.push(birth.clone());
        });
        assert!(audited.is_ok(), "the records do not hold");
        records
    }

    /// The records that say that it was flashed.
    pub(crate) fn flashed(&self, serial: &str) -> Vec<Birth> {
        let mut records = self.records();
        records.retain(|birth| birth.unit == serial && birth.event == Event::Flashed);
        records
    }

    fn register(&self) -> Register {
        Register::open(&self.path("register")).expect("nobody else has it")
    }
}

/// What lies in a simulated chip's one-way locks: key sector, read-out, bootloader.
pub(crate) fn locks(chip: &Path) -> [bool; 3] {
    let file = fs::read(chip).expect("it is there");
    [16, 20, 24].map(|at| file[at..at + 4] != [0xFF; 4])
}

/// The whole main flash of a simulated chip.
pub(crate) fn main_flash(chip: &Path) -> Vec<u8> {
    fs::read(chip).expect("it is there").split_off(MAIN_IN_FILE)
}

/// Something else was in this chip before.
pub(crate) fn used(chip: &Path) {
    let mut file = fs::read(chip).expect("it is there");
    for byte in &mut file[4096..] {
        *byte = 0x5A;
    }
    fs::write(chip, file).expect("it can be written");
}

fn intel_hex(pieces: &[(u32, &[u8])]) -> String {
    let mut text = String::new();
    let mut record = |kind: u8, offset: u16, data: &[u8]| {
        let mut bytes = vec![data.len() as u8, (offset >> 8) as u8, offset as u8, kind];
        bytes.extend_from_slice(data);
        let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        bytes.push(sum.wrapping_neg());
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        text += &format!(":{digits}\n");
    };
    for (address, data) in pieces {
        for (address, data) in (*address..).step_by(16).zip(data.chunks(16)) {
            record(4, 0, &(address >> 16).to_be_bytes()[2..]);
            record(0, address as u16, data);
        }
    }
    record(1, 0, &[]);
    text
}
