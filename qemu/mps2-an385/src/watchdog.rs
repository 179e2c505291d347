//! The watchdog (DDI0479 §4.6): its first expiry is an NMI, the second resets the board.
//!
//! It cannot be turned off again by accident: its registers are locked but for the moment of feeding.
//! It stands still at reset, so whoever starts first arms it, and everybody after feeds it.

use crate::register::{Block, Register};

/// The watchdog, as bootloader and updater feed it: with the [usual period](PERIOD_MS).
#[derive(Debug)]
pub struct Watchdog;

impl bistable_core::watchdog::Watchdog for Watchdog {
    fn feed(&mut self) {
        if is_armed() {
            feed();
        } else {
            arm(PERIOD_MS);
        }
    }
}

/// Ticks of the watchdog per millisecond: it runs from the 25 MHz system clock.
const TICKS_PER_MS: u32 = 25_000;

/// The usual period: NMI after 2 s without being fed, reset after 4 s. Longer than any erase.
pub const PERIOD_MS: u32 = 2_000;

/// The longest period that fits the counter, about 171 s.
pub const LONGEST_PERIOD_MS: u32 = u32::MAX / TICKS_PER_MS;

// SAFETY: AN385 table 3-1: the APB watchdog has 4 KiB here. It only counts; it masters no bus.
const WATCHDOG: Block = unsafe { Block::new(0x4000_8000, 0x1000) };
const LOAD: Register = WATCHDOG.register(0x000);
const CONTROL: Register = WATCHDOG.register(0x008);
const INTERRUPT_CLEAR: Register = WATCHDOG.register(0x00C);
const LOCK: Register = WATCHDOG.register(0xC00);

const INTERRUPT_AND_RESET_ENABLED: u32 = 0b11;
const UNLOCKED: u32 = 0x1ACC_E551;
const LOCKED: u32 = 0;

/// Starts the watchdog, or gives a running one a new period and feeds it.
///
/// `period_ms`: milliseconds until the NMI, and again from there until the reset; it is brought into
/// 1 to [`LONGEST_PERIOD_MS`].
pub fn arm(period_ms: u32) {
    let ticks = period_ms
        .clamp(1, LONGEST_PERIOD_MS)
        .wrapping_mul(TICKS_PER_MS);
    LOCK.write(UNLOCKED);
    LOAD.write(ticks);
    CONTROL.write(INTERRUPT_AND_RESET_ENABLED);
    INTERRUPT_CLEAR.write(1);
    LOCK.write(LOCKED);
}

/// Gives the program another period, and takes back an NMI that was raised already. Does nothing to a
/// watchdog that was never armed.
pub fn feed() {
    LOCK.write(UNLOCKED);
    INTERRUPT_CLEAR.write(1); // Reloads the counter, too.
    LOCK.write(LOCKED);
}

/// Whether it was armed since the last reset.
pub fn is_armed() -> bool {
    CONTROL.read() & INTERRUPT_AND_RESET_ENABLED == INTERRUPT_AND_RESET_ENABLED
}
