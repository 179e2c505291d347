//! The controller as a driver for embassy-net, which the controller's interrupt wakes when a frame comes.

use core::task::Context;

use board_net::{LONGEST_FRAME, MacAddress};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use super::{
    BUFFER_WORDS, Buffers, Error, Ethernet, FIFO_LEVELS, INTERRUPT_CONFIGURATION, INTERRUPT_ENABLE,
    INTERRUPT_STATUS, can_send, send_with,
};
use crate::{clock, wake};

/// A frame lies in the receive FIFO: more statuses than the level in the lowest byte of [`FIFO_LEVELS`], which is 0.
const FRAME_RECEIVED: u32 = 1 << 3;
/// The interrupt pin is driven, high when it is active.
const PIN: u32 = 1 << 8 | 1 << 4 | 1;
/// What the data sheet says these are after a reset, but for the level of received frames.
const LEVELS: u32 = 0x48 << 24;

/// Who waits for a frame.
static READER: AtomicWaker = AtomicWaker::new();

/// The controller, ready to send and receive. Its interrupt must be enabled, once it is started, and call [`frame_came`].
#[derive(Debug)]
pub struct Woken {
    ethernet: Ethernet<'static>,
    address: MacAddress,
}

impl Woken {
    /// Resets the controller, gives it its address and turns it on, and the clock.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::NotReady`].
    pub fn start(buffers: &'static mut Buffers, address: MacAddress) -> Result<Self, Error> {
        clock::start();
        wake::start();
        let ethernet = Ethernet::start(buffers, address)?;
        FIFO_LEVELS.write(LEVELS);
        INTERRUPT_CONFIGURATION.write(PIN);
        Ok(Self { ethernet, address })
    }
}

/// What the interrupt `ETHERNET` does: it is raised no more until the FIFO was emptied, and whoever waits is woken.
pub fn frame_came() {
    INTERRUPT_ENABLE.write(0);
    READER.wake();
}

impl Driver for Woken {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, ToSend<'_>)> {
        if !can_send() {
            context.waker().wake_by_ref();
            return None;
        }
        READER.register(context.waker());
        INTERRUPT_STATUS.write(FRAME_RECEIVED);
        let Some(length) = self.ethernet.take_frame() else {
            // One that came since the status was cleared raises it at once.
            INTERRUPT_ENABLE.write(FRAME_RECEIVED);
            return None;
        };
        let Buffers { receive, transmit } = &mut *self.ethernet.buffers;
        let frame = receive.as_flattened_mut().get_mut(..length)?;
        Some((Received { frame }, ToSend { buffer: transmit }))
    }

    /// A controller that has no room has sent something within microseconds: it is asked again at once.
    fn transmit(&mut self, context: &mut Context<'_>) -> Option<ToSend<'_>> {
        if !can_send() {
            context.waker().wake_by_ref();
            return None;
        }
        let buffer = &mut self.ethernet.buffers.transmit;
        Some(ToSend { buffer })
    }

    /// Nobody looks at the cable.
    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = LONGEST_FRAME;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that has arrived.
#[derive(Debug)]
pub struct Received<'f> {
    frame: &'f mut [u8],
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, read: F) -> R {
        read(self.frame)
    }
}

/// Room for a frame to be sent.
#[derive(Debug)]
pub struct ToSend<'f> {
    buffer: &'f mut [[u8; 4]; BUFFER_WORDS],
}

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        send_with(self.buffer, length, write)
    }
}
