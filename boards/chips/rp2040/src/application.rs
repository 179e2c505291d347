//! The chip, as the updater sees it; a clock and a serial line for the application.

use core::task::Poll;

use bistable_core::fuses::NoFuses;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_updater::Platform;
use embassy_futures::poll_once;
use embassy_rp::uart::{BufferedInterruptHandler, BufferedUart, Config, Error};
use embassy_rp::{bind_interrupts, peripherals::UART0};
use embassy_time::Instant;
use embedded_io_async::Read;

use crate::{Flash, HANDOVER, Hardware, Watchdog};

bind_interrupts!(struct Interrupts {
    UART0_IRQ => BufferedInterruptHandler<UART0>;
});

/// Bytes of each direction that may wait.
const BUFFER: usize = 1024;

/// Starts the clocks; returns the chip and a serial line: 115,200 baud, TX on GP0, RX on GP1, as on the Pico.
///
/// # Panics
/// The second time.
pub fn start() -> (Hardware, Line) {
    let chip = embassy_rp::init(embassy_rp::config::Config::default());
    let buffers = cortex_m::singleton!(: [[u8; BUFFER]; 2] = [[0; BUFFER]; 2]);
    let [receive, send] = buffers.expect("it is started once");
    let uart = BufferedUart::new(
        chip.UART0,
        chip.PIN_0,
        chip.PIN_1,
        Interrupts,
        send,
        receive,
        Config::default(),
    );
    (Hardware::take(), Line { uart, next: None })
}

/// Milliseconds since the application started.
#[must_use]
pub fn now() -> u64 {
    Instant::now().as_millis()
}

impl Platform for Hardware {
    type JournalFlash = Flash;
    type SlotFlash = Flash;
    type Watchdog = Watchdog;
    type Fuses = NoFuses;

    fn journal_flash(&mut self) -> (&mut Flash, &mut Watchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _slot: Slot) -> (&mut Flash, &mut Watchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        HANDOVER.load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        HANDOVER.store(block);
    }

    fn fuses(&mut self) -> &mut NoFuses {
        &mut self.fuses
    }

    fn now(&self) -> u64 {
        now()
    }

    fn reset(&mut self) -> ! {
        crate::reset()
    }
}

/// A serial line. Reading waits for the first byte, writing until all is sent or waits to be.
pub struct Line {
    uart: BufferedUart,
    /// Read already, to find out whether there is one.
    next: Option<u8>,
}

impl embedded_io::ErrorType for Line {
    type Error = Error;
}

impl embedded_io::ReadReady for Line {
    /// The driver's own says nothing of errors, and receives nothing more until somebody has read about them.
    fn read_ready(&mut self) -> Result<bool, Error> {
        if self.next.is_none() {
            let mut byte = [0];
            if let Poll::Ready(read) = poll_once(self.uart.read(&mut byte)) {
                self.next = (read? > 0).then_some(byte[0]);
            }
        }
        Ok(self.next.is_some())
    }
}

impl embedded_io::Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        match (self.next.take(), bytes.first_mut()) {
            (Some(next), Some(byte)) => {
                *byte = next;
                Ok(1)
            }
            (next, _) => {
                self.next = next;
                self.uart.blocking_read(bytes)
            }
        }
    }
}

impl embedded_io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.uart.blocking_write(bytes)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.uart.blocking_flush()
    }
}
