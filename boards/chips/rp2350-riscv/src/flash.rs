//! The flash, through the ROM's functions (5.4.8). Meanwhile nothing can be fetched from it: what calls them runs from RAM,
//! with interrupts off.

use core::arch::naked_asm;

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

/// A function, and what it is called with.
#[repr(C)]
struct Call {
    function: u32,
    arguments: [u32; 4],
}

impl Call {
    const fn new(function: usize, arguments: [u32; 4]) -> Self {
        let function = function as u32;
        Self {
            function,
            arguments,
        }
    }

    const fn plain(function: usize) -> Self {
        Self::new(function, [0; 4])
    }
}

/// Where the ROM keeps a function that makes the flash readable again, as fast as it found that it can be.
const READ_AGAIN: usize = 0x400E_0000;

/// Leaves reading, does what `call` says, and returns to reading.
fn operate(call: Call) {
    let kept = core::ptr::with_exposed_provenance::<[u32; 64]>(READ_AGAIN);
    // SAFETY: the boot RAM has 1 KiB, which any program may read (4.3); nobody changes it.
    let read_again = unsafe { kept.read_volatile() };
    let calls = [
        Call::plain(connect_internal_flash::ptr() as usize),
        Call::plain(flash_exit_xip::ptr() as usize),
        call,
        Call::plain(flash_flush_cache::ptr() as usize),
        Call::plain(read_again.as_ptr().expose_provenance()),
    ];
    let calls = calls.as_ptr_range();
    critical_section::with(|_| {
        // SAFETY: the ROM's functions take what they are called with: `RomFlash` has checked that the sector or page lies in
        // the flash, where nothing lies that the program uses, and the page is in RAM. The last one runs wherever it was
        // copied to. All of it is on the stack, in RAM, until they have returned. Interrupts are off, one processor runs, and
        // no DMA reads the flash.
        unsafe { go_through(calls.start, calls.end) }
    });
}

/// Calls all of them, in order. It uses nothing but what it is handed and the stack.
#[unsafe(naked)]
#[unsafe(link_section = ".data.ram_routine")]
#[unsafe(export_name = "bistable_ram_routine")]
unsafe extern "C" fn go_through(first: *const Call, end: *const Call) {
    naked_asm!(
        "fence.i", // the last function was data a moment ago
        "addi sp, sp, -16",
        "sw ra, 12(sp)",
        "sw s0, 8(sp)",
        "sw s1, 4(sp)",
        "mv s0, a0",
        "mv s1, a1",
        "2:",
        "bgeu s0, s1, 3f",
        "lw t0, 0(s0)",
        "lw a0, 4(s0)",
        "lw a1, 8(s0)",
        "lw a2, 12(s0)",
        "lw a3, 16(s0)",
        "addi s0, s0, 20",
        "jalr t0",
        "j 2b",
        "3:",
        "lw ra, 12(sp)",
        "lw s0, 8(sp)",
        "lw s1, 4(sp)",
        "addi sp, sp, 16",
        "ret",
    )
}
