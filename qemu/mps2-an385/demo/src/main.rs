//! The demo application for mps2-an385: it looks for a newer image over Ethernet, installs it, and
//! when it is new itself, checks its health before it says that it stays.
#![no_std]
#![no_main]

mod behaviour;
mod platform;
mod self_test;
mod server;
mod unit;

use bistable_core::digest::Digest;
use bistable_core::handover::Standing;
use bistable_core::state::Origin;
use bistable_core::verify::Entry;
use bistable_updater::download::{DownloadError, download};
use bistable_updater::health::{Check, Need, Verdict};
use bistable_updater::report::{self, Report};
use bistable_updater::{Platform as _, Product, Updater};
use cortex_m::singleton;
use defmt::{error, info, warn};
use mps2_an385::net::{Config, Network, Storage};
use mps2_an385::uart::Uart;
use mps2_an385::{clock, handover, log, reset, watchdog};

use crate::behaviour::{Behaviour, behaviour};
use crate::platform::Mps2;
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

/// The product's health checks, whose names are in its layout.
const SELF_TEST: &str = layout::CHECKS[0];
const UPDATE_SOURCE: &str = layout::CHECKS[1];

static CHECKS: [Check; 2] = [
    Check {
        name: SELF_TEST,
        need: Need::Required,
    },
    Check {
        name: UPDATE_SOURCE,
        need: Need::RequiredIfFromNetwork,
    },
];

const PRODUCT: Product = Product {
    layout: &layout::LAYOUT,
    ring: &layout::KEY_RING,
    entry: Entry::CortexM { ram: &layout::RAM },
    checks: &CHECKS,
};

/// How long to wait between two looks at the server, in milliseconds.
const POLL_MS: u64 = 250;

type DemoUpdater = Updater<Mps2, CHUNK>;

mps2_an385::last_words!(handover::note_watchdog);

#[cortex_m_rt::entry]
fn main() -> ! {
    clock::start();
    log::start(Uart::One, "application");
    let Ok(mut platform) = Mps2::open() else {
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
    test_itself(&mut updater);
    let seed = u64::from(updater.device().resets) ^ clock::now();
    let storage = singleton!(: Storage = Storage::new());
    let network = storage.map(|storage| Network::new(storage, Config::emulator(seed)));
    match network {
        Some(Ok(mut network)) => run(&mut updater, &mut network, &unit),
        _ => {
            error!("there is no Ethernet");
            wait_for_reset(&mut updater)
        }
    }
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
    if let Some((slot, refusal)) = device.refused {
        warn!("the bootloader refused slot {}: {}", slot, refusal);
    }
    if let Some(rejection) = device.last_rejection {
        info!(
            "last verdict: {} rejected: {}",
            rejection.digest, rejection.reason
        );
    }
    if let Some(program_counter) = device.last_words {
        info!("the watchdog barked at {=u32:#010x}", program_counter);
    }
}

/// The self-test, and what bad releases do instead as long as they are on trial.
fn test_itself(updater: &mut DemoUpdater) {
    let passed = self_test::flash_refuses_a_second_program(updater.platform());
    match behaviour() {
        Behaviour::Healthy => {
            updater.check(SELF_TEST, passed);
        }
        _ if updater.device().standing != Standing::Trial => {}
        Behaviour::FailsSelfTest => {
            updater.check(SELF_TEST, false);
        }
        Behaviour::Hangs => {
            info!("hanging");
            cortex_m::interrupt::disable();
            loop {
                core::hint::spin_loop();
            }
        }
        Behaviour::FeedsForEver => {
            info!("feeding for ever");
            loop {
                updater.feed();
            }
        }
    }
}

/// Judges the trial, if it is one; then looks for newer images, for ever.
fn run(updater: &mut DemoUpdater, network: &mut Network, unit: &Unit) -> ! {
    let mut reported = false;
    let mut refused = None;
    loop {
        let found = look_for_images(updater, network, unit, &mut reported);
        if updater.device().standing == Standing::Trial {
            if found.is_some() {
                updater.check(UPDATE_SOURCE, true);
            }
            judge(updater);
        } else if let Some(digest) = found
            && digest != updater.device().digest
            && refused != Some(digest)
        {
            refused = install(updater, network, unit, digest);
        }
        let until = clock::now() + POLL_MS;
        while clock::now() < until {
            updater.feed();
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
    let mut server = Server::new(network, unit.server, || {
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

fn judge(updater: &mut DemoUpdater) {
    match updater.judge() {
        Ok(Verdict::Pending) => {}
        Ok(Verdict::Healthy) => info!("this image stays"),
        Ok(Verdict::Unhealthy(reason)) => {
            warn!("this image goes: {}", reason);
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
                warn!("it was rejected before: {}", rejection.reason);
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
