//! The flash, through the ROM's functions (5.4.8). Meanwhile nothing can be fetched from it: what calls them runs from RAM,
//! with interrupts off.

use bistable_port::from_ram::{Call, call_all};
use bistable_port::rom_pages::{PAGE, Rom, RomFlash, SECTOR};
use rp235x_hal::rom_data::{
    connect_internal_flash, flash_exit_xip, flash_flush_cache, flash_range_erase,
    flash_range_program,
};

use crate::layout::flash_main;

/// The flash. Offsets are from its first byte, 0x1000_0000.
pub type Flash = RomFlash<Qspi>;

pub(crate) const fn open() -> Flash {
    RomFlash::new(Qspi { _private: () }, flash_main::SIZE)
}

/// What the flash is connected to.
pub struct Qspi {
    _private: (),
}

impl Rom for Qspi {
    fn read(&mut self, offset: u32, bytes: &mut [u8]) {
        let from = flash_main::ADDRESS.saturating_add(offset);
        let from = core::ptr::with_exposed_provenance::<u8>(from as usize);
        // SAFETY: `RomFlash` has checked that they lie in the flash, of which no Rust object changes: what is written lies
        // outside of the program.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) }
    }

    fn erase(&mut self, offset: u32) {
        // No larger block than a sector, by no other command.
        let rest = [offset, SECTOR as u32, 1 << 31, 0];
        operate(Call::new(flash_range_erase::ptr() as usize, rest));
    }

    fn program(&mut self, offset: u32, page: &[u8; PAGE]) {
        let rest = [
            offset,
            page.as_ptr().expose_provenance() as u32,
            PAGE as u32,
            0,
        ];
        operate(Call::new(flash_range_program::ptr() as usize, rest));
    }
}

/// Where the ROM keeps a function that makes the flash readable again, as fast as it found that it can be.
const READ_AGAIN: usize = 0x400E_0000;

/// Leaves reading, does what `call` says, and returns to reading.
fn operate(call: Call) {
    let kept = core::ptr::with_exposed_provenance::<[u32; 64]>(READ_AGAIN);
    // SAFETY: the boot RAM has 1 KiB, which any program may read (4.3); nobody changes it.
    let read_again = unsafe { kept.read_volatile() };
    let mut calls = [
        Call::new(connect_internal_flash::ptr() as usize, [0; 4]),
        Call::new(flash_exit_xip::ptr() as usize, [0; 4]),
        call,
        Call::new(flash_flush_cache::ptr() as usize, [0; 4]),
        Call::new(read_again.as_ptr().expose_provenance(), [0; 4]),
    ];
    // SAFETY: the ROM's functions are called in the order that 5.4.8 asks for: `RomFlash` has checked that the sector or page
    // lies in the flash, where nothing lies that the program uses. The last one runs wherever it was copied to. All that they
    // are handed is on the stack, in RAM. Interrupts are off, one processor runs, and no DMA reads the flash.
    critical_section::with(|_| unsafe { call_all(&mut calls) });
}
