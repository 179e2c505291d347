//! The machine, as the updater sees it; a clock and a serial line for the application.

use core::cell::Cell;
use core::convert::Infallible;

use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_port::clock::extended;
use bistable_port::register::{Block, Register};
use bistable_updater::Platform;
use board_kit::memory_flash::FloorFuses;
use cortex_m::interrupt::{self, Mutex};

use crate::{Flash, HANDOVER, Hardware, Psram, Watchdog};

// SAFETY: `docs/porting.md`, a machine of QEMU: UART 0 has 4 KiB here. It masters no bus.
const UART: Block = unsafe { Block::new(0x4000_4000, 0x1000) };
const DATA: Register = UART.register(0x00);
const STATE: Register = UART.register(0x04);
const UART_CONTROL: Register = UART.register(0x08);
const BAUD_DIVIDER: Register = UART.register(0x10);

const TRANSMIT_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 1 << 1;
const BOTH_DIRECTIONS: u32 = 0b11;
/// 25 MHz / 217 = 115,200 baud and a little; the emulator does not wait for it.
const DIVIDER: u32 = 217;

// SAFETY: `docs/porting.md`, a machine of QEMU: the FPGA's system control has 4 KiB here. It masters no bus.
const FPGA: Block = unsafe { Block::new(0x4002_8000, 0x1000) };
const COUNTER: Register = FPGA.register(0x18);
const PRESCALE: Register = FPGA.register(0x1C);

/// Steps of the 25 MHz clock between two of the counter, less one.
const PER_MILLISECOND: u32 = 24_999;

/// Starts the clock; returns the machine and its serial line, UART 0.
pub fn start() -> (Hardware, Line) {
    PRESCALE.write(PER_MILLISECOND);
    COUNTER.write(0);
    BAUD_DIVIDER.write(DIVIDER);
    UART_CONTROL.write(BOTH_DIRECTIONS);
    (Hardware::take(), Line)
}

/// Milliseconds since the application started. The counter wraps after 49 days, which is noticed if this is called at least
/// once in that time.
#[must_use]
pub fn now() -> u64 {
    static LAST: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));
    interrupt::free(|free| {
        let last = LAST.borrow(free);
        last.set(extended(last.get(), COUNTER.read()));
        last.get()
    })
}

impl Platform for Hardware {
    type JournalFlash = Flash;
    type SlotFlash = Flash;
    type Watchdog = Watchdog;
    type Fuses = FloorFuses<Psram>;

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

    fn fuses(&mut self) -> &mut FloorFuses<Psram> {
        &mut self.fuses
    }

    fn now(&self) -> u64 {
        now()
    }

    fn reset(&mut self) -> ! {
        crate::reset()
    }
}

/// The serial line, polled: the emulator sends a byte when the last one was taken. A real UART without a FIFO would
/// lose bytes while flash is erased: its port receives by interrupt into a buffer.
pub struct Line;

impl embedded_io::ErrorType for Line {
    type Error = Infallible;
}

impl embedded_io::ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(STATE.read() & RECEIVE_FULL != 0)
    }
}

impl embedded_io::Read for Line {
    /// Waits for the first byte.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let mut count = 0;
        for byte in bytes {
            while count == 0 && STATE.read() & RECEIVE_FULL == 0 {}
            if STATE.read() & RECEIVE_FULL == 0 {
                break;
            }
            *byte = DATA.read() as u8;
            count += 1;
        }
        Ok(count)
    }
}

impl embedded_io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for byte in bytes {
            while STATE.read() & TRANSMIT_FULL != 0 {}
            DATA.write(u32::from(*byte));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while STATE.read() & TRANSMIT_FULL != 0 {}
        Ok(())
    }
}
