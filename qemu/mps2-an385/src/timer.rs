//! Microseconds, from the dual timer (DDI0479 §4.2), for who measures: it counts the 25 MHz of the system clock.
//!
//! The counter has 32 bits and wraps after 171 s. No interrupt is involved: [`now`] notices a wrap if it is called at least once
//! in that time, from wherever.

use core::cell::Cell;

use cortex_m::interrupt::{self, Mutex};

use crate::register::{Block, Register};

// SAFETY: AN385 table 3-1: the dual timer has 4 KiB here. It only counts; it masters no bus.
const DUAL_TIMER: Block = unsafe { Block::new(0x4000_2000, 0x1000) };
const LOAD: Register = DUAL_TIMER.register(0x00);
const VALUE: Register = DUAL_TIMER.register(0x04);
const CONTROL: Register = DUAL_TIMER.register(0x08);

const ENABLED: u32 = 1 << 7;
const BITS_32: u32 = 1 << 1;

/// Steps of the clock in a microsecond.
pub(crate) const PER_MICROSECOND: u64 = 25;

/// Wraps so far, and the count at the last look.
static SEEN: Mutex<Cell<(u32, u32)>> = Mutex::new(Cell::new((0, 0)));

/// Starts counting from 0.
pub fn start() {
    CONTROL.write(0);
    LOAD.write(u32::MAX);
    CONTROL.write(ENABLED | BITS_32);
}

/// Microseconds since [`start`], never less than before.
pub fn now() -> u64 {
    interrupt::free(|section| {
        let seen = SEEN.borrow(section);
        let (mut wraps, last) = seen.get();
        let count = !VALUE.read(); // It counts down.
        if count < last {
            wraps = wraps.wrapping_add(1);
        }
        seen.set((wraps, count));
        (u64::from(wraps) << 32 | u64::from(count)) / PER_MICROSECOND
    })
}
