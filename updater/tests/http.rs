//! The HTTP client against servers that behave, that do not, and that do not mean to.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use bistable_core::digest::Digest;
use bistable_updater::device_key::SoftwareKey;
use bistable_updater::drift::Drift;
use bistable_updater::http::{
    Answer, Ask, ByteRange, Client, Connect, Delivery, Error, Exchange, FIELDS_MAX, FRAMED_LEN,
    HEAD_MAX, INTERIM_MAX, Progress, Receipts, Refusal, Request, RequestError, Response, Step,
};
use bistable_updater::identity::Serial;
use bistable_updater::locks::Locks;
use bistable_updater::receipt::{Receipt, Signed, State};
use bistable_updater::source::{ReadError, Source};

/// The byte of the file at `offset`, so that a wrong place shows.
fn byte_at(offset: usize) -> u8 {
    (offset ^ (offset >> 8) ^ (offset >> 16)) as u8
}

fn file(length: usize) -> Vec<u8> {
    (0..length).map(byte_at).collect()
}

fn range(first: u32, length: usize) -> Ask {
    Ask::Range(ByteRange::new(first, length).unwrap())
}

// ---- Requests ------------------------------------------------------------------------------------

fn written(path: &str, ask: Ask) -> Result<String, RequestError> {
    let mut buffer = [0; 512];
    let host = "192.0.2.1:8080";
    let head = Request { host, path, ask }.write(&mut buffer)?;
    Ok(String::from_utf8(head.to_vec()).unwrap())
}

#[test]
fn a_range_is_asked_for_with_both_ends_included() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        written("/images/ab", range(1024, 4096)).unwrap(),
        format!(
            "GET /images/ab HTTP/1.1\r\nHost: 192.0.2.1:8080\r\nUser-Agent: bistable/{version}\r\n\
             Connection: keep-alive\r\nAccept-Encoding: identity\r\nRange: bytes=1024-5119\r\n\r\n"
        )
    );
}

#[test]
fn a_whole_file_is_asked_for_without_a_range() {
    let head = written("/latest", Ask::Whole).unwrap();
    assert!(head.starts_with("GET /latest HTTP/1.1\r\nHost: 192.0.2.1:8080\r\n"));
    assert!(head.ends_with("\r\n\r\n"));
    assert!(!head.contains("Range") && !head.contains("Content-Length"));
}

#[test]
fn a_post_announces_its_content() {
    let head = written("/report", Ask::Post { length: 200 }).unwrap();
    assert!(head.starts_with("POST /report HTTP/1.1\r\n"));
    assert!(head.contains("\r\nContent-Length: 200\r\n"));
    assert!(head.contains("\r\nContent-Type: application/octet-stream\r\n"));
    let head = written("/report", Ask::Post { length: 0 }).unwrap();
    assert!(head.contains("\r\nContent-Length: 0\r\n"));
}

#[test]
fn nobody_writes_fields_of_the_head_through_host_or_path() {
    for path in [
        "",
        "latest",
        "/a b",
        "/a\r\nX: y",
        "/a\n",
        "/ä",
        "/a#b",
        "/\0",
        "http://a/",
    ] {
        assert_eq!(
            written(path, Ask::Whole),
            Err(RequestError::Path),
            "{path:?}"
        );
    }
    for host in ["", "a b", "a\r\nX: y", "a\t", "ä"] {
        let request = Request {
            host,
            path: "/",
            ask: Ask::Whole,
        };
        let refused = request.write(&mut [0; 512]).map(<[u8]>::len);
        assert_eq!(refused, Err(RequestError::Host), "{host:?}");
    }
}

#[test]
fn a_head_is_written_whole_or_not_at_all() {
    let ask = range(u32::MAX - 1, 2);
    let whole = written("/x", ask).unwrap();
    let request = Request {
        host: "192.0.2.1:8080",
        path: "/x",
        ask,
    };
    for length in 0..whole.len() {
        let refused = request.write(&mut vec![0; length]).map(<[u8]>::len);
        assert_eq!(refused, Err(RequestError::TooLong), "{length}");
    }
    assert_eq!(
        request.write(&mut vec![0; whole.len()]),
        Ok(whole.as_bytes())
    );
}

#[test]
fn a_head_fits_512_bytes_if_host_and_path_have_250() {
    let path = format!("/{}", "p".repeat(199));
    let host = "h".repeat(50);
    for ask in [
        Ask::Whole,
        range(u32::MAX - 9, 10),
        Ask::Post { length: usize::MAX },
    ] {
        let request = Request {
            host: &host,
            path: &path,
            ask,
        };
        assert!(request.write(&mut [0; 512]).is_ok(), "{ask:?}");
    }
}

// ---- Responses -----------------------------------------------------------------------------------

const GUARD: u8 = 0xa5;

/// What became of a response: the result, whether the connection is reusable, and the buffer.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: Result<Progress, Refusal>,
    reusable: bool,
    body: Vec<u8>,
}

/// Feeds pieces to a response with room for `room` bytes, and checks that it keeps to its room and to
/// its result.
fn feed<'p>(ask: Ask, room: usize, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut memory = vec![GUARD; room + 64];
    let mut response = Response::new(ask, &mut memory[32..32 + room]);
    assert!(response.is_untouched() && !response.is_reusable());
    let mut result = Ok(Progress::Incomplete);
    for piece in pieces {
        let next = response.receive(piece);
        if result != Ok(Progress::Incomplete) {
            assert_eq!(next, result, "a result does not change");
        }
        result = next;
        assert!(piece.is_empty() || !response.is_untouched());
    }
    let reusable = response.is_reusable();
    assert!(!reusable || result != Ok(Progress::Incomplete));
    let guarded = |bytes: &[u8]| bytes.iter().all(|byte| *byte == GUARD);
    assert!(guarded(&memory[..32]) && guarded(&memory[32 + room..]));
    let body = memory[32..32 + room].to_vec();
    Outcome {
        result,
        reusable,
        body,
    }
}

fn feed_all(ask: Ask, room: usize, response: &[u8]) -> Outcome {
    feed(ask, room, [response])
}

/// The answer to a range of 10 bytes at 100.
const TEN: &str = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100-109/500\r\nContent-Length: 10\r\n\r\n0123456789";

fn ten(response: &str) -> Outcome {
    feed_all(range(100, 10), 10, response.as_bytes())
}

/// A response of status `status` with these fields to a range of 10 bytes at 100.
fn ten_with(status: &str, fields: &[&str]) -> Outcome {
    let mut response = format!("HTTP/1.1 {status}\r\n");
    for field in fields {
        write!(response, "{field}\r\n").unwrap();
    }
    ten(&(response + "\r\n0123456789"))
}

