//! Interrupts for an image, on a Cortex-M0 without VTOR: the processor takes every vector from address 0, where the
//! bootloader's table lies, so the bootloader hands each of them on.
//!
//! ```text
//!   exception n ──► bootloader's vector n ──► forwarder ──► vector n of the table that the word names
//!
//!   from                            the word names          so a fault
//!   reset, before RAM is set up     the bootloader's own    resets
//!   the jump's last instructions    the image's             is the image's
//! ```
//!
//! The word is one of RAM that nobody else uses: behind the handover, where neither program's linker script puts anything
//! and no clearing comes. What a reset leaves in it does not count, for the bootloader's first instructions write it.
//! Initial stack pointer and reset vector are not forwarded: after a reset the bootloader runs.
//!
//! The forwarder is six instructions, 14 cycles on a Cortex-M0 without wait states (its technical reference manual, 3.3),
//! and uses no stack. It changes r0, r1 and flags alone, which the processor has saved and which a handler does not
//! find defined (ARMv6-M ARM, B1.5.6); LR, which says how the handler returns, and SP are as the processor left them.
//! So handlers are ordinary ones, the hard fault's and a scheduler's too.

use crate::survivor;

/// Where the word lies, in the layout's handover block: its last one, behind what a [`survivor::Survivor`] has.
///
/// `address` and `size` are the layout's `HANDOVER_ADDRESS` and `HANDOVER_SIZE`.
///
/// # Panics
/// When it is evaluated, so in a constant at compile time: the block has no word that is free, or the last one is not aligned.
#[must_use]
pub const fn word(address: u32, size: u32) -> u32 {
    assert!(
        size >= NEEDED,
        "handover.size: make it 264, the word that names the vector table lies behind 256 bytes"
    );
    let end = address.saturating_add(size);
    assert!(
        end.is_multiple_of(4),
        "the handover block ends at no multiple of 4 of the address space"
    );
    end.saturating_sub(4)
}

/// The size of a handover block with the word behind it, in bytes.
const NEEDED: u32 = survivor::SIZE as u32 + 4;

/// Gives a bootloader on `cortex-m-rt` its forwarder, which is the handler of every exception and interrupt, and a
/// `__pre_init` that makes the word name the bootloader's own handlers. Once in a program, with what
/// [`forward::word`](crate::forward::word) returned.
///
/// While the bootloader runs, an exception resets the processor; it must enable no interrupt.
#[macro_export]
macro_rules! forward_interrupts {
    ($word:expr) => {
        ::core::arch::global_asm!(
            ".section .text.forward_interrupts, \"ax\", %progbits",
            ".balign 4",
            ".global DefaultHandler, HardFault, __pre_init",
            ".type DefaultHandler, %function",
            ".type HardFault, %function",
            ".type __pre_init, %function",
            // The processor is in the handler of exception n, and its number is in IPSR.
            ".thumb_func",
            "DefaultHandler:",
            ".thumb_func",
            "HardFault:",
            "mrs r0, ipsr",
            "lsls r0, r0, #2",
            "ldr r1, 1f",
            "ldr r1, [r1]",
            "ldr r0, [r1, r0]",
            "bx r0",
            // The first thing after a reset.
            ".thumb_func",
            "__pre_init:",
            "ldr r0, 1f",
            "ldr r1, 2f",
            "str r1, [r0]",
            "bx lr",
            // The bootloader's own handler: it requests a reset (AIRCR; ARMv6-M ARM, B3.2.6).
            ".type bistable_fault_in_the_bootloader, %function",
            ".thumb_func",
            "bistable_fault_in_the_bootloader:",
            "ldr r0, 3f",
            "ldr r1, 4f",
            "str r1, [r0]",
            "dsb",
            "b .",
            ".balign 4",
            "1: .word {word}",
            "2: .word 5f",
            "3: .word 0xE000ED0C",
            "4: .word 0x05FA0004",
            // The bootloader's own table: of the 16 exceptions, for it enables no interrupt.
            "5:",
            ".rept 16",
            ".word bistable_fault_in_the_bootloader",
            ".endr",
            word = const $word,
        );
    };
}

/// Starts the program whose vector table lies at `vector_table`, as [`cortex_m::jump`](crate::cortex_m::jump) does on chips
/// with VTOR; from then on `word` names its table. `vector_table` need be a multiple of 4 only.
///
/// # Safety
///
/// As there; and `word` is what [`word`] returned and [`forward_interrupts`](crate::forward_interrupts) was given,
/// in RAM that `clears` does not contain.
#[cfg(armv6m)]
pub unsafe fn jump(vector_table: u32, clears: core::ops::Range<u32>, word: u32) -> ! {
    // SAFETY: the caller's promises are those of `leave`; that the word is RAM of nobody else, too.
    unsafe { crate::cortex_m::leave(vector_table, clears, word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_last_one_of_the_block_and_no_part_of_the_survivor() {
        let word = word(0x2000_0000, 264);
        assert_eq!(word, 0x2000_0104);
        assert!(word >= 0x2000_0000 + survivor::SIZE as u32);
    }

    #[test]
    #[should_panic = "make it 264"]
    fn a_block_that_the_survivor_fills_has_no_word() {
        let _ = word(0x2000_0000, survivor::SIZE as u32);
    }

    #[test]
    #[should_panic = "multiple of 4"]
    fn a_block_at_the_end_of_the_address_space_has_no_word_that_wraps() {
        let _ = word(0xFFFF_FF00, 264);
    }

    #[test]
    #[should_panic = "multiple of 4"]
    fn a_word_that_is_not_aligned_is_refused() {
        let _ = word(0x2000_0002, 264);
    }
}
