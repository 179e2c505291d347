//! The HTTP client over an async connection: [`Exchange`] says what is done next, and this waits for it.

use core::mem;

use bistable_core::digest::Digest;
use bistable_updater::http::{
    ANSWER_LEN, Answer, Ask, Delivery, Error, Exchange, Receipts, Step, outcome,
};
use bistable_updater::source::ReadError;
use embedded_io_async::{ErrorType, Read, Write};

use crate::source::Source;

/// A byte stream to one server that can be opened again and again.
///
/// Reading, writing and connecting must give up with an error when nothing happens for too long, or whoever waits for them
/// must: nobody here has a clock. Reading `Ok(0)` means that the server closed the connection.
#[expect(
    async_fn_in_trait,
    reason = "whether a future may move between threads is up to who implements it"
)]
pub trait Connect: Read + Write {
    /// Opens a new connection. Whatever was open before is gone.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or does not want to be.
    async fn connect(&mut self) -> Result<(), Self::Error>;

    /// Drops the connection, if there is one, even if what was done with it was dropped half-way. What was not sent yet need
    /// not be.
    fn close(&mut self);
}

impl<C: Connect + ?Sized> Connect for &mut C {
    async fn connect(&mut self) -> Result<(), Self::Error> {
        (**self).connect().await
    }

    fn close(&mut self) {
        (**self).close();
    }
}

/// An HTTP/1.1 client of one server: [`bistable_updater::http::Client`] in a task. Its rules are those of [`Exchange`].
///
/// What it does may be dropped before it is ready, for example by a timeout: the connection that it used is
/// then used for nothing else.
pub struct Client<'a, C> {
    connection: C,
    host: &'a str,
    state: State,
}

/// What is known of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// It is open, and can carry another request.
    Open,
    /// A request is under way on it. Who comes and finds this knows that it was dropped half-way.
    Busy,
}

impl<'a, C: Connect> Client<'a, C> {
    /// A client that will connect when it is first asked for something. `host` is what
    /// [`Request::host`](bistable_updater::http::Request::host) is: `name:port`.
    pub const fn new(connection: C, host: &'a str) -> Self {
        Self {
            connection,
            host,
            state: State::Closed,
        }
    }

    /// The digest that the file at `path` names, in 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`Error::NoDigest`] if it says anything else; [`Error`] as for [`Client::get`].
    pub async fn latest(&mut self, path: &str) -> Result<Digest, Error<C::Error>> {
        let mut text = [0; outcome::NAME_LEN];
        let length = self.get(path, &mut text).await;
        outcome::digest(length, &text)
    }

    /// Reads all of the small file at `path` to the start of `buffer`, and returns its length in bytes.
    ///
    /// # Errors
    ///
    /// [`Error`]; among others a refusal if the file is longer than `buffer`.
    pub async fn get(&mut self, path: &str, buffer: &mut [u8]) -> Result<usize, Error<C::Error>> {
        let answer = self.exchange(path, Ask::Whole, &[], buffer).await?;
        outcome::whole(answer)
    }

    /// Fills `buffer` with the bytes at `offset` of the file at `path`: see [`Source::read`].
    ///
    /// # Errors
    ///
    /// As [`Source::read`].
    pub async fn get_range(
        &mut self,
        path: &str,
        offset: u32,
        buffer: &mut [u8],
    ) -> Result<(), ReadError<Error<C::Error>>> {
        if buffer.is_empty() {
            return Ok(());
        }
        let ask = outcome::range(offset, buffer.len())?;
        let result = self.exchange(path, ask, &[], buffer).await;
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
    pub async fn post(&mut self, path: &str, content: &[u8]) -> Result<(), Error<C::Error>> {
        self.close();
        let length = content.len();
        let asked = self.exchange(path, Ask::Post { length }, content, &mut []);
        outcome::accepted(asked.await?)
    }

    /// Hands receipts to the server. They may be sent again, so a connection that was kept open will do.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Connection`] and [`Error::Closed`] the server may have got them all the same.
    pub async fn post_receipts<const N: usize>(
        &mut self,
        path: &str,
        receipts: &Receipts<N>,
    ) -> Result<Delivery, Error<C::Error>> {
        let content = receipts.as_bytes();
        let length = content.len();
        let mut answer = [0; ANSWER_LEN];
        let asked = self.exchange(path, Ask::Submit { length }, content, &mut answer);
        let result = asked.await?;
        Delivery::of(result, &answer)
    }

    /// The file at `path`, to be read piece by piece.
    pub const fn file<'c>(&'c mut self, path: &'c str) -> HttpSource<'c, 'a, C> {
        HttpSource { client: self, path }
    }

    /// Drops the connection, for example before a long wait. The next request opens a new one.
    pub fn close(&mut self) {
        if mem::replace(&mut self.state, State::Closed) != State::Closed {
            self.connection.close();
        }
    }

    async fn exchange(
        &mut self,
        path: &str,
        ask: Ask,
        content: &[u8],
        body: &mut [u8],
    ) -> Result<Answer, Error<C::Error>> {
        if self.state == State::Busy {
            self.close();
        }
        let open = self.state == State::Open;
        let exchange = Exchange::new(self.host, path, ask, content, body, open);
        let mut exchange = exchange.map_err(Error::Request)?;
        self.state = State::Busy;
        let connection = &mut self.connection;
        while let Some(step) = exchange.step() {
            match step {
                Step::Close => connection.close(),
                Step::Connect => exchange.connected(connection.connect().await),
                Step::Send(bytes) => {
                    let count = connection.write(bytes).await;
                    exchange.sent(count);
                }
                Step::Flush => exchange.flushed(connection.flush().await),
                Step::Receive(buffer) => {
                    let count = connection.read(buffer).await;
                    exchange.received(count);
                }
            }
        }
        let (result, open) = exchange.end();
        self.state = match open {
            true => State::Open,
            false => State::Closed,
        };
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

    async fn read(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        self.client.get_range(self.path, offset, buffer).await
    }
}
