//! Flash in a memory of the emulator that is a file of the host: the driver for a machine that has no flash.
//!
//! The host creates the file with its notes; without them the driver refuses to open. See
//! [`emulated_flash`] for what flash does and refuses. A port names its [`Machine`], and is done:
//!
//! ```ignore
//! pub struct Psram;
//!
//! // SAFETY: the machine's memory map has 16 MiB of PSRAM there; programs are linked to the slots alone.
//! unsafe impl Machine for Psram {
//!     const ADDRESS: u32 = layout::flash_main::ADDRESS;
//!     const MEMORY: InMemory = InMemory {
//!         geometry: Geometry {
//!             size: layout::flash_main::SIZE,
//!             sector_size: layout::flash_main::ERASE_SIZE,
//!         },
//!         memory_size: 16 << 20,
//!     };
//!
//!     fn feed() {
//!         crate::feed();
//!     }
//! }
//!
//! pub type Flash = board_kit::memory_flash::Flash<Psram>;
//! ```

use core::convert::Infallible;
use core::marker::PhantomData;

use bistable_core::fuses::{Fuses, NotRaised};
use emulated_flash::{
    Chip, EmulatedFlash, Memory, blow_fuses, blown_fuses, clear_bits, fill_erased,
};
pub use emulated_flash::{Geometry, InMemory, NotFormatted};

/// A machine, and where it has its memory.
///
/// # Safety
///
/// As many bytes as [`MEMORY`](Self::MEMORY) says, from [`ADDRESS`](Self::ADDRESS) on, are memory, which nobody but this driver,
/// the host and whoever executes from it uses, and in whose second half no program is linked to lie.
pub unsafe trait Machine {
    /// Where the memory starts in the address space, a multiple of 4: offset 0 of the flash is readable and executable here.
    const ADDRESS: u32;

    /// Its size, and the shape of the flash in it.
    const MEMORY: InMemory;

    /// Feeds the watchdog: called again and again while the board waits for the host to cut the power.
    fn feed();
}

/// The flash of a machine. Offsets are from [`Machine::ADDRESS`].
pub type Flash<M> = EmulatedFlash<Psram<M>>;

/// Opens the flash. Everything it knows lies in the memory itself, so several may be open, say one per
/// partition.
///
/// # Errors
///
/// [`NotFormatted`] if the memory does not hold the notes that the host creates.
///
/// # Safety
///
/// As long as any [`Flash`] lives, no sector is erased or programmed in which code or constants of the
/// running program lie, and none is used by an exception handler.
pub unsafe fn open<M: Machine>() -> Result<Flash<M>, NotFormatted> {
    const { assert!(M::MEMORY.fits()) };
    EmulatedFlash::open(Psram {
        content: Part::new(),
        notes: Part::new(),
    })
}

/// The `length` bytes at `offset` of the flash, where they lie.
///
/// # Safety
///
/// They lie on the flash. Nobody writes or erases them any more while this program runs.
#[must_use]
pub const unsafe fn lend<M: Machine>(offset: u32, length: u32) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance::<u8>(M::ADDRESS.wrapping_add(offset) as usize);
    // SAFETY: the caller promises readable bytes that do not change. They are no Rust object of this
    // program's, and any bits are a `u8`.
    unsafe { core::slice::from_raw_parts(start, length as usize) }
}

/// The memory: the flash at its start, the notes from its middle on.
pub struct Psram<M> {
    content: Part<M, false>,
    notes: Notes<M>,
}

/// The notes about the flash.
pub type Notes<M> = Part<M, true>;

/// The first half of a machine's memory, or the second, in which the notes are.
pub struct Part<M, const NOTES: bool> {
    machine: PhantomData<fn() -> M>,
}

impl<M, const NOTES: bool> Part<M, NOTES> {
    const fn new() -> Self {
        Self {
            machine: PhantomData,
        }
    }
}

impl<M: Machine> Chip for Psram<M> {
    type Failure = Infallible;
    type Notes = Notes<M>;

    const ERASE_SIZE: u32 = M::MEMORY.geometry.sector_size;

