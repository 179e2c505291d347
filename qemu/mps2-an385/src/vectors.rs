//! The interrupts' part of the vector table (AN385 §3.8), for cortex-m-rt, which has the exceptions' part.
//!
//! Without this, the table would be as long as the architecture allows: 240 interrupts, 956 bytes more.

/// Entries for interrupts. The board has 32 of them, and no program on it enables any: one is the least that
/// cortex-m-rt takes.
const INTERRUPTS: usize = 1;

unsafe extern "C" {
    /// cortex-m-rt's, or the program's own.
    fn DefaultHandler();
}

/// An interrupt that comes all the same ends there.
// SAFETY: name and section are those that cortex-m-rt's linker script asks a device for, with an array of
// function pointers, and nobody else defines them.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); INTERRUPTS] = [DefaultHandler; INTERRUPTS];
