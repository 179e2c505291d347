//! Resetting the board, why it was reset, and hanging.

use bistable_core::reset::ResetReason;
use riscv::register::mie::{self, Mie};

use crate::register::{Block, Register};
use crate::{early_warning, watchdog};

// SAFETY: device tree, `test@100000`: the finisher has 4 KiB here. It ends or resets the emulator, and masters no bus.
const FINISHER: Block = unsafe { Block::new(0x0010_0000, 0x1000) };
const FINISH: Register = FINISHER.register(0);

const RESET: u32 = 0x7777;
/// In the upper half the exit status.
const FAIL: u32 = 0x3333;
const EXIT_STATUS: u32 = 1 << 16;

/// Why the processor started, as far as the board has a register for it: the watchdog says whether it was the one, once.
/// RAM that survives tells the rest.
pub fn reason() -> Option<ResetReason> {
    watchdog::take_expiry().then_some(ResetReason::Watchdog)
}

/// Requests a reset of the board and waits for it. RAM and flash keep what they hold.
pub fn reset() -> ! {
    FINISH.write(RESET);
    loop {
        core::hint::spin_loop();
    }
}

/// Ends the emulator with exit status 1: it was started without a device that the board consists of.
pub(crate) fn incomplete() -> ! {
    FINISH.write(EXIT_STATUS | FAIL);
    reset()
}

/// Does nothing any more, with every interrupt disabled but the watchdog's early warning, which stands for one that could
/// not be: only the watchdog ends it.
pub fn hang() -> ! {
    // SAFETY: no interrupt comes that came not before; those that stay away nothing waits for any more.
    unsafe { mie::write(Mie::from_bits(0)) };
    early_warning::enable();
    // SAFETY: the handler of the one that is left has been set up at the start, and nothing of the running program
    // goes on that could rely on its staying away.
    unsafe { riscv::interrupt::enable() };
    loop {
        core::hint::spin_loop();
    }
}
