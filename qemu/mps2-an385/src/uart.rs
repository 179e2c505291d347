//! Sending bytes over a UART (DDI0479 §4.3).

use crate::register::{Block, Register};

/// Which UART.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uart {
    /// UART 0, where the bootloader logs.
    Zero,
    /// UART 1, where the application logs.
    One,
}

struct Registers {
    data: Register,
    state: Register,
    control: Register,
    baud_divider: Register,
}

impl Registers {
    const fn of(block: &Block) -> Self {
        Self {
            data: block.register(0x00),
            state: block.register(0x04),
            control: block.register(0x08),
            baud_divider: block.register(0x10),
        }
    }
}

// SAFETY: AN385 table 3-1: UART 0 has 4 KiB here. It masters no bus.
const ZERO: Registers = Registers::of(&unsafe { Block::new(0x4000_4000, 0x1000) });
// SAFETY: AN385 table 3-1: UART 1 has 4 KiB here. It masters no bus.
const ONE: Registers = Registers::of(&unsafe { Block::new(0x4000_5000, 0x1000) });

const TRANSMIT_ENABLED: u32 = 1;
const TRANSMIT_BUFFER_FULL: u32 = 1;

/// 25 MHz / 217 = 115,200 baud and a little; the emulator does not wait for it.
const DIVIDER: u32 = 217;

impl Uart {
    const fn registers(self) -> Registers {
        match self {
            Uart::Zero => ZERO,
            Uart::One => ONE,
        }
    }

    /// Makes it ready to send.
    pub fn enable(self) {
        let registers = self.registers();
        registers.baud_divider.write(DIVIDER);
        registers.control.write(TRANSMIT_ENABLED);
    }

    /// Sends `bytes` and returns when the last one has left. Waits for ever if nobody takes them at the
    /// other end (the watchdog ends that).
    pub fn send(self, bytes: &[u8]) {
        let registers = self.registers();
        for byte in bytes {
            registers.data.write(u32::from(*byte));
            while registers.state.read() & TRANSMIT_BUFFER_FULL != 0 {}
        }
    }
}
