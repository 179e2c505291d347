//! The memory that the host shares: a file of the host, as a PCI device (QEMU's `ivshmem-plain`, base address
//! register 2).

use emulated_flash::{Memory, riscv32_virt::NOTES_SIZE};

use crate::pci;

/// Vendor and device on the bus.
const IDENTITY: (u16, u16) = (0x1AF4, 0x1110);

/// Which of its base address registers is the memory's.
const BAR: u8 = 2;

/// Where it answers.
const ADDRESS: u32 = 0x4400_0000;

/// The shared memory, which nothing but this type touches.
#[derive(Debug)]
pub struct Notes {
    _private: (),
}

/// There is no such memory, or it is too small.
pub(crate) struct NoNotes;

impl Notes {
    /// Makes it answer; it may be opened more than once.
    pub(crate) fn open() -> Result<Self, NoNotes> {
        let (vendor, device) = IDENTITY;
        let function = pci::find(vendor, device).ok_or(NoNotes)?;
        match function.place_bar(BAR, ADDRESS) {
            Ok(size) if size >= NOTES_SIZE => Ok(Self { _private: () }),
            _ => Err(NoNotes),
        }
    }
}

/// The byte at `offset`, if `length` bytes from there are shared.
fn place(offset: u32, length: usize) -> Option<*mut u8> {
    let end = (offset as usize).checked_add(length)?;
    let start = core::ptr::with_exposed_provenance_mut::<u8>(ADDRESS as usize);
    (end <= NOTES_SIZE as usize).then(|| start.wrapping_add(offset as usize))
}

fn aligned_word(offset: u32) -> Option<*mut u32> {
    offset
        .is_multiple_of(4)
        .then(|| place(offset, 4))?
        .map(<*mut u8>::cast)
}

impl Memory for Notes {
    fn read(&self, offset: u32, bytes: &mut [u8]) {
        let Some(mut next) = place(offset, bytes.len()) else {
            return bytes.fill(0);
        };
        for byte in bytes {
            // SAFETY: `next` lies in the shared memory, as `place` checked; a `Notes` exists, so it answers. Volatile, for
            // the host may change it.
            *byte = unsafe { next.read_volatile() };
            next = next.wrapping_add(1);
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) {
        let Some(mut next) = place(offset, bytes.len()) else {
            return;
        };
        for byte in bytes {
            // SAFETY: as in `read`; no Rust object lies in the shared memory.
            unsafe { next.write_volatile(*byte) }
            next = next.wrapping_add(1);
        }
    }

    fn read_word(&self, offset: u32) -> u32 {
        match aligned_word(offset) {
            // SAFETY: as in `read`; aligned, and one access, as the host may be writing it.
            Some(word) => unsafe { word.read_volatile() },
            None => 0,
        }
    }

    fn write_word(&mut self, offset: u32, value: u32) {
        if let Some(word) = aligned_word(offset) {
            // SAFETY: as in `write`; aligned, and one access, as the host may be reading it.
            unsafe { word.write_volatile(value) }
        }
    }
}
