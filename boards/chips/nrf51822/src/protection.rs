//! Blocks of flash that no program can write or erase until the next reset (chapter 9): 64 of 4 KiB.

use embassy_nrf::pac::MPU;

/// Length of a block, in bytes.
const BLOCK: u32 = 4096;

/// The blocks, a bit for each, of `size` bytes at `offset`. The layout puts both at multiples of [`BLOCK`].
const fn blocks(offset: u32, size: u32) -> u64 {
    assert!(offset.is_multiple_of(BLOCK) && size.is_multiple_of(BLOCK) && size < 64 * BLOCK);
    ((1 << (size / BLOCK)) - 1) << (offset / BLOCK)
}

/// The bootloader's blocks.
const BOOTLOADER: u64 = blocks(
    crate::layout::bootloader::OFFSET,
    crate::layout::bootloader::SIZE,
);

/// Protects the bootloader and the slot that begins at `offset`.
#[cfg(feature = "bootloader")]
pub(crate) fn protect(offset: u32) {
    let protected = BOOTLOADER | blocks(offset, crate::layout::LAYOUT.slot_size);
    MPU.protenset0().write(|bits| bits.0 = protected as u32);
    MPU.protenset1()
        .write(|bits| bits.0 = (protected >> 32) as u32);
}

/// Whether the bootloader is protected.
#[cfg(feature = "application")]
pub(crate) fn is_bootloader_protected() -> bool {
    let low = u64::from(MPU.protenset0().read().0);
    let high = u64::from(MPU.protenset1().read().0) << 32;
    (low | high) & BOOTLOADER == BOOTLOADER
}
