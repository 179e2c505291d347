//! The chip, as the updater sees it; a clock and a serial line for the application.

use bistable_core::fuses::NoFuses;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_updater::Platform;
use bistable_updater::locks::{Lock, Locks};
use embassy_futures::block_on;
use embassy_nrf::buffered_uarte::{BufferedUarte, Error, InterruptHandler};
use embassy_nrf::pac::{self, acl::vals::Write};
use embassy_nrf::{bind_interrupts, peripherals::UARTE0, uarte};
use embassy_time::Instant;
use static_cell::StaticCell;

use crate::{Flash, HANDOVER, Hardware, Watchdog, layout};

bind_interrupts!(struct Interrupts {
    UARTE0 => InterruptHandler<UARTE0>;
});

/// Bytes of each direction that may wait. What is asked for is read before any of it is written, so nothing comes
/// while flash is busy and the processor stands still.
const BUFFER: usize = 1024;

/// Starts the clocks; returns the chip and a serial line: 115,200 baud, TXD on P0.06, RXD on P0.08, as on the nRF52840 DK.
///
/// # Panics
/// The second time.
pub fn start() -> (Hardware, Line) {
    static BUFFERS: StaticCell<[[u8; BUFFER]; 2]> = StaticCell::new();
    let mut config = embassy_nrf::config::Config::default();
    // Otherwise the HAL opens the debug port, in UICR and for good: whether it is open is the factory's decision.
    config.debug = embassy_nrf::config::Debug::NotConfigured;
    // The internal oscillator is not exact enough for a serial line.
    config.hfclk_source = embassy_nrf::config::HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);
    let [receive, send] = BUFFERS.init([[0; BUFFER]; 2]);
    let line = BufferedUarte::new(
        chip.UARTE0,
        chip.TIMER0,
        chip.PPI_CH0,
        chip.PPI_CH1,
        chip.PPI_GROUP0,
        chip.P0_08,
        chip.P0_06,
        Interrupts,
        uarte::Config::default(),
        receive,
        send,
    );
    (Hardware::take(), Line(line))
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

    /// The bootloader's access control list holds until the next reset, when it is made anew (ACL). Zero in
    /// `APPROTECT` closes the debug port of every revision; erased, only that of later ones, so nothing is said (debug and trace).
    fn locks(&self) -> Locks {
        let list = pac::ACL.acl(0);
        let is_listed = list.addr().read() == layout::bootloader::OFFSET
            && list.size().read() == layout::bootloader::SIZE
            && list.perm().read().write() == Write::Disable;
        Locks {
            readout: match pac::UICR.approtect().read().0 & 0xFF {
                0x00 => Lock::Locked,
                0x5A => Lock::Open,
                _ => Lock::Unknown,
            },
            bootloader: match is_listed {
                true => Lock::Locked,
                false => Lock::Open,
            },
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

/// A serial line. Reading and writing wait for the first byte.
pub struct Line(BufferedUarte<'static>);

impl embedded_io::ErrorType for Line {
    type Error = Error;
}

impl embedded_io::ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, Error> {
        embedded_io_async::ReadReady::read_ready(&mut self.0)
    }
}

impl embedded_io::Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        block_on(self.0.read(bytes))
    }
}

impl embedded_io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        block_on(self.0.write(bytes))
    }

    fn flush(&mut self) -> Result<(), Error> {
        block_on(self.0.flush())
    }
}
