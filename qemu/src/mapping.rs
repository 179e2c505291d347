//! A board's memory as the host sees it: a mapped file that the emulator has mapped or writes, too.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use emulated_flash::Memory;
use memmap2::{MmapOptions, MmapRaw};

/// A shared mapping of a part of a file.
///
/// The emulator changes the same bytes while we look at them, so they are only ever touched as
/// atomics, of which none is a reference for longer than one access.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapRaw,
}

impl Mapping {
    /// Maps `length` bytes of `file` from `start` on, a multiple of a page; the caller has checked that it is
    /// as long.
    pub(crate) fn new(file: &File, start: u32, length: u32) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        let map = options
            .offset(u64::from(start))
            .len(length as usize)
            .map_raw(file)?;
        Ok(Self { map })
    }

    /// How many bytes are mapped.
    pub(crate) fn len(&self) -> u32 {
        self.map.len() as u32
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
        let (words, rest) = bytes.as_chunks_mut::<4>();
        if offset.is_multiple_of(4) && rest.is_empty() {
            // A whole flash is read often, so a word at a time where that can be done.
            for (at, word) in (offset..).step_by(4).zip(words) {
                *word = self.read_word(at).to_le_bytes();
            }
            return;
        }
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
        let (words, rest) = bytes.as_chunks::<4>();
        if offset.is_multiple_of(4) && rest.is_empty() {
            for (at, word) in (offset..).step_by(4).zip(words) {
                self.write_word(at, u32::from_le_bytes(*word));
            }
            return;
        }
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
