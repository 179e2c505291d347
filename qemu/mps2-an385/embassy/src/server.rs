//! The update server, over embassy-net.

use core::fmt::Write as _;
use core::net::SocketAddrV4;

use bistable_async::Connect;
use embassy_net::tcp::{self, ConnectError, TcpSocket};
use embassy_time::Duration;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

/// After how long a connection is given up on which nothing moves.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the server, opened when it is needed.
pub(crate) struct Tcp<'s> {
    socket: TcpSocket<'s>,
    server: SocketAddrV4,
}

impl<'s> Tcp<'s> {
    /// Nothing is sent yet.
    pub(crate) fn new(mut socket: TcpSocket<'s>, server: SocketAddrV4) -> Self {
        socket.set_timeout(Some(PATIENCE));
        socket.set_nagle_enabled(false);
        Self { socket, server }
    }
}

/// `address:port`, as a request names its host.
pub(crate) fn host(server: SocketAddrV4) -> heapless::String<24> {
    let mut host = heapless::String::new();
    // The longest address has 21 characters.
    let _ = write!(host, "{server}");
    host
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, defmt::Format)]
pub(crate) enum Failure {
    /// The connection was not opened.
    Unopened(#[defmt(Debug2Format)] ConnectError),
    /// It broke.
    Broken(#[defmt(Debug2Format)] tcp::Error),
}

impl core::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Unopened(_) => "the connection could not be opened",
            Self::Broken(_) => "the connection broke",
        })
    }
}

impl core::error::Error for Failure {}

impl embedded_io_async::Error for Failure {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unopened(ConnectError::TimedOut) => ErrorKind::TimedOut,
            Self::Unopened(_) => ErrorKind::ConnectionRefused,
            Self::Broken(error) => error.kind(),
        }
    }
}

impl Connect for Tcp<'_> {
    async fn connect(&mut self) -> Result<(), Failure> {
        self.socket.abort();
        let server = (*self.server.ip(), self.server.port());
        let connected = self.socket.connect(server).await;
        connected.map_err(Failure::Unopened)
    }

    fn close(&mut self) {
        self.socket.abort();
    }
}

impl ErrorType for Tcp<'_> {
    type Error = Failure;
}

impl Read for Tcp<'_> {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Failure> {
        self.socket.read(bytes).await.map_err(Failure::Broken)
    }
}

impl Write for Tcp<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        self.socket.write(bytes).await.map_err(Failure::Broken)
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.socket.flush().await.map_err(Failure::Broken)
    }
}