fn complete(answer: Answer) -> Result<Progress, Refusal> {
    Ok(Progress::Complete(answer))
}

#[test]
fn a_range_is_delivered() {
    let outcome = ten(TEN);
    assert_eq!(outcome.result, complete(Answer::Body(10)));
    assert_eq!(outcome.body, b"0123456789");
    assert!(outcome.reusable);
}

#[test]
fn a_response_may_be_split_anywhere() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let responses = [
        (range(100, 10), TEN.to_string()),
        (range(100, 10), format!("{interim}{TEN}")),
        (
            range(495, 10),
            "HTTP/1.1 206 P\r\nContent-Range: bytes 495-499/500\r\nContent-Length: 5\r\n\r\n01234"
                .into(),
        ),
        (
            range(500, 10),
            "HTTP/1.1 416 R\r\nContent-Range: bytes */500\r\nContent-Length: 0\r\n\r\n".into(),
        ),
        (
            Ask::Whole,
            "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nanswers".into(),
        ),
        (
            Ask::Whole,
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
        ),
        (
            Ask::Whole,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone".into(),
        ),
        (
            Ask::Post { length: 3 },
            "HTTP/1.1 204 No Content\r\n\r\n".into(),
        ),
        (Ask::Whole, "HTTP/1.1 2oo OK\r\n\r\n".into()),
        (
            Ask::Submit { length: 3 },
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nB203\n".into(),
        ),
    ];
    for (ask, response) in responses {
        let bytes = response.as_bytes();
        let whole = feed_all(ask, 10, bytes);
        assert_ne!(whole.result, Ok(Progress::Incomplete), "{response}");
        for first in 0..=bytes.len() {
            let (head, rest) = bytes.split_at(first);
            for second in [0, 1, 2, rest.len() / 2, rest.len()] {
                let (middle, tail) = rest.split_at(second.min(rest.len()));
                let split = feed(ask, 10, [head, &[], middle, tail]);
                assert_eq!(
                    split.result, whole.result,
                    "{response} at {first}, {second}"
                );
                assert_eq!(split.body, whole.body, "{response} at {first}, {second}");
            }
        }
        assert_eq!(
            feed(ask, 10, bytes.chunks(1)).result,
            whole.result,
            "{response}"
        );
    }
}

#[test]
fn a_response_is_complete_with_its_last_byte_and_not_before() {
    for length in 0..TEN.len() {
        let outcome = ten(&TEN[..length]);
        assert_eq!(outcome.result, Ok(Progress::Incomplete), "{length}");
        assert!(!outcome.reusable);
    }
}

#[test]
fn what_follows_a_response_is_dropped_and_the_connection_with_it() {
    for more in ["\n", "HTTP/1.1 206 P\r\n", TEN] {
        let outcome = ten(&format!("{TEN}{more}"));
        assert_eq!(outcome.result, complete(Answer::Body(10)));
        assert_eq!(outcome.body, b"0123456789");
        assert!(!outcome.reusable);
        let late = feed(range(100, 10), 10, [TEN.as_bytes(), more.as_bytes()]);
        assert!(!late.reusable);
        assert_eq!(late.body, b"0123456789");
    }
}

#[test]
fn the_end_of_a_file_is_told_from_everything_else() {
    let short =
        "HTTP/1.1 206 P\r\nContent-Range: bytes 100-104/105\r\nContent-Length: 5\r\n\r\n01234";
    let outcome = ten(short);
    assert_eq!(outcome.result, complete(Answer::EndsAt(105)));
    assert!(outcome.reusable);

    for (complete_length, fields) in [
        (100, "Content-Range: bytes */100\r\nContent-Length: 0\r\n"),
        (7, "Content-Range: bytes */7\r\nContent-Length: 0\r\n"),
        (0, "content-range: BYTES */0\r\nContent-Length: 0\r\n"),
    ] {
        let outcome = ten(&format!(
            "HTTP/1.1 416 Range Not Satisfiable\r\n{fields}\r\n"
        ));
        assert_eq!(outcome.result, complete(Answer::EndsAt(complete_length)));
        assert!(outcome.reusable);
    }
}

#[test]
fn a_range_may_come_from_a_file_of_unknown_length_if_it_is_whole() {
    let outcome = ten_with(
        "206 P",
        &["Content-Range: bytes 100-109/*", "Content-Length: 10"],
    );
    assert_eq!(outcome.result, complete(Answer::Body(10)));
    let outcome = ten_with(
        "206 P",
        &["Content-Range: bytes 100-104/*", "Content-Length: 5"],
    );
    assert_eq!(outcome.result, Err(Refusal::WrongRange));
}

#[test]
fn another_range_than_the_one_asked_for_is_refused() {
    for fields in [
        &["Content-Length: 10"][..],
        &["Content-Range: bytes 0-9/500", "Content-Length: 10"],
        &["Content-Range: bytes 99-108/500", "Content-Length: 10"],
        &["Content-Range: bytes 101-109/500", "Content-Length: 9"],
        &["Content-Range: bytes 100-108/500", "Content-Length: 9"],
        &["Content-Range: bytes 100-104/107", "Content-Length: 5"],
        &["Content-Range: bytes 100-110/500", "Content-Length: 11"],
        &["Content-Range: bytes 100-110/111", "Content-Length: 11"],
        &["Content-Range: bytes 100-109/109", "Content-Length: 10"],
        &["Content-Range: bytes */500", "Content-Length: 10"],
        &["Content-Range: items 100-109/500", "Content-Length: 10"],
        &[
            "Content-Range: bytes 100-109/500",
            "Content-Range: bytes 100-109/500",
            "Content-Length: 10",
        ],
        &[
            "Content-Range: bytes 100-18446744073709551615/*",
            "Content-Length: 10",
        ],
        &[
            "Content-Type: multipart/byteranges; boundary=x",
            "Content-Length: 10",
        ],
    ] {
        assert_eq!(
            ten_with("206 P", fields).result,
            Err(Refusal::WrongRange),
            "{fields:?}"
        );
    }
}

#[test]
fn an_end_of_file_that_contradicts_the_question_is_refused() {
    for field in [
        "X: y",
        "Content-Range: bytes */101",
        "Content-Range: bytes */4294967396",
        "Content-Range: bytes 100-109/500",
        "Content-Range: bytes */*",
    ] {
        let outcome = ten_with("416 R", &[field, "Content-Length: 0"]);
        assert_eq!(outcome.result, Err(Refusal::WrongRange), "{field}");
    }
}

