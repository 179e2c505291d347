//! Receipts on their way to a server: `POST /receipts`, and what it answers.
//!
//! The body is receipts, oldest first, each behind its length: two bytes, little-endian. The server answers
//!
//! - 204: it has them all. It may have known some, or all, so sending again is harmless;
//! - 409 with 64 hexadecimal digits: the unit's chain does not go on from what it knows. It begins a new one only with a
//!   receipt that answers this challenge, soon;
//! - 400 with a line that names the refusal's number: it does not believe one of them.

use super::{Answer, Ask, Client, Connect, Error, Refusal, parse_digest_name};
use crate::receipt::{Challenge, MAX_LEN, Signed};

/// The longest body that a server takes, in bytes.
pub const RECEIPTS_MAX: usize = 16 << 10;

/// What a receipt takes in a body at most, in bytes.
pub const FRAMED_LEN: usize = MAX_LEN + LENGTH_LEN;

const LENGTH_LEN: usize = 2;

/// Length of the buffer for the answer, in bytes: a challenge, or a line.
pub const ANSWER_LEN: usize = 512;

/// Receipts that are sent together: a body of at most `N` bytes, [`FRAMED_LEN`] for each are enough.
#[derive(Clone, Debug, Default)]
pub struct Receipts<const N: usize>(heapless::Vec<u8, N>);

impl<const N: usize> Receipts<N> {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(FRAMED_LEN <= N && N <= RECEIPTS_MAX) };
        Self(heapless::Vec::new())
    }

    /// Adds one behind the others, which are older. `false`: it does not fit, send these first.
    pub fn push(&mut self, receipt: &Signed) -> bool {
        let bytes = receipt.as_bytes();
        let room = N.saturating_sub(self.0.len());
        if bytes.len().saturating_add(LENGTH_LEN) > room {
            return false;
        }
        let length = (bytes.len() as u16).to_le_bytes();
        self.0.extend_from_slice(&length).is_ok() && self.0.extend_from_slice(bytes).is_ok()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a server made of receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Delivery {
    /// It keeps them all.
    Kept,
    /// It does not keep them all unless a receipt answers this.
    Challenged(Challenge),
    /// It does not believe one of them; the number of the refusal, if it said one: `bistable explain` says what it means.
    Refused(Option<u16>),
}

impl<C: Connect> Client<'_, C> {
    /// Hands receipts to the server. They may be sent again, so a connection that was kept open will do.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Connection`] and [`Error::Closed`] the server may have got them all the same.
    pub fn post_receipts<const N: usize>(
        &mut self,
        path: &str,
        receipts: &Receipts<N>,
    ) -> Result<Delivery, Error<C::Error>> {
        let content = receipts.as_bytes();
        let ask = Ask::Submit {
            length: content.len(),
        };
        let mut answer = [0; ANSWER_LEN];
        let result = self.exchange(path, ask, content, &mut answer)?;
        Delivery::of(result, &answer)
    }
}

impl Delivery {
    /// What an answer to [`Ask::Submit`] means, with the body that it speaks of at the start of `body`.
    ///
    /// # Errors
    /// [`Refusal::Status`] if the server declined without saying why; [`Refusal::Malformed`] if the answer is to something
    /// else.
    pub fn of<E>(answer: Answer, body: &[u8]) -> Result<Self, Error<E>> {
        match answer {
            Answer::Accepted => Ok(Self::Kept),
            Answer::Declined { status, length } => {
                let text = body.get(..length).unwrap_or_default();
                declined(status, text).ok_or(Error::Refused(Refusal::Status(status)))
            }
            _ => Err(Error::Refused(Refusal::Malformed)),
        }
    }
}

fn declined(status: u16, text: &[u8]) -> Option<Delivery> {
    match status {
        409 => parse_digest_name(text).map(|challenge| Delivery::Challenged(challenge.0)),
        _ => Some(Delivery::Refused(refusal_number(text))),
    }
}

/// The first `B` with three digits behind it.
fn refusal_number(text: &[u8]) -> Option<u16> {
    let mut places = text.windows(4);
    places.find_map(|place| {
        let digits = core::str::from_utf8(place.strip_prefix(b"B")?).ok()?;
        let are_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
        are_digits.then(|| digits.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_number() {
        let number = |text: &str| refusal_number(text.as_bytes());
        assert_eq!(number("B203: the signature does not hold\n"), Some(203));
        assert_eq!(number("receipt 3 refused: B2, no: B217"), Some(217));
        assert_eq!(number("BB201"), Some(201));
        for text in ["", "B20", "B+12", "B2 03", "b203", "no number"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_challenge_is_64_digits_and_nothing_else() {
        let digits = [b'a'; 64];
        let challenged = Delivery::Challenged([0xAA; 32]);
        assert_eq!(declined(409, &digits), Some(challenged));
        assert_eq!(declined(409, &digits[..63]), None);
        assert_eq!(declined(409, b""), None);
        assert_eq!(declined(400, &digits), Some(Delivery::Refused(None)));
    }
}
