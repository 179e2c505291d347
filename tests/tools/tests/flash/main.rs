//! `bistable factory flash` with simulated probes: what a station must notice, and what it must never do.

mod station;

use std::fs;
use std::process::Command;

use bistable_tools_tests::released;
use station::{MAIN_IN_FILE, Station, locks, main_flash, used};

const UNIT: [&str; 4] = ["--probe", "sim:unit.sim", "--unit", "BST-1"];
const BOOT: [&str; 4] = ["--boot-test", "rtt", "--seconds", "1"];
const LOCK: [&str; 2] = ["--lock", "key,readout,bootloader"];

fn all(parts: &[&[&'static str]]) -> Vec<&'static str> {
    parts.concat()
}

#[test]
fn a_unit_is_programmed_booted_locked_and_recorded_and_its_key_is_wiped() {
    let station = Station::with(&["BST-1"]);
    let (output, units) = station.flash(&all(&[&UNIT, &BOOT, &LOCK]));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(units[0]["result"], "flashed");
    assert_eq!(units[0]["said"], "simulated firmware: unit BST-1");
    assert_eq!(locks(&station.path("unit.sim")), [true; 3]);
    let flash = main_flash(&station.path("unit.sim"));
    let identity = flash[0x3000..].windows(5).position(|part| part == b"BST-1");
    assert!(identity.is_some_and(|at| at < 64));
    assert!(flash[0x8000..].starts_with(b"BSDK"));
    let payload: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8).collect();
    assert_eq!(flash[0x2_0000..][..20_000], payload);
    let record = station.flashed("BST-1").remove(0);
    assert_eq!(record.read_back.as_deref(), units[0]["read_back"].as_str());
    assert!(
        record
            .locks
            .is_some_and(|locks| locks.key && locks.readout && locks.bootloader)
    );
    assert_eq!(
        (record.station.as_str(), record.operator.as_str()),
        ("line-1", "ada")
    );
    assert!(!station.identity_file("BST-1").exists());
}

#[test]
fn what_was_read_back_is_the_digest_of_all_flash_of_the_layout() {
    let station = Station::with(&["BST-1"]);
    let (_, units) = station.flash(&UNIT);
    let file = fs::read(station.path("unit.sim")).expect("it is there");
    let digest = bistable_core::digest::Digest::of(&file[4096..]);
    assert_eq!(units[0]["read_back"], digest.to_string());
}

#[test]
fn a_unit_is_flashed_once_and_the_same_command_again_says_so() {
    let station = Station::with(&["BST-1"]);
    let arguments = all(&[&UNIT, &BOOT, &LOCK]);
    let (_, first) = station.flash(&arguments);
    let before = fs::read(station.path("unit.sim")).expect("it is there");
    let (output, again) = station.flash(&arguments);
    assert!(output.status.success());
    assert_eq!(again[0]["result"], "flashed-before");
    assert_eq!(again[0]["record"], first[0]["record"]);
    assert_eq!(station.flashed("BST-1").len(), 1);
    assert!(before == fs::read(station.path("unit.sim")).expect("it is there"));
}

#[test]
fn a_dry_run_shows_every_step_and_does_none() {
    let station = Station::with(&["BST-1"]);
    let (output, units) = station.flash(&all(&[&UNIT, &BOOT, &LOCK, &["--dry-run"]]));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(units[0]["result"], "looked");
    // Bootloader, identity, key, five sectors of slot A.
    assert_eq!(
        (&units[0]["sectors"], &units[0]["programmed"]),
        (&528.into(), &8.into())
    );
    let steps = units[0]["steps"].as_array().expect("a list");
    let names: Vec<_> = steps.iter().map(|step| step["lock"].as_str()).collect();
    assert_eq!(names, [Some("key"), Some("readout"), Some("bootloader")]);
    assert!(
        steps[0]["accesses"]
            .as_str()
            .is_some_and(|it| it.contains("[0x4000000c] = 0x21008000"))
    );
    let chip = fs::read(station.path("unit.sim")).expect("it is there");
    assert!(chip[4096..].iter().all(|byte| *byte == 0xFF));
    assert_eq!(locks(&station.path("unit.sim")), [false; 3]);
    assert_eq!(station.records().len(), 1);
    assert!(station.identity_file("BST-1").exists());
    assert!(fs::read_dir(station.path("register/chips")).is_ok_and(|it| it.count() == 0));
}

#[test]
fn each_fault_is_noticed_before_anything_is_locked_or_recorded_and_can_be_mended() {
    for (fault, told) in [
        ("erase-leaves-sector", "read back at"),
        (
            "program-flips-bit",
            "read back at 0x00000000, in the bootloader",
        ),
        (
            "program-writes-nothing",
            "read back at 0x00000000, in the bootloader",
        ),
        ("read-differs", "read back at 0x00000000, in the bootloader"),
        ("program-fails", "program_page"),
        ("silent", "found silence on RTT, 1 s after the reset"),
        ("wrong-serial", "unit BST-SOMEBODY-ELSE` as the last line"),
    ] {
        let station = Station::with(&["BST-1"]);
        let chip = station.path("unit.sim");
        station.flash(&all(&[&UNIT, &["--dry-run"]]));
        used(&chip);
        let probe = format!("sim:unit.sim,fault={fault}");
        let mut arguments = vec!["--probe", &probe, "--unit", "BST-1"];
        arguments.extend(all(&[&BOOT, &LOCK]));
        let error = station.refused(&arguments);
        assert!(error.contains(told), "{fault}: {error}");
        assert_eq!(locks(&chip), [false; 3], "{fault}");
        assert_eq!(station.records().len(), 1, "{fault}");
        assert!(station.identity_file("BST-1").exists(), "{fault}");
        let (output, _) = station.flash(&all(&[&UNIT, &BOOT, &LOCK]));
        assert!(output.status.success(), "{fault}: {output:?}");
        assert_eq!(station.flashed("BST-1").len(), 1, "{fault}");
    }
}

#[test]
fn nothing_is_locked_that_was_not_seen_to_boot() {
    let station = Station::with(&["BST-1"]);
    let mut command = station.command(&all(&[&UNIT, &LOCK]));
    let output = command.output().expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("no --boot-test"), "{error}");
    assert!(!station.path("unit.sim").exists());
}

#[test]
fn a_serial_number_is_not_given_to_two_probes() {
    let station = Station::with(&["BST-1"]);
    let twice = ["--probe", "sim:a.sim", "--unit", "BST-1"];
    let other = ["--probe", "sim:b.sim", "--unit", "BST-1"];
    let mut command = station.command(&all(&[&twice, &other, &BOOT, &LOCK]));
    let output = command.output().expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("BST-1 twice"), "{error}");
    assert!(!station.path("a.sim").exists() && !station.path("b.sim").exists());
    assert_eq!(station.records().len(), 1);
}

