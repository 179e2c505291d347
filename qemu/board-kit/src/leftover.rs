//! A word in RAM that no program clears at its start: what the one before left there.

use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU32;

#[unsafe(link_section = ".uninit")]
static WORD: MaybeUninit<AtomicU32> = MaybeUninit::uninit();

/// Leaves `word` and returns what was found: after a reset what the same program left, after the bootloader has
/// cleared RAM 0, after power-on zeros in the emulator and anything on a real board.
#[must_use]
pub fn exchange(word: u32) -> u32 {
    let place = WORD.as_ptr().cast::<u32>().cast_mut();
    // SAFETY: `place` is a static of a word's size and alignment, in a cell that may change, and nobody else
    // uses it. Any bits are a `u32`; as volatile, they are what lies in RAM and not what the compiler
    // thinks of a static that nobody has written yet.
    let found = unsafe { place.read_volatile() };
    // SAFETY: as above.
    unsafe { place.write_volatile(word) };
    found
}
