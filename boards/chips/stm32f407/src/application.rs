//! The chip, as the updater sees it; a clock and a serial line for the application.

use core::cell::Cell;

use bistable_core::fuses::NoFuses;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_port::clock::extended;
use bistable_updater::Platform;
use bistable_updater::locks::{Lock, Locks};
use critical_section::Mutex;
use embassy_stm32::peripherals::{TIM5, USART2};
use embassy_stm32::time::Hertz;
use embassy_stm32::timer::low_level::Timer;
use embassy_stm32::usart::{BufferedInterruptHandler, BufferedUart, Config, Error};
use embassy_stm32::{Peri, bind_interrupts, pac};
use static_cell::StaticCell;

use crate::{HANDOVER, Hardware, Large, Small, Watchdog};

bind_interrupts!(struct Interrupts {
    USART2 => BufferedInterruptHandler<USART2>;
});

/// Bytes of each direction that may wait: more than an answer's head.
const BUFFER: usize = 1024;

/// The two sectors of the bootloader.
const BOOTLOADER_SECTORS: u16 = 0b11;

/// Starts the clock; returns the chip and a serial line: 115,200 baud, TX on PA2, RX on PA3, free pins of the
/// STM32F4DISCOVERY. The processor stays on the 16 MHz that a reset leaves it.
///
/// # Panics
/// The second time.
pub fn start() -> (Hardware, Line) {
    static BUFFERS: StaticCell<[[u8; BUFFER]; 2]> = StaticCell::new();
    let chip = embassy_stm32::init(embassy_stm32::Config::default());
    start_clock(chip.TIM5);
    let [receive, send] = BUFFERS.init([[0; BUFFER]; 2]);
    let line = BufferedUart::new(
        chip.USART2,
        chip.PA3,
        chip.PA2,
        send,
        receive,
        Interrupts,
        Config::default(),
    );
    match line {
        Ok(line) => (Hardware::take(), Line(line)),
        // 115,200 baud can be had from 16 MHz.
        Err(_) => crate::reset(),
    }
}

/// Lets TIM5 count milliseconds.
fn start_clock(timer: Peri<'static, TIM5>) {
    let mut timer = Timer::new(timer);
    timer.set_tick_freq(Hertz(1_000));
    timer.start();
    // Dropped, it would stop.
    core::mem::forget(timer);
}

/// Milliseconds since the application started. It must be asked once in 49 days, or it loses as many.
#[must_use]
pub fn now() -> u64 {
    static LAST: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));
    critical_section::with(|token| {
        let last = LAST.borrow(token);
        last.set(extended(last.get(), pac::TIM5.cnt().read()));
        last.get()
    })
}

impl Platform for Hardware {
    type JournalFlash = Small;
    type SlotFlash = Large;
    type Watchdog = Watchdog;
    type Fuses = NoFuses;

    fn journal_flash(&mut self) -> (&mut Small, &mut Watchdog) {
        (&mut self.small, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _slot: Slot) -> (&mut Large, &mut Watchdog) {
        (&mut self.large, &mut self.watchdog)
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

    /// What the option bytes say (FLASH_OPTCR): level 0 of the read-out protection is none; sectors are protected by a 0.
    fn locks(&self) -> Locks {
        let options = pac::FLASH.optcr().read();
        let lock = |is_locked| if is_locked { Lock::Locked } else { Lock::Open };
        Locks {
            readout: lock(options.rdp() != 0xAA),
            bootloader: lock(options.n_wrp() & BOOTLOADER_SECTORS == 0),
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
pub struct Line(BufferedUart<'static>);

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
        self.0.read(bytes)
    }
}

impl embedded_io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.0.flush()
    }
}
