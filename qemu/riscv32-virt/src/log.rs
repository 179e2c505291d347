//! The program's log, over the board's one UART: see [`board_kit::log`].

pub use board_kit::log::{ANNOUNCEMENT, Speaker};

use crate::{handover, uart};

/// Sends the log of `speaker` to the UART from now on and announces the program as `name`, in which there is no zero
/// byte. Lines logged before are dropped.
pub fn start(speaker: Speaker, name: &str) {
    uart::enable();
    board_kit::log::start(speaker, name, uart::send);
}

/// The same for an image: behind its name it says the first 8 digits of its digest and its slot, as the
/// handover has them, so that the reader finds the table of this very image.
pub fn start_image(speaker: Speaker, name: &str) {
    uart::enable();
    board_kit::log::start_image(speaker, name, &handover::load(), uart::send);
}
