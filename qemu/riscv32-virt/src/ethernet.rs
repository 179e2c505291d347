//! The network card: virtio-net over MMIO (VIRTIO 1.2, §4.2 and §5.1), polled, as a device for smoltcp.
//!
//! Unlike a controller with FIFOs this one masters the bus: it writes frames into RAM whenever they come,
//! from the moment it was given the buffers until it is reset. So two things must hold:
//!
//! - A buffer belongs either to the card or to the program. `Receive` keeps to that.
//! - No program starts while the card still has buffers of the one before it. A reset of the board resets
//!   the card, whether a program, the watchdog or the power asked for it; and a bootloader, which jumps
//!   without one, does not start the card.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use board_net::{Controller, LONGEST_FRAME, MacAddress, RECEIVE_AHEAD};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use virtio_drivers::device::net::VirtIONetRaw;
use virtio_drivers::transport::mmio::{MmioTransport, MmioVersion};
use virtio_drivers::transport::{DeviceType, Transport as _};

use crate::clock;
use crate::dma::Ram;

/// Where the board has transports for virtio devices. Most of them have none behind them.
const TRANSPORTS: [usize; 8] = [
    0x1000_1000,
    0x1000_2000,
    0x1000_3000,
    0x1000_4000,
    0x1000_5000,
    0x1000_6000,
    0x1000_7000,
    0x1000_8000,
];

/// Bytes of a transport's registers, the card's configuration included.
const TRANSPORT_SIZE: usize = 0x200;

/// Frames that the card can receive while nobody polls. Descriptors of each of its two queues, too.
const FRAMES: usize = 8;

const _: () = assert!(
    RECEIVE_AHEAD <= FRAMES * 1024,
    "a TCP window of full frames fits"
);

/// Bytes of a buffer: the longest frame behind its header of 12 bytes, in whole words. The card wants no less.
const BUFFER: usize = 1528;

type Frame = [u8; BUFFER];
type Card = VirtIONetRaw<Ram, MmioTransport<'static>, FRAMES>;

/// Why the card cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// This program has started it before.
    Started,
    /// None of the board's transports has a network card.
    NotFound,
    /// The card only speaks as before VIRTIO 1.0: give the emulator
    /// `-global virtio-mmio.force-legacy=false`.
    Legacy,
    /// The card does not take the queues or the buffers that it is given.
    Refused,
}

/// Whether this program has started the card.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Room for the frames that come.
#[derive(Debug)]
pub struct Buffers([Frame; FRAMES]);

impl Buffers {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self([[0; BUFFER]; FRAMES])
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

/// The card, ready to send and receive.
pub struct Ethernet {
    /// None once it did what cannot be: it is reset then, so that it writes no more into RAM.
    card: Option<Card>,
    receive: Receive,
}

impl Ethernet {
    /// Resets the card and gives it the buffers. It receives what is sent to any address, so that the program
    /// chooses its own. Once in a program.
    ///
    /// # Errors
    ///
    /// [`Error::Started`]; [`Error::NotFound`]; [`Error::Legacy`]; [`Error::Refused`].
    pub fn start(buffers: &'static mut Buffers) -> Result<Self, Error> {
        if STARTED.swap(true, Ordering::Acquire) {
            return Err(Error::Started);
        }
        let transport = find()?;
        // It begins with a reset of the card (§3.1.1).
        let mut card = Card::new(transport).map_err(|_| Error::Refused)?;
        let receive = Receive::new(buffers, &mut card)?;
        let card = Some(card);
        Ok(Self { card, receive })
    }
}

impl core::fmt::Debug for Ethernet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Ethernet")
    }
}

/// The transport with a network card behind it. For `start` alone, which looks once.
fn find() -> Result<MmioTransport<'static>, Error> {
    for address in TRANSPORTS {
        let Some(registers) = NonNull::new(core::ptr::with_exposed_provenance_mut(address)) else {
            continue;
        };
        // SAFETY: QEMU `hw/riscv/virt.c`, `VIRT_VIRTIO`: eight transports of 0x1000 bytes from 0x1000_1000
        // on, each with registers in its first 0x200 (`hw/virtio/virtio-mmio.c`). Nothing that Rust knows
        // of is there, and nothing else in this crate touches them: this runs once, as `STARTED` sees to.
        let transport = unsafe { MmioTransport::new(registers, TRANSPORT_SIZE) };
        match transport {
            Ok(found) if found.device_type() != DeviceType::Network => {}
            Ok(found) if found.version() == MmioVersion::Modern => return Ok(found),
            Ok(_) => return Err(Error::Legacy),
            Err(_) => {} // Nothing behind it.
        }
    }
    Err(Error::NotFound)
}

/// Bytes of a buffer before the frame in it, and of the frame.
struct Arrived {
    header: usize,
    length: usize,
}

