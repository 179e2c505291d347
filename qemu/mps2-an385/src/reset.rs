//! Resetting the board.

/// Requests a system reset (ARMv7-M ARM, B3.2.6: `AIRCR.SYSRESETREQ`) and waits for it. RAM and PSRAM
/// keep what they hold; the bootloader is loaded again.
pub fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
