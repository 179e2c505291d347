//! What the simulated unit's firmware does when it starts: it says over RTT which unit it is, as an application
//! would after it has read its identity.

use super::chip::Chip;
use super::fault::Fault;

/// The firmware that a simulated chip runs, as far as a station sees it.
#[derive(Clone, Copy, Debug)]
pub struct Firmware {
    /// Where the identity lies.
    pub identity: u32,
    /// The serial number in the block at the start of these bytes.
    pub serial: fn(&[u8; IDENTITY_LEN]) -> Option<String>,
}

/// How much of the identity is read.
pub const IDENTITY_LEN: usize = 128;

/// From the start of RAM, where no flash algorithm overwrites it: the control block, its one buffer, and the channel's
/// name.
const BLOCK: u32 = 0x8000;
const BUFFER: u32 = 0x8040;
const NAME: u32 = 0x8140;
const BUFFER_LEN: u32 = 0x100;

impl Firmware {
    /// Starts it: a control block of RTT (one channel up) with one line in it.
    pub(crate) fn start(self, chip: &mut Chip) {
        let said = match chip.fault {
            Some(Fault::Silent) => return,
            Some(Fault::WrongSerial) => Some("BST-SOMEBODY-ELSE".to_owned()),
            _ => chip
                .fetch(self.identity)
                .ok()
                .and_then(|block| (self.serial)(&block)),
        };
        let line = match said {
            Some(serial) => format!("simulated firmware: unit {serial}\n"),
            None => "simulated firmware: no identity\n".to_owned(),
        };
        let Some(ram) = chip.ram() else { return };
        let line = line.as_bytes();
        let channel = [
            ram.start + NAME,
            ram.start + BUFFER,
            BUFFER_LEN,
            line.len() as u32,
            0,
            0,
        ];
        let mut block = Vec::from(*b"SEGGER RTT\0\0\0\0\0\0");
        for word in [1, 0].into_iter().chain(channel) {
            block.extend_from_slice(&u32::to_le_bytes(word));
        }
        // RAM is where the chip says that it is.
        let _ = chip.write(ram.start + NAME, b"log\0");
        let _ = chip.write(ram.start + BUFFER, line);
        let _ = chip.write(ram.start + BLOCK, &block);
    }
}
