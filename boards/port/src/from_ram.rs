//! Calling functions in a row from RAM, for chips whose ROM erases and programs the flash that the program is fetched from.
//!
//! The routine lies in `.data`, which is copied to RAM before `main`. It uses nothing but what it is handed and the stack;
//! `bistable_qemu::ram_routine` looks at it in the linked program.

use core::arch::naked_asm;

/// A function of the C calling convention, and what it is called with.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Call {
    function: u32,
    arguments: [u32; 4],
}

impl Call {
    /// The function at this address, with these arguments; one that takes fewer leaves the rest alone.
    #[must_use]
    pub const fn new(function: usize, arguments: [u32; 4]) -> Self {
        let function = function as u32;
        Self {
            function,
            arguments,
        }
    }
}

/// Calls all of them, in order, and drops what they return.
///
/// # Safety
///
/// - Each may be called with its arguments, after those before it. A function that was data a moment ago may be among them.
/// - Until this returns, nothing reads from what they make unreadable: interrupts are off, no other processor and no DMA uses
///   it, and the calls, the functions, what they are handed, and the stack lie elsewhere.
pub unsafe fn call_all(calls: &mut [Call]) {
    let calls = calls.as_mut_ptr_range();
    // SAFETY: the routine keeps to the C calling convention, and reads the calls to their end. That they are handed over as
    // mutable keeps the compiler from having them anywhere else than in memory, and in RAM. The rest is the caller's promise.
    unsafe { go_through(calls.start, calls.end) }
}

#[unsafe(naked)]
#[unsafe(link_section = ".data.ram_routine")]
#[unsafe(export_name = "bistable_ram_routine")]
unsafe extern "C" fn go_through(first: *mut Call, end: *mut Call) {
    naked_asm!(
        "fence.i", // a function may have been data a moment ago
        "addi sp, sp, -16",
        "sw ra, 12(sp)",
        "sw s0, 8(sp)",
        "sw s1, 4(sp)",
        "mv s0, a0",
        "mv s1, a1",
        "2:",
        "bgeu s0, s1, 3f",
        "lw t0, {function}(s0)",
        "lw a0, {arguments}(s0)",
        "lw a1, {arguments} + 4(s0)",
        "lw a2, {arguments} + 8(s0)",
        "lw a3, {arguments} + 12(s0)",
        "addi s0, s0, {size}",
        "jalr t0",
        "j 2b",
        "3:",
        "lw ra, 12(sp)",
        "lw s0, 8(sp)",
        "lw s1, 4(sp)",
        "addi sp, sp, 16",
        "ret",
        function = const core::mem::offset_of!(Call, function),
        arguments = const core::mem::offset_of!(Call, arguments),
        size = const size_of::<Call>(),
    )
}
