//! The update server, over the board's network.

use core::fmt::Write as _;
use core::net::SocketAddrV4;

use bistable_core::digest::Digest;
use bistable_updater::http::{Client, Connect, Error, HttpSource};
use board::net::{self, Connection, Network};
use embedded_io::{ErrorType, Read, Write};

/// A connection to the server, opened when it is needed.
pub(crate) struct Tcp<'n, F>(Connection<'n, F>);

/// Where the server is, and how to talk to it. `F` is called while it is waited for.
pub(crate) struct Server<'n, F> {
    tcp: Tcp<'n, F>,
    host: heapless::String<24>,
}

/// What talking to the server fails with.
pub(crate) type Failure = Error<net::Error>;

impl<'n, F: FnMut()> Server<'n, F> {
    /// Nothing is sent yet.
    pub(crate) fn new(network: &'n mut Network, address: SocketAddrV4, idle: F) -> Self {
        let mut host = heapless::String::new();
        // The longest address has 21 characters.
        let _ = write!(host, "{address}");
        Self {
            tcp: Tcp(network.connection(address, idle)),
            host,
        }
    }

    /// The name of the newest image.
    pub(crate) fn latest(&mut self) -> Result<Digest, Failure> {
        self.client(|client| client.latest("/latest"))
    }

    /// Tells the server what runs here.
    pub(crate) fn report(&mut self, report: &[u8]) -> Result<(), Failure> {
        self.client(|client| client.post("/reports", report))
    }

    /// Hands the image with this name to `read`, as a source.
    pub(crate) fn with_image<T>(
        &mut self,
        digest: Digest,
        read: impl FnOnce(&mut HttpSource<'_, '_, &mut Tcp<'n, F>>) -> T,
    ) -> T {
        let mut path = heapless::String::<80>::new();
        // 8 characters and 64 digits.
        let _ = write!(path, "/images/{digest}");
        self.client(|client| read(&mut client.file(&path)))
    }

    /// One conversation over one connection, which is closed in the end.
    pub(crate) fn client<T>(
        &mut self,
        talk: impl FnOnce(&mut Client<'_, &mut Tcp<'n, F>>) -> T,
    ) -> T {
        let mut client = Client::new(&mut self.tcp, &self.host);
        let outcome = talk(&mut client);
        client.close();
        outcome
    }
}

impl<F: FnMut()> Connect for Tcp<'_, F> {
    fn connect(&mut self) -> Result<(), net::Error> {
        self.0.connect()
    }

    fn close(&mut self) {
        self.0.abort();
    }
}

impl<F> ErrorType for Tcp<'_, F> {
    type Error = net::Error;
}

impl<F: FnMut()> Read for Tcp<'_, F> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, net::Error> {
        self.0.read(bytes)
    }
}

impl<F: FnMut()> Write for Tcp<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, net::Error> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> Result<(), net::Error> {
        self.0.flush()
    }
}
