//! A request's head: what a server reads first.

use core::fmt::{self, Write as _};

use super::Ask;

/// A request, apart from its content.
///
/// ```
/// use bistable_updater::http::{Ask, ByteRange, Request};
///
/// let ask = Ask::Range(ByteRange::new(1024, 4096).unwrap());
/// let mut buffer = [0; 512];
/// let head = Request { host: "192.0.2.1:8080", path: "/latest", ask }.write(&mut buffer)?;
/// assert!(head.starts_with(b"GET /latest HTTP/1.1\r\n"));
/// # Ok::<(), bistable_updater::http::RequestError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// Who is asked, as the `Host` field has it (RFC 9110 §7.2): name or address, with `:port` unless
    /// that is 80, and an IPv6 address in brackets.
    pub host: &'a str,
    /// What it is asked about, as it goes onto the wire (RFC 9112 §3.2.1): begins with `/`, and what
    /// needs percent-encoding is already encoded.
    pub path: &'a str,
    /// What is asked.
    pub ask: Ask,
}

impl Request<'_> {
    /// Writes the head, empty line included, to the start of `buffer` and returns that part of it.
    /// The content of a [`Ask::Post`] or [`Ask::Submit`] goes right behind it.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: host or path cannot be sent as they are, or `buffer` is too short; 512 bytes
    /// are enough where host and path have no more than 250 together.
    pub fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], RequestError> {
        if !is_host(self.host) {
            return Err(RequestError::Host);
        }
        if !is_path(self.path) {
            return Err(RequestError::Path);
        }
        let mut head = Cursor { buffer, length: 0 };
        self.write_lines(&mut head)
            .map_err(|fmt::Error| RequestError::TooLong)?;
        let Cursor { buffer, length } = head;
        buffer.get(..length).ok_or(RequestError::TooLong)
    }

    fn write_lines(&self, head: &mut Cursor<'_>) -> fmt::Result {
        let method = match self.ask {
            Ask::Whole | Ask::Range(_) => "GET",
            Ask::Post { .. } | Ask::Submit { .. } => "POST",
        };
        write!(head, "{method} {} HTTP/1.1\r\n", self.path)?;
        write!(head, "Host: {}\r\n", self.host)?;
        head.write_str(concat!(
            "User-Agent: bistable/",
            env!("CARGO_PKG_VERSION"),
            "\r\n"
        ))?;
        head.write_str("Connection: keep-alive\r\n")?;
        match self.ask {
            // Bytes as they lie: a compressed answer could not be checked piece by piece.
            Ask::Whole => head.write_str("Accept-Encoding: identity\r\n")?,
            Ask::Range(range) => {
                head.write_str("Accept-Encoding: identity\r\n")?;
                write!(head, "Range: bytes={}-{}\r\n", range.first(), range.last())?;
            }
            Ask::Post { length } | Ask::Submit { length } => {
                head.write_str("Content-Type: application/octet-stream\r\n")?;
                write!(head, "Content-Length: {length}\r\n")?;
            }
        }
        head.write_str("\r\n")
    }
}

/// A space or a line break in host or path would let whoever chose it write fields of the head.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic())
}

/// As [`is_host`]; and a fragment stays with the client (RFC 9110 §7.1).
fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Why a request cannot be sent. Nothing has been sent, and trying again changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestError {
    /// The host is empty or has a byte that is not visible ASCII.
    Host,
    /// The path does not begin with `/`, or has a `#` or a byte that is not visible ASCII.
    Path,
    /// The range ends beyond the first 4 GiB.
    Range,
    /// The head is longer than the buffer for it.
    TooLong,
}

impl fmt::Display for RequestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Host => "the host is empty or not plain ASCII: write it as in a URL, `name:port`",
            Self::Path => "the path must begin with `/` and be percent-encoded, without `#`",
            Self::Range => "the range ends beyond 4 GiB",
            Self::TooLong => "host and path are too long for the request's buffer",
        })
    }
}

impl core::error::Error for RequestError {}

/// Text on its way into a buffer.
struct Cursor<'b> {
    buffer: &'b mut [u8],
    length: usize,
}

impl fmt::Write for Cursor<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length.checked_add(text.len()).ok_or(fmt::Error)?;
        let place = self.buffer.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
