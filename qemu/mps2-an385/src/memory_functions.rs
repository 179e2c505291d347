//! Copying, clearing and comparing memory: what the compiler calls for values of more than a few words.
//!
//! `compiler_builtins` has these functions too, unrolled for speed, and they would be 1.7 KB of a bootloader of
//! 24; defined here, they take their place. Names and arguments are those of C and of the Run-time ABI for
//! the Arm Architecture (§4.3.4). Words may lie anywhere: ARMv7-M loads and stores them unaligned
//! (ARM DDI 0403E, A3.2.1).

use core::arch::naked_asm;

// SAFETY: the names are those that the compiler calls, and each is defined once. Arguments and scratch
// registers are those of the procedure call standard (AAPCS32 §6.1.1), and so `memcpy` leaves in r0 what
// it returns. Only the `length` bytes are touched that the caller promises.

/// `(to, from, length)`; returns `to`.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcpy() {
    naked_asm!(
        ".global __aeabi_memcpy, __aeabi_memcpy4, __aeabi_memcpy8",
        ".thumb_set __aeabi_memcpy, memcpy",
        ".thumb_set __aeabi_memcpy4, memcpy",
        ".thumb_set __aeabi_memcpy8, memcpy",
        "mov r12, r0",
        "b 4f",
        // Four words at once, for points of a curve are moved hundreds of times.
        "3:",
        ".rept 4",
        "ldr r3, [r1], #4",
        "str r3, [r12], #4",
        ".endr",
        "4:",
        "subs r2, #16",
        "bhs 3b",
        "adds r2, #16",
        "1:",
        "subs r2, #4",
        "ittt hs",
        "ldrhs r3, [r1], #4",
        "strhs r3, [r12], #4",
        "bhs 1b",
        "adds r2, #4",
        "2:",
        "subs r2, #1",
        "ittt hs",
        "ldrbhs r3, [r1], #1",
        "strbhs r3, [r12], #1",
        "bhs 2b",
        "bx lr",
    )
}

/// `(place, length)`
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn __aeabi_memclr() {
    naked_asm!(
        ".global __aeabi_memclr4, __aeabi_memclr8",
        ".thumb_set __aeabi_memclr4, __aeabi_memclr",
        ".thumb_set __aeabi_memclr8, __aeabi_memclr",
        "movs r2, #0",
        "1:",
        "subs r1, #4",
        "itt hs",
        "strhs r2, [r0], #4",
        "bhs 1b",
        "adds r1, #4",
        "2:",
        "subs r1, #1",
        "itt hs",
        "strbhs r2, [r0], #1",
        "bhs 2b",
        "bx lr",
    )
}

/// `(one, other, length)`; returns the difference of the first bytes that differ, 0 if none do.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcmp() {
    naked_asm!(
        "mov r12, r0",
        // As long as words are equal; the one that is not is looked at again, byte by byte.
        "3:",
        "subs r2, #4",
        "blo 4f",
        "ldr r0, [r12], #4",
        "ldr r3, [r1], #4",
        "cmp r0, r3",
        "beq 3b",
        "sub r12, #4",
        "subs r1, #4",
        "4:",
        "adds r2, #4",
        "movs r0, #0",
        "1:",
        "subs r2, #1",
        "blo 2f",
        "ldrb r0, [r12], #1",
        "ldrb r3, [r1], #1",
        "subs r0, r0, r3",
        "beq 1b",
        "2:",
        "bx lr",
    )
}
