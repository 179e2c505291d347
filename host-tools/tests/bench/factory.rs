//! A factory on a bench: a product whose units have keys and calibration values, a station, and a register.
#![allow(dead_code, reason = "each test uses its part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Output;

use bistable_tools::factory::births::{self, Birth};
use bistable_tools::factory::identity_file::{IdentityFile, Places};
use bistable_tools::factory::register::Register;
use serde_json::Value;

use crate::bench::{Bench, document};

/// What the bench's layout lacks.
const MORE: &str = r#"
[partition.device_key]
flash = "main"
offset = 0x4000
size = 0x1000
[factory]
calibration = ["offset-mv", "gain-ppm"]
[trial]"#;

pub(crate) struct Factory {
    pub(crate) bench: Bench,
}

impl Factory {
    /// With an image `v1.img`, and a station's key that is in no ring of the product.
    pub(crate) fn new() -> Self {
        Self::on(Bench::new())
    }

    pub(crate) fn on(bench: Bench) -> Self {
        bench.edit_layout("[trial]", MORE);
        bench.image(1);
        let station = ["key", "new", "--ring", "stations.toml", "--name", "station"];
        bench.succeeds(&station);
        Self { bench }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bench.path(name)
    }

    pub(crate) fn list(&self, name: &str, rows: &str) {
        let text = format!("serial,hardware_revision,offset-mv,gain-ppm\n{rows}");
        fs::write(self.path(name), text).unwrap();
    }

    /// What the command says of a list that it provisions.
    pub(crate) fn provisions(&self, list: &str, more: &[&str]) -> Value {
        let said = self
            .bench
            .succeeds(&[&["--json"], &provision(list)[..], more].concat());
        document(said.as_bytes())
    }

    pub(crate) fn refuses(&self, list: &str, more: &[&str]) -> String {
        let mut arguments = provision(list);
        if more.contains(&"--image") {
            arguments.retain(|it| *it != "--image" && *it != "v1.img");
        }
        let output = self.bench.bistable(&[&arguments[..], more].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn audit(&self, more: &[&str]) -> Output {
        let audit = [
            "--json",
            "factory",
            "audit",
            "register",
            "--station-key",
            "station.pem",
        ];
        self.bench.bistable(&[&audit[..], more].concat())
    }

    /// What the audit of a sound register says.
    pub(crate) fn audits(&self) -> Value {
        let output = self.audit(&[]);
        assert!(output.status.success(), "{output:?}");
        document(&output.stdout)
    }

    /// The register, which makes whole what a killed command left.
    pub(crate) fn register(&self) -> Register {
        Register::open(&self.path("register")).unwrap()
    }

    /// The records as they lie there.
    pub(crate) fn births(&self) -> Vec<Birth> {
        let text = fs::read_to_string(self.path("register/births.jsonl")).unwrap();
        text.lines()
            .map(|line| births::read(line).unwrap())
            .collect()
    }

    /// The identity file of a unit, if it is still there.
    pub(crate) fn identity_file(&self, serial: &str) -> Option<IdentityFile> {
        let places = Places::of(&self.bench.facts().product, &self.bench.layout()).unwrap();
        let path = self.register().identity_file(serial);
        path.exists()
            .then(|| IdentityFile::read(&path, places).unwrap())
    }

    /// Records and identity files, byte by byte.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.path("register/units")).unwrap();
        let units = entries.map(|entry| entry.unwrap().path());
        let records = ["births.jsonl", "births.head"].map(|name| self.path("register").join(name));
        let all = units.chain(records);
        all.map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    }
}

/// `factory provision` of a list.
pub(crate) fn provision(list: &str) -> Vec<&str> {
    let arguments = [
        "factory",
        "provision",
        list,
        "--layout",
        "layout.toml",
        "--image",
        "v1.img",
        "--register",
        "register",
        "--key",
        "station.pem",
        "--station",
        "line-3",
        "--operator",
        "ada",
    ];
    arguments.into()
}

/// The lines of these units.
pub(crate) fn rows(units: Range<u32>) -> String {
    let row = |unit: u32| format!("BST-{unit:06},3,{},1000\n", i64::from(unit) - 50);
    units.map(row).collect()
}