#[test]
fn a_length_that_is_missing_doubled_or_contradictory_is_refused() {
    let range = "Content-Range: bytes 100-109/500";
    for fields in [
        &[range][..],
        &[range, "Content-Length: 9"],
        &[range, "Content-Length: 11"],
        &[range, "Content-Length: 0"],
        &[range, "Content-Length: 10", "Content-Length: 10"],
        &[range, "Content-Length: 10", "content-length: 11"],
        &[range, "Content-Length: 10, 10"],
        &[range, "Content-Length: +10"],
        &[range, "Content-Length: -10"],
        &[range, "Content-Length: 0xa"],
        &[range, "Content-Length:"],
        &[range, "Content-Length: 18446744073709551626"],
    ] {
        let outcome = ten_with("206 P", fields);
        assert_eq!(outcome.result, Err(Refusal::WrongLength), "{fields:?}");
        assert!(!outcome.reusable);
    }
}

#[test]
fn codings_are_refused() {
    let good = ["Content-Range: bytes 100-109/500", "Content-Length: 10"];
    for coding in ["chunked", "gzip, chunked", "identity", ""] {
        let field = format!("Transfer-Encoding: {coding}");
        let outcome = ten_with("206 P", &[good[0], good[1], &field]);
        assert_eq!(outcome.result, Err(Refusal::TransferCoded), "{coding}");
        assert!(!outcome.reusable);
    }
    for coding in ["gzip", "br", "identity, gzip"] {
        let field = format!("Content-Encoding: {coding}");
        let outcome = ten_with("206 P", &[good[0], good[1], &field]);
        assert_eq!(outcome.result, Err(Refusal::ContentCoded), "{coding}");
    }
    let twice = ["Content-Encoding: gzip", "Content-Encoding: identity"];
    let outcome = ten_with("206 P", &[good[0], good[1], twice[0], twice[1]]);
    assert_eq!(outcome.result, Err(Refusal::ContentCoded));
    let outcome = ten_with("206 P", &[good[0], good[1], "Content-Encoding: Identity"]);
    assert_eq!(outcome.result, complete(Answer::Body(10)));
}

#[test]
fn a_server_that_ignores_ranges_is_refused_by_that_name() {
    let outcome = ten_with("200 OK", &["Content-Length: 10"]);
    assert_eq!(outcome.result, Err(Refusal::RangeIgnored));
    assert!(!outcome.reusable);
}

#[test]
fn other_statuses_are_reported_as_what_they_are() {
    let busy = |retry_after| Refusal::Busy { retry_after };
    for (status, field, refusal) in [
        ("404 Not Found", "X: y", Refusal::NotFound),
        ("410 Gone", "X: y", Refusal::NotFound),
        ("429 Too Many Requests", "Retry-After: 30", busy(Some(30))),
        ("503 Service Unavailable", "Retry-After: 0", busy(Some(0))),
        ("503 Service Unavailable", "X: y", busy(None)),
        (
            "503 S",
            "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT",
            busy(None),
        ),
        ("503 S", "Retry-After: -1", busy(None)),
        ("503 S", "Retry-After: 4294967296", busy(Some(u32::MAX))),
        ("503 S", "Transfer-Encoding: chunked", busy(None)),
        (
            "101 Switching Protocols",
            "Upgrade: h2c",
            Refusal::Status(101),
        ),
        ("204 No Content", "X: y", Refusal::Status(204)),
        ("301 Moved Permanently", "Location: /", Refusal::Status(301)),
        ("304 Not Modified", "X: y", Refusal::Status(304)),
        ("401 Unauthorized", "X: y", Refusal::Status(401)),
        ("500 Oops", "X: y", Refusal::Status(500)),
        ("999 What", "X: y", Refusal::Status(999)),
        ("000 What", "X: y", Refusal::Status(0)),
    ] {
        assert_eq!(
            ten_with(status, &[field]).result,
            Err(refusal),
            "{status}, {field}"
        );
    }
}

#[test]
fn a_whole_file_is_not_answered_by_a_part() {
    let outcome = feed_all(Ask::Whole, 10, TEN.as_bytes());
    assert_eq!(outcome.result, Err(Refusal::Status(206)));
}

#[test]
fn a_body_that_does_not_fit_is_refused_before_any_of_it_is_taken() {
    for announced in [11, u64::from(u32::MAX), u64::MAX] {
        let response =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n0123456789abc");
        let outcome = feed_all(Ask::Whole, 10, response.as_bytes());
        assert_eq!(outcome.result, Err(Refusal::TooLong { announced }));
        assert_eq!(outcome.body, [GUARD; 10]);
        assert!(!outcome.reusable);
    }
    let outcome = feed_all(range(100, 10), 9, TEN.as_bytes());
    assert_eq!(outcome.result, Err(Refusal::TooLong { announced: 10 }));
}

#[test]
fn a_short_body_leaves_the_rest_of_the_buffer_alone() {
    let outcome = feed_all(
        Ask::Whole,
        10,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    );
    assert_eq!(outcome.result, complete(Answer::Body(3)));
    assert_eq!(
        outcome.body,
        [
            b'a', b'b', b'c', GUARD, GUARD, GUARD, GUARD, GUARD, GUARD, GUARD
        ]
    );
}

#[test]
fn success_of_any_kind_accepts_a_post() {
    let ask = Ask::Post { length: 3 };
    for (response, reusable) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        (
            "HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nthank",
            false,
        ),
        (
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
        (
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
            false,
        ),
    ] {
        let outcome = feed_all(ask, 0, response.as_bytes());
        assert_eq!(outcome.result, complete(Answer::Accepted), "{response}");
        assert_eq!(outcome.reusable, reusable, "{response}");
    }
    let outcome = feed_all(
        ask,
        0,
        b"HTTP/1.1 416 R\r\nContent-Range: bytes */0\r\n\r\n",
    );
    assert_eq!(outcome.result, Err(Refusal::Status(416)));
}

