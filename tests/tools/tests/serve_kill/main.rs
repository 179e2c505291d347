//! What a server says it kept is kept: killed again and again under load, and at full speed.

#[path = "../../../../host-tools/tests/bench/fleet.rs"]
mod fleet;
mod meter;
mod server;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bistable_core::digest::Digest;
use bistable_tools::proof::kept;

use meter::{Cost, Meter};
use server::Server;

/// How many receipts a server on two cores, which its clients share, verifies and keeps in a second.
const RATE: f64 = 10_000.0;

#[test]
fn ten_thousand_receipts_in_a_second_are_verified_and_kept() {
    const UNITS: usize = 1024;
    const RECEIPTS: usize = 24;
    let folder = tempfile::tempdir().unwrap();
    fleet::make(folder.path(), UNITS);
    let signed = fleet::signed(UNITS, RECEIPTS);
    let server = Server::start(folder.path());
    let units: Vec<_> = signed.chunks(4).collect();
    let meter = Meter::start(server.id());
    thread::scope(|scope| {
        for units in units.chunks(units.len().div_ceil(2)) {
            let server = &server;
            scope.spawn(move || post_all(server, units));
        }
    });
    let Cost { took, ours, others } = meter.stop();
    server.kill();
    let all = UNITS * RECEIPTS;
    let rate = all as f64 / took;
    // What two cores could do if nobody else wanted them.
    let possible = all as f64 / (ours / 2.0);
    println!(
        "{all} receipts, one a request, in {took:.2} s: {rate:.0} in a second; {:.0} us of a core for each, client \
         included, so that two could do {possible:.0}; others used {:.0} % of the machine",
        ours / all as f64 * 1e6,
        others * 100.0
    );
    let lines = kept_lines(folder.path());
    assert_eq!(lines.len(), all);
    assert!(lines.values().all(|times| *times == 1));
    // By processor time: on a virtual machine whose processors wake up late, the clock says half as much from run to run, with
    // both of them idle, and with the file in memory, too.
    assert!(
        possible >= RATE,
        "{possible:.0} in a second, if nobody else wanted the cores"
    );
}

#[test]
#[ignore = "a measurement that takes a minute: by hand"]
fn what_twenty_thousand_units_cost() {
    const UNITS: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    fleet::make(folder.path(), UNITS);
    let signed = fleet::signed(UNITS, 2);
    fs::create_dir(folder.path().join("store")).unwrap();
    for receipts in 0..=2 {
        let mut text = String::new();
        for receipt in signed.iter().flat_map(|all| &all[..receipts]) {
            kept::write(&mut text, 1, receipt);
        }
        fs::write(folder.path().join("store").join(kept::FILE_NAME), &text).unwrap();
        let began = Instant::now();
        let server = Server::start(folder.path());
        let took = began.elapsed().as_secs_f64();
        let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS"));
        println!("{UNITS} units, {receipts} receipts each: started in {took:.1} s, {resident:?}");
        server.kill();
    }
}

/// A connection for each few units: one request on each, then the answers.
fn post_all(server: &Server, connections: &[&[Vec<Vec<u8>>]]) {
    let mut connections: Vec<_> = connections
        .iter()
        .map(|units| (server.connect(), units.iter().flatten()))
        .collect();
    loop {
        let mut posted = Vec::new();
        for (connection, receipts) in &mut connections {
            if let Some(receipt) = receipts.next() {
                connection.post(receipt).unwrap();
                posted.push(connection);
            }
        }
        if posted.is_empty() {
            return;
        }
        for connection in posted {
            connection.status().unwrap();
        }
    }
}

#[test]
fn no_receipt_that_was_acknowledged_is_lost_when_the_server_is_killed() {
    const UNITS: usize = 32;
    const RECEIPTS: usize = 600;
    const KILLS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    fleet::make(folder.path(), UNITS);
    let signed = fleet::signed(UNITS, RECEIPTS);
    let mut random = fastrand::Rng::with_seed(8);
    // Of each unit, how many were acknowledged.
    let acknowledged: Vec<_> = (0..UNITS).map(|_| AtomicU32::new(0)).collect();
    let (mut under_way, mut kills) = (0, 0);
    while kills < KILLS {
        let server = Server::start(folder.path());
        let stop = AtomicBool::new(false);
        let pause = Duration::from_micros(random.u64(500..150_000));
        thread::scope(|scope| {
            for (receipts, acknowledged) in signed.iter().zip(&acknowledged) {
                let (server, stop) = (server.connect(), &stop);
                scope.spawn(move || post_until(server, receipts, acknowledged, stop));
            }
            thread::sleep(pause);
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        kills += 1;
        let lines = kept_lines(folder.path());
        let mut promised = 0;
        for (receipts, acknowledged) in signed.iter().zip(&acknowledged) {
            let acknowledged = acknowledged.load(Ordering::Relaxed) as usize;
            promised += acknowledged;
            for receipt in &receipts[..acknowledged] {
                let times = lines.get(&Digest::of(receipt));
                assert_eq!(times, Some(&1), "kill {kills}: lost, or kept twice");
            }
        }
        assert!(lines.values().all(|times| *times == 1), "kept twice");
        under_way += usize::from(lines.len() > promised);
    }
    let all: u32 = acknowledged
        .iter()
        .map(|it| it.load(Ordering::Relaxed))
        .sum();
    println!("{kills} kills, {all} acknowledged, {under_way} kills before an answer was heard");
    assert!(all > 1000, "only {all} were acknowledged");
    assert!(
        under_way > 0,
        "no kill came between the disk and the answer"
    );
}

/// Posts what was not acknowledged yet, one after the other, until the server is gone.
fn post_until(
    mut server: server::Connection,
    receipts: &[Vec<u8>],
    acknowledged: &AtomicU32,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::Relaxed) {
        let next = acknowledged.load(Ordering::Relaxed) as usize;
        let Some(receipt) = receipts.get(next) else {
            return;
        };
        if server.post(receipt).and_then(|()| server.status()).is_err() {
            return;
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often each receipt is in the file, by its digest. A line that does not end was cut by the kill.
fn kept_lines(folder: &Path) -> HashMap<Digest, u32> {
    let file = fs::read(folder.join("store").join(kept::FILE_NAME)).unwrap_or_default();
    let mut lines = HashMap::new();
    kept::read(&*file, |number, kept| {
        let kept = kept.unwrap_or_else(|| panic!("line {number} is no receipt"));
        *lines.entry(kept.signed.digest()).or_default() += 1;
    })
    .unwrap();
    lines
}
