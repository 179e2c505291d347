//! The interrupts' part of the vector table (AN385 §3.8), for cortex-m-rt, which has the exceptions' part.
//!
//! Without this, the table would be as long as the architecture allows: 240 interrupts, 832 bytes more.

/// How many interrupts the board has.
const INTERRUPTS: usize = 1;

unsafe extern "C" {
    /// cortex-m-rt's, or the program's own.
    fn DefaultHandler();
}

/// No program on this board enables any; one that comes all the same ends there.
// SAFETY: name and section are those that cortex-m-rt's linker script asks a device for, with an array of
// function pointers, and nobody else defines them.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); INTERRUPTS] = [DefaultHandler; INTERRUPTS];
