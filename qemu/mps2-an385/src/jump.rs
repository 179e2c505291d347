//! Leaving one program for another: the processor as after a reset, and the jump.

use core::arch::asm;
use core::ops::Range;

use crate::register::{Block, Register, Registers};

// SAFETY: ARMv7-M ARM, B3.2: the System Control Space is the processor's own, 4 KiB. Its registers
// reach no memory, but for VTOR and CONTROL, on which `jump` says more.
const PROCESSOR: Block = unsafe { Block::new(0xE000_E000, 0x1000) };
const SYSTICK_CONTROL: Register = PROCESSOR.register(0x010);
const SYSTICK_RELOAD: Register = PROCESSOR.register(0x014);
const SYSTICK_CURRENT: Register = PROCESSOR.register(0x018);
const INTERRUPT_STATE: Register = PROCESSOR.register(0xD04);
const SYSTEM_CONTROL: Register = PROCESSOR.register(0xD10);
/// VTOR.
const VECTOR_TABLE_OFFSET: u32 = 0xE000_ED08;
const HANDLER_PRIORITIES: Registers = PROCESSOR.registers(0xD18, 3);
const HANDLER_CONTROL: Register = PROCESSOR.register(0xD24);
const FAULT_STATUS: Register = PROCESSOR.register(0xD28);
const HARD_FAULT_STATUS: Register = PROCESSOR.register(0xD2C);
const MPU_CONTROL: Register = PROCESSOR.register(0xD94);

/// The board has 32 interrupts: one register of enable bits, one of pending bits, eight of priorities.
const INTERRUPT_CLEAR_ENABLE: Register = PROCESSOR.register(0x180);
const INTERRUPT_CLEAR_PENDING: Register = PROCESSOR.register(0x280);
const INTERRUPT_PRIORITIES: Registers = PROCESSOR.registers(0x400, 8);

const CLEAR_PENDING_SYSTICK: u32 = 1 << 25;
const CLEAR_PENDING_PENDSV: u32 = 1 << 27;

/// Makes the processor what it is after a reset, as far as a program can tell: SysTick off, no
/// interrupt enabled or pending, priorities 0, no fault recorded, MPU off, PRIMASK, FAULTMASK and
/// BASEPRI 0. The watchdog runs on.
pub fn clean_up() {
    cortex_m::interrupt::disable();
    SYSTICK_CONTROL.write(0);
    SYSTICK_RELOAD.write(0);
    SYSTICK_CURRENT.write(0);
    INTERRUPT_CLEAR_ENABLE.write(u32::MAX);
    INTERRUPT_CLEAR_PENDING.write(u32::MAX);
    INTERRUPT_PRIORITIES.write_all(0);
    INTERRUPT_STATE.write(CLEAR_PENDING_SYSTICK | CLEAR_PENDING_PENDSV);
    HANDLER_PRIORITIES.write_all(0);
    HANDLER_CONTROL.write(0);
    // Bits that are set are cleared by writing them.
    FAULT_STATUS.write(FAULT_STATUS.read());
    HARD_FAULT_STATUS.write(HARD_FAULT_STATUS.read());
    SYSTEM_CONTROL.write(0);
    MPU_CONTROL.write(0);
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    // SAFETY: these open the way to exceptions, of which none is enabled or pending any more; memory
    // safety never rested on them, for nothing is done in between.
    unsafe {
        asm!(
            "msr basepri, {zero}",
            "cpsie f",
            "cpsie i",
            zero = in(reg) 0,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// How much RAM one round of the loop in [`jump`] clears, in bytes.
const CLEARED_AT_ONCE: u32 = 32 * 40;

/// Starts the program whose vector table lies at `vector_table`: as its hardware reset would, with its
/// initial stack pointer, with VTOR on its table, in privileged thread mode, with LR as after a reset. Before
/// that, sets the words in `clears` to 0; the watchdog is not fed meanwhile.
///
/// Call [`clean_up`] before.
///
/// # Safety
///
/// - `vector_table` is a multiple of the table's size rounded up to a power of two (256 bytes for this
///   board's 16 exceptions and 32 interrupts; ARMv7-M ARM, B3.2.5), and the table stays there.
/// - Its first word is an initial stack pointer in RAM, a multiple of 8; its second is the address of
///   Thumb code, with its lowest bit set, that never returns.
/// - Nothing of the running program is used any more. It runs in thread mode, not in a handler.
/// - `clears` is RAM, from one multiple of 4 to another, and everything in it may be lost, the stack too.
pub unsafe fn jump(vector_table: u32, clears: Range<u32>) -> ! {
    let rest = clears.end.wrapping_sub(clears.start) % CLEARED_AT_ONCE;
    let whole_end = clears.end.wrapping_sub(rest);
    // SAFETY: the stack changes under the program's feet, but nothing of it is used any more: operands
    // are in registers and the last instruction does not return. Stack pointer and entry point are
    // read from the aligned vector table that the caller promises, once everything is cleared. CONTROL 0 selects
    // the main stack, privileged. What is cleared is RAM that the caller gives up. One exception cannot be disabled, the watchdog's NMI: it goes to
    // the running program's handler, for VTOR is written behind the loops, and its frame is pushed and popped
    // between two instructions of the loops, or within a store of several, which then goes on (ARMv7-M ARM,
    // B1.5.10). VTOR is a register of the processor (ARMv7-M ARM, B3.2.5).
    unsafe {
        asm!(
            // Ten zeros go out at once, and 32 times that between two looks at the end.
            "mov r6, r2",
            "mov r7, r2",
            "b 3f",
            "2:",
            ".rept 32",
            "stm r0!, {{r2, r3, r4, r6, r7, r9, r10, r11, r12, lr}}",
            ".endr",
            "3:",
            "cmp r0, r8",
            "blo 2b",
            "b 5f",
            "4:",
            "str r2, [r0], #4",
            "5:",
            "cmp r0, r1",
            "blo 4b",
            "movw r0, {table_offset_low}",
            "movt r0, {table_offset_high}",
            "str r5, [r0]",
            "dsb",
            "ldr r3, [r5]",
            "ldr r4, [r5, #4]",
            "msr control, r2",
            "isb",
            "msr msp, r3",
            "mov lr, #-1",
            "bx r4",
            // By name: two operands that happen to be equal would share a register, and one changes.
            in("r0") clears.start,
            in("r1") clears.end,
            in("r2") 0,
            in("r3") 0,
            in("r4") 0,
            in("r5") vector_table,
            in("r8") whole_end,
            in("r9") 0,
            in("r10") 0,
            in("r11") 0,
            in("r12") 0,
            in("lr") 0,
            table_offset_low = const VECTOR_TABLE_OFFSET & 0xFFFF,
            table_offset_high = const VECTOR_TABLE_OFFSET >> 16,
            options(noreturn, nostack),
        )
    }
}
