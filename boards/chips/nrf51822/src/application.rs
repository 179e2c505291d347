//! The chip, as the updater sees it; a clock and a serial line for the application.

use bistable_core::fuses::NoFuses;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_updater::Platform;
use bistable_updater::locks::{Lock, Locks};
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::pac;
use embassy_nrf::pac::gpio::vals::{Input, Pull};
use embassy_nrf::pac::uart::vals::{Baudrate, Enable};
use embassy_nrf::pac::uicr::vals::Pall;
use embassy_time::Instant;
use embedded_io::ErrorKind;

use crate::{Flash, HANDOVER, Hardware, Watchdog, protection};

/// The serial line's pins, as on the nRF51 DK.
const RTS: u32 = 8;
const TXD: u32 = 9;
const CTS: u32 = 10;
const RXD: u32 = 11;

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
    (Hardware::take(), Line::open())
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
        let lock = |is_locked| match is_locked {
            true => Lock::Locked,
            false => Lock::Open,
        };
        Locks {
            readout: lock(pac::UICR.rbpconf().read().pall() == Pall::Enabled),
            bootloader: lock(protection::is_bootloader_protected()),
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
/// It needs no interrupt and no buffer: what comes while nobody reads waits at the other end (29.5).
pub struct Line(());

impl Line {
    fn open() -> Self {
        let pins = pac::GPIO;
        pins.outset().write(|set| set.0 = 1 << RTS | 1 << TXD);
        pins.dirset().write(|set| set.0 = 1 << RTS | 1 << TXD);
        for pin in [CTS, RXD] {
            pins.pin_cnf(pin as usize).write(|configuration| {
                configuration.set_input(Input::Connect);
                // With nobody at the other end: what is sent is lost, and the line is silent.
                configuration.set_pull(match pin {
                    CTS => Pull::Pulldown,
                    _ => Pull::Pullup,
                });
            });
        }
        let uart = pac::UART0;
        uart.pselrts().write_value(RTS);
        uart.pseltxd().write_value(TXD);
        uart.pselcts().write_value(CTS);
        uart.pselrxd().write_value(RXD);
        uart.baudrate()
            .write(|rate| rate.set_baudrate(Baudrate::Baud115200));
        uart.config().write(|config| config.set_hwfc(true));
        uart.enable()
            .write(|enable| enable.set_enable(Enable::Enabled));
        uart.tasks_startrx().write_value(1);
        uart.tasks_starttx().write_value(1);
        Self(())
    }
}

impl embedded_io::ErrorType for Line {
    type Error = ErrorKind;
}

impl embedded_io::ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(pac::UART0.events_rxdrdy().read() != 0)
    }
}

impl embedded_io::Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut count = 0;
        for byte in bytes {
            while pac::UART0.events_rxdrdy().read() == 0 {
                if count > 0 {
                    return Ok(count);
                }
            }
            // In this order, so that the event of the next byte is not lost (29.7).
            pac::UART0.events_rxdrdy().write_value(0);
            *byte = pac::UART0.rxd().read().rxd();
            count += 1;
        }
        Ok(count)
    }
}

impl embedded_io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        for byte in bytes {
            pac::UART0.txd().write(|register| register.set_txd(*byte));
            let until = now().saturating_add(PATIENCE);
            while pac::UART0.events_txdrdy().read() == 0 {
                if now() > until {
                    return Err(ErrorKind::TimedOut);
                }
            }
            pac::UART0.events_txdrdy().write_value(0);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
