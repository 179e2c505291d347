//! The serial line, for what is said: 115,200 baud, TXD on P0.09.

use core::fmt;

use nrf_pac as pac;
use nrf_pac::uart::vals::{Baudrate, Enable};

const TXD: u32 = 9;

pub(crate) struct Line(());

impl Line {
    pub(crate) fn open() -> Self {
        pac::GPIO.outset().write(|set| set.0 = 1 << TXD);
        pac::GPIO.dirset().write(|set| set.0 = 1 << TXD);
        let uart = pac::UART0;
        uart.pseltxd().write_value(TXD);
        uart.baudrate()
            .write(|rate| rate.set_baudrate(Baudrate::Baud115200));
        uart.enable()
            .write(|enable| enable.set_enable(Enable::Enabled));
        uart.tasks_starttx().write_value(1);
        Self(())
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            pac::UART0.txd().write(|register| register.set_txd(byte));
            while pac::UART0.events_txdrdy().read() == 0 {}
            pac::UART0.events_txdrdy().write_value(0);
        }
        Ok(())
    }
}
