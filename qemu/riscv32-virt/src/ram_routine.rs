//! Going through the steps of a flash operation: the one routine that runs from RAM, because nothing can be fetched
//! from the chips meanwhile.
//!
//! It is assembler, so that it is certain what it does: it calls nothing, jumps nowhere but within itself, and loads from
//! what it is handed. It lies in `.data`, which is copied to RAM before `main`. `bistable_qemu::ram_routine` looks at
//! it in the linked program; [`self_test`](crate::self_test) has it wait, which the emulator's chips never make it do.
//!
//! # The watchdog
//!
//! It is fed when a wait has lasted a quarter of its period, 500 ms, and then every 500 ms. A shorter wait feeds nothing. An
//! operation waits twice at most, so from its start to the first feeding in it, or to its end, less than 1 s passes, plus
//! what it sends. Who erases many sectors feeds the watchdog between them, as Bistable does.

use core::arch::naked_asm;

use cfi_flash::{Action, END, ERRORS, Outcome, READY, Step};

use crate::clock::PER_MILLISECOND;

/// How the watchdog is fed while the routine waits. Offsets are in the routine.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Feeding {
    /// Of 16 bits; 0: the watchdog is not armed, and nothing is written.
    register: u32,
    words: [u32; 3],
    /// Steps of the timer from the start of a wait to the first feeding, and from each to the next.
    interval: u32,
    /// The routine sets it when it has fed the watchdog.
    fed: u32,
}

impl Feeding {
    /// Writes these words to that register, if the watchdog is armed, four times in a period of each wait.
    pub(crate) fn new((register, words): (u32, [u16; 3]), is_armed: bool) -> Self {
        const MILLISECONDS: u32 = crate::watchdog::PERIOD_MS / 4;
        Self {
            register: if is_armed { register } else { 0 },
            words: words.map(u32::from),
            interval: MILLISECONDS.saturating_mul(PER_MILLISECOND as u32),
            fed: 0,
        }
    }

    /// Whether the watchdog was fed.
    pub(crate) const fn was_used(&self) -> bool {
        self.fed != 0
    }
}

/// Goes through `steps` as [`cfi_flash::go_through`] does; the times of waits are in steps of the timer.
///
/// # Safety
///
/// At `chips`, a multiple of 4, is what the steps are for, and every step stays within it, and within `data`. `steps` are in
/// RAM. Interrupts are off and stay so, and nobody else uses the chips.
pub(crate) unsafe fn go_through(
    chips: u32,
    steps: &mut [Step],
    data: &mut [u32],
    feeding: &mut Feeding,
) -> Outcome {
    let range = steps.as_mut_ptr_range();
    // SAFETY: the routine keeps to the C calling convention and uses no stack. It reads from `steps` to their end, and as many words
    // of `data` as a step says, which the caller has bounded; it writes `feeding.fed`. The rest is the caller's promise. All
    // three are handed over as mutable, so the compiler may not keep them anywhere else than in memory, and in RAM.
    unsafe { routine(chips, range.start, range.end, data.as_mut_ptr(), feeding) }
}

/// Registers: a0 the chips, a1 the next step, a2 the last one's end, a3 data, a4 feeding; t1 the address in the chips, t2 the
/// step's value, t3 its count or when the wait began, t4 when the watchdog was fed or the next word of data; t6 the status,
/// a5 whether time is up, a6 the bits of a ready status; t0, t5, a7 for the moment.
#[unsafe(naked)]
#[unsafe(link_section = ".data.ram_routine")]
#[unsafe(export_name = "bistable_ram_routine")]
unsafe extern "C" fn routine(
    chips: u32,
    steps: *mut Step,
    end: *mut Step,
    data: *mut u32,
    feeding: *mut Feeding,
) -> Outcome {
    naked_asm!(
        "   li   t6, 0",
        "   li   a5, 0",
        "   li   a6, {ready}",
        // The next step.
        "1: bgeu a1, a2, 8f",
        "   lw   t0, 0(a1)",
        "   lw   t1, 4(a1)",
        "   lw   t2, 8(a1)",
        "   lw   t3, 12(a1)",
        "   addi a1, a1, {step}",
        "   add  t1, t1, a0",
        "   mv   t4, a3",
        "   li   t5, {send}",
        "   beq  t0, t5, 2f",
        "   li   t5, {fetch}",
        "   beq  t0, t5, 3f",
        "   li   t5, {wait}",
        "   beq  t0, t5, 4f",
        // Write a word.
        "   sw   t2, 0(t1)",
        "   j    1b",
        // Send t3 words.
        "2: beqz t3, 1b",
        "   lw   t5, 0(t4)",
        "   sw   t5, 0(t1)",
        "   addi t4, t4, 4",
        "   addi t1, t1, 4",
        "   addi t3, t3, -1",
        "   j    2b",
        // Fetch t3 words.
        "3: beqz t3, 1b",
        "   lw   t5, 0(t1)",
        "   sw   t5, 0(t4)",
        "   addi t4, t4, 4",
        "   addi t1, t1, 4",
        "   addi t3, t3, -1",
        "   j    3b",
        // Wait: until both chips are ready, or the time in t2 is up.
        "4: csrr t3, time",
        "   mv   t4, t3",
        "5: lw   t6, 0(t1)",
        "   and  t5, t6, a6",
        "   beq  t5, a6, 1b",
        "   csrr t0, time",
        "   sub  t5, t0, t3",
        "   bgeu t5, t2, 7f",
        // Feed the watchdog, if it is time to.
        "   lw   t5, 0(a4)",
        "   beqz t5, 5b",
        "   sub  a7, t0, t4",
        "   lw   t4, 16(a4)",
        "   bltu a7, t4, 6f",
        "   lw   a7, 4(a4)",
        "   sh   a7, 0(t5)",
        "   lw   a7, 8(a4)",
        "   sh   a7, 0(t5)",
        "   lw   a7, 12(a4)",
        "   sh   a7, 0(t5)",
        "   li   a7, 1",
        "   sw   a7, 20(a4)",
        "   mv   t4, t0",
        "   j    5b",
        "6: sub  t4, t0, a7",
        "   j    5b",
        // Time is up.
        "7: li   a5, 1",
        // The end: the chips read as memory again. Reading a word makes sure that they have heard it.
        "8: li   t0, {errors}",
        "   and  t0, t0, t6",
        "   beqz t0, 9f",
        "   li   t0, {clear_status}",
        "   sw   t0, 0(a0)",
        "9: li   t0, {read_array}",
        "   sw   t0, 0(a0)",
        "   fence",
        "   lw   t5, 0(a0)",
        "   fence.i",
        "   mv   a0, t6",
        "   mv   a1, a5",
        "   ret",
        ready = const READY,
        errors = const ERRORS,
        clear_status = const END[0],
        read_array = const END[1],
        step = const size_of::<Step>(),
        send = const Action::Send as u32,
        fetch = const Action::Fetch as u32,
        wait = const Action::Wait as u32,
    )
}

// The offsets that the routine uses.
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Step, action) == 0 && offset_of!(Step, offset) == 4);
    assert!(offset_of!(Step, value) == 8 && offset_of!(Step, count) == 12);
    assert!(offset_of!(Feeding, register) == 0 && offset_of!(Feeding, words) == 4);
    assert!(offset_of!(Feeding, interval) == 16 && offset_of!(Feeding, fed) == 20);
};