#[test]
fn a_submission_is_taken_or_declined_with_what_the_server_says() {
    let ask = Ask::Submit { length: 3 };
    let answer = |response: &str| feed_all(ask, 10, response.as_bytes());
    let taken = answer("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(taken.result, complete(Answer::Accepted));
    for status in [400, 409] {
        let declined = answer(&format!(
            "HTTP/1.1 {status} No\r\nContent-Length: 4\r\n\r\nB203"
        ));
        let why = Answer::Declined { status, length: 4 };
        assert_eq!(declined.result, complete(why));
        assert_eq!(declined.body[..4], *b"B203");
        assert!(declined.reusable);
        // Too long, of unknown length, compressed: the status must do.
        for fields in [
            "Content-Length: 11\r\n",
            "",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 4\r\nContent-Encoding: gzip\r\n",
        ] {
            let bare = answer(&format!("HTTP/1.1 {status} No\r\n{fields}\r\nB203"));
            assert_eq!(bare.result, Err(Refusal::Status(status)), "{fields}");
            assert!(!bare.reusable, "{fields}");
        }
        // A report is taken, or it is not.
        let report = format!("HTTP/1.1 {status} No\r\nContent-Length: 4\r\n\r\nB203");
        let report = feed_all(Ask::Post { length: 3 }, 10, report.as_bytes());
        assert_eq!(report.result, Err(Refusal::Status(status)));
    }
    let busy = answer("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    let later = Refusal::Busy {
        retry_after: Some(7),
    };
    assert_eq!(busy.result, Err(later));
}

#[test]
fn a_refusal_without_a_body_leaves_the_connection_reusable() {
    let refused = |fields: &str| ten(&format!("HTTP/1.1 404 N\r\n{fields}\r\n"));
    assert!(refused("Content-Length: 0\r\n").reusable);
    for fields in [
        "",
        "Content-Length: 1\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 0\r\nConnection: close\r\n",
    ] {
        assert!(!refused(fields).reusable, "{fields:?}");
    }
}

#[test]
fn a_server_that_announces_to_close_is_believed() {
    let good = ["Content-Range: bytes 100-109/500", "Content-Length: 10"];
    for (field, reusable) in [
        ("Connection: close", false),
        ("connection: Close", false),
        ("Connection: x, close ,y", false),
        ("Connection: keep-alive", true),
        ("Connection: closed", true),
    ] {
        let outcome = ten_with("206 P", &[good[0], good[1], field]);
        assert_eq!(outcome.result, complete(Answer::Body(10)));
        assert_eq!(outcome.reusable, reusable, "{field}");
    }
    let several = ten_with(
        "206 P",
        &[
            good[0],
            good[1],
            "Connection: close",
            "Connection: keep-alive",
        ],
    );
    assert!(!several.reusable);
    let old = ten(&TEN.replace("HTTP/1.1", "HTTP/1.0"));
    assert_eq!(old.result, complete(Answer::Body(10)));
    assert!(!old.reusable);
}

#[test]
fn interim_responses_are_skipped_but_not_without_end() {
    let interim = "HTTP/1.1 102 Processing\r\nContent-Length: 0\r\n\r\n";
    let most = interim.repeat(INTERIM_MAX.into());
    let outcome = ten(&format!("{most}{TEN}"));
    assert_eq!(outcome.result, complete(Answer::Body(10)));
    assert_eq!(outcome.body, b"0123456789");
    assert!(outcome.reusable);
    let outcome = ten(&format!("{interim}garbage"));
    assert_eq!(outcome.result, Err(Refusal::Malformed));
    assert!(!outcome.reusable);
    let outcome = ten(&format!("{most}{interim}"));
    assert_eq!(outcome.result, Err(Refusal::TooManyInterim));
    assert!(!outcome.reusable);
}

#[test]
fn a_head_has_a_largest_length() {
    let (start, end) = TEN.split_at(TEN.find("\r\n").unwrap() + 2);
    let head_len = TEN.len() - 10;
    let padded = |length: usize| {
        let padding = "p".repeat(length - head_len - "X: \r\n".len());
        format!("{start}X: {padding}\r\n{end}")
    };
    let longest = padded(HEAD_MAX);
    assert_eq!(longest.len(), HEAD_MAX + 10);
    let too_long = padded(HEAD_MAX + 1);
    for size in [1, 7, HEAD_MAX, HEAD_MAX + 11] {
        let outcome = feed(range(100, 10), 10, longest.as_bytes().chunks(size));
        assert_eq!(outcome.result, complete(Answer::Body(10)), "{size}");
        assert_eq!(outcome.body, b"0123456789");
        let outcome = feed(range(100, 10), 10, too_long.as_bytes().chunks(size));
        assert_eq!(outcome.result, Err(Refusal::HeadTooLong), "{size}");
        assert!(!outcome.reusable);
    }
}

#[test]
fn a_head_has_a_largest_number_of_fields() {
    let with = |count: usize| {
        let more = "A: b\r\n".repeat(count - 2);
        ten(&TEN.replacen("\r\n", &format!("\r\n{more}"), 1)).result
    };
    assert_eq!(with(FIELDS_MAX), complete(Answer::Body(10)));
    assert_eq!(with(FIELDS_MAX + 1), Err(Refusal::TooManyFields));
}

#[test]
fn what_is_not_http_is_refused_as_soon_as_it_shows() {
    for response in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/2 200\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 206 P\r\nContent-Length : 10\r\n\r\n",
        "HTTP/1.1 206 P\r\nContent-Range: bytes\r\n 100-109/500\r\n\r\n",
        "HTTP/1.1 206 P\r\n: 10\r\n\r\n",
        "HTTP/1.1 206 P\r\nX: \0\r\n\r\n",
        "\0\0\0\0",
    ] {
        let outcome = ten(response);
        assert_eq!(outcome.result, Err(Refusal::Malformed), "{response:?}");
        assert!(!outcome.reusable);
    }
}

// ---- Hostile responses ---------------------------------------------------------------------------

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// Pieces that make a mutation meaningful more often than a random byte does.
const DICTIONARY: &[&str] = &[
    "\r\n",
    "\n",
    "\r\n\r\n",
    ": ",
    "0",
    "9",
    "-",
    "/",
    "*",
    ",",
    " ",
    "\0",
    "é",
    "HTTP/1.1 206 P\r\n",
    "HTTP/1.0 ",
    "HTTP/1.1 100 C\r\n\r\n",
    "200",
    "206",
    "416",
    "503",
    "101",
    "Content-Length: 10\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "content-length: 4294967306\r\n",
    "Content-Range: bytes 100-109/500\r\n",
    "Content-Range: bytes */50\r\n",
    "content-range: bytes 100-104/105\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Encoding: gzip\r\n",
    "Connection: close\r\n",
    "Retry-After: 5\r\n",
];

