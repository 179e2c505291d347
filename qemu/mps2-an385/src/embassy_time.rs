//! The board's time as embassy-time's driver: [`timer`] counts, APB timer 1 (DDI0479 §4.1) is the alarm.
//!
//! A program that links this enables the interrupt `TIMER1` and calls [`alarm`] in its handler.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use crate::register::{Block, Register};
use crate::timer;

// SAFETY: AN385 table 3-1: APB timer 1 has 4 KiB here. It only counts; it masters no bus.
const TIMER: Block = unsafe { Block::new(0x4000_1000, 0x1000) };
const CONTROL: Register = TIMER.register(0x00);
const VALUE: Register = TIMER.register(0x04);
const RELOAD: Register = TIMER.register(0x08);
const INTERRUPT_CLEAR: Register = TIMER.register(0x0C);

/// Runs, and raises its interrupt when it comes to 0.
const ENABLED: u32 = 1 | 1 << 3;

/// The longest wait for the alarm, in microseconds: [`timer::now`] wants to be asked twice as often as it wraps.
const LONGEST: u64 = 80_000_000;

struct Clock {
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    queue: Mutex::new(RefCell::new(Queue::new())),
});

impl Driver for Clock {
    fn now(&self) -> u64 {
        timer::now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            if self.queue.borrow_ref_mut(section).schedule_wake(at, waker) {
                self.set_alarm(section);
            }
        });
    }
}

impl Clock {
    /// Wakes whose time has come, and sets the alarm for who is next.
    fn set_alarm(&self, section: CriticalSection<'_>) {
        let mut queue = self.queue.borrow_ref_mut(section);
        let mut now = timer::now();
        loop {
            let next = queue.next_expiration(now);
            now = timer::now();
            let Some(wait @ 1..) = next.checked_sub(now) else {
                continue;
            };
            let steps = wait.min(LONGEST).wrapping_mul(timer::PER_MICROSECOND) as u32;
            CONTROL.write(0);
            INTERRUPT_CLEAR.write(1);
            RELOAD.write(0); // Once.
            VALUE.write(steps);
            CONTROL.write(ENABLED);
            return;
        }
    }
}

/// What the interrupt `TIMER1` does.
pub fn alarm() {
    INTERRUPT_CLEAR.write(1);
    critical_section::with(|section| CLOCK.set_alarm(section));
}
