//! The block of RAM that survives a reset: the handover between bootloader and application.
//!
//! It lies below the RAM that the linker scripts give to bootloader and application (both start at
//! 0x2000_0100).

pub use bistable_port::survivor::SIZE;
use bistable_port::survivor::Survivor;

/// Where it lies.
pub const ADDRESS: u32 = 0x2000_0000;

// SAFETY: the board's RAM is there (AN385 table 3-1), and no Rust object lies in the block, as the
// crate's documentation demands of the linker script.
pub(crate) const BLOCK: Survivor = unsafe { Survivor::new(ADDRESS) };

/// Reads the first `N` bytes of the block.
pub fn load<const N: usize>() -> [u8; N] {
    BLOCK.load()
}

/// Replaces the first `N` bytes of the block. A reset in the middle leaves some words new and the rest old.
pub fn store<const N: usize>(block: &[u8; N]) {
    BLOCK.store(block);
}
