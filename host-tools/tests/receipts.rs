//! Receipts from a device's post to the operator's view: `serve`, `devices`, `receipt verify` and `receipt audit`, as
//! processes.

#[path = "bench/fleet.rs"]
mod fleet;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bistable_core::digest::Digest;
use bistable_tools::hex;
use bistable_updater::drift::Finding;
use bistable_updater::receipt::{Rejected, State};
use serde_json::Value;

use fleet::Unit;

const PATIENCE: Duration = Duration::from_secs(20);

const BIRTHS: [&str; 4] = ["--births", "births.jsonl", "--station-key", "station.pem"];

/// A folder with birth records of some units.
struct Factory(tempfile::TempDir);

impl Factory {
    fn new(units: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fleet::make(folder.path(), units);
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bistable"))
            .args(arguments)
            .current_dir(self.path())
            .output()
            .unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// What standard error says, in which there must be `expected`.
    fn fails(&self, arguments: &[&str], expected: &str) {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{expected} in {said}");
    }

    fn devices(&self, arguments: &[&str]) -> Value {
        self.json(&[&["devices", "store"], &BIRTHS[..], arguments].concat())
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        let _ = fs::remove_file(self.path().join("port"));
        let mut process = Command::new(env!("CARGO_BIN_EXE_bistable"))
            .args(["serve", "store", "--listen", "127.0.0.1:0"])
            .args(["--port-file", "port"])
            .args(arguments)
            .current_dir(self.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < PATIENCE, "the server did not start");
            assert!(process.try_wait().unwrap().is_none(), "it ended");
            let port = fs::read_to_string(self.path().join("port")).ok();
            if let Some(port) = port.and_then(|text| text.trim_end().parse().ok()) {
                return Server { process, port };
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn kept(&self) -> usize {
        let text = fs::read_to_string(self.path().join("store/receipts.jsonl")).unwrap();
        text.lines().count()
    }
}

struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let len = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: server\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses a large body may close before it has read all of it.
        let _ = stream.write_all(body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn post(&self, receipts: &[&[u8]]) -> (u16, String) {
        self.ask("POST", "/receipts", &body(receipts))
    }

    /// Which must be kept.
    fn keep(&self, receipts: &[&[u8]]) {
        assert_eq!(self.post(receipts), (204, String::new()));
    }
}

fn body(receipts: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for receipt in receipts {
        body.extend_from_slice(&(receipt.len() as u16).to_le_bytes());
        body.extend_from_slice(receipt);
    }
    body
}

#[test]
fn what_a_unit_posts_is_kept_once_and_listed() {
    let factory = Factory::new(3);
    let server = factory.serve(&BIRTHS);
    let mut unit = Unit::new(0);
    let [first, second] = [unit.next(), unit.next()];
    server.keep(&[&first]);
    server.keep(&[&first, &second]);
    server.keep(&[&second]);
    assert_eq!(factory.kept(), 2);
    let found = factory.devices(&[]);
    let device = &found["devices"][0];
    assert_eq!(device["unit"], "BST-000000");
    assert_eq!(device["image"], Digest::of(b"image").to_string());
    assert_eq!(
        (&device["state"], &device["receipt"]),
        (&"confirmed".into(), &2.into())
    );
    assert_eq!(device["silent"], false);
    let never: Vec<_> = found["never_spoke"].as_array().unwrap().iter().collect();
    assert_eq!(never, ["BST-000001", "BST-000002"]);
}

#[test]
fn a_server_without_birth_records_takes_no_receipts_and_says_why() {
    let factory = Factory::new(1);
    let server = factory.serve(&[]);
    for (method, path) in [("POST", "/receipts"), ("GET", "/challenge")] {
        let (status, said) = server.ask(method, path, b"");
        assert_eq!(status, 404);
        assert!(said.contains("--births"), "{said}");
    }
}

#[test]
fn what_is_not_believed_is_refused_with_its_number_and_hides_nothing_else() {
    let factory = Factory::new(2);
    let server = factory.serve(&BIRTHS);
    let (mut unit, mut stranger) = (Unit::new(0), Unit::new(2));
    let sound = unit.next();
    let mut forged = Unit::new(1).next();
    *forged.last_mut().unwrap() ^= 1;
    let refused = |body: &[u8], number: &str| {
        let (status, said) = server.ask("POST", "/receipts", body);
        assert_eq!(status, 400, "{number}");
        assert!(said.contains(number), "{number} in {said}");
    };
    refused(b"", "B201");
    refused(&body(&[&sound])[..40], "receipt 1: B201 ReceiptTruncated");
    refused(&body(&[&[0; 400]]), "B202");
    refused(&body(&[b""]), "B201");
    refused(&body(&[&stranger.next()]), "B206 UnknownUnit");
    refused(&body(&[&forged]), "B207 Forged");
    // Longer than it says: what is behind is no receipt.
    refused(&[body(&[&sound]), vec![1]].concat(), "receipt 2: B201");
    refused(&body(&[&forged, &unit.next()]), "receipt 1: B207");
    assert_eq!(factory.kept(), 2);
    let (status, _) = server.ask("POST", "/receipts", &[0; 16 * 1024 + 1]);
    assert_eq!(status, 413);
    assert_eq!(factory.devices(&[])["never_spoke"][0], "BST-000001");
}

#[test]
fn a_ledger_that_begins_again_is_asked_for_an_answer_and_taken_with_it() {
    let factory = Factory::new(1);
    let server = factory.serve(&BIRTHS);
    let mut unit = Unit::new(0);
    let old = [(); 3].map(|()| unit.next());
    server.keep(&old.each_ref().map(Vec::as_slice));
    unit.forget();
    unit.receipt.uptime += 1;
    let first = unit.next();
    let (status, challenge) = server.post(&[&first]);
    assert_eq!((status, challenge.len(), factory.kept()), (409, 64, 3));
    // What was to answer another challenge is no answer.
    let mut stale = Unit::new(0);
    stale.receipt.challenge = Some([7; 32]);
    stale.receipt.uptime += 2;
    assert_eq!(server.post(&[&stale.next()]).0, 409);
    unit.receipt.challenge = hex::decode(&challenge);
    let answer = unit.next();
    server.keep(&[&first, &answer]);
    // The old chain's receipts are no later ones.
    assert_eq!(server.post(&[&old[2]]).0, 409);
    server.keep(&[&unit.next()]);
    assert_eq!(factory.kept(), 6);
    let audited =
        factory.json(&[&["receipt", "audit", "store/receipts.jsonl"], &BIRTHS[..]].concat());
    assert_eq!(
        (&audited["restarts"], &audited["bad"]),
        (&1.into(), &0.into())
    );
    assert_eq!(audited["findings"][0]["kind"], "restart");
}

#[test]
fn a_unit_that_is_made_while_the_server_runs_is_known_within_a_second() {
    let factory = Factory::new(2);
    let births = factory.path().join("births.jsonl");
    let whole = fs::read_to_string(&births).unwrap();
    let first = whole.split_inclusive('\n').next().unwrap();
    // The second line is being written.
    fs::write(&births, &whole[..first.len() + 20]).unwrap();
    let server = factory.serve(&BIRTHS);
    let receipt = Unit::new(1).next();
    assert_eq!(server.post(&[&receipt]).0, 400);
    fs::write(&births, whole).unwrap();
    let started = Instant::now();
    while server.post(&[&receipt]).0 != 204 {
        assert!(started.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn two_servers_on_one_store_are_refused() {
    let factory = Factory::new(1);
    let _server = factory.serve(&BIRTHS);
    let second = ["serve", "store", "--listen", "127.0.0.1:0"];
    factory.fails(
        &[&second[..], &BIRTHS].concat(),
        "another process that writes to it",
    );
}

#[test]
fn a_device_that_never_booted_an_image_is_never_listed_as_running_it() {
    let factory = Factory::new(1);
    let server = factory.serve(&BIRTHS);
    let (old, new) = (Digest::of(b"image"), Digest::of(b"release"));
    let (mut unit, reason) = (Unit::new(0), 0x0302);
    let running = |digest: Digest| {
        let found = factory.devices(&["--image", &digest.to_string()]);
        found["devices"].as_array().unwrap().len()
    };
    // The release was written, and is tried; then the unit went back.
    server.keep(&[&unit.next()]);
    assert_eq!((running(old), running(new)), (1, 0));
    unit.receipt.state = State::Reverted(Rejected {
        digest: new.0,
        reason,
    });
    server.keep(&[&unit.next()]);
    assert_eq!((running(old), running(new)), (1, 0));
    let found = factory.devices(&["--state", "reverted"]);
    let rejected = &found["devices"][0]["rejected"];
    assert_eq!(rejected["image"], new.to_string());
    assert_eq!(rejected["reason"], "B103 CheckFailed(2)");
    let none = factory.devices(&["--state", "confirmed"]);
    assert_eq!(none["devices"].as_array().unwrap().len(), 0);
}

#[test]
fn devices_are_chosen_by_silence_drift_and_serial_number() {
    let factory = Factory::new(3);
    let server = factory.serve(&BIRTHS);
    let mut drifting = Unit::new(1);
    drifting.receipt.drift.own = Finding::Differs;
    server.keep(&[&Unit::new(0).next(), &drifting.next()]);
    drop(server);
    let units = |arguments: &[&str]| -> Vec<String> {
        let found = factory.devices(arguments);
        let devices = found["devices"].as_array().unwrap().iter();
        devices
            .map(|it| it["unit"].as_str().unwrap().into())
            .collect()
    };
    assert_eq!(units(&["--drifting"]), ["BST-000001"]);
    assert_eq!(units(&["--unit", "BST-000000"]), ["BST-000000"]);
    assert!(units(&["--silent", "48h"]).is_empty());
    assert_eq!(units(&["--silent", "0s"]).len(), 2);
    // Three days ago, by the server's clock.
    let path = factory.path().join("store/receipts.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().next().unwrap();
    let (_, rest) = line.split_once(',').unwrap();
    let second = text.lines().nth(1).unwrap();
    fs::write(&path, format!("{{\"received\":1,{rest}\n{second}\n")).unwrap();
    assert_eq!(units(&["--silent", "48h"]), ["BST-000000"]);
    let text = factory.run(&[&["devices", "store"], &BIRTHS[..]].concat());
    let text = String::from_utf8(text.stdout).unwrap();
    for expected in [
        "own differs, other no-image",
        "1970-01-01T00:00:01Z",
        "BST-000002  never spoke",
        "2 devices, 1 of them silent for 2 days or longer; 1 never spoke",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
}

#[test]
fn a_receipt_in_a_file_is_verified_and_shown() {
    let factory = Factory::new(1);
    let mut unit = Unit::new(0);
    let asked = factory.json(&["receipt", "challenge"])["challenge"].clone();
    let asked = asked.as_str().unwrap();
    unit.receipt.challenge = hex::decode(asked);
    let receipt = unit.next();
    let file = factory.path().join("unit.receipt");
    let verify = [&["receipt", "verify", "unit.receipt"], &BIRTHS[..]].concat();
    // As it is, and as digits.
    for bytes in [receipt.clone(), (hex::encode(&receipt) + "\n").into_bytes()] {
        fs::write(&file, bytes).unwrap();
        let shown = factory.json(&[&verify[..], &["--challenge", asked]].concat());
        assert_eq!(
            (&shown["unit"], &shown["answers"]),
            (&"BST-000000".into(), &true.into())
        );
        assert_eq!(
            (&shown["state"], &shown["reset"]),
            (&"confirmed".into(), &"power-on".into())
        );
    }
    let other = "00".repeat(32);
    factory.fails(
        &[&verify[..], &["--challenge", &other]].concat(),
        "B210 Stale",
    );
    factory.fails(
        &["receipt", "verify", "unit.receipt", "--public", &other],
        "B207 Forged",
    );
    fs::write(&file, &receipt[..receipt.len() - 1]).unwrap();
    factory.fails(&verify, "B201 ReceiptTruncated");
    fs::write(&file, Unit::new(5).next()).unwrap();
    factory.fails(&verify, "B206 UnknownUnit");
}

#[test]
fn an_audit_finds_what_is_missing_forked_repeated_or_changed() {
    let factory = Factory::new(2);
    let server = factory.serve(&BIRTHS);
    let (mut unit, mut other) = (Unit::new(0), Unit::new(1));
    let receipts = [(); 4].map(|()| unit.next());
    server.keep(&[&receipts[0], &other.next(), &receipts[1], &receipts[3]]);
    drop(server);
    let path = factory.path().join("store/receipts.jsonl");
    let audit = [&["receipt", "audit", "store/receipts.jsonl"], &BIRTHS[..]].concat();
    let kinds = || -> Vec<String> {
        let found = factory.json(&audit);
        let findings = found["findings"].as_array().unwrap().iter();
        findings
            .map(|it| format!("{} {}", it["line"], it["kind"].as_str().unwrap()))
            .collect()
    };
    // A gap is said, and no failure.
    assert_eq!(kinds(), ["4 gap"]);
    assert!(factory.run(&audit).status.success());
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let forked = {
        let mut fork = Unit::new(1);
        fork.receipt.uptime += 1;
        fork.next();
        fork.receipt.number = 1;
        fork.receipt.previous = Digest::of(b"another").0;
        hex::encode(&fork.next())
    };
    let forked = format!("{{\"received\":5,\"receipt\":\"{forked}\"}}");
    let changed = lines[1].replace(&hex::encode(b"BST-000001"), &hex::encode(b"BST-000000"));
    let all = [&lines[..], &[lines[1], "nonsense", &forked, &changed]].concat();
    fs::write(&path, all.join("\n") + "\n").unwrap();
    assert_eq!(
        kinds(),
        ["4 gap", "5 repeated", "6 unreadable", "7 fork", "8 refused"]
    );
    factory.fails(&audit, "4 bad findings");
}
