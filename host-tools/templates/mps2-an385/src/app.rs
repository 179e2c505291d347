//! Your application. This one says good morning, then counts.

use board::clock;
use defmt::info;

use crate::AppUpdater;
use crate::health;

/// What it says at its start.
const GREETING: &str = "good morning";

/// How often it counts, in milliseconds.
const PERIOD_MS: u64 = 10_000;

/// What your application keeps.
pub(crate) struct App {
    count: u32,
    next: u64,
}

impl App {
    /// Starts it. While an image is on trial, what you find out about its health is said here, or later:
    /// each check has its deadline in `health`.
    pub(crate) fn start(updater: &mut AppUpdater) -> Self {
        info!("{=str}", GREETING);
        updater.check(health::SELF_TEST, self_test());
        Self { count: 0, next: 0 }
    }

    /// Does a little, and returns soon: the watchdog is fed in between, and it barks after two seconds.
    pub(crate) fn step(&mut self) {
        if clock::now() < self.next {
            return;
        }
        info!("{=u32} × {=u64} s", self.count, PERIOD_MS / 1_000);
        self.count = self.count.wrapping_add(1);
        self.next = clock::now() + PERIOD_MS;
    }
}

/// Whether this image is what it should be: your sensors answer, your radio joins, your data can be read.
fn self_test() -> bool {
    true
}
