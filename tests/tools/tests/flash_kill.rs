//! `bistable factory flash` is killed 200 times, at random moments, on the released command; then the same command
//! runs again. Each unit is flashed and recorded once, and none is locked before it was read back.

#[path = "flash/station.rs"]
mod station;

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bistable_core::digest::Digest;
use station::{Station, locks};

const KILLS: usize = 200;

/// How many are flashed without a kill, to see how long that takes.
const WHOLE: usize = 3;

#[test]
fn whenever_flashing_is_killed_the_same_command_goes_on_and_a_unit_is_flashed_once() {
    let serials: Vec<String> = (0..KILLS + WHOLE)
        .map(|number| format!("BST-{number:03}"))
        .collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    let station = Station::with(&serials);
    let whole = serials[KILLS..].iter().map(|serial| {
        let begun = Instant::now();
        run(&station, serial);
        begun.elapsed()
    });
    let whole = whole.min().expect("there are some");
    let seed = std::env::var("BISTABLE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("BISTABLE_SEED={seed}, a whole run takes {whole:?}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut found = Found::default();
    for serial in &serials[..KILLS] {
        let after = whole.mul_f64(1.1 * random.f64());
        kill(&station, serial, after);
        look(&station, serial, &mut found);
        run(&station, serial);
        let chip = station.path(&chip(serial));
        assert_eq!(locks(&chip), [true; 3], "{serial}");
        assert!(!station.identity_file(serial).exists(), "{serial}");
        fs::remove_file(chip).expect("it is there");
    }
    println!("{found:?}");
    let records = station.records();
    assert_eq!(records.len(), 2 * serials.len());
    for serial in &serials {
        assert_eq!(station.flashed(serial).len(), 1, "{serial}");
    }
    assert!(
        found.programmed > 0 && found.untouched > 0,
        "kills at one moment only: {found:?}"
    );
}

/// Where the kills found the units.
#[derive(Default, Debug)]
struct Found {
    untouched: usize,
    programmed: usize,
    verified: usize,
    locked: usize,
    recorded: usize,
}

fn chip(serial: &str) -> String {
    format!("{serial}.sim")
}

fn command(station: &Station, serial: &str) -> std::process::Command {
    let probe = format!("sim:{}", chip(serial));
    let mut command = station.command(&["--unit", serial, "--probe", &probe]);
    command.args(["--boot-test", "rtt", "--lock", "key,readout,bootloader"]);
    command
}

fn run(station: &Station, serial: &str) {
    let output = command(station, serial).output().expect("it starts");
    assert!(output.status.success(), "{serial}: {output:?}");
}

fn kill(station: &Station, serial: &str, after: Duration) {
    let mut command = command(station, serial);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    std::thread::sleep(after);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
}

/// What must hold wherever it was killed.
fn look(station: &Station, serial: &str, found: &mut Found) {
    let memory = station
        .path("register/chips")
        .join(format!("{serial}.json"));
    let memory = fs::read_to_string(memory).unwrap_or_default();
    let read_back = memory
        .split("\"read_back\":\"")
        .nth(1)
        .map(|rest| &rest[..64]);
    let path = station.path(&chip(serial));
    let file = fs::read(&path).unwrap_or_default();
    let locked = !file.is_empty() && locks(&path) != [false; 3];
    let recorded = station.text().lines().any(|line| {
        line.contains(&format!("\"unit\":\"{serial}\"")) && line.contains("\"event\":\"flashed\"")
    });
    if recorded {
        assert_eq!(
            locks(&path),
            [true; 3],
            "{serial}: recorded before it was locked"
        );
    } else {
        assert!(
            station.identity_file(serial).exists(),
            "{serial}: wiped before it was recorded"
        );
    }
    if locked {
        let digest = Digest::of(&file[4096..]).to_string();
        assert_eq!(
            read_back,
            Some(digest.as_str()),
            "{serial}: locked before it was read back"
        );
    }
    if file
        .get(4096..)
        .is_some_and(|flash| flash.iter().any(|byte| *byte != 0xFF))
    {
        assert!(
            memory.contains("\"chip\""),
            "{serial}: begun, and not remembered"
        );
    }
    *match (recorded, locked, read_back, memory.is_empty()) {
        (true, ..) => &mut found.recorded,
        (_, true, ..) => &mut found.locked,
        (_, _, Some(_), _) => &mut found.verified,
        (.., false) => &mut found.programmed,
        (.., true) => &mut found.untouched,
    } += 1;
}
