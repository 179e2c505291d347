//! Milliseconds since the first program after a reset started, from the FPGA's counter (AN385 §4.4).
//!
//! The counter has 32 bits and is made to step once a millisecond, so it wraps after 49.7 days. No
//! interrupt is involved: [`now`] notices a wrap if it is called at least once in that time.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::register::{Block, Register};

// SAFETY: AN385 table 4-3: the FPGA's system control has 4 KiB here: LEDs, buttons and counters. It
// masters no bus.
const FPGA: Block = unsafe { Block::new(0x4002_8000, 0x1000) };
const COUNTER: Register = FPGA.register(0x18);
const PRESCALE: Register = FPGA.register(0x1C);
const PRESCALE_COUNTER: Register = FPGA.register(0x20);

/// Steps of the 25 MHz clock between two of the counter, less one.
const PER_MILLISECOND: u32 = 24_999;

static WRAPS: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicU32 = AtomicU32::new(0);

/// Makes the counter step in milliseconds, from 0 on. Each program calls it at its start; the first one
/// after a reset starts it, and for the others it goes on.
pub fn start() {
    if PRESCALE.read() != PER_MILLISECOND {
        PRESCALE.write(PER_MILLISECOND);
        COUNTER.write(0); // It has been running in steps of 40 ns until now.
    }
}

/// Where in the present millisecond the clock is, in steps of 40 ns, 0 to 24,999. No measure of time, but nobody
/// knows it beforehand.
pub fn within_millisecond() -> u32 {
    PRESCALE_COUNTER.read()
}

/// Waits for so many milliseconds, and meanwhile does something again and again.
pub fn wait(milliseconds: u32, mut meanwhile: impl FnMut()) {
    let start = COUNTER.read();
    while COUNTER.read().wrapping_sub(start) < milliseconds {
        meanwhile();
    }
}

/// Milliseconds since [`start`] was first called after a reset, never less than before. Not for exception handlers: one that interrupted
/// it could count a wrap twice.
pub fn now() -> u64 {
    let low = COUNTER.read();
    if low < LAST.load(Ordering::Relaxed) {
        let wraps = WRAPS.load(Ordering::Relaxed);
        WRAPS.store(wraps.wrapping_add(1), Ordering::Relaxed);
    }
    LAST.store(low, Ordering::Relaxed);
    u64::from(WRAPS.load(Ordering::Relaxed)) << 32 | u64::from(low)
}
