//! The demo application, of each board: it looks for a newer image over Ethernet, installs it, and when it is
//! new itself, checks its health before it says that it stays.
//!
//! `board` is whichever board support its package names.
#![no_std]
#![no_main]

mod behaviour;
mod health;
mod platform;
mod receipts;
mod said;
mod self_test;
mod server;
mod supply;
mod unit;

use bistable_core::digest::Digest;
use bistable_core::handover::Standing;
use bistable_core::state::{Origin, Reason};
use bistable_updater::download::{DownloadError, download};
use bistable_updater::health::Verdict;
use bistable_updater::report::{self, Report};
use bistable_updater::{Platform as _, Product, Updater};
use board::net::{Config, Network, Storage};
use board::{clock, handover, leftover, log, reset, stack, watchdog};
use defmt::{error, info, warn};
use static_cell::StaticCell;

use crate::behaviour::{Behaviour, behaviour};
use crate::health::POLICY;
use crate::platform::Hardware;
use crate::receipts::Reporter;
use crate::said::{Said, Words};
use crate::server::Server;
use crate::unit::Unit;

#[expect(
    dead_code,
    unreachable_pub,
    reason = "generated, for every firmware of the product"
)]
mod layout {
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

/// Length of a page or a chunk, in bytes.
const CHUNK: usize = layout::LAYOUT.chunk_size as usize;

const PRODUCT: Product = Product {
    layout: &layout::LAYOUT,
    ring: &layout::KEY_RING,
    entry: layout::ENTRY,
    policy: POLICY,
};

/// How long to wait between two looks at the server, in milliseconds.
const POLL_MS: u64 = 250;

/// How long between two pieces of the slots that are measured, in milliseconds: with the images of the story both slots are
/// measured in little more than a second. A real fleet has a day for it.
const MEASURE_MS: u64 = 25;

/// Where no server answers (`tcpmux`).
const NOBODYS_PORT: u16 = 1;

type DemoUpdater = Updater<Hardware, CHUNK>;

board::last_words!(handover::note_watchdog);

#[board::entry]
fn main() -> ! {
    clock::start();
    stack::paint();
    log::start(log::Speaker::Application, "application");
    let Ok(mut platform) = Hardware::open() else {
        error!("the flash has never been formatted");
        reset::reset()
    };
    let unit = Unit::read(platform.slot_flash(bistable_core::layout::Slot::A).0);
    let here = introduce as *const () as usize as u32;
    let mut updater = match Updater::start(platform, PRODUCT, here) {
        Ok(updater) => updater,
        Err(refusal) => {
            error!("the updater does not start: {}", refusal);
            reset::reset()
        }
    };
    introduce(&updater, &unit);
    crash(&mut updater);
    test_itself(&mut updater);
    let seed = u64::from(updater.device().resets) ^ clock::now();
    let network = storage().map(|storage| Network::new(storage, Config::emulator(seed)));
    match network {
        Some(Ok(mut network)) => run(&mut updater, &mut network, &unit),
        _ => {
            error!("there is no Ethernet");
            wait_for_reset(&mut updater)
        }
    }
}

/// All memory that the network needs; the second time there is none. It is made on the stack, which `main`, that never
/// returns, would not give back.
#[inline(never)]
fn storage() -> Option<&'static mut Storage> {
    static STORAGE: StaticCell<Storage> = StaticCell::new();
    STORAGE.try_init_with(Storage::new)
}

/// Says what runs, and why.
fn introduce(updater: &DemoUpdater, unit: &Unit) {
    let device = updater.device();
    info!(
        "unit {=str}, version {}",
        unit.serial.as_str(),
        device.version
    );
    info!(
        "running {} in slot {} as {}, reset: {}",
        device.digest, device.running, device.standing, device.reset
    );
    let [a, b, c, d, ..] = device.digest.0;
    match leftover::exchange(u32::from_be_bytes([a, b, c, d])) {
        0 => info!("in RAM lies nothing"),
        word => info!("in RAM lies what {=u32:08x} left", word),
    }
    info!(
        "resets since the power came: {=u32}; abnormal since it is confirmed: {=u16}",
        device.resets, device.abnormal_resets
    );
    if let Some((slot, refusal)) = device.refused {
        warn!("the bootloader refused slot {}: {}", slot, refusal);
    }
    if let Some(rejection) = device.last_rejection {
        let reason = Words(rejection.reason);
        info!("last verdict: {} rejected: {}", rejection.digest, reason);
    }
    if let Some(program_counter) = device.last_words {
        info!("the watchdog barked at {=u32:#010x}", program_counter);
    }
}

/// What bad releases do that were confirmed.
fn crash(updater: &mut DemoUpdater) {
    let device = updater.device();
    let is_confirmed = device.standing == Standing::Confirmed;
    let crashes = match behaviour() {
        Behaviour::CrashesOnceConfirmed => is_confirmed,
        Behaviour::ResetsOnceConfirmed if is_confirmed => updater.reset(),
        Behaviour::CrashesLater => device
            .last_rejection
            .is_some_and(|rejection| rejection.reason == Reason::CrashLoop),
        _ => false,
    };
    if crashes {
        reset::reset()
    }
}

