//! The LAN9118 Ethernet controller (SMSC data sheet, "LAN9118 High Performance Single-Chip 10/100"),
//! polled: what is done with its registers.
//!
//! `polled` is its face for smoltcp, and `woken`, with the feature `embassy`, that for embassy-net.
//!
//! Frames go through four FIFOs: data and status, each for sending and receiving. The bus has 32 bits
//! and is little-endian: the first byte of a frame is in the lowest bits of its first word. Received
//! frames carry their four bytes of FCS, and their length counts them.

mod polled;
#[cfg(feature = "embassy")]
mod woken;

use board_net::{LONGEST_FRAME, MacAddress};

use crate::clock;
use crate::register::{Block, Register};

pub use polled::{Received, ToSend};
#[cfg(feature = "embassy")]
pub use woken::{Woken, frame_came};

// SAFETY: AN385 table 3-1: the Ethernet controller is here. It is a slave with FIFOs inside and masters no
// bus. The FIFO ports read at will; all that can go wrong is a lost frame.
const ETHERNET: Block = unsafe { Block::new(0x4020_0000, 0x1000) };
const RECEIVE_DATA: Register = ETHERNET.register(0x00);
const TRANSMIT_DATA: Register = ETHERNET.register(0x20);
const RECEIVE_STATUS: Register = ETHERNET.register(0x40);
const TRANSMIT_STATUS: Register = ETHERNET.register(0x48);
const BYTE_TEST: Register = ETHERNET.register(0x64);
const RECEIVE_CONFIGURATION: Register = ETHERNET.register(0x6C);
const TRANSMIT_CONFIGURATION: Register = ETHERNET.register(0x70);
const HARDWARE_CONFIGURATION: Register = ETHERNET.register(0x74);
const RECEIVE_FIFO_INFORMATION: Register = ETHERNET.register(0x7C);
const TRANSMIT_FIFO_INFORMATION: Register = ETHERNET.register(0x80);
const POWER_MANAGEMENT: Register = ETHERNET.register(0x84);
#[cfg(feature = "embassy")]
const INTERRUPT_CONFIGURATION: Register = ETHERNET.register(0x54);
#[cfg(feature = "embassy")]
const INTERRUPT_STATUS: Register = ETHERNET.register(0x58);
const INTERRUPT_ENABLE: Register = ETHERNET.register(0x5C);
#[cfg(feature = "embassy")]
const FIFO_LEVELS: Register = ETHERNET.register(0x68);
const MAC_COMMAND: Register = ETHERNET.register(0xA4);
const MAC_DATA: Register = ETHERNET.register(0xA8);

/// What [`BYTE_TEST`] reads if the bus is wired as this driver believes.
const BYTE_TEST_PATTERN: u32 = 0x8765_4321;

const SOFT_RESET: u32 = 1;
/// 5 KiB of the FIFO memory for sending, the rest for receiving; and a bit that must be set.
const FIFO_SIZES: u32 = 5 << 16 | 1 << 20;
const DEVICE_READY: u32 = 1;
const TRANSMITTER_ON: u32 = 1 << 1;

const MAC_BUSY: u32 = 1 << 31;
const MAC_CONTROL: u32 = 1;
const MAC_ADDRESS_HIGH: u32 = 2;
const MAC_ADDRESS_LOW: u32 = 3;
const FULL_DUPLEX: u32 = 1 << 20;
const MAC_TRANSMITTER_ON: u32 = 1 << 3;
const MAC_RECEIVER_ON: u32 = 1 << 2;

const FIRST_SEGMENT: u32 = 1 << 13;
const LAST_SEGMENT: u32 = 1 << 12;

/// Bits of a received frame's status.
const RECEIVE_ERROR: u32 = 1 << 15;

/// Bytes of the frame check sequence behind each received frame.
const FCS: usize = 4;

/// Words of the longest frame with its FCS.
const BUFFER_WORDS: usize = (LONGEST_FRAME + FCS).div_ceil(4);

/// A reset takes some microseconds; this long, and the controller is broken. Milliseconds.
const READY_WITHIN_MS: u64 = 100;

/// Why the controller cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// No LAN9118 on this bus: its test register does not read 0x8765_4321.
    NotFound {
        /// What it read.
        found: u32,
    },
    /// The controller did not become ready within 100 ms.
    NotReady,
}

/// Room for one frame each way.
#[derive(Debug)]
pub struct Buffers {
    receive: [[u8; 4]; BUFFER_WORDS],
    transmit: [[u8; 4]; BUFFER_WORDS],
}