fn mutate(random: &mut Random, response: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(response.len() + 1);
        let end = (at + random.below(24)).min(response.len());
        match random.below(8) {
            0 if at < response.len() => response[at] ^= 1 << random.below(8),
            1 if at < response.len() => response[at] = random.next() as u8,
            2 => drop(response.drain(at..end)),
            3 => {
                let copy = response[at..end].to_vec();
                let to = random.below(response.len() + 1);
                response.splice(to..to, copy);
            }
            4 => response.truncate(at),
            5 if at < response.len() => response[at] = b'0' + random.below(10) as u8,
            _ => drop(response.splice(at..at, random.pick(DICTIONARY).bytes())),
        }
    }
}

/// A reader of responses that is as plain as can be: where the body of the final response begins, and
/// whether its head states the range `first` to `last` with exactly that many bytes, or less at the end
/// of the file.
fn stated_body(response: &[u8], first: u64, last: u64) -> Option<(usize, usize)> {
    let mut start = 0;
    loop {
        let mut lines = Vec::new();
        loop {
            let length = response[start..].iter().position(|byte| *byte == b'\n')?;
            let line =
                String::from_utf8_lossy(&response[start..start + length]).to_ascii_lowercase();
            start += length + 1;
            let line = line.strip_suffix('\r').unwrap_or(&line).to_string();
            if !line.is_empty() {
                lines.push(line);
            } else if !lines.is_empty() {
                break;
            }
        }
        let status = lines[0].split(' ').nth(1)?.to_string();
        if status.starts_with('1') {
            continue;
        }
        let values = |name: &str| -> Vec<String> {
            lines[1..]
                .iter()
                .filter_map(|line| line.split_once(':'))
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value.trim().to_string())
                .collect()
        };
        let ranges = values("content-range");
        let lengths = values("content-length");
        let coded = !values("transfer-encoding").is_empty()
            || values("content-encoding")
                .iter()
                .any(|value| value != "identity");
        if status != "206" || ranges.len() != 1 || lengths.len() != 1 || coded {
            return None;
        }
        let (part, complete) = ranges[0].strip_prefix("bytes ")?.split_once('/')?;
        let (from, to) = part.split_once('-')?;
        let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
        let length: u64 = lengths[0].parse().ok()?;
        let consistent = from == first && to - from + 1 == length;
        let at_the_end = complete.parse() == Ok(to + 1);
        return (consistent && (to == last || (to < last && at_the_end)))
            .then_some((start, length as usize));
    }
}

#[test]
fn whatever_a_server_sends_is_a_stated_range_or_refused() {
    let seeds: Vec<Vec<u8>> = [
        TEN.to_string(),
        format!("HTTP/1.1 100 Continue\r\n\r\n{TEN}"),
        "HTTP/1.1 206 P\r\nServer: nginx\r\nContent-Range: bytes 100-104/105\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n01234".into(),
        "HTTP/1.1 416 R\r\nContent-Range: bytes */77\r\nContent-Length: 0\r\n\r\n".into(),
        "HTTP/1.1 503 S\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy".into(),
        format!("{TEN}{TEN}"),
    ]
    .map(String::into_bytes)
    .into();
    let mut random = Random(0x0b15_7ab1_e000_0001);
    let (mut delivered, mut ended, mut refused) = (0, 0, 0);
    for case in 0..100_000 {
        let mut response = random.pick(&seeds).clone();
        mutate(&mut random, &mut response);
        let shown = || format!("case {case}: {:?}", String::from_utf8_lossy(&response));
        let whole = feed_all(range(100, 10), 10, &response);

        let mut pieces = Vec::new();
        let mut rest = &response[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((1 + random.below(40)).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        let split = feed(range(100, 10), 10, pieces);
        assert_eq!(split.result, whole.result, "{}", shown());
        assert_eq!(split.body, whole.body, "{}", shown());

        match whole.result {
            Ok(Progress::Complete(Answer::Body(length))) => {
                delivered += 1;
                assert_eq!(length, 10, "{}", shown());
                let (start, stated) =
                    stated_body(&response, 100, 109).unwrap_or_else(|| panic!("{}", shown()));
                assert_eq!(stated, 10, "{}", shown());
                assert_eq!(whole.body, response[start..start + 10], "{}", shown());
                assert!(
                    !whole.reusable || response.len() == start + 10,
                    "{}",
                    shown()
                );
            }
            Ok(Progress::Complete(Answer::EndsAt(length))) => {
                ended += 1;
                assert!(length < 110, "{}", shown());
            }
            Ok(Progress::Complete(Answer::Accepted | Answer::Declined { .. })) => {
                panic!("{}", shown())
            }
            Ok(Progress::Incomplete) => assert!(!whole.reusable),
            Err(_) => refused += 1,
        }
    }
    assert!(
        delivered > 2_000 && ended > 2_000 && refused > 2_000,
        "{delivered}, {ended}, {refused}"
    );
}

// ---- The exchange, step by step --------------------------------------------------------------------

#[test]
fn an_exchange_that_is_not_over_leaves_no_connection_that_can_be_used() {
    let mut body = [0; 10];
    let exchange = Exchange::<Broken>::new("server", "/f", range(100, 10), &[], &mut body, false);
    let mut exchange = exchange.unwrap();
    assert!(matches!(exchange.step(), Some(Step::Connect)));
    // Asked again, it wants the same again.
    assert!(matches!(exchange.step(), Some(Step::Connect)));
    exchange.connected(Ok(()));
    let Some(Step::Send(head)) = exchange.step() else {
        panic!("nothing to send");
    };
    assert!(head.ends_with(b"\r\n\r\n"));
    let length = head.len();
    exchange.sent(Ok(length));
    assert!(matches!(exchange.step(), Some(Step::Flush)));
    exchange.flushed(Ok(()));
    assert!(matches!(exchange.step(), Some(Step::Receive(_))));
    assert_eq!(exchange.end(), (Err(Error::Closed), false));
}

#[test]
fn a_connection_that_says_it_took_more_than_there_was_is_closed() {
    let mut body = [0; 10];
    let exchange = Exchange::<Broken>::new("server", "/f", range(100, 10), &[], &mut body, false);
    let mut exchange = exchange.unwrap();
    exchange.connected(Ok(()));
    exchange.sent(Ok(usize::MAX));
    assert!(matches!(exchange.step(), Some(Step::Close)));
    assert!(exchange.step().is_none());
    assert_eq!(exchange.end(), (Err(Error::Closed), false));
}

// ---- The driver, over a connection that is scripted ----------------------------------------------

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("broken")
    }
}

impl std::error::Error for Broken {}

impl embedded_io::Error for Broken {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::Other
    }
}

