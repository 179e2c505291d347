//! The stack: how much of it was never used.
//!
//! ```text
//!   .data .bss .uninit          free            end of RAM - SIZE        stack pointer     end of RAM
//!   ───────────────────┼───────────────────────┼▒▒▒▒▒▒▒▒ painted ▒▒▒▒▒▒▒┼──── in use ─────┤
//! ```

use core::arch::asm;

/// Bytes that are the stack's, from the end of RAM down. Nothing else may lie there: no heap, say.
pub const SIZE: u32 = 64 << 10;

/// What a word holds that nobody used. A program that happens to store it looks less hungry by that word.
const PAINT: u32 = 0xB157_AB1E;

unsafe extern "C" {
    /// The end of RAM, where the stack begins.
    static _stack_start: u32;
    /// The end of all that the linker placed in RAM.
    static _stack_end: u32;
}

/// The lowest address of the stack, and the end of RAM.
fn bounds() -> (u32, u32) {
    let end = (&raw const _stack_start).expose_provenance() as u32;
    let placed = (&raw const _stack_end).expose_provenance() as u32;
    (end.saturating_sub(SIZE).max(placed), end)
}

/// Paints what of the stack is not in use. To be called once, at the start.
pub fn paint() {
    let (bottom, _) = bounds();
    // SAFETY: from `bottom` up to the stack pointer lies RAM that the linker gave to nobody (`bounds`) and that
    // the stack has not reached, so no Rust object is there. Both ends are multiples of 4. The loop itself
    // uses no stack. An exception that comes in between has put its frame below the stack pointer and
    // taken it off again before the loop goes on.
    unsafe {
        asm!(
            "mov {end}, sp",
            "2:",
            "cmp {next}, {end}",
            "itt lo",
            "strlo {paint}, [{next}], #4",
            "blo 2b",
            next = inout(reg) bottom => _,
            end = out(reg) _,
            paint = in(reg) PAINT,
        );
    }
}

/// How many bytes of the stack were never used since it was [painted](paint).
#[must_use]
pub fn free() -> u32 {
    let (bottom, end) = bounds();
    let mut next = bottom;
    while next < end {
        let word = core::ptr::with_exposed_provenance::<u32>(next as usize);
        // SAFETY: `word` is a multiple of 4 and lies in RAM; any bits are a `u32`. What is painted is no Rust
        // object. The first word that is not ends the loop, and may be one of an object that is in use:
        // it is read once, as volatile, and by nobody else at that moment but an exception that has ended.
        if unsafe { word.read_volatile() } != PAINT {
            break;
        }
        next = next.saturating_add(4);
    }
    next.saturating_sub(bottom)
}
