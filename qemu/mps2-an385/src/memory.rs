//! The block of RAM that survives a reset: the handover between bootloader and application.
//!
//! RAM keeps its content over a reset, so what makes a block survive is that nobody else uses it. It
//! lies below the RAM that the linker scripts give to bootloader and application (both start at
//! 0x2000_0100). After power-on it holds zeros in the emulator and anything on a real board, so what
//! it says counts only with its checksum.

/// Bytes of the block.
pub const SIZE: usize = 256;

/// Where it lies.
pub const ADDRESS: u32 = 0x2000_0000;

/// Reads the first `N` bytes of the block.
pub fn load<const N: usize>() -> [u8; N] {
    const { assert!(N <= SIZE && N.is_multiple_of(4)) };
    let mut block = [0; N];
    for (index, bytes) in (0..).zip(block.as_chunks_mut::<4>().0) {
        let word = word(index);
        // SAFETY: `word` is aligned and lies in the board's RAM (AN385 table 3-1), in a block that no
        // Rust object lies in, as the crate's documentation demands of the linker script.
        *bytes = unsafe { word.read_volatile() }.to_le_bytes();
    }
    block
}

/// Replaces the first `N` bytes of the block. A reset in the middle leaves some words new and the rest old.
pub fn store<const N: usize>(block: &[u8; N]) {
    const { assert!(N <= SIZE && N.is_multiple_of(4)) };
    for (index, bytes) in (0..).zip(block.as_chunks::<4>().0) {
        let word = word(index);
        // SAFETY: as in `load`.
        unsafe { word.write_volatile(u32::from_le_bytes(*bytes)) }
    }
}

fn word(index: usize) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut::<u32>(ADDRESS as usize).wrapping_add(index)
}
