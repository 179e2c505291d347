//! `bistable factory provision`, `audit`, `export` and `wipe`, as a station uses them.

mod bench;
#[path = "bench/factory.rs"]
mod factory;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use bench::document;
use bistable_tools::factory::births::{Birth, Event, KeyMade};
use bistable_tools::hex;
use factory::{Factory, rows};

#[test]
fn each_unit_gets_one_serial_number_one_key_one_file_and_one_record() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..5));
    let said = factory.provisions("units.csv", &["--public-keys", "keys.csv"]);
    assert_eq!(
        (said["units"].as_u64(), said["made"].as_u64()),
        (Some(5), Some(5))
    );
    let births = factory.births();
    assert_eq!(births.len(), 5);
    let keys = fs::read_to_string(factory.path("keys.csv")).unwrap();
    let mut different = BTreeSet::new();
    for (number, birth) in births.iter().enumerate() {
        assert_eq!(birth.unit, format!("BST-{number:06}"));
        assert_eq!((birth.event, birth.life), (Event::Provisioned, 1));
        assert_eq!(birth.calibration["offset-mv"], number as i32 - 50);
        assert_eq!(
            (birth.station.as_str(), birth.operator.as_str()),
            ("line-3", "ada")
        );
        let key = birth.device_key.as_ref().unwrap();
        assert!(different.insert(key.clone()), "no two units have one key");
        let row = format!("{},1,{key},", birth.unit);
        assert!(keys.lines().any(|line| line.starts_with(&row)), "{keys}");
        let file = factory.identity_file(&birth.unit).unwrap();
        assert_eq!(
            file.public().map(|key| hex::encode(&key)).as_ref(),
            Some(key)
        );
        let unit = file.unit().unwrap();
        assert_eq!(unit.serial, birth.unit.as_str());
        assert_eq!(unit.calibration, [number as i32 - 50, 1000]);
        let path = factory.register().identity_file(&birth.unit);
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let audit = factory.audits();
    assert_eq!(audit["records"], 5);
    assert_eq!(audit["last"], said["anchor"]);
}

#[test]
fn openssl_reads_the_public_keys_and_believes_the_requests_for_certificates() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..2));
    let said = factory.provisions(
        "units.csv",
        &["--csr", "requests", "--public-keys", "keys.csv"],
    );
    assert_eq!(said["requests"], 2);
    let keys = fs::read_to_string(factory.path("keys.csv")).unwrap();
    for birth in factory.births() {
        let request = factory.path(&format!("requests/{}.csr.pem", birth.unit));
        let arguments = ["req", "-verify", "-noout", "-subject", "-pubkey", "-in"];
        let Ok(output) = Command::new("openssl")
            .args(arguments)
            .arg(&request)
            .output()
        else {
            return; // It is not installed here.
        };
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("verify OK"), "{error}");
        assert!(
            said.contains(&format!("CN = {}", birth.unit))
                || said.contains(&format!("CN={}", birth.unit)),
            "{said}"
        );
        let pem = said.replace('\n', "");
        let line = keys
            .lines()
            .find(|line| line.starts_with(&birth.unit))
            .unwrap();
        let spki = line.rsplit(',').next().unwrap();
        assert!(pem.contains(spki), "{pem} {spki}");
    }
}

#[test]
fn the_same_command_again_changes_nothing() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..3));
    let first = factory.provisions("units.csv", &[]);
    let before = factory.snapshot();
    let again = factory.provisions("units.csv", &[]);
    assert_eq!(
        (again["made"].as_u64(), again["already"].as_u64()),
        (Some(0), Some(3))
    );
    assert_eq!(again["anchor"], first["anchor"]);
    assert!(factory.snapshot() == before);
}

#[test]
fn a_serial_number_of_another_batch_is_refused_before_anything_is_written() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..3));
    factory.provisions("units.csv", &[]);
    let before = factory.snapshot();
    factory.list("more.csv", &rows(2..5));
    let error = factory.refuses("more.csv", &[]);
    let expected = "more.csv, line 2, column `serial`: found `BST-000002`, which was given on ";
    assert!(error.contains(expected), "{error}");
    assert!(
        error.contains(" at line-3 by ada, life 1, batch "),
        "{error}"
    );
    assert!(factory.snapshot() == before);
}

