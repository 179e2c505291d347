//! The board's flash: PSRAM that is a file of the host, behind a driver with flash semantics.
//!
//! The driver is [`board_kit::memory_flash`]: see there, and [`emulated_flash`] for what flash does and refuses.

use board_kit::memory_flash;
pub use emulated_flash::{EmulatedFlash, Error, NotFormatted, WRITE_UNIT};
use emulated_flash::{InMemory, mps2_an385};

use crate::watchdog;

/// Where the flash starts in the address space: offset 0 is readable and executable here.
pub const ADDRESS: u32 = 0x2100_0000;

/// The board's flash. Offsets are from [`ADDRESS`].
pub type Flash = memory_flash::Flash<Psram>;

/// Opens the flash: see [`memory_flash::open`].
///
/// # Errors
///
/// [`NotFormatted`] if the PSRAM does not hold the notes that the host creates.
///
/// # Safety
///
/// As long as any [`Flash`] lives, no sector is erased or programmed in which code or constants of the
/// running program lie, and none is used by an exception handler.
pub unsafe fn open() -> Result<Flash, NotFormatted> {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { memory_flash::open() }
}

/// The `length` bytes at `offset` of the flash, where they lie.
///
/// # Safety
///
/// They lie on the flash. Nobody writes or erases them any more while this program runs.
pub const unsafe fn lend(offset: u32, length: u32) -> &'static [u8] {
    // SAFETY: as above.
    unsafe { memory_flash::lend::<Psram>(offset, length) }
}

/// The PSRAM.
#[derive(Debug)]
pub struct Psram;

// SAFETY: AN385 table 3-1: 16 MiB of PSRAM are there. The layout has slots in its first 2 MiB alone.
unsafe impl memory_flash::Machine for Psram {
    const ADDRESS: u32 = ADDRESS;
    const MEMORY: InMemory = mps2_an385::MEMORY;

    fn feed() {
        watchdog::feed();
    }
}
