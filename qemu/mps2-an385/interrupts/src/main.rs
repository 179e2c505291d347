//! An application without an executor: a timer interrupt keeps a beat of 10 ms, and the updater runs in `main`, which is all that
//! is interrupted.
//!
//! The calls are the blocking ones. Where tasks have priorities, as with RTIC, what `main` does here is done by the task of the
//! lowest one.
#![no_std]
#![no_main]

mod beat;
#[path = "../../../demo/src/behaviour.rs"]
mod behaviour;
#[path = "../../../demo/src/platform.rs"]
mod platform;
#[expect(
    dead_code,
    reason = "this application tells the server nothing of itself"
)]
#[path = "../../../demo/src/server.rs"]
mod server;
#[path = "../../../demo/src/supply.rs"]
mod supply;
#[path = "../../../demo/src/unit.rs"]
mod unit;

use bistable_core::digest::Digest;
use bistable_core::handover::Standing;
use bistable_core::layout::Slot;
use bistable_core::state::Origin;
use bistable_updater::download::download;
use bistable_updater::health::{Check, Policy, Verdict};
use bistable_updater::{Platform as _, Product, Updater};
use board::net::{Config, Network, Storage};
use board::{clock, handover, log, reset, stack, timer, watchdog};
use cortex_m::interrupt;
use defmt::{error, info, warn};
use static_cell::StaticCell;

use crate::behaviour::{Behaviour, behaviour};
use crate::platform::Hardware;
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

/// How long to wait between two looks at the server, in milliseconds.
const POLL_MS: u32 = 250;

const SELF_TEST: &str = layout::CHECKS[0];

/// What is asked of an image on trial.
static CHECKS: [Check; 2] = [
    Check::required(SELF_TEST).within(20),
    Check::update_source(layout::CHECKS[1]).within(60),
];

const PRODUCT: Product = Product {
    layout: &layout::LAYOUT,
    ring: &layout::KEY_RING,
    entry: layout::ENTRY,
    policy: Policy {
        checks: &CHECKS,
        trial_soak_seconds: layout::TRIAL_SOAK_SECONDS,
        soak_seconds: layout::SOAK_SECONDS,
        forgives_resets: true,
    },
};

type Updates = Updater<Hardware, CHUNK>;

board::last_words!(handover::note_watchdog);

#[board::entry]
fn main() -> ! {
    clock::start();
    timer::start();
    stack::paint();
    log::start(log::Speaker::Application, "application");
    beat::start();
    static STORAGE: StaticCell<Storage> = StaticCell::new();
    let seed = timer::now() << 16 | u64::from(clock::within_millisecond());
    let network = Network::new(STORAGE.init_with(Storage::new), Config::emulator(seed));
    let (Ok(mut network), Ok(mut platform)) = (network, Hardware::open()) else {
        error!("there is no Ethernet, or the flash has never been formatted");
        reset::reset()
    };
    let unit = Unit::read(platform.slot_flash(Slot::A).0);
    let here = self_test as *const () as usize as u32;
    let mut updater = match Updater::start(platform, PRODUCT, here) {
        Ok(updater) => updater,
        Err(refusal) => {
            error!("the updater does not start: {}", refusal);
            reset::reset()
        }
    };
    let device = updater.device();
    info!(
        "unit {=str}: running {} version {} in slot {} as {}",
        unit.serial.as_str(),
        device.digest,
        device.version,
        device.running,
        device.standing
    );
    if device.standing == Standing::Trial {
        updater.check(SELF_TEST, self_test());
    }
    loop {
        look_for_images(&mut updater, &mut network, &unit);
        judge(&mut updater);
        clock::wait(POLL_MS, || {
            updater.feed();
        });
    }
}

/// Whether the beat is kept while nothing else happens: the beats of 100 ms.
fn self_test() -> bool {
    beat::begin();
    clock::wait(100, || {});
    let measured = beat::end();
    measured.is_some_and(|measured| (9..=11).contains(&measured.count))
}

/// Asks the server for the newest image, and installs it if it is another one.
fn look_for_images(updater: &mut Updates, network: &mut Network, unit: &Unit) {
    let idle = || {
        updater.feed();
    };
    let latest = Server::new(network, unit.server, idle).latest();
    let newest = match latest {
        Ok(newest) => newest,
        Err(failure) => return info!("no answer from the server: {}", failure),
    };
    updater.source_answered();
    let device = updater.device();
    if device.standing == Standing::Confirmed && newest != device.digest {
        match behaviour() {
            // The update at the priority of the beat, as if an interrupt's handler made it: no beat comes between.
            Behaviour::BeatsBesideTheUpdate => {
                interrupt::free(|_| install(updater, network, unit, newest));
            }
            _ => install(updater, network, unit, newest),
        }
    }
}

/// Acts on the verdict of a trial.
fn judge(updater: &mut Updates) {
    if updater.device().standing != Standing::Trial {
        return;
    }
    match updater.judge() {
        Ok(Verdict::Pending) => {}
        Ok(Verdict::Healthy) => info!("this image stays"),
        Ok(Verdict::Unhealthy(reason)) => {
            warn!("this image goes: {}", reason.code());
            updater.reset()
        }
        Err(refusal) => error!("the verdict could not be recorded: {}", refusal),
    }
}

/// Installs the image with this name and resets into its trial. Says how the beat was kept meanwhile.
fn install(updater: &mut Updates, network: &mut Network, unit: &Unit, digest: Digest) {
    info!("the server has {}", digest);
    // A confirmed image may feed the watchdog itself, and the updater is busy.
    let mut server = Server::new(network, unit.server, watchdog::feed);
    let mut chunk = [0; CHUNK];
    beat::begin();
    let outcome = server.with_image(digest, |image| {
        download(updater, image, Origin::Network, &mut chunk, |_| {})
    });
    let Some(measured) = beat::end() else {
        return;
    };
    match outcome {
        Ok(()) => {
            info!(
                "{=u32} beats in {=u64} us of the update, the longest distance {=u64} us",
                measured.count, measured.during, measured.longest
            );
            updater.reset()
        }
        Err(failure) => warn!("not installed: {}", failure),
    }
}
