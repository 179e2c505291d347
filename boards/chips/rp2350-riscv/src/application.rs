//! The chip, as the updater sees it; a clock and a serial line for the application.

use bistable_core::fuses::NoFuses;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_updater::Platform;
use rp235x_hal::gpio::bank0::{Gpio0, Gpio1};
use rp235x_hal::gpio::{FunctionUart, Pin, Pins, PullDown, PullUp};
use rp235x_hal::uart::{Enabled, UartConfig, UartPeripheral};
use rp235x_hal::{Clock as _, Sio, Timer};

use crate::{Flash, HANDOVER, Hardware, Watchdog, pac};

/// A serial line. Reading and writing wait for the first byte; 32 bytes may wait.
pub type Line = UartPeripheral<
    Enabled,
    pac::UART0,
    (
        Pin<Gpio0, FunctionUart, PullDown>,
        Pin<Gpio1, FunctionUart, PullUp>,
    ),
>;

/// Starts the clocks; returns the chip and a serial line: 115,200 baud, TX on GP0, RX on GP1, as on the Pico 2.
pub fn start() -> (Hardware, Line) {
    let mut chip = crate::peripherals();
    let clocks = crate::start_clocks(&mut chip);
    let _counts_from_now_on = Timer::new_timer0(chip.TIMER0, &mut chip.RESETS, &clocks);
    let pins = Pins::new(
        chip.IO_BANK0,
        chip.PADS_BANK0,
        Sio::new(chip.SIO).gpio_bank0,
        &mut chip.RESETS,
    );
    let pins = (pins.gpio0.reconfigure(), pins.gpio1.reconfigure());
    let line = UartPeripheral::new(chip.UART0, pins, &mut chip.RESETS)
        .enable(UartConfig::default(), clocks.peripheral_clock.freq());
    match line {
        Ok(line) => (Hardware::take(), line),
        Err(_) => crate::reset(),
    }
}

/// Milliseconds since the application started.
#[must_use]
pub fn now() -> u64 {
    let timer = crate::peripherals().TIMER0;
    loop {
        let high = timer.timerawh().read().bits();
        let low = timer.timerawl().read().bits();
        if timer.timerawh().read().bits() == high {
            return (u64::from(high) << 32 | u64::from(low)) / 1000;
        }
    }
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
