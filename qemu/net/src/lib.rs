//! Blocking TCP connections over Ethernet, one at a time, without allocation; for each board that brings an
//! Ethernet [`Controller`].
//!
//! Each call polls the network and calls the `idle` function that the connection was made with: at least
//! once, and again and again while it waits. There the application feeds its watchdog and looks after
//! its health. A call in which nothing moves for the timeout fails.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

use core::net::{Ipv4Addr, SocketAddrV4};

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use smoltcp::iface::{self, Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::Device;
use smoltcp::socket::tcp::{self, RecvError, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr};

/// A hardware address: six bytes, as they travel.
pub type MacAddress = [u8; 6];

/// Bytes of the longest frame: addresses, type and 1,500 bytes of payload, without its check sequence.
pub const LONGEST_FRAME: usize = 1514;

/// A board's Ethernet controller, and the board's clock.
pub trait Controller: Device + Sized {
    /// All memory that it needs.
    type Buffers: 'static;

    /// Why it cannot be used.
    type Error;

    /// Buffers with nothing in them.
    const EMPTY: Self::Buffers;

    /// Starts the controller, and the clock if it does not run. What it sent or received for a program
    /// before this one is over.
    ///
    /// # Errors
    ///
    /// The controller is not there, or does not become ready.
    fn start(buffers: &'static mut Self::Buffers, address: MacAddress)
    -> Result<Self, Self::Error>;

    /// Milliseconds, never less than before.
    fn now() -> u64;

    /// A number that nobody knows beforehand, such as where in the present millisecond the clock is.
    fn jitter() -> u32;
}

/// How the board is known in the network.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Hardware address.
    pub mac: MacAddress,
    /// Own address.
    pub address: Ipv4Addr,
    /// Length of the network's prefix in bits; more than 32 means 32.
    pub prefix: u8,
    /// Where other networks are reached.
    pub gateway: Ipv4Addr,
    /// Milliseconds after which a call gives up in which nothing moves.
    pub timeout_ms: u32,
    /// Different after each reset, if possible: port and sequence numbers of connections begin from it and
    /// from the clock's jitter. A peer that remembers a connection from before the reset ignores another
    /// one from the same port, the emulator's network for as long as it runs.
    pub seed: u64,
}

impl Config {
    /// In the emulator's user network: 10.0.2.15/24, where 10.0.2.2 is the host, its loopback included;
    /// calls give up after 5 s.
    pub const fn emulator(seed: u64) -> Self {
        Self {
            mac: [0x52, 0x54, 0x00, 0x12, 0x34, 0x56],
            address: Ipv4Addr::new(10, 0, 2, 15),
            prefix: 24,
            gateway: Ipv4Addr::new(10, 0, 2, 2),
            timeout_ms: 5_000,
            seed,
        }
    }
}

/// Bytes that a peer may send ahead. With what Ethernet adds, a controller should have room for as many, so
/// that none is dropped while nobody polls.
pub const RECEIVE_AHEAD: usize = 6 * 1024;

/// Bytes that wait for the peer's acknowledgement.
const SEND_AHEAD: usize = 2 * 1024;

/// All memory that the network needs: 8 KiB and the controller's buffers. For a static.
pub struct Storage<C: Controller> {
    controller: C::Buffers,
    sockets: [SocketStorage<'static>; 1],
    receive: [u8; RECEIVE_AHEAD],
    send: [u8; SEND_AHEAD],
}

impl<C: Controller> Storage<C> {
    /// Empty storage.
    pub const fn new() -> Self {
        Self {
            controller: C::EMPTY,
            sockets: [SocketStorage::EMPTY],
            receive: [0; RECEIVE_AHEAD],
            send: [0; SEND_AHEAD],
        }
    }
}

impl<C: Controller> Default for Storage<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Controller> core::fmt::Debug for Storage<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Storage")
    }
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// Nothing moved for the timeout: peer or network is gone, or the address is nobody's.
    TimedOut,
    /// The peer refuses connections at this port.
    Refused,
    /// The peer reset the connection, or has closed it and takes no more bytes.
    Reset,
    /// The address cannot be connected to: port 0, or no address of a host.
    Unaddressable,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Error::TimedOut => "nothing moved for the timeout",
            Error::Refused => "the peer refuses connections at this port",
            Error::Reset => "the peer reset or closed the connection",
            Error::Unaddressable => "the address cannot be connected to",
        })
    }
}

impl core::error::Error for Error {}

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::TimedOut => ErrorKind::TimedOut,
            Error::Refused => ErrorKind::ConnectionRefused,
            Error::Reset => ErrorKind::ConnectionReset,
            Error::Unaddressable => ErrorKind::AddrNotAvailable,
        }
    }
}

/// The board in its network.
pub struct Network<C> {
    controller: C,
    interface: Interface,
    sockets: SocketSet<'static>,
    tcp: SocketHandle,
    timeout_ms: u32,
    next_port: u16,
}

/// Ports from here on up to the last are for whoever opens a connection (RFC 6335 §6).
const FIRST_EPHEMERAL_PORT: u16 = 0xC000;