/// The buffers for frames that come, and whose they are.
///
/// Buffer `n` is what descriptor `n` of the receiving queue points to. It is the card's while that
/// descriptor is in the queue, and the program's while it is `taken`.
struct Receive {
    /// From the `&'static mut` that came in. A reference to a buffer is made from it only while the
    /// buffer is the program's.
    buffers: NonNull<Frame>,
    taken: Option<u16>,
}

impl Receive {
    /// Gives all buffers to the card.
    fn new(buffers: &'static mut Buffers, card: &mut Card) -> Result<Self, Error> {
        let mut receive = Self {
            buffers: NonNull::from(&mut buffers.0).cast(),
            taken: None,
        };
        for index in 0..FRAMES as u16 {
            receive.taken = Some(index);
            receive.give_back(card)?;
        }
        Ok(receive)
    }

    /// The next frame's place. It is the program's until the next call. After an error it is not known whose the buffers
    /// are, and the card must be stopped.
    fn next(&mut self, card: &mut Card) -> Result<Option<Arrived>, Error> {
        self.give_back(card)?;
        let Some(index) = card.poll_receive() else {
            return Ok(None);
        };
        let mut buffer = self.buffer(index).ok_or(Error::Refused)?;
        // SAFETY: The buffer is one of ours (`Self::buffer`), and the card is done with it: the used ring
        // says so. Nobody else has a reference, because none outlives its being `taken`, which it was not.
        let frame = unsafe { buffer.as_mut() };
        // SAFETY: `give_back` handed this very buffer over for this descriptor.
        let received = unsafe { card.receive_complete(index, frame) };
        let (header, length) = received.map_err(|_| Error::Refused)?;
        self.taken = Some(index);
        Ok(Some(Arrived { header, length }))
    }

    /// What has arrived in the buffer that is taken.
    fn frame(&mut self, Arrived { header, length }: Arrived) -> Option<&[u8]> {
        let buffer = self.buffer(self.taken?)?;
        // SAFETY: The buffer is one of ours (`Self::buffer`), and it is `taken`, so not the card's until `give_back`, for
        // which this borrow must be over.
        let frame = unsafe { buffer.as_ref() };
        frame.get(header..)?.get(..length)
    }

    /// Gives the buffer that is taken, if one is, to the card again.
    fn give_back(&mut self, card: &mut Card) -> Result<(), Error> {
        let Some(index) = self.taken else {
            return Ok(());
        };
        let mut buffer = self.buffer(index).ok_or(Error::Refused)?;
        // SAFETY: The buffer is one of ours (`Self::buffer`), and it is `taken`, so not the card's. `&mut self`
        // says that the slice which `frame` returned is gone.
        let frame = unsafe { buffer.as_mut() };
        // SAFETY: The buffers are static, and this one is not `taken` from here on, so that no reference to it
        // is made before the card is done with it.
        let descriptor = unsafe { card.receive_begin(frame) };
        self.taken = None;
        match descriptor {
            Ok(descriptor) if descriptor == index => Ok(()),
            _ => Err(Error::Refused),
        }
    }

    fn buffer(&self, index: u16) -> Option<NonNull<Frame>> {
        let index = usize::from(index);
        // SAFETY: `buffers` is the first of `FRAMES` in a row, and the index is below that.
        (index < FRAMES).then(|| unsafe { self.buffers.add(index) })
    }
}

impl Controller for Ethernet {
    type Buffers = Buffers;
    type Error = Error;

    const EMPTY: Buffers = Buffers::new();

    fn start(buffers: &'static mut Buffers, _: MacAddress) -> Result<Self, Error> {
        Ethernet::start(buffers)
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

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.frame)
    }
}

/// Room for a frame to be sent.
pub struct ToSend<'c> {
    card: &'c mut Card,
}

impl core::fmt::Debug for ToSend<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ToSend")
    }
}

impl phy::TxToken for ToSend<'_> {
    /// Returns when the card has taken the frame.
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = [0; LONGEST_FRAME];
        // smoltcp keeps to the longest frame that the device says it can send.
        let frame = frame.get_mut(..length).unwrap_or_default();
        let result = write(frame);
        // A frame that the card does not take is lost, as it might be on its way.
        let _ = self.card.send(frame);
        result
    }
}

impl Device for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, ToSend<'_>)> {
        let Ok(arrived) = self.receive.next(self.card.as_mut()?) else {
            // Dropping it resets the card (virtio-drivers, `MmioTransport`).
            self.card = None;
            return None;
        };
        let frame = self.receive.frame(arrived?)?;
        let card = self.card.as_mut()?;
        Some((Received { frame }, ToSend { card }))
    }

    fn transmit(&mut self, _: Instant) -> Option<ToSend<'_>> {
        let card = self.card.as_mut()?;
        Some(ToSend { card })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LONGEST_FRAME;
        capabilities
    }
}
