//! The board's memory as the host sees it: a mapped file that the emulator has mapped, too.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use emulated_flash::{MEMORY_SIZE, Memory};
use memmap2::{MmapOptions, MmapRaw};

/// A shared mapping of a whole file of [`MEMORY_SIZE`] bytes.
///
/// The emulator changes the same bytes while we look at them, so they are only ever touched as
/// atomics, of which none is a reference for longer than one access.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapRaw,
}

impl Mapping {
    /// Maps `file`, whose length the caller has checked.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        let map = MmapOptions::new().len(MEMORY_SIZE as usize).map_raw(file)?;
        Ok(Self { map })
    }

    /// The byte at `offset`, if `length` bytes from there are mapped.
    fn place(&self, offset: u32, length: usize) -> Option<*mut u8> {
        let offset = offset as usize;
        let end = offset.checked_add(length)?;
        (end <= self.map.len()).then(|| self.map.as_mut_ptr().wrapping_add(offset))
    }

    fn word(&self, offset: u32) -> Option<&AtomicU32> {
        let word = self.place(offset, 4)?.cast::<u32>();
        // SAFETY: `place` checked that four bytes are mapped, for reading and writing, as long as
        // `self` lives; the mapping starts at a page, so the word is aligned as `offset` is. This
        // process touches the mapping only through atomics, and the emulator is another process,
        // whose stores are like those of another thread. The file keeps its length: nobody here
        // shortens it.
        offset
            .is_multiple_of(4)
            .then(|| unsafe { AtomicU32::from_ptr(word) })
    }
}

/// # Safety
///
/// `byte` lies in a [`Mapping`] that outlives `'m`.
unsafe fn atomic<'m>(byte: *mut u8) -> &'m AtomicU8 {
    // SAFETY: as in `Mapping::word`; a byte is always aligned.
    unsafe { AtomicU8::from_ptr(byte) }
}

impl Memory for Mapping {
    fn read(&self, offset: u32, bytes: &mut [u8]) {
        let Some(mut next) = self.place(offset, bytes.len()) else {
            return bytes.fill(0);
        };
        for byte in bytes {
            // SAFETY: `place` checked that as many bytes as `bytes` has are mapped from `offset` on.
            *byte = unsafe { atomic(next) }.load(Ordering::Relaxed);
            next = next.wrapping_add(1);
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) {
        let Some(mut next) = self.place(offset, bytes.len()) else {
            return;
        };
        for byte in bytes {
            // SAFETY: `place` checked that as many bytes as `bytes` has are mapped from `offset` on.
            unsafe { atomic(next) }.store(*byte, Ordering::Release);
            next = next.wrapping_add(1);
        }
    }

    fn read_word(&self, offset: u32) -> u32 {
        let word = self.word(offset);
        word.map_or(0, |word| u32::from_le(word.load(Ordering::SeqCst)))
    }

    fn write_word(&mut self, offset: u32, value: u32) {
        if let Some(word) = self.word(offset) {
            word.store(value.to_le(), Ordering::SeqCst);
        }
    }
}
