//! Leaving one program for another on Arm Cortex-M: the processor as after a reset, and the jump.
//!
//! Section numbers are those of the ARMv7-M Architecture Reference Manual. ARMv6-M (Cortex-M0 and M0+) lacks some of
//! the registers; what is left out there is what it has no register for.

use core::arch::asm;
use core::ops::Range;

use crate::register::{Block, Register, Registers};

// SAFETY: B3.2: the System Control Space is the processor's own, 4 KiB. Its registers
// reach no memory, but for VTOR and CONTROL, on which `jump` says more.
const PROCESSOR: Block = unsafe { Block::new(0xE000_E000, 0x1000) };
const SYSTICK_CONTROL: Register = PROCESSOR.register(0x010);
const SYSTICK_RELOAD: Register = PROCESSOR.register(0x014);
const SYSTICK_CURRENT: Register = PROCESSOR.register(0x018);
const INTERRUPT_STATE: Register = PROCESSOR.register(0xD04);
const SYSTEM_CONTROL: Register = PROCESSOR.register(0xD10);
/// VTOR.
const VECTOR_TABLE_OFFSET: u32 = 0xE000_ED08;
#[cfg(not(armv6m))]
const HANDLER_PRIORITIES: Registers = PROCESSOR.registers(0xD18, 3);
/// ARMv6-M has no configurable faults.
#[cfg(armv6m)]
const HANDLER_PRIORITIES: Registers = PROCESSOR.registers(0xD1C, 2);
const HANDLER_CONTROL: Register = PROCESSOR.register(0xD24);
#[cfg(not(armv6m))]
const FAULT_STATUS: Register = PROCESSOR.register(0xD28);
#[cfg(not(armv6m))]
const HARD_FAULT_STATUS: Register = PROCESSOR.register(0xD2C);
/// CPACR.
#[cfg(has_fpu)]
const COPROCESSOR_ACCESS: u32 = 0xE000_ED88;
const MPU_CONTROL: Register = PROCESSOR.register(0xD94);

const CLEAR_PENDING_SYSTICK: u32 = 1 << 25;
const CLEAR_PENDING_PENDSV: u32 = 1 << 27;

/// What the interrupt controller knows about a chip's interrupts.
struct Interrupts {
    /// One bit for each; writing it disables.
    enabled: Registers,
    /// Likewise.
    pending: Registers,
    /// Eight bits for each.
    priorities: Registers,
}

impl Interrupts {
    const fn of(count: u32) -> Self {
        assert!(count > 0 && count <= 480);
        Self {
            enabled: PROCESSOR.registers(0x180, count.div_ceil(32)),
            pending: PROCESSOR.registers(0x280, count.div_ceil(32)),
            priorities: PROCESSOR.registers(0x400, count.div_ceil(4)),
        }
    }
}

/// Makes the processor what it is after a reset, as far as a program can tell: SysTick off, no
/// interrupt enabled or pending, priorities 0, no fault recorded, MPU off, PRIMASK, FAULTMASK and
/// BASEPRI 0; with the feature `caches`, caches off and what was in them in memory. The watchdog runs on.
/// Left as they are: PRIGROUP, the configuration in CCR, and the debug unit. A bootloader that changes those changes them back.
///
/// `INTERRUPTS` is how many the chip has, 1 to 480.
pub fn clean_up<const INTERRUPTS: u32>() {
    cortex_m::interrupt::disable();
    SYSTICK_CONTROL.write(0);
    SYSTICK_RELOAD.write(0);
    SYSTICK_CURRENT.write(0);
    let Interrupts {
        enabled,
        pending,
        priorities,
    } = const { Interrupts::of(INTERRUPTS) };
    enabled.write_all(u32::MAX);
    pending.write_all(u32::MAX);
    priorities.write_all(0);
    INTERRUPT_STATE.write(CLEAR_PENDING_SYSTICK | CLEAR_PENDING_PENDSV);
    HANDLER_PRIORITIES.write_all(0);
    HANDLER_CONTROL.write(0);
    #[cfg(not(armv6m))]
    {
        // Bits that are set are cleared by writing them.
        FAULT_STATUS.write(FAULT_STATUS.read());
        HARD_FAULT_STATUS.write(HARD_FAULT_STATUS.read());
    }
    SYSTEM_CONTROL.write(0);
    #[cfg(feature = "caches")]
    caches_off();
    MPU_CONTROL.write(0);
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    // SAFETY: these open the way to exceptions, of which none is enabled or pending any more; memory
    // safety never rested on them, for nothing is done in between.
    #[cfg(not(armv6m))]
    unsafe {
        asm!(
            "msr basepri, {zero}",
            "cpsie f",
            "cpsie i",
            zero = in(reg) 0,
            options(nomem, nostack, preserves_flags),
        );
    }
    // SAFETY: likewise.
    #[cfg(armv6m)]
    unsafe {
        asm!("cpsie i", options(nomem, nostack, preserves_flags));
    }
}

