//! Loads that may fail on Arm Cortex-M: a bus fault that is an answer, and not the end.
//!
//! Section numbers are those of the ARMv7-M Architecture Reference Manual. ARMv6-M can hold back no fault.

use core::arch::asm;

use crate::register::{Block, Register};

// SAFETY: B3.2: the System Control Block is the processor's own. What is written here enables nothing that reaches memory.
const PROCESSOR: Block = unsafe { Block::new(0xE000_ED00, 0x90) };
/// CCR (B3.2.8).
const CONFIGURATION: Register = PROCESSOR.register(0x14);
/// CFSR (B3.2.15).
const FAULT_STATUS: Register = PROCESSOR.register(0x28);

/// BFHFNMIGN: loads and stores at priority -1 ignore bus faults.
const IGNORES_BUS_FAULTS: u32 = 1 << 8;
/// BFSR, with what it knows about a bus fault; bits that are set are cleared by writing them.
const BUS_FAULT: u32 = 0xFF << 8;

/// Calls `read`, and says whether a load in it was a bus fault: it has any value then, and the program goes on.
///
/// Nothing interrupts `read` but an NMI, so it is short: FAULTMASK raises the priority to -1 (B1.4.3), where the processor ignores data bus
/// faults but notes them. What was noted before is forgotten.
pub fn shielded<T>(read: impl FnOnce() -> T) -> (T, bool) {
    let masked: u32;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, faultmask", out(reg) masked, options(nomem, nostack, preserves_flags)) }
    // SAFETY: nothing but NMIs from here on, which no memory safety rests on. `read` stays behind it: it may touch memory, for all
    // the compiler knows.
    unsafe { asm!("cpsid f", options(nostack, preserves_flags)) }
    let configuration = CONFIGURATION.read();
    CONFIGURATION.write(configuration | IGNORES_BUS_FAULTS);
    FAULT_STATUS.write(BUS_FAULT);
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    let value = read();
    cortex_m::asm::dsb();
    let faulted = FAULT_STATUS.read() & BUS_FAULT != 0;
    FAULT_STATUS.write(BUS_FAULT);
    CONFIGURATION.write(configuration);
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    if masked & 1 == 0 {
        // SAFETY: the way it was.
        unsafe { asm!("cpsie f", options(nostack, preserves_flags)) }
    }
    (value, faulted)
}
