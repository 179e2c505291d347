//! How much of a painted stack was never used. Painting it is the board's: it needs a loop that uses no stack.
//!
//! ```text
//!   .data .bss .uninit          free            end of RAM - SIZE        stack pointer     end of RAM
//!   ───────────────────┼───────────────────────┼▒▒▒▒▒▒▒▒ painted ▒▒▒▒▒▒▒┼──── in use ─────┤
//! ```

/// Bytes that are the stack's, from the end of RAM down. Nothing else may lie there: no heap, say.
pub const SIZE: u32 = 64 << 10;

/// What a word holds that nobody used. A program that happens to store it looks less hungry by that word.
pub const PAINT: u32 = 0xB157_AB1E;

/// The stack's place in RAM.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    bottom: u32,
    end: u32,
}

impl Stack {
    /// The stack that grows down from `end`, the end of RAM; from `placed` down lies what the linker placed. Both are multiples
    /// of 4.
    ///
    /// # Safety
    ///
    /// What lies between the two is RAM, and no Rust object is there but those on the stack.
    #[must_use]
    pub unsafe fn new(placed: u32, end: u32) -> Self {
        let bottom = end.saturating_sub(SIZE).max(placed);
        Self { bottom, end }
    }

    /// Its lowest address.
    #[must_use]
    pub fn bottom(self) -> u32 {
        self.bottom
    }

    /// How many bytes of it hold [`PAINT`] from the bottom on: those that were never used since it was painted.
    #[must_use]
    pub fn free(self) -> u32 {
        let mut next = self.bottom;
        while next < self.end {
            let word = core::ptr::with_exposed_provenance::<u32>(next as usize);
            // SAFETY: `word` is a multiple of 4 and lies in RAM; any bits are a `u32`. What is painted is no Rust
            // object. The first word that is not ends the loop, and may be one of an object that is in use:
            // it is read once, as volatile, and by nobody else at that moment but an exception that has ended.
            if unsafe { word.read_volatile() } != PAINT {
                break;
            }
            next = next.saturating_add(4);
        }
        next.saturating_sub(self.bottom)
    }
}