/// The self-test, and what bad releases do instead as long as they are on trial.
fn test_itself(updater: &mut DemoUpdater) {
    let passed = self_test::flash_refuses_a_second_program(updater.platform());
    if updater.device().standing != Standing::Trial {
        return;
    }
    let behaviour = behaviour();
    updater.check(
        health::SELF_TEST,
        passed && behaviour != Behaviour::FailsSelfTest,
    );
    match behaviour {
        Behaviour::Hangs => {
            info!("hanging");
            reset::hang()
        }
        Behaviour::FeedsForEver => {
            info!("feeding for ever");
            loop {
                updater.feed();
            }
        }
        Behaviour::UsesItsStackUp => {
            let free = self_test::use_stack();
            info!("of the stack, {=u32} bytes were never used", free);
        }
        _ => {}
    }
}

/// Judges the trial, if it is one; then looks for newer images, for ever.
fn run(updater: &mut DemoUpdater, network: &mut Network, unit: &Unit) -> ! {
    let mut said = Said::default();
    let mut reporter = Reporter::open(updater, unit);
    let mut reported = false;
    let mut refused = None;
    loop {
        if updater.device().standing == Standing::Trial {
            // Once is enough: the trial's time is for judging.
            if !said.source_answered() {
                reporter.note(updater);
                if look_for_images(updater, network, unit, &mut reported).is_some() {
                    reporter.hand_over(updater, network, unit);
                    updater.source_answered();
                }
            }
            judge(updater, &mut said, &mut reporter);
            crash(updater);
        } else {
            // Before a newer image takes this one's place.
            reporter.note(updater);
            reporter.hand_over(updater, network, unit);
            if let Some(digest) = look_for_images(updater, network, unit, &mut reported)
                && digest != updater.device().digest
                && refused != Some(digest)
            {
                refused = install(updater, network, unit, digest);
            }
        }
        wait(updater);
    }
}

/// Waits until it is time for the next look at the server, and measures what lies in the slots meanwhile.
fn wait(updater: &mut DemoUpdater) {
    let until = clock::now() + POLL_MS;
    let mut next = 0;
    while clock::now() < until {
        updater.feed();
        if clock::now() >= next {
            updater.measure();
            next = clock::now() + MEASURE_MS;
        }
    }
}

/// Asks the server for the newest image, and tells it what runs here.
fn look_for_images(
    updater: &mut DemoUpdater,
    network: &mut Network,
    unit: &Unit,
    reported: &mut bool,
) -> Option<Digest> {
    let report = Report::new(unit.serial.clone(), &updater.device());
    let mut address = unit.server;
    if updater.device().standing == Standing::Trial && behaviour() == Behaviour::AsksInTheWrongPlace
    {
        address.set_port(NOBODYS_PORT);
    }
    let mut server = Server::new(network, address, || {
        updater.feed();
    });
    let found = match server.latest() {
        Ok(digest) => Some(digest),
        Err(failure) => {
            info!("no answer from the server: {}", failure);
            None
        }
    };
    if !*reported {
        let mut buffer = [0; report::MAX_LEN];
        let bytes = report.encode(&mut buffer);
        *reported = bytes.is_some_and(|bytes| server.report(bytes).is_ok());
    }
    found
}

/// Acts on the verdict, and says what it rests on.
fn judge(updater: &mut DemoUpdater, said: &mut Said, reporter: &mut Reporter) {
    said.say(updater.health());
    let verdict = updater.judge();
    said.say(updater.health());
    match verdict {
        Ok(Verdict::Pending) => {}
        Ok(Verdict::Healthy) => info!("this image stays"),
        Ok(Verdict::Unhealthy(reason)) => {
            warn!("this image goes: {}", Words(reason.code()));
            // Nobody may ever ask this image again; the one before it hands its last receipt over.
            reporter.note(updater);
            updater.reset()
        }
        Err(refusal) => error!("the verdict could not be recorded: {}", refusal),
    }
}

/// Installs the image with this name. Returns it if it was refused, so that it is not asked for again
/// at once.
fn install(
    updater: &mut DemoUpdater,
    network: &mut Network,
    unit: &Unit,
    digest: Digest,
) -> Option<Digest> {
    info!("the server has {}", digest);
    // A confirmed image may feed the watchdog itself, and the updater is busy.
    let mut server = Server::new(network, unit.server, watchdog::feed);
    let mut chunk = [0; CHUNK];
    let outcome = server.with_image(digest, |image| {
        download(updater, image, Origin::Network, &mut chunk, |offset| {
            info!("at byte {=u32}", offset);
        })
    });
    match outcome {
        Ok(()) => {
            info!("installed {}; resetting into its trial", digest);
            updater.reset()
        }
        Err(DownloadError::Refused { refusal, offset }) => {
            warn!("refused {} at byte {=u32}: {}", digest, offset, refusal);
            if let Some(rejection) = updater.rejection(digest) {
                let reason = Words(rejection.reason);
                warn!("it was rejected before: {}", reason);
            }
            Some(digest)
        }
        Err(DownloadError::EndsAt(length)) => {
            warn!("the file ends at {=u32}", length);
            None
        }
        Err(DownloadError::Source(failure)) => {
            warn!("the download broke: {}", failure);
            None
        }
    }
}

fn wait_for_reset(updater: &mut DemoUpdater) -> ! {
    loop {
        updater.feed();
    }
}
