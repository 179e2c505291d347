//! How this build of the demo behaves on trial: a byte that is patched into the ELF file.
//!
//! One build of the application serves the whole story; good and bad releases differ in this byte.

/// What the byte stands behind. It is found by this text, which is in the program once.
const MARKER: [u8; 15] = *b"demo behaviour:";

#[repr(C)]
struct Marked {
    marker: [u8; 15],
    behaviour: u8,
}

#[used]
static BEHAVIOUR: Marked = Marked {
    marker: MARKER,
    behaviour: b'h',
};

/// What the application does when it is on trial.
#[derive(Clone, Copy, PartialEq, Eq, defmt::Format)]
pub(crate) enum Behaviour {
    /// What it should.
    Healthy,
    /// Its self-test fails.
    FailsSelfTest,
    /// It hangs with interrupts disabled.
    Hangs,
    /// It feeds the watchdog through the updater, for ever, and does nothing else.
    FeedsForEver,
}

/// The behaviour that was patched in.
pub(crate) fn behaviour() -> Behaviour {
    // The byte may differ from what the compiler saw.
    match core::hint::black_box(&BEHAVIOUR).behaviour {
        b'f' => Behaviour::FailsSelfTest,
        b'x' => Behaviour::Hangs,
        b'w' => Behaviour::FeedsForEver,
        _ => Behaviour::Healthy,
    }
}