/// What one read or write of a scripted connection does.
#[derive(Clone)]
enum Event {
    Bytes(Vec<u8>),
    Eof,
    Error,
    /// The next write fails, or takes nothing.
    WriteError,
    WriteNothing,
}

fn bytes(text: &str) -> Event {
    Event::Bytes(text.as_bytes().to_vec())
}

/// Connections that do what they are told, in order; `None` cannot be opened.
#[derive(Default)]
struct Script {
    connections: VecDeque<Option<Vec<Event>>>,
    current: Option<VecDeque<Event>>,
    opened: usize,
    closed: usize,
    sent: Vec<u8>,
}

impl Script {
    fn new(connections: impl IntoIterator<Item = Option<Vec<Event>>>) -> Self {
        let connections = connections.into_iter().collect();
        Self {
            connections,
            ..Self::default()
        }
    }

    fn requests(&self) -> usize {
        String::from_utf8_lossy(&self.sent)
            .matches(" HTTP/1.1\r\n")
            .count()
    }
}

impl embedded_io::ErrorType for Script {
    type Error = Broken;
}

impl embedded_io::Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        let events = self.current.as_mut().expect("reads only what is open");
        match events
            .pop_front()
            .expect("reads no further than the script goes")
        {
            Event::Bytes(mut bytes) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if !bytes.is_empty() {
                    events.push_front(Event::Bytes(bytes));
                }
                Ok(count)
            }
            Event::Eof => Ok(0),
            Event::Error => Err(Broken),
            Event::WriteError | Event::WriteNothing => panic!("nothing was written"),
        }
    }
}

