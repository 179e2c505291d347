//! The board's flash: the second pair of NOR chips, with notes about it in the memory that the host shares.
//!
//! The chips are driven by [`cfi_flash`]. Programs execute from them, so what is done to them is done from RAM
//! (`ram_routine`). What a test bench needs beside them, counters, refusals and power cuts at a chosen
//! operation, is [`emulated_flash`]'s; the host creates its notes, and without them the driver refuses to open.

use cfi_flash::{CfiFlash, Unfit};
pub use emulated_flash::riscv32_virt::GEOMETRY;
use emulated_flash::{Chip, EmulatedFlash, Geometry};

pub use crate::flash_bus::ADDRESS;
use crate::flash_bus::FlashBus;
use crate::notes::{NoNotes, Notes};
use crate::watchdog;

/// The board's flash. Offsets are from [`ADDRESS`].
pub type Flash = EmulatedFlash<Chips>;

/// Why an operation was refused, or failed.
pub type Error = emulated_flash::Error<cfi_flash::Error>;

/// Why there is no flash to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NotFormatted {
    /// The chips are not those of the layout.
    Chips(Unfit),
    /// There is no memory shared with the host.
    NoNotes,
    /// The host has not made notes about the flash.
    Notes(emulated_flash::NotFormatted),
}

/// Opens the flash. Everything it knows lies in the chips and in the notes, so several may be open, say one
/// per partition.
///
/// # Errors
///
/// See [`NotFormatted`].
///
/// # Safety
///
/// As long as any [`Flash`] lives, no sector is erased or programmed in which code or constants of the
/// running program lie.
pub unsafe fn open() -> Result<Flash, NotFormatted> {
    let notes = Notes::open().map_err(|NoNotes| NotFormatted::NoNotes)?;
    let chips = CfiFlash::open(FlashBus::new(), GEOMETRY.size, GEOMETRY.sector_size)
        .map_err(NotFormatted::Chips)?;
    EmulatedFlash::open(Chips { chips, notes }).map_err(NotFormatted::Notes)
}

/// The `length` bytes at `offset` of the flash, where they lie.
///
/// # Safety
///
/// They lie on the flash, which is open: [`open`] leaves its chips in the mode in which they
/// are read. Nobody writes or erases them any more while this program runs.
pub const unsafe fn lend(offset: u32, length: u32) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance::<u8>(ADDRESS.wrapping_add(offset) as usize);
    // SAFETY: the caller promises readable bytes, but for the journal's operations, which end before they return, that do not change. They are no Rust object of this
    // program's, and any bits are a `u8`.
    unsafe { core::slice::from_raw_parts(start, length as usize) }
}

/// The two chips as one, and the notes.
#[derive(Debug)]
pub struct Chips {
    chips: CfiFlash<FlashBus>,
    notes: Notes,
}

/// What is programmed at once to make half of a sector read as erased.
const ONES: [u8; cfi_flash::AT_ONCE] = [0xFF; cfi_flash::AT_ONCE];

impl Chip for Chips {
    type Failure = cfi_flash::Error;
    type Notes = Notes;

    const ERASE_SIZE: u32 = GEOMETRY.sector_size;

    fn geometry(&self) -> Geometry {
        GEOMETRY
    }

    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn notes_mut(&mut self) -> &mut Notes {
        &mut self.notes
    }

    fn read(&self, offset: u32, bytes: &mut [u8]) -> Result<(), cfi_flash::Error> {
        self.chips.read(offset, bytes)
    }

    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), cfi_flash::Error> {
        let (units, rest) = bytes.as_chunks::<{ cfi_flash::WRITE_UNIT as usize }>();
        self.chips.program(offset, units.as_flattened())?;
        if rest.is_empty() {
            return Ok(());
        }
        let mut unit = [0xFF; cfi_flash::WRITE_UNIT as usize];
        unit.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let whole = units.as_flattened().len() as u32;
        self.chips.program(offset.saturating_add(whole), &unit)
    }

    /// The chips erase a sector by one command, which cannot be stopped half-way. But the emulator's overwrite when
    /// they are programmed, where real ones only clear bits: so ones make a half that reads as erased.
    fn erase(&mut self, offset: u32, length: u32) -> Result<(), cfi_flash::Error> {
        let end = offset.saturating_add(length);
        if length == GEOMETRY.sector_size {
            return self.chips.erase(offset, end);
        }
        (offset..end)
            .step_by(ONES.len())
            .try_for_each(|offset| self.chips.program(offset, &ONES))
    }

    /// Waits for the host to kill the emulator. The watchdog must not bring the program back meanwhile.
    fn wait_for_power_cut(&mut self) {
        loop {
            watchdog::feed();
        }
    }
}