    #[inline(always)] // a constant
    fn geometry(&self) -> Geometry {
        M::MEMORY.geometry
    }

    fn notes(&self) -> &Notes<M> {
        &self.notes
    }

    fn notes_mut(&mut self) -> &mut Notes<M> {
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
            M::feed();
        }
    }
}

impl<M: Machine, const NOTES: bool> Part<M, NOTES> {
    /// Where it starts in the memory.
    const START: u32 = if NOTES { M::MEMORY.notes() } else { 0 };

    /// The byte at `offset` of this part, if `length` bytes from there lie in the memory.
    fn place(offset: u32, length: usize) -> Option<*mut u8> {
        let offset = Self::START.wrapping_add(offset);
        let end = (offset as usize).checked_add(length)?;
        let start = core::ptr::with_exposed_provenance_mut::<u8>(M::ADDRESS as usize);
        (end <= M::MEMORY.memory_size as usize).then(|| start.wrapping_add(offset as usize))
    }

    fn aligned_word(offset: u32) -> Option<*mut u32> {
        offset
            .is_multiple_of(4)
            .then(|| Self::place(offset, 4))?
            .map(<*mut u8>::cast)
    }
}

impl<M: Machine, const NOTES: bool> Memory for Part<M, NOTES> {
    fn read(&self, offset: u32, bytes: &mut [u8]) {
        let Some(from) = Self::place(offset, bytes.len()) else {
            return bytes.fill(0);
        };
        let (words, rest) = bytes.as_chunks_mut::<4>();
        if offset.is_multiple_of(4) && rest.is_empty() {
            // Words are four times as fast, and images are hashed at every boot.
            let mut next = from.cast::<u32>();
            for word in words {
                // SAFETY: `next` is aligned, as `offset` is, and lies in the memory, which `place` checked
                // for all of `bytes`. Any bits are a `u32`. Volatile, for the host may change them.
                *word = unsafe { next.read_volatile() }.to_le_bytes();
                next = next.wrapping_add(1);
            }
        } else {
            let mut next = from.cast_const();
            for byte in bytes {
                // SAFETY: `next` lies in the memory, as above.
                *byte = unsafe { next.read_volatile() };
                next = next.wrapping_add(1);
            }
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) {
        let Some(mut next) = Self::place(offset, bytes.len()) else {
            return;
        };
        for byte in bytes {
            // SAFETY: `next` lies in the memory, which `place` checked for all of `bytes`. No Rust object
            // that is used lies there: whoever opened the flash promised it for what they erase and
            // program, and the notes are behind the flash, where no program is linked to.
            // Volatile, so that stores reach the file of the host in this order.
            unsafe { next.write_volatile(*byte) }
            next = next.wrapping_add(1);
        }
    }

    fn read_word(&self, offset: u32) -> u32 {
        match Self::aligned_word(offset) {
            // SAFETY: `word` is aligned and in the memory; one access, as the host may be writing it.
            Some(word) => unsafe { word.read_volatile() },
            None => 0,
        }
    }

    fn write_word(&mut self, offset: u32, value: u32) {
        if let Some(word) = Self::aligned_word(offset) {
            // SAFETY: `word` is aligned and in the memory; no Rust object that is used lies there, as in
            // `write`. One access, as the host may be reading it.
            unsafe { word.write_volatile(value) }
        }
    }
}

/// The machine's fuses, as emulated beside its flash: the floor is the number of those that are blown.
pub struct FloorFuses<M> {
    notes: Notes<M>,
}

impl<M: Machine> FloorFuses<M> {
    /// The machine's.
    #[must_use]
    pub const fn new() -> Self {
        Self { notes: Part::new() }
    }
}

impl<M: Machine> Default for FloorFuses<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> Fuses for FloorFuses<M> {
    fn floor(&mut self) -> u32 {
        blown_fuses(&self.notes, M::MEMORY.geometry)
    }

    fn raise(&mut self, floor: u32) -> Result<(), NotRaised> {
        match blow_fuses(&mut self.notes, M::MEMORY.geometry, floor) {
            true => Ok(()),
            false => Err(NotRaised),
        }
    }
}