impl embedded_io::Write for Script {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let events = self.current.as_mut().expect("writes only what is open");
        match events.front() {
            Some(Event::WriteError) => Err(Broken),
            Some(Event::WriteNothing) => Ok(0),
            _ => {
                let count = bytes.len().min(100);
                self.sent.extend(&bytes[..count]);
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> Result<(), Broken> {
        Ok(())
    }
}

impl Connect for Script {
    fn connect(&mut self) -> Result<(), Broken> {
        self.opened += 1;
        self.current = self
            .connections
            .pop_front()
            .expect("no more connections")
            .map(Into::into);
        self.current.as_ref().map(|_| ()).ok_or(Broken)
    }

    fn close(&mut self) {
        self.closed += 1;
        self.current = None;
    }
}

fn read_ten(client: &mut Client<'_, &mut Script>) -> Result<[u8; 10], ReadError<Error<Broken>>> {
    let mut buffer = [0; 10];
    client.file("/f").read(100, &mut buffer).map(|()| buffer)
}

const DIGITS: &[u8; 10] = b"0123456789";

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let mut script = Script::new([Some(vec![bytes(TEN), bytes(&TEN[..50]), bytes(&TEN[50..])])]);
    let mut client = Client::new(&mut script, "server");
    assert_eq!(read_ten(&mut client), Ok(*DIGITS));
    assert_eq!(read_ten(&mut client), Ok(*DIGITS));
    assert_eq!((script.opened, script.closed, script.requests()), (1, 0, 2));
}

#[test]
fn a_kept_connection_that_was_closed_is_opened_again_once() {
    for end in [
        Event::Eof,
        Event::Error,
        Event::WriteError,
        Event::WriteNothing,
    ] {
        let first = vec![bytes(TEN), end.clone()];
        let mut script = Script::new([Some(first.clone()), Some(vec![bytes(TEN)])]);
        let mut client = Client::new(&mut script, "server");
        assert_eq!(read_ten(&mut client), Ok(*DIGITS));
        assert_eq!(read_ten(&mut client), Ok(*DIGITS));
        assert_eq!((script.opened, script.closed), (2, 1));

        let mut script = Script::new([Some(first.clone()), Some(vec![Event::Eof])]);
        let mut client = Client::new(&mut script, "server");
        assert_eq!(read_ten(&mut client), Ok(*DIGITS));
        assert_eq!(read_ten(&mut client), Err(ReadError::Failed(Error::Closed)));
        assert_eq!((script.opened, script.closed), (2, 2));

        let mut script = Script::new([Some(first), None]);
        let mut client = Client::new(&mut script, "server");
        assert_eq!(read_ten(&mut client), Ok(*DIGITS));
        assert_eq!(
            read_ten(&mut client),
            Err(ReadError::Failed(Error::Connect(Broken)))
        );
        assert_eq!(script.opened, 2);
    }
}

#[test]
fn a_new_connection_that_breaks_is_reported_at_once() {
    for (end, error) in [
        (Event::Eof, Error::Closed),
        (Event::Error, Error::Connection(Broken)),
        (Event::WriteError, Error::Connection(Broken)),
        (Event::WriteNothing, Error::Closed),
    ] {
        let mut script = Script::new([Some(vec![end])]);
        let mut client = Client::new(&mut script, "server");
        assert_eq!(read_ten(&mut client), Err(ReadError::Failed(error)));
        assert_eq!((script.opened, script.closed), (1, 1));
    }
}

#[test]
fn a_response_that_breaks_off_is_not_asked_for_again() {
    let mut script = Script::new([
        Some(vec![bytes(TEN), bytes("H"), Event::Eof]),
        Some(vec![bytes(TEN)]),
    ]);
    let mut client = Client::new(&mut script, "server");
    assert_eq!(read_ten(&mut client), Ok(*DIGITS));
    assert_eq!(read_ten(&mut client), Err(ReadError::Failed(Error::Closed)));
    assert_eq!(read_ten(&mut client), Ok(*DIGITS));
    assert_eq!((script.opened, script.closed, script.requests()), (2, 1, 3));
}

#[test]
fn a_connection_is_not_kept_if_the_server_closes_or_sends_too_much() {
    let closing = TEN.replace("Content-Length", "Connection: close\r\nContent-Length");
    let more = format!("{TEN}x");
    let old = TEN.replace("HTTP/1.1", "HTTP/1.0");
    let refusing = "HTTP/1.1 404 N\r\nContent-Length: 3\r\n\r\n404";
    for first in [closing, more, old, refusing.into()] {
        let mut script = Script::new([Some(vec![bytes(&first)]), Some(vec![bytes(TEN)])]);
        let mut client = Client::new(&mut script, "server");
        let _ = read_ten(&mut client);
        assert_eq!(read_ten(&mut client), Ok(*DIGITS), "{first}");
        assert_eq!((script.opened, script.closed), (2, 1), "{first}");
    }
}

#[test]
fn a_post_never_goes_over_a_connection_that_was_kept() {
    let accepted = "HTTP/1.1 204 No Content\r\n\r\n";
    let mut script = Script::new([
        Some(vec![bytes(TEN)]),
        Some(vec![bytes(accepted), bytes(TEN)]),
        Some(vec![Event::Eof]),
    ]);
    let mut client = Client::new(&mut script, "server");
    assert_eq!(read_ten(&mut client), Ok(*DIGITS));
    assert_eq!(client.post("/report", b"it runs"), Ok(()));
    assert_eq!(read_ten(&mut client), Ok(*DIGITS));
    assert_eq!(client.post("/report", b"it runs"), Err(Error::Closed));
    assert_eq!((script.opened, script.closed, script.requests()), (3, 3, 4));
    let sent = String::from_utf8(script.sent).unwrap();
    assert_eq!(sent.matches("Content-Length: 7\r\n\r\nit runs").count(), 2);
}

/// The receipt with this number, signed.
fn receipt(number: u32) -> Signed {
    let receipt = Receipt {
        unit: Serial::try_from("BST-000042").unwrap(),
        number,
        previous: [0; 32],
        challenge: None,
        digest: [1; 32],
        slot: 0,
        version: (1, 0, 0),
        sequence: 1,
        state: State::Confirmed,
        reset: 0,
        resets: 0,
        abnormal: 0,
        uptime: 1,
        journal: 0,
        refused: None,
        floor: 0,
        locks: Locks::default(),
        bootloader: (1, 0, 0),
        drift: Drift::default(),
    };
    receipt.sign(&mut SoftwareKey::from_seed([7; 32])).unwrap()
}

#[test]
fn receipts_go_together_each_behind_its_length() {
    let (one, two) = (receipt(1), receipt(2));
    let mut receipts = Receipts::<{ 2 * FRAMED_LEN }>::new();
    assert!(receipts.is_empty());
    assert!(receipts.push(&one) && receipts.push(&two));
    let mut rest = receipts.as_bytes();
    for expected in [&one, &two] {
        let (length, behind) = rest.split_first_chunk().unwrap();
        let (bytes, behind) = behind.split_at(u16::from_le_bytes(*length).into());
        assert_eq!(Signed::new_checked(bytes).unwrap().0, *expected);
        rest = behind;
    }
    assert_eq!(rest, b"");
    // What does not fit is left out whole.
    let mut sent = 2;
    while receipts.push(&one) {
        sent += 1;
    }
    let each = one.as_bytes().len() + 2;
    assert_eq!(receipts.as_bytes().len(), sent * each);
    assert!(receipts.as_bytes().len() + each > 2 * FRAMED_LEN);
}

#[test]
fn a_server_keeps_receipts_asks_something_or_says_why_not() {
    let digits = "0f".repeat(32);
    let challenge = format!("HTTP/1.1 409 Conflict\r\nContent-Length: 65\r\n\r\n{digits}\n");
    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 19\r\n\r\nB203: another\'s key";
    let garbage = "HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nwhat";
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let mut script = Script::new([Some(
        [
            "HTTP/1.1 204 No Content\r\n\r\n",
            &challenge,
            refusal,
            garbage,
            busy,
        ]
        .map(bytes)
        .into(),
    )]);
    let mut client = Client::new(&mut script, "server");
    let mut receipts = Receipts::<1024>::new();
    assert!(receipts.push(&receipt(1)));
    let mut post = || client.post_receipts("/receipts", &receipts);
    assert_eq!(post(), Ok(Delivery::Kept));
    assert_eq!(post(), Ok(Delivery::Challenged([0x0F; 32])));
    assert_eq!(post(), Ok(Delivery::Refused(Some(203))));
    assert_eq!(post(), Err(Error::Refused(Refusal::Status(409))));
    let busy = Refusal::Busy { retry_after: None };
    assert_eq!(post(), Err(Error::Refused(busy)));
    // All over one connection: sending receipts again does no harm.
    assert_eq!((script.opened, script.requests()), (1, 5));
    let body = receipts.as_bytes();
    let heads = script.sent.windows(body.len()).filter(|it| *it == body);
    assert_eq!(heads.count(), 5);
}

#[test]
fn a_request_that_cannot_be_sent_does_not_touch_the_connection() {
    let mut script = Script::new([Some(vec![bytes(TEN), bytes(TEN)])]);
    let mut client = Client::new(&mut script, "server");
    let refused = |error| Err(ReadError::Failed(Error::Request(error)));
    assert_eq!(
        client.get_range("f", 0, &mut [0]),
        refused(RequestError::Path)
    );
    assert_eq!(
        client.get_range("/f", u32::MAX, &mut [0; 2]),
        refused(RequestError::Range)
    );
    let long = format!("/{}", "f".repeat(512));
    assert_eq!(
        client.get_range(&long, 0, &mut [0]),
        refused(RequestError::TooLong)
    );
    assert_eq!(client.get_range("/f", u32::MAX, &mut []), Ok(()));
    assert_eq!(read_ten(&mut client), Ok(*DIGITS));
    assert_eq!(
        client.get_range("f", 0, &mut [0]),
        refused(RequestError::Path)
    );
    assert_eq!(read_ten(&mut client), Ok(*DIGITS));
    assert_eq!((script.opened, script.closed, script.requests()), (1, 0, 2));
}

#[test]
fn latest_is_a_digest_and_nothing_else() {
    let digest = Digest::of(b"an image");
    let latest = |body: String| {
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut script = Script::new([Some(vec![bytes(&response)])]);
        Client::new(&mut script, "server").latest("/latest")
    };
    assert_eq!(latest(digest.to_string()), Ok(digest));
    assert_eq!(latest(format!("{digest}\n")), Ok(digest));
    for text in [
        String::new(),
        format!("{digest}\r\n"),
        format!("{digest}\n\n"),
        "0".repeat(63),
        "<html>".repeat(99),
    ] {
        assert_eq!(latest(text.clone()), Err(Error::NoDigest), "{text}");
    }
}

// ---- The driver, over TCP ------------------------------------------------------------------------

/// A connection of the host to one server.
struct Tcp {
    server: SocketAddr,
    stream: Option<TcpStream>,
    opened: usize,
}

impl Tcp {
    fn to(server: SocketAddr) -> Self {
        Self {
            server,
            stream: None,
            opened: 0,
        }
    }

    fn stream(&mut self) -> std::io::Result<&mut TcpStream> {
        self.stream
            .as_mut()
            .ok_or_else(|| std::io::ErrorKind::NotConnected.into())
    }
}

impl embedded_io::ErrorType for Tcp {
    type Error = std::io::Error;
}

impl embedded_io::Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream()?.read(buffer)
    }
}

