//! The supply voltage.

/// In millivolts. The emulator has no converter: ask yours here.
pub(crate) fn millivolts() -> u16 {
    3300
}
