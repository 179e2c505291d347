//! The main task: a beat of 10 ms, which measures itself.

use core::cell::Cell;

use board::timer;
use board_kit::beats::{Beats, Measured};
use critical_section::Mutex;
use embassy_time::{Duration, Ticker};

/// From one beat to the next.
const PERIOD: Duration = Duration::from_millis(10);

/// What is being measured.
static BEATS: Mutex<Cell<Option<Beats>>> = Mutex::new(Cell::new(None));

/// Does every 10 ms what an application does then: here, nothing but noting that it did.
#[embassy_executor::task]
pub(crate) async fn keep() -> ! {
    let mut ticker = Ticker::every(PERIOD);
    loop {
        ticker.next().await;
        critical_section::with(|section| {
            let beats = BEATS.borrow(section);
            beats.set(beats.get().map(|mut beats| {
                beats.beat(timer::now());
                beats
            }));
        });
    }
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