impl Buffers {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self {
            receive: [[0; 4]; BUFFER_WORDS],
            transmit: [[0; 4]; BUFFER_WORDS],
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

/// The controller, ready to send and receive.
#[derive(Debug)]
pub struct Ethernet<'b> {
    buffers: &'b mut Buffers,
}

impl<'b> Ethernet<'b> {
    /// Resets the controller, gives it its address and turns it on. [`clock::start`] comes before.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::NotReady`].
    pub fn start(buffers: &'b mut Buffers, address: MacAddress) -> Result<Self, Error> {
        wait_until(|| POWER_MANAGEMENT.read() & DEVICE_READY != 0)?;
        match BYTE_TEST.read() {
            BYTE_TEST_PATTERN => {}
            found => return Err(Error::NotFound { found }),
        }
        HARDWARE_CONFIGURATION.write(SOFT_RESET);
        wait_until(|| HARDWARE_CONFIGURATION.read() & SOFT_RESET == 0)?;
        wait_until(|| POWER_MANAGEMENT.read() & DEVICE_READY != 0)?;
        HARDWARE_CONFIGURATION.write(FIFO_SIZES);
        INTERRUPT_ENABLE.write(0);
        RECEIVE_CONFIGURATION.write(0); // No padding in front, none behind but to a whole word.
        let [a, b, c, d, e, f] = address;
        write_mac(MAC_ADDRESS_LOW, u32::from_le_bytes([a, b, c, d]))?;
        write_mac(MAC_ADDRESS_HIGH, u32::from_le_bytes([e, f, 0, 0]))?;
        write_mac(
            MAC_CONTROL,
            FULL_DUPLEX | MAC_TRANSMITTER_ON | MAC_RECEIVER_ON,
        )?;
        TRANSMIT_CONFIGURATION.write(TRANSMITTER_ON);
        Ok(Self { buffers })
    }

    /// Takes the next whole frame out of the FIFO into the buffer; its length without FCS.
    fn take_frame(&mut self) -> Option<usize> {
        while RECEIVE_FIFO_INFORMATION.read() >> 16 & 0xFF != 0 {
            let status = RECEIVE_STATUS.read();
            let with_fcs = (status >> 16 & 0x3FFF) as usize;
            let mut room = self.buffers.receive.iter_mut();
            for _ in 0..with_fcs.div_ceil(4) {
                let word = RECEIVE_DATA.read();
                if let Some(place) = room.next() {
                    *place = word.to_le_bytes();
                }
            }
            match with_fcs.checked_sub(FCS) {
                Some(length) if status & RECEIVE_ERROR == 0 && length <= LONGEST_FRAME => {
                    return Some(length);
                }
                _ => {} // Torn or too long: nothing that smoltcp should see.
            }
        }
        None
    }
}

/// Whether the longest frame with its two command words fits the FIFO now.
fn can_send() -> bool {
    const NEEDED: u32 = 4 * (BUFFER_WORDS as u32 + 2);
    TRANSMIT_FIFO_INFORMATION.read() & 0xFFFF >= NEEDED
}

/// Sends the frame of `length` bytes that `write` puts into the buffer. Whoever asks keeps to the longest frame that the
/// device says it can send.
fn send_with<R>(
    buffer: &mut [[u8; 4]; BUFFER_WORDS],
    length: usize,
    write: impl FnOnce(&mut [u8]) -> R,
) -> R {
    let bytes = buffer.as_flattened_mut();
    let end = length.min(bytes.len());
    let result = write(bytes.get_mut(..end).unwrap_or_default());
    send(buffer, end);
    result
}

/// Sends the first `length` bytes of `words` as one frame.
fn send(words: &[[u8; 4]], length: usize) {
    // Nobody wants to know what became of earlier ones, but their statuses must not fill up.
    while TRANSMIT_FIFO_INFORMATION.read() >> 16 & 0xFF != 0 {
        let _ = TRANSMIT_STATUS.read();
    }
    let size = length as u32; // At most 1,520: the buffer has no more room.
    TRANSMIT_DATA.write(FIRST_SEGMENT | LAST_SEGMENT | size);
    TRANSMIT_DATA.write(size);
    for word in words.iter().take(length.div_ceil(4)) {
        TRANSMIT_DATA.write(u32::from_le_bytes(*word));
    }
}

/// Writes one of the MAC's own registers, which are behind a command and a data register.
fn write_mac(register: u32, value: u32) -> Result<(), Error> {
    wait_until(|| MAC_COMMAND.read() & MAC_BUSY == 0)?;
    MAC_DATA.write(value);
    MAC_COMMAND.write(MAC_BUSY | register);
    wait_until(|| MAC_COMMAND.read() & MAC_BUSY == 0)
}

fn wait_until(condition: impl Fn() -> bool) -> Result<(), Error> {
    let end = clock::now().saturating_add(READY_WITHIN_MS);
    while !condition() {
        if clock::now() > end {
            return Err(Error::NotReady);
        }
    }
    Ok(())
}
