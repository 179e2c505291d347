//! The board's flash: PSRAM that is a file of the host, behind a driver with flash semantics.
//!
//! The host creates the file with its notes; without them the driver refuses to open. See
//! [`emulated_flash`] for what flash does and refuses.

use core::convert::Infallible;

use emulated_flash::mps2_an385::{GEOMETRY, MEMORY_SIZE, NOTES};
use emulated_flash::{Chip, Geometry, Memory, clear_bits, fill_erased};
pub use emulated_flash::{EmulatedFlash, Error, NotFormatted, WRITE_UNIT};

use crate::watchdog;

/// Where the flash starts in the address space: offset 0 is readable and executable here.
pub const ADDRESS: u32 = 0x2100_0000;

/// The board's flash. Offsets are from [`ADDRESS`].
pub type Flash = EmulatedFlash<Psram>;

/// Opens the flash. Everything it knows lies in the PSRAM itself, so several may be open, say one per
/// partition.
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
    EmulatedFlash::open(Psram {
        content: Part { _private: () },
        notes: Part { _private: () },
    })
}

/// The `length` bytes at `offset` of the flash, where they lie.
///
/// # Safety
///
/// They lie on the flash. Nobody writes or erases them any more while this program runs.
pub const unsafe fn lend(offset: u32, length: u32) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance::<u8>(ADDRESS.wrapping_add(offset) as usize);
    // SAFETY: the caller promises readable bytes that do not change. They are no Rust object of this
    // program's, and any bits are a `u8`.
    unsafe { core::slice::from_raw_parts(start, length as usize) }
}

/// The PSRAM: the flash at its start, the notes from its middle on.
#[derive(Debug)]
pub struct Psram {
    content: Part<0>,
    notes: Notes,
}

/// The notes about the flash.
pub(crate) type Notes = Part<NOTES>;

/// The PSRAM from `START` on.
#[derive(Debug)]
pub struct Part<const START: u32> {
    _private: (),
}

impl Notes {
    /// The notes, where no program is linked to.
    pub(crate) const fn new() -> Self {
        Self { _private: () }
    }
}

impl Chip for Psram {
    type Failure = Infallible;
    type Notes = Notes;

    const ERASE_SIZE: u32 = GEOMETRY.sector_size;

    #[inline(always)] // a constant
    fn geometry(&self) -> Geometry {
        GEOMETRY
    }

    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn notes_mut(&mut self) -> &mut Notes {
        &mut self.notes
    }

    fn read(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.content.read(offset, bytes);
        Ok(())
    }

    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        clear_bits(&mut self.content, offset, bytes);
        Ok(())
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), Infallible> {
        fill_erased(&mut self.content, offset, length);
        Ok(())
    }

    /// Waits for the host to kill the emulator. The watchdog must not bring the program back meanwhile.
    fn wait_for_power_cut(&mut self) {
        loop {
            watchdog::feed();
        }
    }
}

/// The byte at `offset` in the PSRAM, if `length` bytes from there lie in it.
fn place(offset: u32, length: usize) -> Option<*mut u8> {
    let end = (offset as usize).checked_add(length)?;
    let start = core::ptr::with_exposed_provenance_mut::<u8>(ADDRESS as usize);
    (end <= MEMORY_SIZE as usize).then(|| start.wrapping_add(offset as usize))
}

impl<const START: u32> Memory for Part<START> {
    fn read(&self, offset: u32, bytes: &mut [u8]) {
        let Some(from) = place(START.wrapping_add(offset), bytes.len()) else {
            return bytes.fill(0);
        };
        let (words, rest) = bytes.as_chunks_mut::<4>();
        if offset.is_multiple_of(4) && rest.is_empty() {
            // Words are four times as fast, and images are hashed at every boot.
            let mut next = from.cast::<u32>();
            for word in words {
                // SAFETY: `next` is aligned, as `offset` is, and lies in the PSRAM, which `place` checked
                // for all of `bytes`. Any bits are a `u32`. Volatile, for the host may change them.
                *word = unsafe { next.read_volatile() }.to_le_bytes();
                next = next.wrapping_add(1);
            }
        } else {
            let mut next = from.cast_const();
            for byte in bytes {
                // SAFETY: `next` lies in the PSRAM, as above.
                *byte = unsafe { next.read_volatile() };
                next = next.wrapping_add(1);
            }
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) {
        let Some(mut next) = place(START.wrapping_add(offset), bytes.len()) else {
            return;
        };
        for byte in bytes {
            // SAFETY: `next` lies in the PSRAM, which `place` checked for all of `bytes`. No Rust object
            // that is used lies there: whoever opened the flash promised it for what they erase and
            // program, and the notes are behind the flash, where no program is linked to.
            // Volatile, so that stores reach the file of the host in this order.
            unsafe { next.write_volatile(*byte) }
            next = next.wrapping_add(1);
        }
    }

    fn read_word(&self, offset: u32) -> u32 {
        match aligned_word(START.wrapping_add(offset)) {
            // SAFETY: `word` is aligned and in the PSRAM; one access, as the host may be writing it.
            Some(word) => unsafe { word.read_volatile() },
            None => 0,
        }
    }

    fn write_word(&mut self, offset: u32, value: u32) {
        if let Some(word) = aligned_word(START.wrapping_add(offset)) {
            // SAFETY: `word` is aligned and in the PSRAM; no Rust object that is used lies there, as in
            // `write`. One access, as the host may be reading it.
            unsafe { word.write_volatile(value) }
        }
    }
}

fn aligned_word(offset: u32) -> Option<*mut u32> {
    offset
        .is_multiple_of(4)
        .then(|| place(offset, 4))?
        .map(<*mut u8>::cast)
}
