//! Leaving one program for another on RISC-V: the processor as after a reset, and the jump.

use core::arch::asm;
use core::ops::Range;

/// Makes the processor what it is after a reset, as far as a program can tell: interrupts off, none of them enabled, no
/// trap recorded. An interrupt controller outside of the hart's own registers, such as Hazard3's, is the caller's. The watchdog runs on, and so does its early warning, for a program that lets it through.
pub fn clean_up() {
    // SAFETY: nothing is waited for that these switch off. No trap happens any more until the next program has set
    // up where it goes: nothing is done in between but what `jump` does.
    unsafe {
        asm!(
            "csrw mstatus, zero",
            "csrw mie, zero",
            "csrw mscratch, zero",
            "csrw mepc, zero",
            "csrw mcause, zero",
            "csrw mtval, zero",
            options(nostack),
        );
    }
}

/// Starts the program whose first instruction lies at `entry`: as a reset would, in machine mode, with the hart's number
/// in `a0`, `entry` in `t0`, and 0 in every other register. Before that, sets the words in `clears` to 0; the watchdog is not fed meanwhile.
///
/// Call [`clean_up`] before.
///
/// # Safety
///
/// - At `entry`, a multiple of 4, a program for this processor begins, which never returns and sets up its own stack.
/// - Nothing of the running program is used any more.
/// - `clears` is RAM, from one multiple of 4 to another, and everything in it may be lost, the stack too.
pub unsafe fn jump(entry: u32, clears: Range<u32>) -> ! {
    // SAFETY: RAM changes under the program's feet, but nothing of it is used any more: operands are in registers and the
    // last instruction does not return. What is cleared is RAM that the caller gives up. No interrupt comes in between, for
    // `clean_up` has switched all of them off. The next program may have been written a moment ago: `fence.i`
    // makes instructions as new as data (Unprivileged ISA, Zifencei).
    unsafe {
        asm!(
            "2:",
            "bgeu a2, a3, 3f",
            "sw zero, 0(a2)",
            "addi a2, a2, 4",
            "j 2b",
            "3:",
            "fence rw, rw",
            "fence.i",
            "csrw mtvec, zero",
            "csrr a0, mhartid",
            "li ra, 0",
            "li sp, 0",
            "li gp, 0",
            "li tp, 0",
            "li t1, 0",
            "li t2, 0",
            "li s0, 0",
            "li s1, 0",
            "li a1, 0",
            "li a2, 0",
            "li a3, 0",
            "li a4, 0",
            "li a5, 0",
            "li a6, 0",
            "li a7, 0",
            "li s2, 0",
            "li s3, 0",
            "li s4, 0",
            "li s5, 0",
            "li s6, 0",
            "li s7, 0",
            "li s8, 0",
            "li s9, 0",
            "li s10, 0",
            "li s11, 0",
            "li t3, 0",
            "li t4, 0",
            "li t5, 0",
            "li t6, 0",
            "jr t0",
            in("a2") clears.start,
            in("a3") clears.end,
            in("t0") entry,
            options(noreturn, nostack),
        )
    }
}
