//! Resetting the board, why it was reset, and hanging.

use bistable_core::reset::ResetReason;

/// Why the processor started: the emulator has no register for it. RAM that survives tells.
pub fn reason() -> Option<ResetReason> {
    None
}

/// Requests a system reset (ARMv7-M ARM, B3.2.6: `AIRCR.SYSRESETREQ`) and waits for it. RAM and PSRAM
/// keep what they hold; the bootloader is loaded again.
pub fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

/// Does nothing any more, with interrupts disabled: only the watchdog ends it.
pub fn hang() -> ! {
    cortex_m::interrupt::disable();
    loop {
        core::hint::spin_loop();
    }
}
