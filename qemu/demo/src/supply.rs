//! The supply voltage, as the demo takes it: two bytes that are patched into the ELF file.

use core::hint::black_box;

use crate::behaviour::Marked;

#[used]
static SUPPLY: Marked<16, 2> = Marked {
    marker: *b"demo supply, mV:",
    patched: 3300_u16.to_le_bytes(),
};

/// The supply voltage that was patched in, in millivolts. It is not measured: the emulator has no converter, and a
/// board that has one asks it instead.
pub(crate) fn millivolts() -> u16 {
    u16::from_le_bytes(black_box(&SUPPLY).patched)
}
