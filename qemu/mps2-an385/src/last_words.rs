//! The watchdog's NMI as a call: what was running when nobody fed it.

/// Defines the program's NMI handler, which the watchdog's first expiry enters, as a call of
/// `$handler: extern "C" fn(program_counter: u32)` with the address of the instruction that was about
/// to run.
///
/// The handler has one period of the watchdog until the reset. It may write to the handover
/// ([`memory`](crate::memory)) and must not log: it may have interrupted a log line, and then its own is
/// dropped. If it returns, the program goes on where it was, and the reset comes anyway unless the
/// watchdog is fed.
///
/// ```ignore
/// extern "C" fn note(program_counter: u32) { /* into the handover */ }
/// mps2_an385::last_words!(note);
/// ```
#[macro_export]
macro_rules! last_words {
    ($handler:path) => {
        const _: () = {
            const _: extern "C" fn(u32) = $handler;

            // SAFETY: the name is that of the NMI vector in cortex-m-rt's table, which is defined once,
            // here. On entry LR holds EXC_RETURN, whose bit 2 says on which stack the processor put the
            // exception frame (ARMv7-M ARM, B1.5.8); the return address is its seventh word (B1.5.6).
            // The handler follows the procedure call standard, as that of an exception does, and
            // returning from it with that LR ends the exception.
            #[unsafe(export_name = "NonMaskableInt")]
            #[unsafe(naked)]
            unsafe extern "C" fn non_maskable_interrupt() {
                ::core::arch::naked_asm!(
                    "tst lr, #4",
                    "ite eq",
                    "mrseq r0, msp",
                    "mrsne r0, psp",
                    "ldr r0, [r0, #24]",
                    "b {handler}",
                    handler = sym $handler,
                )
            }
        };
    };
}
