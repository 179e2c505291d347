//! Why a response is not the answer to what was asked.

use core::fmt;

/// What is wrong with a response: with the file, with the server, or with what lies between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// 404 or 410: the server has no such file (any more).
    NotFound,
    /// 429 or 503: later, please.
    Busy {
        /// After how many seconds, if the server says (RFC 9110 §10.2.3). It is the server's number:
        /// bound it before waiting.
        retry_after: Option<u32>,
    },
    /// Any other status that is not success, redirections among them.
    Status(u16),
    /// 200 for a range: the server sends whole files only, and a device has no room for one.
    RangeIgnored,
    /// `Content-Range` is missing, unreadable, there twice, or does not say what was asked for.
    WrongRange,
    /// `Content-Length` is missing, unreadable, there twice, or contradicts `Content-Range`.
    WrongLength,
    /// The body is longer than the buffer for it.
    TooLong {
        /// Length of the body in bytes, as announced.
        announced: u64,
    },
    /// There is a `Transfer-Encoding`: the body's length would be known only at its end.
    TransferCoded,
    /// There is a `Content-Encoding` although none was accepted.
    ContentCoded,
    /// The head has more than [`HEAD_MAX`](super::HEAD_MAX) bytes.
    HeadTooLong,
    /// The head has more than [`FIELDS_MAX`](super::FIELDS_MAX) fields.
    TooManyFields,
    /// More than [`INTERIM_MAX`](super::INTERIM_MAX) interim responses (1xx) and no final one.
    TooManyInterim,
    /// This is not HTTP/1.0 or HTTP/1.1 (RFC 9112 §2.1).
    Malformed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotFound => "the server has no such file",
            Self::Busy { retry_after: None } => "the server is busy: try again later",
            Self::Busy {
                retry_after: Some(seconds),
            } => {
                return write!(formatter, "the server is busy: try again in {seconds} s");
            }
            Self::Status(status) => {
                return write!(formatter, "the server answered with status {status}");
            }
            Self::RangeIgnored => "the server ignores ranges: serve the file as a static one",
            Self::WrongRange => "the server sent another range than the one asked for",
            Self::WrongLength => "the answer's length is missing or contradicts its range",
            Self::TooLong { announced } => {
                return write!(formatter, "an answer of {announced} bytes is too long");
            }
            Self::TransferCoded => "the answer has a Transfer-Encoding: switch it off",
            Self::ContentCoded => "the answer has a Content-Encoding: switch compression off",
            Self::HeadTooLong => "the answer's head is too long",
            Self::TooManyFields => "the answer's head has too many fields",
            Self::TooManyInterim => "the server sends interim responses without end",
            Self::Malformed => "the answer is not HTTP/1.1",
        };
        formatter.write_str(text)
    }
}

impl core::error::Error for Refusal {}