#[test]
fn a_serial_number_that_is_in_the_list_twice_is_refused_before_anything_is_written() {
    let factory = Factory::new();
    factory.list("units.csv", &(rows(0..3) + &rows(1..2)));
    let error = factory.refuses("units.csv", &[]);
    let expected = "units.csv, line 5, column `serial`: found `BST-000001`, as in line 3";
    assert!(error.contains(expected), "{error}");
    assert!(factory.births().is_empty());
}

#[test]
fn a_unit_made_again_has_a_new_life_and_a_new_key_and_everybody_is_told() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..3));
    factory.provisions("units.csv", &[]);
    factory.list("again.csv", &rows(1..2));
    let rework = ["--rework", "cracked board", "--csr", "requests"];
    let said = factory.provisions("again.csv", &rework);
    assert_eq!(
        (&said["made"], &said["rework"]),
        (&1.into(), &"cracked board".into())
    );
    let births = factory.births();
    let [old, new] = [&births[1], &births[3]];
    assert_eq!(
        (old.unit.as_str(), new.unit.as_str()),
        ("BST-000001", "BST-000001")
    );
    assert_eq!(
        (new.life, new.rework.as_deref()),
        (2, Some("cracked board"))
    );
    assert_ne!(old.device_key, new.device_key);
    let file = factory.identity_file("BST-000001").unwrap();
    assert_eq!(file.public().map(|key| hex::encode(&key)), new.device_key);
    assert!(factory.path("requests/BST-000001.life2.csr.pem").exists());
    assert_eq!(factory.audits()["reworks"], 1);
    // The same again is done already; for another reason it is a third life.
    assert_eq!(factory.provisions("again.csv", &rework)["made"], 0);
    assert_eq!(
        factory.provisions("again.csv", &["--rework", "lost"])["made"],
        1
    );
    assert_eq!(factory.births()[4].life, 3);
    // What was never given cannot be made again.
    factory.list("new.csv", &rows(7..8));
    let error = factory.refuses("new.csv", &["--rework", "why not"]);
    assert!(
        error.contains("found `BST-000007`, which was never given"),
        "{error}"
    );
    // The first list speaks of a life that is over.
    let error = factory.refuses("units.csv", &[]);
    assert!(
        error.contains("`BST-000001`, which was given on "),
        "{error}"
    );
}

#[test]
fn the_same_list_with_another_image_is_refused() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..2));
    factory.provisions("units.csv", &[]);
    factory.bench.image(2);
    let error = factory.refuses("units.csv", &["--image", "v2.img"]);
    assert!(
        error.contains("this list was given with the image 1.1.0"),
        "{error}"
    );
}

#[test]
fn a_key_that_the_device_makes_is_in_no_file() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..1));
    let error = factory.refuses(
        "units.csv",
        &["--device-key", "device", "--csr", "requests"],
    );
    assert!(
        error.contains("--csr: found keys that the devices make"),
        "{error}"
    );
    factory.provisions("units.csv", &["--device-key", "device"]);
    let [birth] = factory.births().try_into().unwrap();
    assert_eq!(
        (birth.device_key, birth.key_made),
        (None, KeyMade::OnDevice)
    );
    let file = factory.identity_file("BST-000000").unwrap();
    assert!(file.device_key.is_none() && file.unit().is_some());
}

#[test]
fn a_layout_without_a_place_for_the_key_needs_devices_that_make_theirs() {
    let factory = Factory::new();
    factory
        .bench
        .edit_layout("[partition.device_key]", "[partition.data]");
    factory.bench.image(1);
    factory.list("units.csv", &rows(0..1));
    let error = factory.refuses("units.csv", &[]);
    assert!(
        error.contains("found no place for the device's key"),
        "{error}"
    );
    factory.provisions("units.csv", &["--device-key", "device"]);
}

