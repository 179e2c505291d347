//! Sending bytes over the UART, a 16550 (PC16550D data sheet, §8).

use crate::register::{Block, Register};

// SAFETY: device tree, `serial@10000000`: the UART has 256 bytes here. It masters no bus.
const UART: Block = unsafe { Block::new(0x1000_0000, 0x100) };
/// The byte to send; with [`DIVISOR_LATCH`], the lower half of the divisor.
const DATA: Register<u8> = UART.register(0);
/// Interrupts; with [`DIVISOR_LATCH`], the upper half of the divisor.
const INTERRUPT_ENABLE: Register<u8> = UART.register(1);
const FIFO_CONTROL: Register<u8> = UART.register(2);
const LINE_CONTROL: Register<u8> = UART.register(3);
const LINE_STATUS: Register<u8> = UART.register(5);

/// 3.6864 MHz / (16 · 2) = 115,200 baud; the emulator does not wait for it.
const DIVISOR: u8 = 2;
const DIVISOR_LATCH: u8 = 1 << 7;
const EIGHT_BITS_NO_PARITY_ONE_STOP: u8 = 0b11;
const FIFOS_ENABLED: u8 = 1;
/// Holding and shift register are empty.
const ALL_SENT: u8 = 1 << 6;

/// Makes it ready to send.
pub fn enable() {
    INTERRUPT_ENABLE.write(0);
    LINE_CONTROL.write(DIVISOR_LATCH);
    DATA.write(DIVISOR);
    INTERRUPT_ENABLE.write(0);
    LINE_CONTROL.write(EIGHT_BITS_NO_PARITY_ONE_STOP);
    FIFO_CONTROL.write(FIFOS_ENABLED);
}

/// Sends `bytes` and returns when the last one has left. Waits for ever if nobody takes them at the
/// other end (the watchdog ends that).
pub fn send(bytes: &[u8]) {
    for byte in bytes {
        DATA.write(*byte);
        while LINE_STATUS.read() & ALL_SENT == 0 {}
    }
}
