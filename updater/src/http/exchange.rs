//! One exchange with a server, without I/O: what to do with the connection next, decided from what came of it.
//!
//! The rules of a connection that is kept open live here, for the blocking client and for an asynchronous one: one that
//! turns out to be closed before any byte of a response is opened again, once; afterwards a connection is kept only if
//! it can carry another request.
//!
//! ```text
//!   ┌──────────────── Close ◀── kept, and closed before any byte ──┐
//!   ▼                                                              │
//! Connect ──▶ Send … Send ──▶ Flush ──▶ Receive … Receive ─────────┴──▶ Close, unless reusable ──▶ over
//! ```

use super::client::Error;
use super::{Answer, Ask, Progress, Request, RequestError, Response};

/// Bytes for a request's head, and then for each piece of the response.
const SCRATCH: usize = 512;

/// What is to be done next with the connection. What came of it is told to the [`Exchange`], if a method is named here.
#[derive(Debug)]
pub enum Step<'s> {
    /// Drop it. Nothing needs to be told.
    Close,
    /// Open a new one; whatever was open before is gone. [`Exchange::connected`].
    Connect,
    /// Send the beginning of these bytes, as much as it takes now. [`Exchange::sent`] says how much.
    Send(&'s [u8]),
    /// Have everything sent. [`Exchange::flushed`].
    Flush,
    /// Put what comes to the start of this buffer, at least one byte. [`Exchange::received`] says how many; 0 means that
    /// the server closed the connection.
    Receive(&'s mut [u8]),
}

/// One request and its response. `E` is the connection's error.
pub struct Exchange<'e, E> {
    request: Request<'e>,
    content: &'e [u8],
    response: Response<'e>,
    /// The request's head, and then what is received.
    scratch: [u8; SCRATCH],
    head_len: usize,
    stage: Stage,
    /// Whether this goes over a connection from before, which the server may have closed.
    kept: bool,
    open: bool,
    result: Result<Answer, Error<E>>,
}

#[derive(Clone, Copy)]
enum Stage {
    Connect,
    Head { sent: usize },
    Content { sent: usize },
    Flush,
    Receive,
    CloseAndConnect,
    CloseAndEnd,
    Over,
}

impl<'e, E> Exchange<'e, E> {
    /// To send a request with `content`, and to put the response's body into `body`. `open`: a connection is open from the
    /// exchange before. The host and the path are those of [`Request`].
    ///
    /// # Errors
    /// The request cannot be sent as it is; the connection is as it was.
    pub fn new(
        host: &'e str,
        path: &'e str,
        ask: Ask,
        content: &'e [u8],
        body: &'e mut [u8],
        open: bool,
    ) -> Result<Self, RequestError> {
        let request = Request { host, path, ask };
        let mut scratch = [0; SCRATCH];
        let head_len = request.write(&mut scratch)?.len();
        Ok(Self {
            request,
            content,
            response: Response::new(ask, body),
            scratch,
            head_len,
            stage: match open {
                true => Stage::Head { sent: 0 },
                false => Stage::Connect,
            },
            kept: open,
            open,
            result: Err(Error::Closed),
        })
    }

    /// What is to be done next; `None`: it is [over](Self::end).
    pub fn step(&mut self) -> Option<Step<'_>> {
        let step = match self.stage {
            Stage::Connect => Step::Connect,
            Stage::Head { sent } => {
                let left = self.scratch.get(sent..self.head_len);
                Step::Send(left.unwrap_or_default())
            }
            Stage::Content { sent } => Step::Send(self.content.get(sent..).unwrap_or_default()),
            Stage::Flush => Step::Flush,
            Stage::Receive => Step::Receive(&mut self.scratch),
            Stage::CloseAndConnect => {
                self.closed(Stage::Connect);
                Step::Close
            }
            Stage::CloseAndEnd => {
                self.closed(Stage::Over);
                Step::Close
            }
            Stage::Over => return None,
        };
        Some(step)
    }

    /// What came of [`Step::Connect`].
    pub fn connected(&mut self, outcome: Result<(), E>) {
        match outcome {
            Ok(()) => {
                self.open = true;
                self.stage = Stage::Head { sent: 0 };
            }
            Err(error) => self.decide(Err(Error::Connect(error))),
        }
    }

    /// How many bytes of [`Step::Send`] the connection took. One that takes none is closed.
    pub fn sent(&mut self, outcome: Result<usize, E>) {
        let count = match outcome {
            Ok(count) => count,
            Err(error) => return self.decide(Err(Error::Connection(error))),
        };
        let (sent, whole) = match self.stage {
            Stage::Head { sent } => (sent, self.head_len),
            Stage::Content { sent } => (sent, self.content.len()),
            _ => return,
        };
        let sent = sent.saturating_add(count);
        if count == 0 || sent > whole {
            return self.decide(Err(Error::Closed));
        }
        self.stage = match self.stage {
            Stage::Head { .. } if sent < whole => Stage::Head { sent },
            Stage::Content { .. } if sent < whole => Stage::Content { sent },
            Stage::Head { .. } if !self.content.is_empty() => Stage::Content { sent: 0 },
            _ => Stage::Flush,
        };
    }

    /// What came of [`Step::Flush`].
    pub fn flushed(&mut self, outcome: Result<(), E>) {
        match outcome {
            Ok(()) => self.stage = Stage::Receive,
            Err(error) => self.decide(Err(Error::Connection(error))),
        }
    }

    /// How many bytes [`Step::Receive`] brought.
    pub fn received(&mut self, outcome: Result<usize, E>) {
        let count = match outcome {
            Ok(count) => count,
            Err(error) => return self.decide(Err(Error::Connection(error))),
        };
        let bytes = self.scratch.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return self.decide(Err(Error::Closed));
        }
        match self.response.receive(bytes) {
            Ok(Progress::Incomplete) => {}
            Ok(Progress::Complete(answer)) => self.decide(Ok(answer)),
            Err(refusal) => self.decide(Err(Error::Refused(refusal))),
        }
    }

    /// The result, and whether the connection is open and can carry another request. An exchange that is not over has none: its
    /// connection is as good as closed.
    ///
    /// # Errors
    /// [`Error`].
    pub fn end(self) -> (Result<Answer, Error<E>>, bool) {
        let reusable = self.open && matches!(self.stage, Stage::Over);
        (self.result, reusable)
    }

    fn closed(&mut self, next: Stage) {
        self.open = false;
        self.stage = next;
    }

    /// The attempt has come to this. It is the result, unless the server had closed the connection already.
    fn decide(&mut self, result: Result<Answer, Error<E>>) {
        if core::mem::replace(&mut self.kept, false) && self.response.is_untouched() {
            // The scratch may have been received into.
            if let Ok(head) = self.request.write(&mut self.scratch) {
                self.head_len = head.len();
                self.stage = Stage::CloseAndConnect;
                return;
            }
        }
        self.result = result;
        self.stage = match self.open && !self.response.is_reusable() {
            true => Stage::CloseAndEnd,
            false => Stage::Over,
        };
    }
}
