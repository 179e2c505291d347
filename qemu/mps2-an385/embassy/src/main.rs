//! An application under embassy that updates itself in a task, while its main task keeps a beat of 10 ms.
//!
//! ```text
//!   thread mode, one executor         interrupts, all above it
//!     updates: ask, download, judge     SPARE     runs the executor of `beat`
//!     network: embassy-net              TIMER1    embassy-time's alarm
//!                                       ETHERNET  a frame came
//! ```
//!
//! What must be punctual runs on an executor of its own in an interrupt: an update hashes, verifies and writes for longer than 10 ms
//! at once, and no task beside it in thread mode runs meanwhile. The release that does it the other way says so
//! with its own figures.
#![no_std]
#![no_main]

mod beat;
#[path = "../../../demo/src/behaviour.rs"]
mod behaviour;
mod flash;
mod platform;
mod server;
#[path = "../../../demo/src/supply.rs"]
mod supply;
#[path = "../../../demo/src/unit.rs"]
mod unit;
mod updates;

use board::ethernet::{Buffers, Woken, frame_came};
use board::{Interrupt, clock, embassy_time, handover, interrupt, log, reset, stack, timer};
use cortex_m::peripheral::NVIC;
use defmt::error;
use embassy_executor::{Executor, InterruptExecutor, Spawner};
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use static_cell::StaticCell;

use crate::behaviour::{Behaviour, behaviour};

#[expect(
    dead_code,
    unreachable_pub,
    reason = "generated, for every firmware of the product"
)]
mod layout {
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

/// Hardware address.
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

/// Sockets: one connection.
const SOCKETS: usize = 1;

/// Runs what must be punctual.
static PUNCTUAL: InterruptExecutor = InterruptExecutor::new();

board::last_words!(handover::note_watchdog);

#[board::entry]
fn main() -> ! {
    clock::start();
    timer::start();
    stack::paint();
    log::start(log::Speaker::Application, "application");
    let punctual = PUNCTUAL.start(Interrupt::SPARE);
    // SAFETY: no critical section of this program rests on an interrupt that is masked alone; the handler is there.
    unsafe { NVIC::unmask(Interrupt::TIMER1) }
    let beside = behaviour() == Behaviour::BeatsBesideTheUpdate;
    if !beside {
        start(beat::keep().map(|task| punctual.spawn(task)));
    }
    static LEISURELY: StaticCell<Executor> = StaticCell::new();
    LEISURELY.init_with(Executor::new).run(|spawner| {
        if beside {
            start(beat::keep().map(|task| spawner.spawn(task)));
        }
        let stack = join_network(spawner);
        start(updates::run(stack).map(|task| spawner.spawn(task)));
    })
}

#[board::interrupt]
fn SPARE() {
    // SAFETY: this is the handler of the interrupt that the executor was started with, which enabled it.
    unsafe { PUNCTUAL.on_interrupt() }
}

#[board::interrupt]
fn TIMER1() {
    embassy_time::alarm();
}

#[board::interrupt]
fn ETHERNET() {
    frame_came();
}

/// The emulator's user network, in which 10.0.2.2 is the host.
fn join_network(spawner: Spawner) -> Stack<'static> {
    static BUFFERS: StaticCell<Buffers> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let device = match Woken::start(BUFFERS.init_with(Buffers::new), MAC) {
        Ok(device) => device,
        Err(error) => {
            error!("there is no Ethernet: {}", error);
            reset::reset()
        }
    };
    // SAFETY: as above. Not before: as it comes out of its reset, the controller holds the line when it wants nothing.
    unsafe { NVIC::unmask(Interrupt::ETHERNET) }
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24),
        gateway: Some(Ipv4Address::new(10, 0, 2, 2)),
        dns_servers: Default::default(),
    });
    // Another one after each reset: the emulator's network remembers the connections from before.
    let seed = timer::now() << 16 | u64::from(clock::within_millisecond());
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(device, config, resources, seed);
    start(network(runner).map(|task| spawner.spawn(task)));
    stack
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Woken>) -> ! {
    runner.run().await
}

/// Each task is started once, and so there is room for it.
fn start<E>(started: Result<(), E>) {
    if started.is_err() {
        error!("a task was started twice");
        reset::reset()
    }
}
