//! A response's head, reduced to what decisions are made from.

use super::Refusal;
use super::content_range::ContentRange;
use super::field::{Field, decimal};

/// The most fields that a response's head may have.
pub const FIELDS_MAX: usize = 32;

/// What a head says, as far as anybody here cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// Three digits.
    pub(super) status: u16,
    /// HTTP/1.1 without `Connection: close` (RFC 9112 §9.3).
    pub(super) persistent: bool,
    /// `Content-Length` in bytes.
    pub(super) length: Field<u64>,
    /// `Content-Range`.
    pub(super) range: Field<ContentRange>,
    /// There is a `Transfer-Encoding`, whichever.
    pub(super) transfer_coded: bool,
    /// There is a `Content-Encoding` other than `identity`.
    pub(super) content_coded: bool,
    /// `Retry-After` in seconds; a date is nothing to a device without a calendar.
    pub(super) retry_after: Option<u32>,
}

impl Head {
    /// Reads a head, and how many bytes it has; `None` if `bytes` end before it does.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyFields),
            Err(_) => return Err(Refusal::Malformed),
        };
        let mut head = Self {
            status: response.code.ok_or(Refusal::Malformed)?,
            persistent: response.version == Some(1),
            length: Field::Absent,
            range: Field::Absent,
            transfer_coded: false,
            content_coded: false,
            retry_after: None,
        };
        for field in response.headers.iter() {
            head.take_in(field.name, field.value);
        }
        Ok(Some((head, length)))
    }

    fn take_in(&mut self, name: &str, value: &[u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("Content-Length") {
            self.length = self.length.met(decimal(value));
        } else if is("Content-Range") {
            self.range = self.range.met(ContentRange::parse(value));
        } else if is("Connection") {
            self.persistent &= !has_token(value, b"close");
        } else if is("Transfer-Encoding") {
            self.transfer_coded = true;
        } else if is("Content-Encoding") {
            self.content_coded |= !value.eq_ignore_ascii_case(b"identity");
        } else if is("Retry-After") {
            let seconds = decimal(value);
            self.retry_after = seconds.map(|seconds| seconds.try_into().unwrap_or(u32::MAX));
        }
    }

    /// Whether nothing follows this head, beyond doubt: no body (RFC 9112 §6.3), and no final response.
    pub(super) fn is_all(&self) -> bool {
        let empty = match self.length {
            Field::Absent => self.status == 204,
            Field::Is(length) => length == 0,
            Field::Bad => false,
        };
        let is_final = self.status >= 200;
        is_final && empty && !self.transfer_coded
    }
}

/// Whether `token` is in a comma-separated list (RFC 9110 §5.6.1).
fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|byte| *byte == b',')
        .any(|entry| entry.trim_ascii().eq_ignore_ascii_case(token))
}
