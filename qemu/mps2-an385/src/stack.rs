//! The stack: how much of it was never used.

use core::arch::asm;

use board_kit::stack::{PAINT, Stack};

pub use board_kit::stack::SIZE;

unsafe extern "C" {
    /// The end of RAM, where the stack begins.
    static _stack_start: u32;
    /// The end of all that the linker placed in RAM.
    static _stack_end: u32;
}

fn stack() -> Stack {
    let end = (&raw const _stack_start).expose_provenance() as u32;
    let placed = (&raw const _stack_end).expose_provenance() as u32;
    // SAFETY: the linker has put all of its sections below `placed`, and RAM ends at `end`; nothing but the stack is
    // between them, as the crate's documentation says. Both are multiples of 4 in cortex-m-rt's script.
    unsafe { Stack::new(placed, end) }
}

/// Paints what of the stack is not in use. To be called once, at the start.
pub fn paint() {
    // SAFETY: from the stack's bottom up to the stack pointer lies RAM that the linker gave to nobody (`stack`) and that
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
            next = inout(reg) stack().bottom() => _,
            end = out(reg) _,
            paint = in(reg) PAINT,
        );
    }
}

/// How many bytes of the stack were never used since it was [painted](paint).
#[must_use]
pub fn free() -> u32 {
    stack().free()
}