#[test]
fn an_audit_names_the_line_and_ends_with_exit_status_1() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..4));
    let anchor = factory.provisions("units.csv", &[])["anchor"].clone();
    let path = factory.path("register/births.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = whole.lines().collect();
    fs::write(&path, format!("{}\n{}\n{}\n", lines[0], lines[2], lines[3])).unwrap();
    let output = factory.audit(&[]);
    assert_eq!(output.status.code(), Some(1));
    let report = document(&output.stdout);
    assert_eq!(
        (report["sound"].as_bool(), report["line"].as_u64()),
        (Some(false), Some(2))
    );
    assert_eq!(report["problem"], "removed: record 2 is missing before it");
    // The last lines are missed by the signed head, and without it by the anchor.
    fs::write(&path, format!("{}\n{}\n", lines[0], lines[1])).unwrap();
    let report = document(&factory.audit(&[]).stdout);
    assert_eq!(
        report["problem"],
        "truncated: the file ends before this line, and its signed head says 4 records"
    );
    fs::remove_file(factory.path("register/births.head")).unwrap();
    let output = factory.audit(&[]);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("records may be missing at the end")
    );
    let anchored = ["--head", anchor.as_str().unwrap()];
    let report = document(&factory.audit(&anchored).stdout);
    assert_eq!(report["line"], 3);
    fs::write(&path, &whole).unwrap();
    let report = document(&factory.audit(&anchored).stdout);
    assert_eq!(
        (report["sound"].as_bool(), report["anchor"].as_u64()),
        (Some(true), Some(4))
    );
}

#[test]
fn a_station_that_is_not_named_is_foreign() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..1));
    factory.provisions("units.csv", &[]);
    fs::remove_file(factory.path("register/births.head")).unwrap();
    let file = "register/births.jsonl";
    let error = factory
        .bench
        .fails(&["factory", "audit", file, "--station-key", "dev.pem"]);
    assert!(
        error.contains("births.jsonl, line 1: found records that are not whole: foreign"),
        "{error}"
    );
}

#[test]
fn a_table_has_every_record_and_is_written_only_if_all_are_sound() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..3));
    factory.provisions("units.csv", &[]);
    let export = [
        "factory",
        "export",
        "register",
        "--station-key",
        "station.pem",
        "--csv",
        "births.csv",
    ];
    factory.bench.succeeds(&export);
    let mut table = csv::Reader::from_path(factory.path("births.csv")).unwrap();
    let names = table.headers().unwrap().clone();
    let column = |name: &str| names.iter().position(|it| it == name).unwrap();
    let rows: Vec<_> = table.records().map(Result::unwrap).collect();
    let births: Vec<Birth> = factory.births();
    assert_eq!(rows.len(), 3);
    for (row, birth) in rows.iter().zip(&births) {
        assert_eq!(row[column("unit")], birth.unit);
        assert_eq!(
            Some(&row[column("device_key")]),
            birth.device_key.as_deref()
        );
        assert_eq!(row[column("done")], birth.done);
        assert!(row[column("calibration")].starts_with("gain-ppm=1000;offset-mv=-"));
    }
    let path = factory.path("register/births.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replacen("\"operator\":\"ada\"", "\"operator\":\"eve\"", 1),
    )
    .unwrap();
    let before = fs::read(factory.path("births.csv")).unwrap();
    assert!(!factory.bench.bistable(&export).status.success());
    assert_eq!(fs::read(factory.path("births.csv")).unwrap(), before);
}

#[test]
fn files_that_have_served_are_wiped_and_stay_away() {
    let factory = Factory::new();
    factory.list("units.csv", &rows(0..3));
    factory.provisions("units.csv", &[]);
    let wipe = ["factory", "wipe", "--register", "register"];
    let one = [&wipe[..], &["--serial", "BST-000001"]].concat();
    factory.bench.succeeds(&one);
    assert!(factory.identity_file("BST-000001").is_none());
    assert!(factory.identity_file("BST-000002").is_some());
    let error = factory
        .bench
        .fails(&[&wipe[..], &["--serial", "BST-000009"]].concat());
    assert!(
        error.contains("`BST-000009`, which was never given"),
        "{error}"
    );
    factory.bench.succeeds(&[&wipe[..], &["--all"]].concat());
    assert_eq!(
        fs::read_dir(factory.path("register/units"))
            .unwrap()
            .count(),
        0
    );
    let said = factory.provisions("units.csv", &["--csr", "requests"]);
    assert_eq!(
        (said["made"].as_u64(), said["without_file"].as_u64()),
        (Some(0), Some(3))
    );
}
