//! HTTP/1.1 as far as an updater needs it: ranges of a file, a small answer, a report, receipts.
//!
//! The protocol (RFC 9112, and RFC 9110 §14 for ranges) is bytes in, bytes out: [`Request::write`]
//! puts a request's head into a buffer, [`Response::receive`] takes what came back, however it was
//! split on the way. [`Exchange`] is the two and the rules of a connection that is kept open. [`Client`] drives it over a
//! blocking `embedded-io` connection; the asynchronous client of `bistable-async` drives the same one over its own.
//!
//! ```text
//!   Ask ──► Request::write ──► bytes ──► server ──► bytes ──► Response::receive ──► Answer or Refusal
//!    └───────────────── the answer is held to what was asked ─────────┘
//! ```
//!
//! A server is not trusted, and not argued with either. An answer that is not exactly what was asked for
//! is refused by its name; nothing is guessed, decoded or followed:
//!
//! - a range is answered by 206 with this very range, or with what there is of it at the end of the file;
//! - a body has a `Content-Length`, once, that fits; transfer and content codings are refused;
//! - a redirection is a [`Refusal::Status`];
//! - a head has at most [`HEAD_MAX`] bytes and [`FIELDS_MAX`] fields.
//!
//! Files are named by their digest and never change, so there are no validators (`If-Range`, `ETag`):
//! whatever comes is checked against the name.

mod ask;
mod client;
mod content_range;
mod exchange;
mod field;
mod head;
mod name;
pub mod outcome;
mod receipts;
mod refusal;
mod request;
mod response;
mod verdict;

pub use ask::{Ask, ByteRange};
pub use client::{Client, Connect, Error, HttpSource};
pub use exchange::{Exchange, Step};
pub use head::FIELDS_MAX;
pub use name::parse_digest_name;
pub use receipts::{ANSWER_LEN, Delivery, FRAMED_LEN, RECEIPTS_MAX, Receipts};
pub use refusal::Refusal;
pub use request::{Request, RequestError};
pub use response::{HEAD_MAX, INTERIM_MAX, Progress, Response};
pub use verdict::Answer;
