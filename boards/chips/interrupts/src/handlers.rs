//! The handlers: they count. All but the hard fault's are ordinary functions, as an application has them.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use nrf_pac as pac;
use nrf_pac::Interrupt;

/// How often something happened. This processor has no instruction to add to it at once, and each counter has one handler.
pub(crate) struct Counter(AtomicU32);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, count: u32) {
        self.0.store(count, Ordering::Relaxed);
    }

    fn increment(&self) {
        self.set(self.count().wrapping_add(1));
    }
}

/// What was taken.
pub(crate) struct Taken {
    pub(crate) supervisor_call: Counter,
    pub(crate) pendsv: Counter,
    pub(crate) systick: Counter,
    pub(crate) timer: Counter,
    pub(crate) hard_fault: Counter,
    /// TIMER0 while PendSV was handled.
    pub(crate) nested: Counter,
}

pub(crate) static TAKEN: Taken = Taken {
    supervisor_call: Counter::new(),
    pendsv: Counter::new(),
    systick: Counter::new(),
    timer: Counter::new(),
    hard_fault: Counter::new(),
    nested: Counter::new(),
};

/// 1: PendSV asks for TIMER0; 2: and is waiting for it.
pub(crate) static NESTED: Counter = Counter::new();

#[exception]
fn SVCall() {
    TAKEN.supervisor_call.increment();
}

#[exception]
fn SysTick() {
    TAKEN.systick.increment();
}

#[exception]
fn PendSV() {
    if NESTED.count() == 1 {
        NESTED.set(2);
        NVIC::pend(Interrupt::TIMER0);
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
        NESTED.set(1);
    }
    TAKEN.pendsv.increment();
}

#[unsafe(no_mangle)]
extern "C" fn TIMER0() {
    pac::TIMER0.events_compare(0).write_value(0);
    // The write must have arrived before the handler returns.
    let _ = pac::TIMER0.events_compare(0).read();
    if NESTED.count() == 2 {
        TAKEN.nested.increment();
    }
    TAKEN.timer.increment();
}

/// Goes on behind the instruction of two bytes that caused it, as no other handler of a hard fault would: it finds that
/// instruction's address on the stack that LR names (ARMv6-M ARM, B1.5.8).
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn HardFault() {
    naked_asm!(
        "mov r0, lr",
        "movs r1, #4",
        "tst r0, r1",
        "mrs r0, msp",
        "beq 1f",
        "mrs r0, psp",
        "1:",
        "ldr r1, [r0, #24]",
        "adds r1, #2",
        "str r1, [r0, #24]",
        "ldr r0, =({taken} + {offset})",
        "ldr r1, [r0]",
        "adds r1, #1",
        "str r1, [r0]",
        "bx lr",
        ".pool",
        taken = sym TAKEN,
        offset = const core::mem::offset_of!(Taken, hard_fault),
    );
}