impl embedded_io::Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream()?.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream()?.flush()
    }
}

impl Connect for Tcp {
    fn connect(&mut self) -> std::io::Result<()> {
        self.opened += 1;
        let stream = TcpStream::connect(self.server)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        self.stream = Some(stream);
        Ok(())
    }

    fn close(&mut self) {
        self.stream = None;
    }
}

/// How a server treats its connections.
#[derive(Clone, Copy)]
struct Manners {
    /// Connections that it accepts before it ends.
    connections: usize,
    /// Requests after which it closes a connection without a word.
    requests: usize,
    /// Whether it sends its bytes one by one.
    slowly: bool,
}

/// Serves `/file`, of which only the first `there` bytes are there yet on the first connection, and all
/// on the others, and takes posts. Returns what was posted.
fn serve(listener: &TcpListener, manners: Manners, whole: &[u8], there: usize) -> Vec<Vec<u8>> {
    let mut posted = Vec::new();
    for connection in 0..manners.connections {
        let file = if connection == 0 {
            &whole[..there]
        } else {
            whole
        };
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream);
        for _ in 0..manners.requests {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap() == 0 {
                    break;
                }
            }
            let Some(line) = head.lines().next() else {
                break;
            };
            let field = |name: &str| {
                head.lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::trim)
            };
            let response = if line.starts_with("POST ") {
                let mut content = vec![0; field("Content-Length:").unwrap().parse().unwrap()];
                reader.read_exact(&mut content).unwrap();
                posted.push(content);
                b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
            } else if line.starts_with("GET /latest ") {
                let name = format!("{}\n", Digest::of(whole));
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
                    name.len()
                )
                .into_bytes()
            } else if line.starts_with("GET /file ") {
                let (first, last) = field("Range: bytes=").unwrap().split_once('-').unwrap();
                ranged(file, first.parse().unwrap(), last.parse().unwrap())
            } else {
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()
            };
            let size = if manners.slowly { 1 } else { response.len() };
            for piece in response.chunks(size) {
                reader.get_mut().write_all(piece).unwrap();
            }
        }
    }
    posted
}

fn ranged(file: &[u8], first: usize, last: usize) -> Vec<u8> {
    let total = file.len();
    if first >= total {
        return format!(
            "HTTP/1.1 416 R\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes();
    }
    let last = last.min(total - 1);
    let part = &file[first..=last];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{total}\r\nContent-Length: {}\r\n\r\n",
        part.len()
    );
    [head.as_bytes(), part].concat()
}

fn start(manners: Manners, length: usize, there: usize) -> (SocketAddr, JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || serve(&listener, manners, &file(length), there));
    (address, server)
}

const CHUNK: usize = 1000;

/// Reads a file chunk by chunk, as an installer would, to its end.
fn download(source: &mut impl Source, length: usize) -> Vec<u8> {
    let mut received = Vec::new();
    while received.len() < length {
        let mut chunk = vec![0; CHUNK.min(length - received.len())];
        source.read(received.len() as u32, &mut chunk).unwrap();
        received.extend(chunk);
    }
    received
}

#[test]
fn a_file_arrives_over_one_connection() {
    let manners = Manners {
        connections: 1,
        requests: usize::MAX,
        slowly: false,
    };
    let (address, server) = start(manners, 50_500, 50_500);
    let host = address.to_string();
    let mut tcp = Tcp::to(address);
    let mut client = Client::new(&mut tcp, &host);
    assert_eq!(client.latest("/latest").unwrap(), Digest::of(&file(50_500)));
    assert_eq!(download(&mut client.file("/file"), 50_500), file(50_500));
    assert!(matches!(
        client.get("/other", &mut []),
        Err(Error::Refused(Refusal::NotFound))
    ));
    client.close();
    assert_eq!(tcp.opened, 1);
    assert!(server.join().unwrap().is_empty());
}

#[test]
fn a_file_arrives_byte_by_byte() {
    let manners = Manners {
        connections: 1,
        requests: usize::MAX,
        slowly: true,
    };
    let (address, server) = start(manners, 2_500, 2_500);
    let host = address.to_string();
    let mut client = Client::new(Tcp::to(address), &host);
    assert_eq!(download(&mut client.file("/file"), 2_500), file(2_500));
    client.close();
    server.join().unwrap();
}

#[test]
fn a_server_that_closes_in_between_is_not_even_noticed() {
    let manners = Manners {
        connections: 5,
        requests: 3,
        slowly: false,
    };
    let (address, server) = start(manners, 15 * CHUNK, 15 * CHUNK);
    let host = address.to_string();
    let mut tcp = Tcp::to(address);
    let mut client = Client::new(&mut tcp, &host);
    assert_eq!(
        download(&mut client.file("/file"), 15 * CHUNK),
        file(15 * CHUNK)
    );
    assert_eq!(tcp.opened, 5);
    server.join().unwrap();
}

#[test]
fn a_file_that_ends_too_early_is_read_on_once_the_rest_is_there() {
    let manners = Manners {
        connections: 2,
        requests: usize::MAX,
        slowly: false,
    };
    let (address, server) = start(manners, 3 * CHUNK, 1_500);
    let host = address.to_string();
    let mut client = Client::new(Tcp::to(address), &host);
    let mut chunk = [0; CHUNK];
    client.get_range("/file", 0, &mut chunk).unwrap();
    for offset in [1000, 1500, 2000] {
        let answer = client.get_range("/file", offset, &mut chunk);
        assert!(
            matches!(answer, Err(ReadError::EndsAt(1_500))),
            "{answer:?}"
        );
    }
    client.close();
    client.get_range("/file", 1000, &mut chunk).unwrap();
    assert_eq!(chunk[..], file(3 * CHUNK)[1000..2000]);
    client.close();
    server.join().unwrap();
}

#[test]
fn a_report_arrives() {
    let manners = Manners {
        connections: 1,
        requests: usize::MAX,
        slowly: false,
    };
    let (address, server) = start(manners, 100, 100);
    let host = address.to_string();
    let mut client = Client::new(Tcp::to(address), &host);
    client.post("/report", &file(3_000)).unwrap();
    assert_eq!(download(&mut client.file("/file"), 100), file(100));
    client.close();
    assert_eq!(server.join().unwrap(), [file(3_000)]);
}

#[test]
fn a_server_that_is_not_there_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut client = Client::new(Tcp::to(address), "nobody");
    assert!(matches!(client.latest("/latest"), Err(Error::Connect(_))));
}
