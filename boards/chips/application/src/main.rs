//! An application for each chip: it updates itself over a serial line, and when it is new itself, says that it stays
//! once it has passed its checks.
//!
//! | file | idea |
//! | --- | --- |
//! | `health` | what must hold before a new image is kept |
//! | `server` | the update server, at the other end of the line |
//!
//! `board` is whichever chip its package names. Log lines go to RTT.
#![no_std]
#![no_main]

mod health;
mod server;

use bistable_core::digest::Digest;
use bistable_core::handover::Standing;
use bistable_core::state::Origin;
use bistable_updater::download::{DownloadError, download};
use bistable_updater::health::Verdict;
use bistable_updater::{Platform as _, Product, Updater};
use board::{Hardware, layout};
use defmt::{error, info, warn};
use defmt_rtt as _;

use crate::server::Server;

/// Length of a page or a chunk, in bytes.
const CHUNK: usize = layout::LAYOUT.chunk_size as usize;

const PRODUCT: Product = Product {
    layout: &layout::LAYOUT,
    ring: &layout::KEY_RING,
    entry: layout::ENTRY,
    policy: health::POLICY,
};

/// How long to wait between two looks at the server, in milliseconds.
const POLL_MS: u64 = 10_000;

type AppUpdater = Updater<Hardware, CHUNK>;

/// Looks for new images until the power goes.
#[board::entry]
fn main() -> ! {
    let (hardware, line) = board::start();
    let here = introduce as *const () as usize as u32;
    let mut updater = match Updater::start(hardware, PRODUCT, here) {
        Ok(updater) => updater,
        Err(refusal) => {
            error!("the updater does not start: {}", refusal);
            board::reset()
        }
    };
    introduce(&updater);
    // Your own check: that what the image is for works.
    updater.check(health::SELF_TEST, true);
    let mut server = Server::new(line);
    let mut refused = None;
    let mut next_look = 0;
    loop {
        // A trial whose time is over is not fed any more: then the watchdog ends it.
        updater.feed();
        judge(&mut updater);
        updater.measure();
        if updater.platform().now() >= next_look {
            look_for_images(&mut updater, &mut server, &mut refused);
            next_look = updater.platform().now().saturating_add(POLL_MS);
        }
    }
}

/// Says what runs, and why.
fn introduce(updater: &AppUpdater) {
    let device = updater.device();
    info!(
        "running {} in slot {} as {}, version {}, reset: {}",
        device.digest, device.running, device.standing, device.version, device.reset
    );
    if let Some((slot, refusal)) = device.refused {
        warn!("the bootloader refused slot {}: {}", slot, refusal);
    }
}

/// Judges a trial.
fn judge(updater: &mut AppUpdater) {
    if updater.device().standing != Standing::Trial {
        return;
    }
    match updater.judge() {
        Ok(Verdict::Pending) => {}
        Ok(Verdict::Healthy) => info!("this image stays"),
        Ok(Verdict::Unhealthy(_)) => {
            warn!("this image goes");
            updater.reset()
        }
        Err(refusal) => error!("the verdict could not be recorded: {}", refusal),
    }
}

/// Asks the server for the newest image; installs it if it is another one, and resets into its trial.
fn look_for_images(updater: &mut AppUpdater, server: &mut Server, refused: &mut Option<Digest>) {
    let latest = server.latest(|| {
        updater.feed();
    });
    let digest = match latest {
        Ok(digest) => digest,
        Err(failure) => return info!("no answer from the server: {}", failure),
    };
    updater.source_answered();
    let is_confirmed = updater.device().standing == Standing::Confirmed;
    if !is_confirmed || digest == updater.device().digest || *refused == Some(digest) {
        return;
    }
    let mut chunk = [0; CHUNK];
    // A confirmed image may feed the watchdog itself, and the updater is busy.
    let outcome = server.with_image(digest, board::feed, |image| {
        download(updater, image, Origin::Network, &mut chunk, |_| {})
    });
    match outcome {
        Ok(()) => updater.reset(),
        Err(DownloadError::Refused { refusal, offset }) => {
            warn!("refused {} at byte {=u32}: {}", digest, offset, refusal);
            *refused = Some(digest);
        }
        Err(DownloadError::EndsAt(length)) => warn!("the file ends at {=u32}", length),
        Err(DownloadError::Source(failure)) => warn!("the download broke: {}", failure),
    }
}

/// Says where, and resets: abnormally, so that it counts against the image.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    if let Some(location) = info.location() {
        error!(
            "panic in {=str}, line {=u32}",
            location.file(),
            location.line()
        );
    }
    board::reset()
}
