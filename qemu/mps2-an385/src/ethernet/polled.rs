//! The controller as a device for smoltcp, which polls it.

use board_net::{Controller, LONGEST_FRAME, MacAddress};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use super::{BUFFER_WORDS, Buffers, Error, Ethernet, can_send, send_with};
use crate::{clock, wake};

impl Controller for Ethernet<'static> {
    type Buffers = Buffers;
    type Error = Error;

    const EMPTY: Buffers = Buffers::new();

    fn start(buffers: &'static mut Buffers, address: MacAddress) -> Result<Self, Error> {
        clock::start();
        wake::start();
        Ethernet::start(buffers, address)
    }

    fn now() -> u64 {
        clock::now()
    }

    fn jitter() -> u32 {
        clock::within_millisecond()
    }
}

/// A frame that has arrived.
#[derive(Debug)]
pub struct Received<'f> {
    frame: &'f [u8],
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
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

impl Device for Ethernet<'_> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = ToSend<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, ToSend<'_>)> {
        if !can_send() {
            return None;
        }
        let length = self.take_frame()?;
        let Buffers { receive, transmit } = &mut *self.buffers;
        let frame = receive.as_flattened().get(..length)?;
        Some((Received { frame }, ToSend { buffer: transmit }))
    }

    fn transmit(&mut self, _: Instant) -> Option<ToSend<'_>> {
        let buffer = &mut self.buffers.transmit;
        can_send().then_some(ToSend { buffer })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LONGEST_FRAME;
        capabilities
    }
}
