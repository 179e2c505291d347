//! The program's log, over the UART of whoever speaks: see [`board_kit::log`].

pub use board_kit::log::{ANNOUNCEMENT, Speaker};

use crate::handover;
use crate::uart::Uart;

/// Sends the log of `speaker` to its UART, the bootloader's to UART 0 and the application's to UART 1, from now on and
/// announces the program as `name`, in which there is no zero byte. Lines logged before are dropped.
pub fn start(speaker: Speaker, name: &str) {
    board_kit::log::start(speaker, name, uart(speaker));
}

/// The same for an image: behind its name it says the first 8 digits of its digest and its slot, as the
/// handover has them, so that the reader finds the table of this very image.
pub fn start_image(speaker: Speaker, name: &str) {
    board_kit::log::start_image(speaker, name, &handover::load(), uart(speaker));
}

/// Makes the UART of `speaker` ready.
fn uart(speaker: Speaker) -> fn(&[u8]) {
    match speaker {
        Speaker::Bootloader => {
            Uart::Zero.enable();
            |bytes| Uart::Zero.send(bytes)
        }
        Speaker::Application => {
            Uart::One.enable();
            |bytes| Uart::One.send(bytes)
        }
    }
}
