//! A response, taken in as it comes: bytes in, an answer or a refusal out.

use core::mem;

use super::head::Head;
use super::verdict::{Verdict, judge};
use super::{Answer, Ask, Refusal};

/// The most bytes that a response's head may have, empty line included.
pub const HEAD_MAX: usize = 1024;

/// The most interim responses (1xx) that are skipped before the final one.
pub const INTERIM_MAX: u8 = 4;

/// The response to one [`Ask`], as far as it has come.
///
/// It can be fed one byte at a time or everything at once, with the same result, and needs at most
/// `(INTERIM_MAX + 1) * HEAD_MAX` bytes and the buffer's length to come to it.
pub struct Response<'b> {
    ask: Ask,
    /// What is still to be filled: the caller's whole buffer, then the rest of the announced body.
    body: &'b mut [u8],
    head: heapless::Vec<u8, HEAD_MAX>,
    interim: u8,
    state: State,
    untouched: bool,
    reusable: bool,
}

/// How far a response has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// More bytes must come.
    Incomplete,
    /// All of it is here.
    Complete(Answer),
}

#[derive(Clone, Copy)]
enum State {
    /// In a head, of which `Response::head` has the beginning.
    Head,
    /// In the body: this is the answer once `Response::body` is full.
    Body(Answer),
    Over(Result<Answer, Refusal>),
}

impl<'b> Response<'b> {
    /// Nothing yet of the response to `ask`, whose body goes to `body`: give it the length of the range,
    /// and nothing for [`Ask::Post`]. A body that does not fit is refused before any of it is taken.
    pub const fn new(ask: Ask, body: &'b mut [u8]) -> Self {
        Self {
            ask,
            body,
            head: heapless::Vec::new(),
            interim: 0,
            state: State::Head,
            untouched: true,
            reusable: false,
        }
    }

    /// Takes in the bytes that the connection brought next.
    ///
    /// Once the result is not [`Progress::Incomplete`] it stays the same. Bytes behind the response's
    /// end are dropped, for nobody asked for them (RFC 9112 §6.3), and leave the connection not
    /// [reusable](Self::is_reusable).
    ///
    /// # Errors
    ///
    /// [`Refusal`]: the response is not the answer to what was asked.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Progress, Refusal> {
        self.untouched &= bytes.is_empty();
        let mut rest = bytes;
        loop {
            rest = match self.state {
                State::Head => match self.take_head(rest) {
                    Some(rest) => rest,
                    None => return Ok(Progress::Incomplete),
                },
                State::Body(answer) if self.body.is_empty() => {
                    self.state = State::Over(Ok(answer));
                    rest
                }
                State::Body(_) if rest.is_empty() => return Ok(Progress::Incomplete),
                State::Body(_) => self.take_body(rest),
                State::Over(result) => {
                    self.reusable &= rest.is_empty();
                    return result.map(Progress::Complete);
                }
            };
        }
    }

    /// Whether not a single byte of a response has come. If the connection ends now, and was open before
    /// the request was sent, the server had closed it already (RFC 9112 §9.3.1).
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// Whether the connection can carry another request: the response is complete, or refused with
    /// nothing of it left to come; nothing came after it; and the server did not announce to close
    /// (RFC 9112 §9.3).
    #[must_use]
    pub const fn is_reusable(&self) -> bool {
        self.reusable && matches!(self.state, State::Over(_))
    }

    /// Takes what belongs to the head and decides once that is whole. Returns what is left, or `None`
    /// if the head goes on.
    fn take_head<'i>(&mut self, bytes: &'i [u8]) -> Option<&'i [u8]> {
        let before = self.head.len();
        let room = self.head.capacity().saturating_sub(before);
        let taken = bytes.get(..room).unwrap_or(bytes);
        if self.head.extend_from_slice(taken).is_err() {
            return self.refuse(Refusal::HeadTooLong);
        }
        let (head, length) = match Head::parse(&self.head) {
            Ok(Some(parsed)) => parsed,
            Ok(None) if self.head.is_full() => return self.refuse(Refusal::HeadTooLong),
            Ok(None) => return None,
            Err(refusal) => return self.refuse(refusal),
        };
        self.head.clear();
        self.decide(&head);
        Some(bytes.get(length.saturating_sub(before)..).unwrap_or(&[]))
    }

    fn decide(&mut self, head: &Head) {
        self.reusable = head.persistent;
        self.state = match judge(self.ask, head) {
            Ok(Verdict::Interim) if self.interim < INTERIM_MAX => {
                self.interim = self.interim.saturating_add(1);
                State::Head
            }
            Ok(Verdict::Interim) => self.end(head, Err(Refusal::TooManyInterim)),
            Ok(Verdict::Content { length, ends_at }) => match self.make_room(length) {
                Ok(length) => State::Body(ends_at.map_or(Answer::Body(length), Answer::EndsAt)),
                Err(refusal) => self.end(head, Err(refusal)),
            },
            Ok(Verdict::Declined { status, length }) => match self.make_room(length) {
                Ok(length) => State::Body(Answer::Declined { status, length }),
                Err(_) => self.end(head, Err(Refusal::Status(status))),
            },
            Ok(Verdict::Final(answer)) => self.end(head, Ok(answer)),
            Err(refusal) => self.end(head, Err(refusal)),
        };
    }

    /// The result is known from the head. A body that nobody wants is not waited for: it goes down with
    /// the connection.
    fn end(&mut self, head: &Head, result: Result<Answer, Refusal>) -> State {
        self.reusable &= head.is_all();
        State::Over(result)
    }

    /// Leaves of the buffer what the announced body will fill.
    fn make_room(&mut self, announced: u64) -> Result<usize, Refusal> {
        let body = mem::take(&mut self.body);
        self.body = usize::try_from(announced)
            .ok()
            .and_then(|length| body.get_mut(..length))
            .ok_or(Refusal::TooLong { announced })?;
        Ok(self.body.len())
    }

    /// Takes what belongs to the body. Returns what is left.
    fn take_body<'i>(&mut self, bytes: &'i [u8]) -> &'i [u8] {
        let count = self.body.len().min(bytes.len());
        let (taken, rest) = bytes.split_at(count);
        let (place, missing) = mem::take(&mut self.body).split_at_mut(count);
        place.copy_from_slice(taken);
        self.body = missing;
        rest
    }

    /// There is no telling where this response ends.
    fn refuse<'i>(&mut self, refusal: Refusal) -> Option<&'i [u8]> {
        self.reusable = false;
        self.state = State::Over(Err(refusal));
        Some(&[])
    }
}
