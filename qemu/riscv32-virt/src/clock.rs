//! Milliseconds since the reset, from the processor's timer (Privileged Architecture §3.2.1).
//!
//! It has 64 bits and runs at 10 MHz, as the board's device tree says. A reset sets it to 0 and lets it run (ACLINT
//! specification §2.1), so that it goes on from one program to the next.

use riscv::register::time;

/// Steps of the timer in a millisecond.
pub(crate) const PER_MILLISECOND: u64 = 10_000;

/// Each program calls it at its start. On this board nothing is to be done: the timer runs.
pub fn start() {}

/// Where in the present millisecond the clock is, in steps of 100 ns, 0 to 9,999. No measure of time, but nobody
/// knows it beforehand.
pub fn within_millisecond() -> u32 {
    (steps() % PER_MILLISECOND) as u32
}

/// Waits for so many milliseconds, and meanwhile does something again and again.
pub fn wait(milliseconds: u32, mut meanwhile: impl FnMut()) {
    // In steps: there is no dividing 64 bits without a kilobyte of text.
    let end = steps().saturating_add(u64::from(milliseconds).saturating_mul(PER_MILLISECOND));
    while steps() < end {
        meanwhile();
    }
}

/// Milliseconds since the reset, never less than before.
pub fn now() -> u64 {
    steps() / PER_MILLISECOND
}

/// Steps of the timer since the reset.
pub(crate) fn steps() -> u64 {
    time::read64()
}
