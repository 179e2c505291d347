//! What a response means, decided from its head alone: a pure function of what was asked.

use super::content_range::ContentRange;
use super::field::Field;
use super::head::Head;
use super::{Ask, ByteRange, Refusal};

/// What a server answered, if it answered what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer {
    /// To [`Ask::Whole`] and [`Ask::Range`]: the body, which is this many bytes at the start of the buffer.
    /// For a range it is the whole range.
    Body(usize),
    /// To [`Ask::Range`]: the file has this many bytes, fewer than the range needs.
    EndsAt(u32),
    /// To [`Ask::Post`] and [`Ask::Submit`]: the server took it.
    Accepted,
    /// To [`Ask::Submit`]: the server did not take it.
    Declined {
        /// 400 or 409.
        status: u16,
        /// Why: this many bytes at the start of the buffer.
        length: usize,
    },
}

/// What is to be done after a head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Forget it; the final response follows (RFC 9110 §15.2).
    Interim,
    /// A body of `length` bytes follows: what was asked for, or, if `ends_at` says so, what there is of it
    /// before the file ends.
    Content { length: u64, ends_at: Option<u32> },
    /// The content was declined with this status; why follows in a body of `length` bytes.
    Declined { status: u16, length: u64 },
    /// This is the answer. A body that may follow is nobody's business.
    Final(Answer),
}

/// What `head` means to who asked `ask`.
pub(super) fn judge(ask: Ask, head: &Head) -> Result<Verdict, Refusal> {
    match (head.status, ask) {
        // Nobody asked to switch protocols.
        (101, _) => Err(Refusal::Status(101)),
        (100..=199, _) => Ok(Verdict::Interim),
        (200, Ask::Whole) => Ok(Verdict::Content {
            length: content_length(head)?,
            ends_at: None,
        }),
        (200, Ask::Range(_)) => Err(Refusal::RangeIgnored),
        (200..=299, Ask::Post { .. } | Ask::Submit { .. }) => Ok(Verdict::Final(Answer::Accepted)),
        (206, Ask::Range(range)) => part(range, head),
        (416, Ask::Range(range)) => beyond(range, head),
        (status @ (400 | 409), Ask::Submit { .. }) => match content_length(head) {
            Ok(length) => Ok(Verdict::Declined { status, length }),
            Err(_) => Err(Refusal::Status(status)),
        },
        (404 | 410, _) => Err(Refusal::NotFound),
        (429 | 503, _) => Err(Refusal::Busy {
            retry_after: head.retry_after,
        }),
        (status, _) => Err(Refusal::Status(status)),
    }
}

/// 206: the range that was asked for, or what the file has of it (RFC 9110 §15.3.7). Several parts at
/// once have no `Content-Range`.
fn part(asked: ByteRange, head: &Head) -> Result<Verdict, Refusal> {
    let Field::Is(ContentRange::Part {
        first,
        last,
        complete,
    }) = head.range
    else {
        return Err(Refusal::WrongRange);
    };
    if first != u64::from(asked.first()) {
        return Err(Refusal::WrongRange);
    }
    let ends_at = if last == u64::from(asked.last()) {
        None
    } else {
        Some(end_within(asked, last, complete).ok_or(Refusal::WrongRange)?)
    };
    let length = content_length(head)?;
    let stated = last.checked_sub(first).and_then(|more| more.checked_add(1));
    if stated != Some(length) {
        return Err(Refusal::WrongLength);
    }
    Ok(Verdict::Content { length, ends_at })
}

/// Less than what was asked for is believed only of the file's end: where that is.
fn end_within(asked: ByteRange, last: u64, complete: Option<u64>) -> Option<u32> {
    let complete = complete?;
    let is_the_end = last.checked_add(1) == Some(complete);
    let is_within = complete <= u64::from(asked.last());
    if !(is_the_end && is_within) {
        return None;
    }
    u32::try_from(complete).ok()
}

/// 416: the file ends before the range begins (RFC 9110 §15.5.17).
fn beyond(asked: ByteRange, head: &Head) -> Result<Verdict, Refusal> {
    let Field::Is(ContentRange::Nothing { complete }) = head.range else {
        return Err(Refusal::WrongRange);
    };
    match u32::try_from(complete) {
        Ok(complete) if complete <= asked.first() => Ok(Verdict::Final(Answer::EndsAt(complete))),
        _ => Err(Refusal::WrongRange),
    }
}

/// The length of a body that is going to be read: framed by `Content-Length` and by nothing else.
fn content_length(head: &Head) -> Result<u64, Refusal> {
    if head.transfer_coded {
        return Err(Refusal::TransferCoded);
    }
    if head.content_coded {
        return Err(Refusal::ContentCoded);
    }
    match head.length {
        Field::Is(length) => Ok(length),
        Field::Absent | Field::Bad => Err(Refusal::WrongLength),
    }
}
