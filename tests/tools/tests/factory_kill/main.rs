//! `factory provision`, killed at any moment and given again: no serial number is lost, none is used twice, and no
//! unit has two keys. And 10,000 units within a minute, in constant memory.

mod bench {
    pub(crate) use crate::product::*;
}
#[path = "../../../../host-tools/tests/bench/factory.rs"]
mod factory;
#[path = "../../../../host-tools/tests/bench/mod.rs"]
mod product;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bistable_tools::factory::births::{self, Auditor, Birth, Head};
use bistable_tools::factory::identity_file::{IdentityFile, Places};
use bistable_tools::hex;
use bistable_tools::keys::{self, Passphrases, Source};
use bistable_tools_tests::{bistable, released};
use factory::{Factory, provision, rows};

/// How often the command is killed.
const KILLS: u32 = 200;

/// More than one group of units that are recorded together, and less than two.
const UNITS: u32 = 264;

/// What the tools may take for 10,000 units, provisioned and audited.
const LIMIT: Duration = Duration::from_secs(60);

/// By how much 10,000 units may need more memory than 1,000, in KiB: caches that fill up to their bounds.
const SLACK: u64 = 4 * 1024;

struct Station {
    factory: Factory,
    program: PathBuf,
    places: Places,
    key: [u8; 32],
}

impl Station {
    fn new() -> Self {
        let factory = Factory::on(product::Bench::of(bistable()));
        let key = Source::from(factory.path("station.pem").into_os_string());
        Self {
            places: Places::of(&factory.bench.facts().product, &factory.bench.layout()).unwrap(),
            key: keys::public(&key, &Passphrases::default()).unwrap(),
            program: released(),
            factory,
        }
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.factory.path(""));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs the command to its end; returns how long it took.
    fn completes(&self) -> Duration {
        let begun = Instant::now();
        let output = self
            .start(&provision("units.csv"))
            .wait_with_output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        begun.elapsed()
    }

    /// Kills the command after this time; returns whether it was still at work.
    fn is_killed_after(&self, time: Duration) -> bool {
        let mut child = self.start(&provision("units.csv"));
        thread::sleep(time);
        let working = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.is_empty(),
            "a command that goes on where another was killed: {said}"
        );
        working
    }

    /// The records whose lines are whole.
    fn recorded(&self) -> Vec<Birth> {
        let path = self.factory.path("register/births.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| births::read(line).unwrap())
            .collect()
    }

    /// Whoever finds an identity file has a unit that is recorded, with this key. Looks into every `step`th file,
    /// and returns how many there are.
    fn check_files(&self, births: &[Birth], step: usize) -> usize {
        let keys: BTreeMap<_, _> = births.iter().map(|it| (it.unit.as_str(), it)).collect();
        let folder = self.factory.path("register/units");
        let Ok(entries) = fs::read_dir(folder) else {
            return 0;
        };
        let check = |path: &Path| {
            let file = IdentityFile::read(path, self.places).unwrap();
            let unit = file.unit().unwrap();
            let birth = keys[unit.serial.as_str()];
            let public = file.public().map(|public| hex::encode(&public));
            assert_eq!(public, birth.device_key, "{}", birth.unit);
        };
        let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.iter().step_by(step).for_each(|path| check(path));
        paths.len()
    }

    /// Everything is there, once.
    fn check_whole(&self, before: &[Birth], step: usize) {
        let births = self.recorded();
        let serials: BTreeSet<_> = births.iter().map(|birth| birth.unit.clone()).collect();
        assert_eq!(
            (births.len(), serials.len()),
            (UNITS as usize, UNITS as usize)
        );
        assert!(births.starts_with(before), "what was recorded stays");
        assert!(births.iter().all(|birth| birth.life == 1));
        let stations = [self.key];
        let head = fs::read_to_string(self.factory.path("register/births.head")).unwrap();
        let mut auditor = Auditor::new(&stations);
        auditor.head = Some(Head::verified(&head, &stations).unwrap());
        assert_eq!(auditor.head.as_ref().unwrap().records, u64::from(UNITS));
        let text = fs::read(self.factory.path("register/births.jsonl")).unwrap();
        auditor.run(text.as_slice(), |_| {}).unwrap();
        assert_eq!(self.check_files(&births, step), UNITS as usize);
        let pending = fs::read_dir(self.factory.path("register/pending")).unwrap();
        assert_eq!(pending.count(), 0);
    }

    fn begin_anew(&self) {
        let _ = fs::remove_dir_all(self.factory.path("register"));
    }
}

#[test]
fn a_killed_provision_given_again_loses_no_serial_number_and_uses_none_twice() {
    let station = Station::new();
    station.factory.list("units.csv", &rows(0..UNITS));
    let mut random = fastrand::Rng::with_seed(0xb157_ab1e);
    let whole = |()| {
        station.begin_anew();
        station.completes()
    };
    // The first one pays for what the machine has to read.
    let fastest = [(); 5].map(whole).into_iter().min().unwrap();
    station.check_whole(&[], 1);
    let (mut kills, mut at_work, mut partly) = (0, 0, 0);
    while at_work < KILLS {
        station.begin_anew();
        // Sometimes once, sometimes several times in a row before it may end: each within what the one before left.
        for _ in 0..random.u32(1..=6) {
            let left = f64::from(UNITS) - station.recorded().len() as f64;
            if left == 0.0 {
                break;
            }
            let time = fastest.mul_f64(random.f64() * left / f64::from(UNITS));
            kills += 1;
            at_work += u32::from(station.is_killed_after(time));
        }
        let recorded = station.recorded();
        partly += u32::from(!recorded.is_empty() && recorded.len() < UNITS as usize);
        // Which files come first, the file system decides.
        let step = random.usize(5..=15);
        station.check_files(&recorded, step);
        station.completes();
        station.check_whole(&recorded, step);
        assert!(
            kills < 5 * KILLS,
            "{at_work} of {kills} kills met a command at work"
        );
    }
    println!("{kills} kills, {at_work} of a command at work; {partly} left a part of the units");
    assert!(partly > 0, "no kill came between two groups");
}

/// Runs a command; returns its time, and the most memory that it held, in KiB.
fn measured(station: &Station, arguments: &[&str]) -> (Duration, u64) {
    let begun = Instant::now();
    let mut child = station.start(arguments);
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let held = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        most = held.unwrap_or(most);
        thread::sleep(Duration::from_millis(2));
    }
    let taken = begun.elapsed();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (taken, most)
}

#[test]
fn ten_thousand_units_take_less_than_a_minute_and_no_more_memory_than_a_thousand() {
    let station = Station::new();
    let audit = [
        "factory",
        "audit",
        "register",
        "--station-key",
        "station.pem",
    ];
    let measured = [1_000, 10_000].map(|units| {
        station.begin_anew();
        station.factory.list("units.csv", &rows(0..units));
        let provisioned = measured(&station, &provision("units.csv"));
        let audited = measured(&station, &audit);
        println!("{units} units: provisioned {provisioned:?}, audited {audited:?}, in KiB");
        assert_eq!(station.recorded().len(), units as usize);
        (provisioned, audited)
    });
    let [small, large] = measured;
    let memory = |run: ((Duration, u64), (Duration, u64))| [run.0.1, run.1.1];
    for (less, more) in memory(small).into_iter().zip(memory(large)) {
        assert!(
            less > 0 && more < less + SLACK,
            "{more} KiB after {less} KiB"
        );
    }
    let taken = large.0.0 + large.1.0;
    assert!(taken < LIMIT, "{taken:?}");
}
