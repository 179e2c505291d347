//! The machine timer as the watchdog's early warning.

use riscv::register::mie;

use crate::clock::{PER_MILLISECOND, steps};
use crate::register::{Block, Register};

// SAFETY: ACLINT specification §2: the timer of hart 0 is compared with 8 bytes here. It only counts; it masters no bus.
const TIMER: Block = unsafe { Block::new(0x0200_4000, 8) };
const COMPARE_LOW: Register = TIMER.register(0);
const COMPARE_HIGH: Register = TIMER.register(4);

/// The interrupt comes in so many milliseconds; one that was raised already is taken back.
pub(crate) fn in_milliseconds(milliseconds: u32) {
    let steps_left = u64::from(milliseconds).saturating_mul(PER_MILLISECOND);
    at(steps().saturating_add(steps_left));
}

/// It does not come any more.
pub(crate) fn never() {
    at(u64::MAX);
}

/// Lets it through, as far as interrupts are on at all.
pub(crate) fn enable() {
    // SAFETY: `start` has set up the handler that it goes to. Nothing relies on its being off: who does not want to be
    // interrupted clears `mstatus.MIE`.
    unsafe { mie::set_mtimer() }
}

/// Privileged Architecture §3.2.1: the upper half is out of reach while the lower one changes, so that it does not come
/// too early.
fn at(step: u64) {
    COMPARE_HIGH.write(u32::MAX);
    COMPARE_LOW.write(step as u32);
    COMPARE_HIGH.write((step >> 32) as u32);
}
