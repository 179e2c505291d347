//! The driver: requests and responses over a blocking connection that is kept open as long as it lasts.

use core::fmt;

use bistable_core::digest::Digest;
use embedded_io::{ErrorType, Read, Write};

use super::exchange::{Exchange, Step};
use super::{Answer, Ask, Refusal, RequestError, outcome};
use crate::source::{ReadError, Source};

/// A byte stream to one server that can be opened again and again.
///
/// It is one object with the connection inside, so that a stack whose connections borrow the network can
/// implement it: `struct Tcp<'a> { network: &'a mut Network, socket: SocketHandle, server: SocketAddr }`.
///
/// Reading and writing block. They must give up with an error when nothing happens for too long, and feed
/// the watchdog meanwhile if that is longer than its period: nobody here has a clock. Reading `Ok(0)`
/// means that the server closed the connection.
pub trait Connect: Read + Write {
    /// Opens a new connection. Whatever was open before is gone.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or does not want to be.
    fn connect(&mut self) -> Result<(), Self::Error>;

    /// Drops the connection, if there is one. What was not sent yet need not be.
    fn close(&mut self);
}

impl<C: Connect + ?Sized> Connect for &mut C {
    fn connect(&mut self) -> Result<(), Self::Error> {
        (**self).connect()
    }

    fn close(&mut self) {
        (**self).close();
    }
}

/// An HTTP/1.1 client of one server.
///
/// It asks once. A connection that was kept open and turns out to be closed before any byte of a response
/// is opened again, once; everything else is reported, and trying again later is the caller's decision.
/// After any failure the next request opens a new connection.
pub struct Client<'a, C> {
    connection: C,
    host: &'a str,
    open: bool,
}

impl<'a, C: Connect> Client<'a, C> {
    /// A client that will connect when it is first asked for something. `host` is what [`Request::host`](super::Request::host)
    /// is: `name:port`.
    pub const fn new(connection: C, host: &'a str) -> Self {
        Self {
            connection,
            host,
            open: false,
        }
    }

    /// The digest that the file at `path` names, in 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`Error::NoDigest`] if it says anything else; [`Error`] as for [`Client::get`].
    pub fn latest(&mut self, path: &str) -> Result<Digest, Error<C::Error>> {
        let mut text = [0; outcome::NAME_LEN];
        let length = self.get(path, &mut text);
        outcome::digest(length, &text)
    }

    /// Reads all of the small file at `path` to the start of `buffer`, and returns its length in bytes.
    ///
    /// # Errors
    ///
    /// [`Error`]; among others a [`Refusal::TooLong`] if the file is longer than `buffer`.
    pub fn get(&mut self, path: &str, buffer: &mut [u8]) -> Result<usize, Error<C::Error>> {
        let answer = self.exchange(path, Ask::Whole, &[], buffer)?;
        outcome::whole(answer)
    }

    /// Fills `buffer` with the bytes at `offset` of the file at `path`: see [`Source::read`].
    ///
    /// # Errors
    ///
    /// As [`Source::read`].
    pub fn get_range(
        &mut self,
        path: &str,
        offset: u32,
        buffer: &mut [u8],
    ) -> Result<(), ReadError<Error<C::Error>>> {
        if buffer.is_empty() {
            return Ok(());
        }
        let ask = outcome::range(offset, buffer.len())?;
        let result = self.exchange(path, ask, &[], buffer);
        outcome::filled(result, buffer.len())
    }

    /// Hands `content` to the server.
    ///
    /// It goes over a new connection: on one that was kept open it could get lost, and who cannot know
    /// whether it arrived must not send it again unasked (RFC 9110 §9.2.2).
    ///
    /// # Errors
    ///
    /// [`Error`]. After [`Error::Connection`] and [`Error::Closed`] the server may have got it all the same.
    pub fn post(&mut self, path: &str, content: &[u8]) -> Result<(), Error<C::Error>> {
        self.close();
        let length = content.len();
        let answer = self.exchange(path, Ask::Post { length }, content, &mut [])?;
        outcome::accepted(answer)
    }

    /// The file at `path`, to be read piece by piece.
    pub const fn file<'c>(&'c mut self, path: &'c str) -> HttpSource<'c, 'a, C> {
        HttpSource { client: self, path }
    }

    /// Drops the connection, for example before a long wait. The next request opens a new one.
    pub fn close(&mut self) {
        if self.open {
            self.open = false;
            self.connection.close();
        }
    }

    pub(super) fn exchange(
        &mut self,
        path: &str,
        ask: Ask,
        content: &[u8],
        body: &mut [u8],
    ) -> Result<Answer, Error<C::Error>> {
        let exchange = Exchange::new(self.host, path, ask, content, body, self.open);
        let mut exchange = exchange.map_err(Error::Request)?;
        let connection = &mut self.connection;
        while let Some(step) = exchange.step() {
            match step {
                Step::Close => connection.close(),
                Step::Connect => exchange.connected(connection.connect()),
                Step::Send(bytes) => {
                    let count = connection.write(bytes);
                    exchange.sent(count);
                }
                Step::Flush => exchange.flushed(connection.flush()),
                Step::Receive(buffer) => {
                    let count = connection.read(buffer);
                    exchange.received(count);
                }
            }
        }
        let (result, open) = exchange.end();
        self.open = open;
        result
    }
}

/// A file on an HTTP server, as a [`Source`]. [`Client::file`] makes it.
pub struct HttpSource<'c, 'a, C> {
    client: &'c mut Client<'a, C>,
    path: &'c str,
}

impl<C: Connect> Source for HttpSource<'_, '_, C> {
    type Error = Error<<C as ErrorType>::Error>;

    fn read(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        self.client.get_range(self.path, offset, buffer)
    }
}

/// Why there is no answer. `E` is the connection's error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error<E> {
    /// The request cannot be sent as it is; the connection is as it was.
    Request(RequestError),
    /// The server cannot be reached.
    Connect(E),
    /// The connection broke before the response was complete.
    Connection(E),
    /// The server closed the connection before the response was complete.
    Closed,
    /// The server answered, but not what was asked.
    Refused(Refusal),
    /// What should name a digest is not 64 hexadecimal digits.
    NoDigest,
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(formatter),
            Self::Connect(error) => write!(formatter, "cannot connect to the server: {error}"),
            Self::Connection(error) => write!(formatter, "the connection broke: {error}"),
            Self::Closed => formatter.write_str("the server closed the connection too early"),
            Self::Refused(refusal) => refusal.fmt(formatter),
            Self::NoDigest => formatter.write_str("the server's answer is not a digest"),
        }
    }
}

impl<E: core::error::Error> core::error::Error for Error<E> {}
