//! Keeps the emulator's user network awake.
//!
//! QEMU looks after the sockets behind its user network in its main loop, which sleeps for up to a second
//! while the processor polls and nothing else happens: an answer from the host then takes that long.
//! A timer that runs out a thousand times a second ends the sleep. On a real board it does no harm.

use crate::register::{Block, Register};

// SAFETY: AN385 table 3-1: APB timer 0 has 4 KiB here. It only counts; it masters no bus.
const TIMER: Block = unsafe { Block::new(0x4000_0000, 0x1000) };
const CONTROL: Register = TIMER.register(0x00);
const VALUE: Register = TIMER.register(0x04);
const RELOAD: Register = TIMER.register(0x08);

/// Steps of the 25 MHz clock in a millisecond.
const MILLISECOND: u32 = 25_000;

/// Runs, without an interrupt.
const ENABLED: u32 = 1;

/// Starts the timer (DDI0479 §4.1). It runs until the next reset.
pub(crate) fn start() {
    RELOAD.write(MILLISECOND);
    VALUE.write(MILLISECOND);
    CONTROL.write(ENABLED);
}
