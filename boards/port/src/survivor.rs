//! A block of RAM that survives a reset: the handover between bootloader and application.
//!
//! RAM keeps its content over a reset, so what makes a block survive is that nobody else uses it. After power-on
//! it holds zeros in the emulator and anything on a real board, so what it says counts only with its checksum.

use bistable_core::handover::Handover;

/// Bytes of the block.
pub const SIZE: usize = 256;

/// The block that begins at some address.
#[derive(Clone, Copy, Debug)]
pub struct Survivor {
    address: u32,
}

impl Survivor {
    /// The block of [`SIZE`] bytes at `address`, a multiple of 4.
    ///
    /// # Safety
    ///
    /// These bytes are RAM, and no Rust object lies in them.
    #[must_use]
    pub const unsafe fn new(address: u32) -> Self {
        assert!(address.is_multiple_of(4));
        Self { address }
    }

    /// Reads the first `N` bytes of the block.
    #[must_use]
    pub fn load<const N: usize>(self) -> [u8; N] {
        const { assert!(N <= SIZE && N.is_multiple_of(4)) };
        let mut block = [0; N];
        for (index, bytes) in (0..).zip(block.as_chunks_mut::<4>().0) {
            let word = self.word(index);
            // SAFETY: `word` is aligned and lies in the block, which is RAM without a Rust object in it, as
            // `new` was promised. Any bits are a `u32`.
            *bytes = unsafe { word.read_volatile() }.to_le_bytes();
        }
        block
    }

    /// Replaces the first `N` bytes of the block. A reset in the middle leaves some words new and the rest old.
    pub fn store<const N: usize>(self, block: &[u8; N]) {
        const { assert!(N <= SIZE && N.is_multiple_of(4)) };
        for (index, bytes) in (0..).zip(block.as_chunks::<4>().0) {
            let word = self.word(index);
            // SAFETY: as in `load`.
            unsafe { word.write_volatile(u32::from_le_bytes(*bytes)) }
        }
    }

    /// Notes for the next boot that the watchdog barked, and where.
    pub fn note_watchdog(self, program_counter: u32) {
        let mut block = self.load();
        Handover::note_watchdog(&mut block, program_counter);
        self.store(&block);
    }

    fn word(self, index: usize) -> *mut u32 {
        core::ptr::with_exposed_provenance_mut::<u32>(self.address as usize).wrapping_add(index)
    }
}
