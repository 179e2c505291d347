//! What happens before `main`: where traps go, and that the early warning comes through.

use riscv::register::mtvec::{self, Mtvec, TrapMode};

use crate::{early_warning, watchdog};

unsafe extern "C" {
    /// riscv-rt's: saves registers, and calls the handler of the interrupt or exception.
    fn _start_trap();
}

/// riscv-rt calls it in place of its own, with RAM initialised and before `main`.
#[riscv_rt::setup_interrupts]
fn set_up_interrupts() {
    let handler = _start_trap as *const () as usize;
    // SAFETY: it is riscv-rt's trap handler, a multiple of 4 as its linker script checks.
    unsafe { mtvec::write(Mtvec::new(handler, TrapMode::Direct)) };
    if !watchdog::is_armed() {
        early_warning::never(); // After a reset it stands anywhere.
    }
    early_warning::enable();
    // SAFETY: traps have their handler, and no critical section has begun.
    unsafe { riscv::interrupt::enable() }
}