#[test]
fn an_identity_that_is_not_the_recorded_one_is_not_programmed() {
    let station = Station::with(&["BST-1", "BST-2"]);
    fs::copy(
        station.identity_file("BST-2"),
        station.identity_file("BST-1"),
    )
    .unwrap();
    let error = station.refused(&all(&[&UNIT, &BOOT, &LOCK]));
    assert!(error.contains("the identity of BST-2"), "{error}");
    assert_eq!(station.records().len(), 2);
}

#[test]
fn a_lock_that_does_not_take_stops_what_comes_behind_it_and_is_not_recorded() {
    for (fault, expected) in [
        ("key-stays-open", [false, false, false]),
        ("readout-stays-open", [true, false, false]),
        ("bootloader-stays-open", [true, true, false]),
    ] {
        let station = Station::with(&["BST-1"]);
        let probe = format!("sim:unit.sim,fault={fault}");
        let mut arguments = vec!["--probe", &probe, "--unit", "BST-1"];
        arguments.extend(all(&[&BOOT, &LOCK]));
        let error = station.refused(&arguments);
        assert!(error.contains("the lock did not take"), "{fault}: {error}");
        assert_eq!(locks(&station.path("unit.sim")), expected, "{fault}");
        assert_eq!(station.records().len(), 1, "{fault}");
        let (_, units) = station.flash(&all(&[&UNIT, &BOOT, &LOCK]));
        let already: Vec<_> = units[0]["steps"]
            .as_array()
            .expect("a list")
            .iter()
            .collect();
        let already: Vec<_> = already.iter().map(|step| step["already"] == true).collect();
        assert_eq!(already, expected, "{fault}: what is done already is left");
        assert_eq!(station.flashed("BST-1").len(), 1);
    }
}

#[test]
fn a_unit_that_is_somebody_else_is_refused_and_stays_as_it_is() {
    let station = Station::with(&["BST-1", "BST-2"]);
    station.flash(&UNIT);
    let before = fs::read(station.path("unit.sim")).expect("it is there");
    let error = station.refused(&["--probe", "sim:unit.sim", "--unit", "BST-2"]);
    assert!(
        error.contains("found the unit BST-1, expected a unit that is BST-2"),
        "{error}"
    );
    assert!(before == fs::read(station.path("unit.sim")).expect("it is there"));
}

#[test]
fn a_serial_number_that_was_begun_in_one_chip_goes_into_no_other() {
    let station = Station::with(&["BST-1"]);
    station.refused(&[
        "--probe",
        "sim:a.sim,fault=program-fails",
        "--unit",
        "BST-1",
    ]);
    let error = station.refused(&["--probe", "sim:b.sim", "--unit", "BST-1"]);
    assert!(
        error.contains("although BST-1 was begun in chip"),
        "{error}"
    );
    let (output, _) = station.flash(&["--probe", "sim:a.sim", "--unit", "BST-1"]);
    assert!(output.status.success());
    let error = station.refused(&["--probe", "sim:b.sim", "--unit", "BST-1"]);
    assert!(
        error.contains("BST-1 was begun in chip"),
        "flashed already: {error}"
    );
}

