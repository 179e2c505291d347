//! The watchdog's early warning as a call: what was running when nobody fed it.

/// Defines the program's handlers of the early warning, which comes when half of the watchdog's time is over, and of
/// exceptions, as calls of `$handler: extern "C" fn(program_counter: u32)` with the address of the
/// instruction that was about to run, or that could not.
///
/// The handler has one period of the watchdog until the reset. It may write to the handover
/// ([`memory`](crate::memory)) and must neither log nor use the flash. If it returns from the early warning, the program goes on
/// where it was, and the reset comes anyway unless the watchdog is fed. An exception has no way back: the program hangs
/// until the reset, or resets the board itself if the watchdog was not armed yet.
///
/// ```ignore
/// extern "C" fn note(program_counter: u32) { /* into the handover */ }
/// riscv32_virt::last_words!(note);
/// ```
#[macro_export]
macro_rules! last_words {
    ($handler:path) => {
        const _: () = {
            const _: extern "C" fn(u32) = $handler;

            // SAFETY: the name is that of riscv-rt's handler of the machine timer, which is defined once, here.
            #[unsafe(export_name = "MachineTimer")]
            extern "C" fn early_warning() {
                $crate::__private::early_warning($handler);
            }

            // SAFETY: the name is that of riscv-rt's handler of exceptions that have no other, which is defined
            // once, here. What it is called with is not used.
            #[unsafe(export_name = "ExceptionHandler")]
            extern "C" fn exception() -> ! {
                $crate::__private::exception($handler)
            }
        };
    };
}

/// For the macro alone.
#[doc(hidden)]
pub mod __private {
    use riscv::register::mepc;

    /// The early warning comes once; the watchdog's next feeding sets it again.
    pub fn early_warning(note: extern "C" fn(u32)) {
        crate::early_warning::never();
        note(mepc::read() as u32);
    }

    /// Interrupts are off in a trap, so nothing but the watchdog ends it, if it runs.
    pub fn exception(note: extern "C" fn(u32)) -> ! {
        note(mepc::read() as u32);
        if !crate::watchdog::is_armed() {
            crate::reset::reset();
        }
        loop {
            core::hint::spin_loop();
        }
    }
}