/// Writes back what the data cache holds, and switches both caches off (B3.2.8, and the Cortex-M7 processor's manual).
#[cfg(feature = "caches")]
fn caches_off() {
    // SAFETY: no other program runs, so nobody else uses these registers meanwhile.
    let mut processor = unsafe { cortex_m::Peripherals::steal() };
    processor.SCB.disable_dcache(&mut processor.CPUID);
    processor.SCB.disable_icache();
}

/// How much RAM one round of the loop in [`jump`] clears, in bytes.
#[cfg(not(armv6m))]
const CLEARED_AT_ONCE: u32 = 32 * 40;

/// Starts the program whose vector table lies at `vector_table`: as its hardware reset would, with its
/// initial stack pointer, with VTOR on its table, in privileged thread mode, with LR as after a reset and the floating-point unit off. Before
/// that, sets the words in `clears` to 0; the watchdog is not fed meanwhile.
///
/// Call [`clean_up`] before.
///
/// # Safety
///
/// - `vector_table` is a multiple of the table's size rounded up to a power of two (256 bytes for 16 exceptions and 32
///   interrupts; B3.2.5), and the table stays there.
/// - Its first word is an initial stack pointer in RAM, a multiple of 8; its second is the address of
///   Thumb code, with its lowest bit set, that never returns.
/// - Nothing of the running program is used any more. It runs in thread mode, not in a handler.
/// - `clears` is RAM, from one multiple of 4 to another, and everything in it may be lost, the stack too.
pub unsafe fn jump(vector_table: u32, clears: Range<u32>) -> ! {
    #[cfg(has_fpu)]
    // SAFETY: nothing is computed any more but what the assembly below does, which uses no floating-point register.
    unsafe {
        asm!(
            "str {zero}, [{access}]",
            "dsb",
            "isb",
            zero = in(reg) 0,
            access = in(reg) COPROCESSOR_ACCESS,
            options(nostack),
        );
    }
    // SAFETY: the caller's promises are those of `leave`.
    #[cfg(not(armv6m))]
    unsafe {
        leave(vector_table, clears)
    }
    // SAFETY: likewise. VTOR is a register of the processor; on a Cortex-M0 without, the address is reserved and the write
    // does nothing.
    #[cfg(armv6m)]
    unsafe {
        leave(vector_table, clears, VECTOR_TABLE_OFFSET)
    }
}

#[cfg(not(armv6m))]
#[inline(always)] // its one caller is `jump`
unsafe fn leave(vector_table: u32, clears: Range<u32>) -> ! {
    let rest = clears.end.wrapping_sub(clears.start) % CLEARED_AT_ONCE;
    let whole_end = clears.end.wrapping_sub(rest);
    // SAFETY: the stack changes under the program's feet, but nothing of it is used any more: operands
    // are in registers and the last instruction does not return. Stack pointer and entry point are
    // read from the aligned vector table that the caller promises, once everything is cleared. CONTROL 0 selects
    // the main stack, privileged. What is cleared is RAM that the caller gives up. One exception cannot be disabled, the watchdog's NMI: it goes to
    // the running program's handler, for VTOR is written behind the loops, and its frame is pushed and popped
    // between two instructions of the loops, or within a store of several, which then goes on (ARMv7-M ARM,
    // B1.5.10). VTOR is a register of the processor (B3.2.5).
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

/// The same with the instructions that ARMv6-M has. Where the vector table lies is written to `told`: VTOR, or the word that stands in
/// for it on a Cortex-M0 without ([`crate::forward`]).
///
/// # Safety
///
/// Those of [`jump`]; and nobody else uses the word at `told`, which `clears` does not contain.
#[cfg(armv6m)]
#[inline(always)]
pub(crate) unsafe fn leave(vector_table: u32, clears: Range<u32>, told: u32) -> ! {
    // SAFETY: as above; what the NMI's frame may do to the loop, it does to each of its instructions.
    unsafe {
        asm!(
            "b 3f",
            "2:",
            "str r2, [r0]",
            "adds r0, r0, #4",
            "3:",
            "cmp r0, r1",
            "blo 2b",
            "str r5, [r3]",
            "dsb",
            "ldr r3, [r5]",
            "ldr r4, [r5, #4]",
            "msr control, r2",
            "isb",
            "msr msp, r3",
            "mvns r2, r2",
            "mov lr, r2",
            "bx r4",
            in("r0") clears.start,
            in("r1") clears.end,
            in("r2") 0,
            in("r3") told,
            in("r4") 0,
            in("r5") vector_table,
            options(noreturn, nostack),
        )
    }
}
