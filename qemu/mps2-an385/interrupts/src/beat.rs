//! The beat of 10 ms: SysTick's interrupt, which measures itself.

use core::cell::Cell;

use board::timer;
use board_kit::beats::{Beats, Measured};
use cortex_m::peripheral::syst::SystClkSource;
use critical_section::Mutex;

/// From one beat to the next, in steps of the 25 MHz system clock: 10 ms.
const PERIOD: u32 = 250_000;

/// What is being measured.
static BEATS: Mutex<Cell<Option<Beats>>> = Mutex::new(Cell::new(None));

/// Starts the beat.
pub(crate) fn start() {
    let Some(mut processor) = cortex_m::Peripherals::take() else {
        return; // It runs already.
    };
    processor.SYST.set_clock_source(SystClkSource::Core);
    processor.SYST.set_reload(PERIOD - 1);
    processor.SYST.clear_current();
    processor.SYST.enable_interrupt();
    processor.SYST.enable_counter();
}

/// Does every 10 ms what an application does then: here, nothing but noting that it did.
#[board::exception]
fn SysTick() {
    critical_section::with(|section| {
        let beats = BEATS.borrow(section);
        beats.set(beats.get().map(|mut beats| {
            beats.beat(timer::now());
            beats
        }));
    });
}

/// Measuring begins now.
pub(crate) fn begin() {
    let beats = Beats::begin(timer::now());
    critical_section::with(|section| BEATS.borrow(section).set(Some(beats)));
}

/// Measuring ends now; `None` if it never began.
pub(crate) fn end() -> Option<Measured> {
    let beats = critical_section::with(|section| BEATS.borrow(section).take());
    beats.map(|beats| beats.end(timer::now()))
}
