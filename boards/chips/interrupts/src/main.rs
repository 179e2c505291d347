//! Takes exceptions of every kind through the bootloader's forwarder, and says on the serial line what came of it.
//!
//! | file | idea |
//! | --- | --- |
//! | `provoke` | takes one exception with something known in every register, and looks what is there afterwards |
//! | `handlers` | the handlers: they count |
//! | `line` | the serial line |
//!
//! `cargo xtask boards` runs it in the emulator, from both slots.
#![no_std]
#![no_main]

mod handlers;
mod line;
mod provoke;

use core::fmt::Write as _;

use cortex_m::peripheral::NVIC;
use cortex_m::peripheral::scb::SystemHandler;
use cortex_m::peripheral::syst::SystClkSource;
use nrf_pac as pac;
use nrf_pac::Interrupt;

use crate::handlers::{NESTED, TAKEN};
use crate::line::Line;
use crate::provoke::{Registers, Stack, hard_fault, pend, spin, supervisor_call};

/// Where a one makes exceptions pending: ICSR, and ISPR for the interrupts (ARMv6-M ARM, B3.2.4 and B3.4.5).
const CONTROL_AND_STATE: u32 = 0xE000_ED04;
const PENDSV: u32 = 1 << 28;
const SYSTICK: u32 = 1 << 26;
const SET_PENDING: u32 = 0xE000_E200;
const TIMER0: u32 = 1 << Interrupt::TIMER0 as u32;

/// How often the processor counts down while interrupts come.
const SPINS: u32 = 200_000;

unsafe extern "C" {
    /// The vector table: the linker script's.
    #[link_name = "__vector_table"]
    static VECTOR_TABLE: u32;
}

/// It is done before the watchdog barks.
#[cortex_m_rt::entry]
fn main() -> ! {
    let mut line = Line::open();
    let table = &raw const VECTOR_TABLE;
    say(
        &mut line,
        format_args!("the vector table lies at {table:?}"),
    );
    prioritise();
    let mut failures = 0;
    for stack in [Stack::Main, Stack::Process] {
        failures += each_by_itself(&mut line, stack);
        failures += while_it_works(&mut line, stack);
    }
    failures += one_within_another(&mut line);
    match failures {
        0 => say(&mut line, format_args!("interrupts: all came through")),
        _ => say(&mut line, format_args!("interrupts: {failures} FAILED")),
    }
    loop {
        cortex_m::asm::nop();
    }
}

/// This processor has no such register and reads 0. QEMU's has one, and would not need the forwarder if it were written.
fn vtor() -> u32 {
    // SAFETY: nobody else uses the processor's peripherals.
    let processor = unsafe { cortex_m::Peripherals::steal() };
    processor.SCB.vtor.read()
}

/// Lets TIMER0 interrupt a PendSV, and both be taken at all.
fn prioritise() {
    // SAFETY: nobody else uses the processor's peripherals.
    let mut processor = unsafe { cortex_m::Peripherals::steal() };
    // SAFETY: no critical section rests on priorities.
    unsafe {
        processor.SCB.set_priority(SystemHandler::PendSV, 0xC0);
    }
    // SAFETY: likewise; its handler is there.
    unsafe { NVIC::unmask(Interrupt::TIMER0) };
}

/// Each kind of exception, taken where it is asked for.
fn each_by_itself(line: &mut Line, stack: Stack) -> u32 {
    let mut failures = 0;
    for (name, taken, registers) in [
        (
            "SVCall",
            &TAKEN.supervisor_call,
            supervisor_call as fn(&mut Registers, Stack),
        ),
        ("PendSV", &TAKEN.pendsv, |registers, stack| {
            pend(registers, stack, CONTROL_AND_STATE, PENDSV);
        }),
        ("SysTick", &TAKEN.systick, |registers, stack| {
            pend(registers, stack, CONTROL_AND_STATE, SYSTICK);
        }),
        ("TIMER0", &TAKEN.timer, |registers, stack| {
            pend(registers, stack, SET_PENDING, TIMER0);
        }),
        ("HardFault", &TAKEN.hard_fault, hard_fault),
    ] {
        let before = taken.count();
        let mut found = Registers::default();
        registers(&mut found, stack);
        let count = taken.count() - before;
        let harmed = found.harmed();
        say(
            line,
            format_args!("{name} on the {stack} stack: taken {count}, harmed {harmed:#06x}"),
        );
        failures += u32::from(count != 1 || harmed != 0);
    }
    failures
}

/// TIMER0 and SysTick by their own clocks, between the instructions of a loop.
fn while_it_works(line: &mut Line, stack: Stack) -> u32 {
    let before = [TAKEN.timer.count(), TAKEN.systick.count()];
    start_clocks();
    let mut found = Registers::default();
    spin(&mut found, stack, SPINS);
    stop_clocks();
    let timer = TAKEN.timer.count() - before[0];
    let systick = TAKEN.systick.count() - before[1];
    let harmed = found.harmed();
    say(
        line,
        format_args!(
            "in a loop on the {stack} stack: TIMER0 {}, SysTick {}, harmed {harmed:#06x}",
            often(timer),
            often(systick)
        ),
    );
    u32::from(timer < 2 || systick < 2 || harmed != 0)
}

fn often(count: u32) -> &'static str {
    match count {
        0 => "never",
        1 => "once",
        _ => "again and again",
    }
}

/// TIMER0 every 100 µs, SysTick about every 100.
fn start_clocks() {
    let timer = pac::TIMER0;
    timer.cc(0).write_value(1600);
    timer
        .prescaler()
        .write(|prescaler| prescaler.set_prescaler(0));
    timer
        .shorts()
        .write(|shorts| shorts.set_compare_clear(0, true));
    timer.intenset().write(|enable| enable.set_compare(0, true));
    timer.tasks_clear().write_value(1);
    timer.tasks_start().write_value(1);
    // SAFETY: nobody else uses the processor's peripherals.
    let mut processor = unsafe { cortex_m::Peripherals::steal() };
    processor.SYST.set_clock_source(SystClkSource::Core);
    processor.SYST.set_reload(1700);
    processor.SYST.clear_current();
    processor.SYST.enable_interrupt();
    processor.SYST.enable_counter();
}

fn stop_clocks() {
    pac::TIMER0.tasks_stop().write_value(1);
    pac::TIMER0
        .intenclr()
        .write(|disable| disable.set_compare(0, true));
    // SAFETY: as above.
    let mut processor = unsafe { cortex_m::Peripherals::steal() };
    processor.SYST.disable_interrupt();
    processor.SYST.disable_counter();
}

/// TIMER0 while PendSV is handled.
fn one_within_another(line: &mut Line) -> u32 {
    let before = TAKEN.nested.count();
    NESTED.set(1);
    let mut found = Registers::default();
    pend(&mut found, Stack::Main, CONTROL_AND_STATE, PENDSV);
    NESTED.set(0);
    let count = TAKEN.nested.count() - before;
    let harmed = found.harmed();
    say(
        line,
        format_args!("TIMER0 within PendSV: taken {count}, harmed {harmed:#06x}"),
    );
    u32::from(count != 1 || harmed != 0)
}

fn say(line: &mut Line, what: core::fmt::Arguments<'_>) {
    // The line takes everything.
    let _ = writeln!(line, "{what}");
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say(&mut Line::open(), format_args!("{info}"));
    cortex_m::peripheral::SCB::sys_reset()
}