impl<C: Controller> Network<C> {
    /// Starts the controller.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::start`].
    pub fn new(storage: &'static mut Storage<C>, config: Config) -> Result<Self, C::Error> {
        let mut controller = C::start(&mut storage.controller, config.mac)?;
        let seed = config.seed ^ u64::from(C::jitter());
        let mut settings = iface::Config::new(EthernetAddress(config.mac).into());
        settings.random_seed = seed;
        let mut interface = Interface::new(settings, &mut controller, now::<C>());
        interface.update_ip_addrs(|addresses| {
            let own = IpCidr::new(config.address.into(), config.prefix.min(32));
            // There is room for one at least, and this is the first.
            let _ = addresses.push(own);
        });
        // Fails if there is no room for a route; this is the first.
        let _ = interface
            .routes_mut()
            .add_default_ipv4_route(config.gateway);
        let mut sockets = SocketSet::new(&mut storage.sockets[..]);
        let mut socket = tcp::Socket::new(
            tcp::SocketBuffer::new(&mut storage.receive[..]),
            tcp::SocketBuffer::new(&mut storage.send[..]),
        );
        // The reader waits for what the peer sends next, which waits for the acknowledgement.
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(false);
        let tcp = sockets.add(socket);
        Ok(Self {
            controller,
            interface,
            sockets,
            tcp,
            timeout_ms: config.timeout_ms,
            next_port: seed as u16 | FIRST_EPHEMERAL_PORT,
        })
    }

    /// A connection to `peer`, not open yet. `idle` is called by any call on the connection, at least
    /// once each.
    pub fn connection<F: FnMut()>(&mut self, peer: SocketAddrV4, idle: F) -> Connection<'_, C, F> {
        Connection {
            network: self,
            peer,
            idle,
        }
    }

    /// Moves what can be moved between controller and socket.
    fn poll(&mut self) {
        self.interface
            .poll(now::<C>(), &mut self.controller, &mut self.sockets);
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.tcp)
    }
}

impl<C> core::fmt::Debug for Network<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Network")
    }
}

/// A TCP connection that can be opened again and again. Dropped without [`close`](Connection::close), it
/// is reset.
pub struct Connection<'n, C: Controller, F> {
    network: &'n mut Network<C>,
    peer: SocketAddrV4,
    idle: F,
}

impl<C: Controller, F: FnMut()> Connection<'_, C, F> {
    /// Opens a new connection; what was open before is reset.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Refused`], [`Error::Unaddressable`].
    pub fn connect(&mut self) -> Result<(), Error> {
        let port = self.network.next_port;
        self.network.next_port = port.wrapping_add(1) | FIRST_EPHEMERAL_PORT;
        self.abort();
        let network = &mut *self.network;
        let socket = network.sockets.get_mut::<tcp::Socket<'_>>(network.tcp);
        socket
            .connect(network.interface.context(), self.peer, port)
            .map_err(|_| Error::Unaddressable)?;
        self.wait_for(|socket| match socket.state() {
            State::SynSent => None,
            State::Closed => Some(Err(Error::Refused)),
            _ => Some(Ok(())),
        })
    }

    /// Says that no more will be sent, and waits until the peer has everything and says so, too.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer does not close; what was sent may have arrived even so.
    pub fn close(&mut self) -> Result<(), Error> {
        self.network.socket().close();
        self.wait_for(|socket| match socket.state() {
            State::Closed | State::TimeWait => Some(Ok(())),
            _ => {
                // What still comes is not wanted, but fills the window.
                let _ = socket.recv(|bytes| (bytes.len(), ()));
                None
            }
        })
    }

    /// Polls until `ready` has an answer. Anything that moves gives it the whole timeout again.
    fn wait_for<T>(
        &mut self,
        mut ready: impl FnMut(&mut tcp::Socket<'static>) -> Option<Result<T, Error>>,
    ) -> Result<T, Error> {
        let timeout = u64::from(self.network.timeout_ms);
        let mut last_move = C::now();
        let mut before = queues(self.network.socket());
        loop {
            self.network.poll();
            (self.idle)();
            if let Some(answer) = ready(self.network.socket()) {
                self.network.poll();
                return answer;
            }
            let after = queues(self.network.socket());
            if after != before {
                before = after;
                last_move = C::now();
            } else if C::now().saturating_sub(last_move) > timeout {
                return Err(Error::TimedOut);
            }
        }
    }
}

/// What changes when something moves.
fn queues(socket: &tcp::Socket<'_>) -> (State, usize, usize) {
    (socket.state(), socket.send_queue(), socket.recv_queue())
}

impl<C: Controller, F> ErrorType for Connection<'_, C, F> {
    type Error = Error;
}

impl<C: Controller, F: FnMut()> Read for Connection<'_, C, F> {
    /// Waits for at least one byte; 0 means that the peer has closed and everything was read.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.wait_for(|socket| match socket.recv_slice(bytes) {
            Ok(0) => None,
            Ok(count) => Some(Ok(count)),
            Err(RecvError::Finished) => Some(Ok(0)),
            Err(RecvError::InvalidState) => Some(Err(Error::Reset)),
        })
    }
}

impl<C: Controller, F: FnMut()> Write for Connection<'_, C, F> {
    /// Waits for room for at least one byte, and hands over what fits.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.wait_for(|socket| match socket.send_slice(bytes) {
            Ok(0) => None,
            Ok(count) => Some(Ok(count)),
            Err(_) => Some(Err(Error::Reset)),
        })
    }

    /// Waits until the peer has acknowledged everything.
    fn flush(&mut self) -> Result<(), Error> {
        self.wait_for(|socket| match socket.state() {
            _ if socket.send_queue() == 0 => Some(Ok(())),
            State::Closed => Some(Err(Error::Reset)),
            _ => None,
        })
    }
}

impl<C: Controller, F> Connection<'_, C, F> {
    /// Resets the connection. After `close` nobody is left to be told anything, and this does nothing.
    pub fn abort(&mut self) {
        self.network.socket().abort();
        self.network.poll();
    }
}

impl<C: Controller, F> Drop for Connection<'_, C, F> {
    fn drop(&mut self) {
        self.abort();
    }
}

impl<C: Controller, F> core::fmt::Debug for Connection<'_, C, F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Connection")
    }
}

fn now<C: Controller>() -> Instant {
    Instant::from_millis(i64::try_from(C::now()).unwrap_or(i64::MAX))
}
