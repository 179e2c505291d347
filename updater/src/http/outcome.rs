//! What came of an exchange, as who asked wants to know it: the same for a blocking client and for an asynchronous one.

use bistable_core::digest::Digest;

use super::{Answer, Ask, ByteRange, Error, Refusal, RequestError, parse_digest_name};
use crate::source::ReadError;

/// Length of the longest text that names a digest, in bytes: 64 digits and a line feed.
pub const NAME_LEN: usize = 65;

/// To [`Ask::Whole`]: the file's length in bytes.
///
/// # Errors
/// [`Refusal::Malformed`] if the answer is no file.
pub const fn whole<E>(answer: Answer) -> Result<usize, Error<E>> {
    match answer {
        Answer::Body(length) => Ok(length),
        _ => Err(Error::Refused(Refusal::Malformed)),
    }
}

/// To [`Ask::Post`]: it was taken.
///
/// # Errors
/// [`Refusal::Malformed`] if the answer is anything else.
pub const fn accepted<E>(answer: Answer) -> Result<(), Error<E>> {
    match answer {
        Answer::Accepted => Ok(()),
        _ => Err(Error::Refused(Refusal::Malformed)),
    }
}

/// The digest that a file of at most [`NAME_LEN`] bytes names, which lies at the start of `text`. `length` is its length in bytes, as
/// [`whole`] says it.
///
/// # Errors
/// [`Error::NoDigest`] if it says anything else, or more.
pub fn digest<E>(length: Result<usize, Error<E>>, text: &[u8]) -> Result<Digest, Error<E>> {
    let length = match length {
        Err(Error::Refused(Refusal::TooLong { .. })) => return Err(Error::NoDigest),
        length => length?,
    };
    let text = text.get(..length).unwrap_or_default();
    parse_digest_name(text).ok_or(Error::NoDigest)
}

/// How `length` bytes at `offset` are asked for.
///
/// # Errors
/// [`RequestError::Range`] if HTTP has no way to say that: there are none, or they end beyond 4 GiB.
pub fn range<E>(offset: u32, length: usize) -> Result<Ask, ReadError<Error<E>>> {
    ByteRange::new(offset, length)
        .map(Ask::Range)
        .ok_or(ReadError::Failed(Error::Request(RequestError::Range)))
}

/// To that: all `length` bytes are there.
///
/// # Errors
/// As [`Source::read`](crate::source::Source::read).
pub fn filled<E>(
    result: Result<Answer, Error<E>>,
    length: usize,
) -> Result<(), ReadError<Error<E>>> {
    match result {
        Ok(Answer::Body(found)) if found == length => Ok(()),
        Ok(Answer::EndsAt(end)) => Err(ReadError::EndsAt(end)),
        Ok(_) => Err(ReadError::Failed(Error::Refused(Refusal::WrongRange))),
        Err(error) => Err(ReadError::Failed(error)),
    }
}
