//! The updater for applications in C on this board: its platform, its facts, and `export!`.
//!
//! A panic resets the board: C could not go on from one. What becomes of an image that panics is decided
//! as after any other reset: a trial ends, and a confirmed image in a crash loop is given up.
#![no_std]

#[path = "../../../demo/src/platform.rs"]
mod platform;

use bistable_updater::Product;
use bistable_updater::health::{Check, Policy};
use board::{clock, handover, reset, stack};

use crate::platform::Hardware;

#[expect(
    dead_code,
    unreachable_pub,
    reason = "generated, for every firmware of the product"
)]
mod layout {
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

/// The supply voltage, for the platform.
mod supply {
    /// The emulator has none that could be measured: it is what it should be.
    pub(crate) const fn millivolts() -> u16 {
        3300
    }
}

/// Numbers are those of the layout: `bistable_check(1, …)` is its first check.
static CHECKS: [Check; layout::CHECKS.len()] = [
    Check::required(layout::CHECKS[0]).within(20),
    Check::update_source(layout::CHECKS[1]).within(60),
    Check::supply(layout::CHECKS[2], 3000).within(20),
    Check::free_stack(layout::CHECKS[3], 16 << 10).within(20),
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

/// Starts the clock and the measuring of the stack, and opens the flash.
fn open() -> Option<Hardware> {
    clock::start();
    stack::paint();
    Hardware::open().ok()
}

bistable_updater_c::export!(Hardware, open(), PRODUCT);

// `NonMaskableInt`, for the vector table of the application.
board::last_words!(handover::note_watchdog);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    reset::reset()
}
