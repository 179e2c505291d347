//! The task that keeps the application up to date: the trial's verdict, and then newer images, for ever.

use core::fmt::Write as _;

use bistable_async::{Client, download};
use bistable_core::digest::Digest;
use bistable_core::handover::Standing;
use bistable_core::layout::Slot;
use bistable_core::state::Origin;
use bistable_updater::health::{Check, Policy, Verdict};
use bistable_updater::{Platform as _, Product, Updater};
use board::{reset, watchdog};
use defmt::{error, info, warn};
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::Timer;

use crate::beat;
use crate::layout;
use crate::platform::Hardware;
use crate::server::{Tcp, host};
use crate::unit::Unit;

/// Length of a page or a chunk, in bytes.
const CHUNK: usize = layout::LAYOUT.chunk_size as usize;

/// How long to wait between two looks at the server, and between two meals of the watchdog, in milliseconds.
const POLL_MS: u64 = 250;

/// Bytes that the server may send ahead, and that wait for its acknowledgement.
const AHEAD: (usize, usize) = (6 * 1024, 1024);

const CHECKED: &str = layout::CHECKS[0];

/// What is asked of an image on trial.
static CHECKS: [Check; 2] = [
    Check::required(CHECKED).within(20),
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

/// Starts the updater, and looks after it for ever.
#[embassy_executor::task]
pub(crate) async fn run(stack: Stack<'static>) -> ! {
    let Ok(mut platform) = Hardware::open() else {
        error!("the flash has never been formatted");
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
        updater.check(CHECKED, self_test().await);
    }

    let (mut receive, mut send) = ([0; AHEAD.0], [0; AHEAD.1]);
    let socket = TcpSocket::new(stack, &mut receive, &mut send);
    let host = host(unit.server);
    let mut client = Client::new(Tcp::new(socket, unit.server), &host);
    loop {
        let asked = while_feeding(client.latest("/latest"), || {
            updater.feed();
        });
        match asked.await {
            Ok(newest) => {
                updater.source_answered();
                let device = updater.device();
                if device.standing == Standing::Confirmed && newest != device.digest {
                    install(&mut updater, &mut client, newest).await;
                }
            }
            Err(failure) => info!("no answer from the server: {}", failure),
        }
        // Nothing will be asked for a while.
        client.close();
        judge(&mut updater);
        updater.feed();
        Timer::after_millis(POLL_MS).await;
        updater.feed();
    }
}

/// Whether the beat is kept while nothing else happens: the beats of 100 ms.
async fn self_test() -> bool {
    beat::begin();
    Timer::after_millis(100).await;
    let measured = beat::end();
    measured.is_some_and(|measured| (9..=11).contains(&measured.count))
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

/// Feeds the watchdog as long as `task` waits for something.
async fn while_feeding<T>(task: impl Future<Output = T>, mut feed: impl FnMut()) -> T {
    let feeding = async {
        loop {
            feed();
            Timer::after_millis(POLL_MS).await;
        }
    };
    match select(task, feeding).await {
        Either::First(output) => output,
        Either::Second(never) => never,
    }
}

/// Installs the image with this name and resets into its trial. Says how the beat was kept meanwhile.
async fn install(updater: &mut Updates, client: &mut Client<'_, Tcp<'_>>, digest: Digest) {
    info!("the server has {}", digest);
    let mut path = heapless::String::<80>::new();
    // 8 characters and 64 digits.
    let _ = write!(path, "/images/{digest}");
    let mut chunk = [0; CHUNK];
    beat::begin();
    let mut file = client.file(&path);
    let task = download(updater, &mut file, Origin::Network, &mut chunk, |_| {});
    // A confirmed image may feed the watchdog itself, and the updater is busy.
    let outcome = while_feeding(task, watchdog::feed).await;
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