#[test]
fn a_locked_unit_that_was_not_read_back_here_is_not_believed() {
    let station = Station::with(&["BST-1"]);
    station.flash(&all(&[&UNIT, &BOOT, &LOCK]));
    let other = Station::with(&["BST-1"]);
    fs::copy(station.path("unit.sim"), other.path("unit.sim")).expect("a copy");
    let error = other.refused(&all(&[&UNIT, &BOOT, &LOCK]));
    assert!(
        error.contains("locked (key, readout, bootloader)"),
        "{error}"
    );
    assert_eq!(other.records().len(), 1);
}

#[test]
fn several_probes_work_at_once_and_one_that_fails_stops_no_other() {
    let station = Station::with(&["BST-1", "BST-2", "BST-3"]);
    let mut arguments = vec!["--unit", "BST-1", "--unit", "BST-2", "--unit", "BST-3"];
    for probe in [
        "sim:1.sim",
        "sim:2.sim,fault=program-writes-nothing",
        "sim:3.sim",
    ] {
        arguments.extend(["--probe", probe]);
    }
    let (output, units) = station.flash(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 of 3 units"), "{said}");
    for unit in &units {
        let failed = unit["unit"] == "BST-2";
        assert_eq!(
            unit["result"],
            if failed { "failed" } else { "flashed" },
            "{unit}"
        );
    }
    assert_eq!(units.len(), 3);
    assert_eq!(station.records().len(), 5);
}

#[test]
fn the_next_unit_is_the_one_that_was_begun_in_this_chip_or_one_that_was_not_begun() {
    let station = Station::with(&["BST-1", "BST-2"]);
    let next = |chip: &str| {
        let probe = format!("sim:{chip}");
        let (_, units) = station.flash(&["--probe", &probe, "--next"]);
        units[0]["unit"].as_str().map(str::to_owned)
    };
    assert_eq!(next("a.sim,fault=program-fails").as_deref(), Some("BST-1"));
    assert_eq!(next("b.sim").as_deref(), Some("BST-2"));
    assert_eq!(next("a.sim").as_deref(), Some("BST-1"));
    assert_eq!(
        next("a.sim").as_deref(),
        Some("BST-1"),
        "it was flashed before"
    );
    assert_eq!(next("c.sim"), None, "nobody waits");
    assert_eq!(station.records().len(), 4);
}

#[test]
fn a_file_for_other_units_is_refused_before_the_chip_is_touched() {
    let station = Station::with(&["BST-1"]);
    let text = fs::read_to_string(station.path("common.hex")).expect("it is there");
    fs::write(station.path("common.hex"), text + "\n").expect("it can be written");
    let error = station.refused(&UNIT);
    assert!(error.contains("which BST-1 was provisioned for"), "{error}");
    let chip = fs::read(station.path("unit.sim")).expect("it is there");
    assert!(chip[MAIN_IN_FILE..].iter().all(|byte| *byte == 0xFF));
}

#[test]
fn locks_that_nobody_knows_or_nobody_tried_are_refused_by_name() {
    let station = Station::with(&["BST-1"]);
    let refused = |chip: &str, lock: &str, more: &[&str]| {
        let mut command = Command::new(released());
        command
            .current_dir(station.path(""))
            .args(["factory", "flash"]);
        command.args([
            "--layout",
            "layout.toml",
            "--register",
            "register",
            "--common",
            "common.hex",
        ]);
        command.args(["--station", "x", "--operator", "y", "--key", "station.pem"]);
        command
            .args(UNIT)
            .args(["--chip", chip, "--lock", lock, "--dry-run"])
            .args(more);
        bistable_tools_tests::refused(&mut command)
    };
    let said = refused("STM32F407VGTx", "readout", &[]);
    assert!(
        said.contains("no lock steps are known for STM32F407VGTx"),
        "{said}"
    );
    let said = refused("nRF52840_xxAA", "readout", &[]);
    assert!(said.contains("never run on hardware"), "{said}");
    let said = refused("nRF52840_xxAA", "bootloader", &["--accept-untried-locks"]);
    assert!(said.contains("Board::protect"), "{said}");
}

#[test]
fn a_unit_that_was_never_provisioned_is_refused() {
    let station = Station::with(&["BST-1"]);
    let error = station.refused(&["--probe", "sim:unit.sim", "--unit", "BST-9"]);
    assert!(error.contains("no record of `BST-9`"), "{error}");
}

#[test]
fn a_rework_is_flashed_over_the_life_before_and_recorded_again() {
    let station = Station::with(&["BST-1"]);
    station.flash(&UNIT);
    station.provision("BST-1", 77, 2);
    let (output, units) = station.flash(&UNIT);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(units[0]["programmed"], 1, "the key alone is another");
    let lives: Vec<_> = station
        .flashed("BST-1")
        .iter()
        .map(|birth| birth.life)
        .collect();
    assert_eq!(lives, [1, 2]);
}
