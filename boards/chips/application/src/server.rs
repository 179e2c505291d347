//! The update server at the other end of a serial line.
//!
//! It speaks HTTP as it does everywhere; a computer passes the bytes on, for example
//! `socat /dev/ttyACM0,raw,b115200 TCP:localhost:8000`. The line may lose bytes or bring old ones: an answer that is not
//! exactly what was asked for is refused, and the line is emptied before the next question.

use core::fmt::Write as _;

use bistable_core::digest::Digest;
use bistable_updater::http::{Client, Connect, Error, HttpSource};
use board::Line;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady as _, Write};

/// A line on which nothing came for this long is silent, in milliseconds.
const SILENT_MS: u64 = 100;

/// An answer begins within this, in milliseconds.
const ANSWER_MS: u64 = 2_000;

/// What talking to the server fails with.
pub(crate) type Failure = Error<ErrorKind>;

/// The server, and the line to it.
pub(crate) struct Server {
    line: Line,
}

impl Server {
    pub(crate) fn new(line: Line) -> Self {
        Self { line }
    }

    /// The name of the newest image. `idle` is called while the answer is waited for.
    pub(crate) fn latest(&mut self, idle: impl FnMut()) -> Result<Digest, Failure> {
        self.client(idle).latest("/latest")
    }

    /// Hands the image with this name to `read`, as a source.
    pub(crate) fn with_image<F: FnMut(), T>(
        &mut self,
        digest: Digest,
        idle: F,
        read: impl FnOnce(&mut HttpSource<'_, '_, Conversation<'_, F>>) -> T,
    ) -> T {
        let mut path = heapless::String::<80>::new();
        // 8 characters and 64 digits.
        let _ = write!(path, "/images/{digest}");
        read(&mut self.client(idle).file(&path))
    }

    fn client<F: FnMut()>(&mut self, idle: F) -> Client<'static, Conversation<'_, F>> {
        let line = &mut self.line;
        Client::new(Conversation { line, idle }, "bistable:8000")
    }
}

/// A connection as far as a line can be one.
pub(crate) struct Conversation<'l, F> {
    line: &'l mut Line,
    idle: F,
}

impl<F: FnMut()> Conversation<'_, F> {
    /// Waits until a byte is there, at most so long.
    fn waits(&mut self, milliseconds: u64) -> Result<bool, ErrorKind> {
        let until = board::now().saturating_add(milliseconds);
        while !self.line.read_ready().map_err(|error| kind(&error))? {
            (self.idle)();
            if board::now() >= until {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl<F: FnMut()> Connect for Conversation<'_, F> {
    /// Nothing opens a line; but what comes late on it is no answer.
    fn connect(&mut self) -> Result<(), ErrorKind> {
        let mut dropped = [0; 64];
        let until = board::now().saturating_add(ANSWER_MS);
        while self.waits(SILENT_MS)? && board::now() < until {
            self.line.read(&mut dropped).map_err(|error| kind(&error))?;
        }
        Ok(())
    }

    fn close(&mut self) {}
}

impl<F> ErrorType for Conversation<'_, F> {
    type Error = ErrorKind;
}

impl<F: FnMut()> Read for Conversation<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.waits(ANSWER_MS)? {
            true => self.line.read(buffer).map_err(|error| kind(&error)),
            false => Err(ErrorKind::TimedOut),
        }
    }
}

impl<F: FnMut()> Write for Conversation<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        (self.idle)();
        self.line.write(bytes).map_err(|error| kind(&error))
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.line.flush().map_err(|error| kind(&error))
    }
}

fn kind(error: &impl embedded_io::Error) -> ErrorKind {
    error.kind()
}
