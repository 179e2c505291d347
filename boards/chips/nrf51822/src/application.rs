//! The chip, as the updater sees it; a clock and a serial line for the application.

use bistable_core::fuses::NoFuses;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_updater::Platform;
use bistable_updater::locks::{Lock, Locks};
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::pac::uart::vals::{Baudrate, Enable};
use embassy_nrf::pac::{GPIO, MPU, UART0, UICR, gpio::vals::Pull, uicr::vals::Pall};
use embassy_time::Instant;
use embedded_io::ErrorKind;

use crate::{BOOTLOADER, Flash, HANDOVER, Hardware, Watchdog};

const BAUD: Baudrate = Baudrate::Baud115200;

/// How long the other end may refuse a byte, in milliseconds.
const PATIENCE: u64 = 500;

/// Starts the clocks; returns the chip and a serial line: 115,200 baud with hardware flow control, TXD on P0.09, RXD on
/// P0.11, RTS on P0.08, CTS on P0.10, as on the nRF51 DK.
///
/// # Panics
/// The second time.
pub fn start() -> (Hardware, Line) {
    let mut config = Config::default();
    // The internal oscillator is not exact enough for a serial line.
    config.hfclk_source = HfclkSource::ExternalXtal;
    embassy_nrf::init(config);
    GPIO.outset().write(|pins| pins.0 = 1 << 8 | 1 << 9);
    GPIO.dirset().write(|pins| pins.0 = 1 << 8 | 1 << 9);
    // Inputs, connected and with a pull-up resistor.
    GPIO.pin_cnf(10).write(|it| it.set_pull(Pull::Pullup));
    GPIO.pin_cnf(11).write(|it| it.set_pull(Pull::Pullup));
    UART0.pselrts().write_value(8);
    UART0.pseltxd().write_value(9);
    UART0.pselcts().write_value(10);
    UART0.pselrxd().write_value(11);
    UART0.baudrate().write(|it| it.set_baudrate(BAUD));
    UART0.config().write(|it| it.set_hwfc(true));
    UART0.enable().write(|it| it.set_enable(Enable::Enabled));
    UART0.tasks_startrx().write_value(1);
    UART0.tasks_starttx().write_value(1);
    (Hardware::take(), Line(()))
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

    /// The bootloader's blocks are protected until the next reset, when it protects them anew; a debugger can write them
    /// unless readback is protected (9.1.6).
    fn locks(&self) -> Locks {
        let lock = |is_so| if is_so { Lock::Locked } else { Lock::Open };
        let protected = MPU.protenset0().read().0;
        Locks {
            readout: lock(UICR.rbpconf().read().pall() == Pall::Enabled),
            bootloader: lock(protected & BOOTLOADER == BOOTLOADER),
            // The example has no device key.
            ..Locks::default()
        }
    }

    fn now(&self) -> u64 {
        now()
    }

    fn reset(&mut self) -> ! {
        crate::reset()
    }
}

/// A serial line. Reading waits for the first byte, writing until the byte before is away.
///
/// It needs no interrupt and no buffer: what comes while nobody reads waits at the other end (29.5). Where nothing is
/// connected, nobody is ready to receive, and writing fails.
pub struct Line(());

impl embedded_io::ErrorType for Line {
    type Error = ErrorKind;
}

impl embedded_io::ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(UART0.events_rxdrdy().read() != 0)
    }
}

impl embedded_io::Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        for byte in bytes.iter_mut().take(1) {
            while UART0.events_rxdrdy().read() == 0 {}
            // In this order, so that the event of the next byte is not lost (29.7).
            UART0.events_rxdrdy().write_value(0);
            *byte = UART0.rxd().read().rxd();
        }
        Ok(bytes.len().min(1))
    }
}

impl embedded_io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        for byte in bytes {
            let until = now() + PATIENCE;
            UART0.events_txdrdy().write_value(0);
            UART0.txd().write(|it| it.set_txd(*byte));
            while UART0.events_txdrdy().read() == 0 {
                if now() > until {
                    return Err(ErrorKind::TimedOut);
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
