//! What runs on the board, from reset on: the updater first, so that a bad image can be given back, then the
//! application.
//!
//! | file | idea |
//! | --- | --- |
//! | `app` | your application: begin here |
//! | `health` | what must hold before a new image is kept |
//! | `updates` | when to look for updates, and what to do with them |
//! | `platform`, `supply` | the board, as the updater sees it |
//! | `server` | the update server, over the board's network |
//! | `unit` | what this unit is told apart from its firmware |
//! | `said` | how health checks and verdicts are logged |
#![no_std]
#![no_main]

mod app;
mod health;
mod platform;
mod said;
mod server;
mod supply;
mod unit;
mod updates;

use bistable_core::layout::Slot;
use bistable_updater::{Platform as _, Product, Updater};
use board::net::{Config, Network, Storage};
use board::{clock, handover, log, reset, stack};
use cortex_m_rt::{ExceptionFrame, entry, exception};
use defmt::{error, info, warn};
use static_cell::StaticCell;

use crate::app::App;
use crate::platform::Hardware;
use crate::said::Words;
use crate::unit::Unit;
use crate::updates::Updates;

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
    policy: health::POLICY,
};

type AppUpdater = Updater<Hardware, CHUNK>;

board::last_words!(handover::note_watchdog);

#[entry]
fn main() -> ! {
    clock::start();
    stack::paint();
    log::start_image(log::Speaker::Application, "application");
    let Ok(mut platform) = Hardware::open() else {
        error!("the flash has never been formatted");
        reset::reset()
    };
    let unit = Unit::read(platform.slot_flash(Slot::A).0);
    let here = introduce as *const () as usize as u32;
    let mut updater = match Updater::start(platform, PRODUCT, here) {
        Ok(updater) => updater,
        Err(refusal) => {
            error!("the updater does not start: {}", refusal);
            reset::reset()
        }
    };
    introduce(&updater, &unit);
    let mut app = App::start(&mut updater);
    let seed = u64::from(updater.device().resets) ^ clock::now();
    let network = storage().map(|storage| Network::new(storage, Config::emulator(seed)));
    let Some(Ok(mut network)) = network else {
        error!("there is no Ethernet");
        updater.reset()
    };
    let mut updates = Updates::new(unit);
    loop {
        // A trial whose time is over is not fed any more: then the watchdog ends it.
        updater.feed();
        app.step();
        updates.step(&mut updater, &mut network);
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
fn introduce(updater: &AppUpdater, unit: &Unit) {
    let device = updater.device();
    let serial = unit.serial.as_str();
    info!("unit {=str}, version {}", serial, device.version);
    info!(
        "running {} in slot {} as {}, reset: {}",
        device.digest, device.running, device.standing, device.reset
    );
    if let Some((slot, refusal)) = device.refused {
        warn!("the bootloader refused slot {}: {}", slot, refusal);
    }
    if let Some(rejection) = device.last_rejection {
        let reason = Words(rejection.reason);
        info!("last verdict: {} rejected: {}", rejection.digest, reason);
    }
    if let Some(program_counter) = device.last_words {
        warn!("the watchdog barked at {=u32:#010x}", program_counter);
    }
}

/// Says where, and resets: abnormally, so that it counts against the image.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    error!("hard fault at {=u32:#010x}", frame.pc());
    reset::reset()
}
