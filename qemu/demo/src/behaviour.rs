//! How this build of the demo behaves: bytes that are patched into the ELF file.
//!
//! One build of the application serves the whole story; good and bad releases differ in these bytes. Each
//! stands behind a text by which it is found, and which is in the program once.

use core::hint::black_box;

/// Bytes to patch, and the text that they stand behind.
#[repr(C)]
pub(crate) struct Marked<const N: usize, const LEN: usize> {
    pub(crate) marker: [u8; N],
    pub(crate) patched: [u8; LEN],
}

#[used]
static BEHAVIOUR: Marked<15, 1> = Marked {
    marker: *b"demo behaviour:",
    patched: [b'h'],
};

/// What the application does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// What it should.
    Healthy,
    /// On trial its self-test fails.
    FailsSelfTest,
    /// On trial it hangs with interrupts disabled.
    Hangs,
    /// On trial it feeds the watchdog through the updater, for ever, and does nothing else.
    FeedsForEver,
    /// On trial it uses its stack up, nearly.
    UsesItsStackUp,
    /// On trial it asks for updates where nobody answers.
    AsksInTheWrongPlace,
    /// Once it is confirmed it resets, unannounced, at each start.
    CrashesOnceConfirmed,
    /// The same, but it announces that.
    ResetsOnceConfirmed,
    /// It resets, unannounced, at each start, once the image after it was rejected because of a crash loop.
    CrashesLater,
    /// It keeps its beat where the update runs, and so does not keep it: of the applications that measure theirs.
    BeatsBesideTheUpdate,
}

/// The behaviour that was patched in.
pub(crate) fn behaviour() -> Behaviour {
    // The byte may differ from what the compiler saw.
    let [behaviour] = black_box(&BEHAVIOUR).patched;
    match behaviour {
        b'f' => Behaviour::FailsSelfTest,
        b'x' => Behaviour::Hangs,
        b'w' => Behaviour::FeedsForEver,
        b'd' => Behaviour::UsesItsStackUp,
        b's' => Behaviour::AsksInTheWrongPlace,
        b'c' => Behaviour::CrashesOnceConfirmed,
        b'a' => Behaviour::ResetsOnceConfirmed,
        b'l' => Behaviour::CrashesLater,
        b'b' => Behaviour::BeatsBesideTheUpdate,
        _ => Behaviour::Healthy,
    }
}
