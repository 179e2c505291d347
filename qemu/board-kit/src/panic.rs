//! A panic: say where.

use core::panic::PanicInfo;

/// Logs where the program panicked, whatever was being logged at that moment.
pub fn report(info: &PanicInfo<'_>) {
    crate::log::abandon_line();
    match info.location() {
        Some(place) => defmt::error!("panicked at {=str}:{=u32}", place.file(), place.line()),
        None => defmt::error!("panicked"),
    }
}
