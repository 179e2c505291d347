//! The async client beside the blocking one, against servers that split, close and break off anywhere.

mod common;

use std::collections::VecDeque;

use bistable_async::{Client, Source as _};
use bistable_updater::http::{self, Error, Receipts};
use bistable_updater::source::{ReadError, Source as _};

use crate::common::{drive, drop_after, wait};

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

/// How a connection goes on after the bytes that it brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The server closes.
    Closed,
    /// Reading fails.
    Broken,
    /// Nothing can be sent over it from the start.
    Unwritable,
    /// It takes nothing from the start.
    Full,
}

/// What one connection brings.
#[derive(Clone, Debug)]
struct Line {
    pieces: VecDeque<Vec<u8>>,
    end: End,
}

/// Connections that do what they are told, in order; a `None`, and whatever comes after the last, cannot be opened.
#[derive(Clone, Debug)]
struct Script {
    lines: VecDeque<Option<Line>>,
    current: Option<Line>,
    /// Everything that was done with it.
    history: Vec<String>,
    /// How often each operation is not ready, where it can be waited for.
    polls: usize,
}

impl Script {
    fn new(lines: impl IntoIterator<Item = Option<Line>>) -> Self {
        Self {
            lines: lines.into_iter().collect(),
            current: None,
            history: Vec::new(),
            polls: 0,
        }
    }

    fn open(&mut self) -> Result<(), Broken> {
        self.history.push("open".into());
        self.current = self.lines.pop_front().flatten();
        self.current.as_ref().map(|_| ()).ok_or(Broken)
    }

    fn drop_it(&mut self) {
        self.history.push("close".into());
        assert!(self.current.take().is_some(), "closes only what is open");
    }

    fn take(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let line = self.current.as_ref().expect("writes only what is open");
        match line.end {
            End::Unwritable => Err(Broken),
            End::Full => Ok(0),
            _ => {
                let count = bytes.len().min(100);
                let text = String::from_utf8_lossy(&bytes[..count]);
                self.history.push(text.into_owned());
                Ok(count)
            }
        }
    }

    fn bring(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        let line = self.current.as_mut().expect("reads only what is open");
        let Some(mut piece) = line.pieces.pop_front() else {
            return match line.end {
                End::Broken => Err(Broken),
                _ => Ok(0),
            };
        };
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        if piece.len() > count {
            line.pieces.push_front(piece.split_off(count));
        }
        Ok(count)
    }
}

impl embedded_io::ErrorType for Script {
    type Error = Broken;
}

impl embedded_io::Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        self.bring(buffer)
    }
}

impl embedded_io::Write for Script {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        self.take(bytes)
    }

    fn flush(&mut self) -> Result<(), Broken> {
        Ok(())
    }
}

impl http::Connect for Script {
    fn connect(&mut self) -> Result<(), Broken> {
        self.open()
    }

    fn close(&mut self) {
        self.drop_it();
    }
}

impl embedded_io_async::Read for Script {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        wait(self.polls).await;
        self.bring(buffer)
    }
}

impl embedded_io_async::Write for Script {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        wait(self.polls).await;
        self.take(bytes)
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        wait(self.polls).await;
        Ok(())
    }
}

impl bistable_async::Connect for Script {
    async fn connect(&mut self) -> Result<(), Broken> {
        wait(self.polls).await;
        self.open()
    }

    fn close(&mut self) {
        self.drop_it();
    }
}

const TEN: &str =
    "HTTP/1.1 206 P\r\nContent-Range: bytes 100-109/500\r\nContent-Length: 10\r\n\r\n0123456789";

fn line(pieces: &[&str], end: End) -> Option<Line> {
    let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec());
    let pieces = pieces.filter(|piece| !piece.is_empty()).collect();
    Some(Line { pieces, end })
}

type Verdict = Result<[u8; 10], ReadError<Error<Broken>>>;

/// Reads ten bytes three times, as each client does it: what came of it, and what it did with its connections.
fn both(script: &Script, polls: usize) -> [(Vec<Verdict>, Vec<String>); 2] {
    let mut blocking = script.clone();
    let mut client = http::Client::new(&mut blocking, "server");
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        let mut buffer = [0; 10];
        let outcome = client.file("/f").read(100, &mut buffer);
        verdicts.push(outcome.map(|()| buffer));
    }
    let first = (verdicts, blocking.history);

    let mut waiting = script.clone();
    waiting.polls = polls;
    let mut client = Client::new(&mut waiting, "server");
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        let mut buffer = [0; 10];
        let (outcome, waited) = drive(client.file("/f").read(100, &mut buffer));
        assert_eq!(waited > 0, polls > 0);
        verdicts.push(outcome.map(|()| buffer));
    }
    [first, (verdicts, waiting.history)]
}

fn are_the_same(script: &Script) -> Vec<Verdict> {
    for polls in [0, 1, 3] {
        let [blocking, waiting] = both(script, polls);
        assert_eq!(blocking, waiting, "{script:?}");
    }
    both(script, 0)[0].0.clone()
}

#[test]
fn a_stream_that_is_split_anywhere_has_one_verdict() {
    for at in 0..=TEN.len() {
        let (before, behind) = TEN.split_at(at);
        let whole = line(&[TEN, before, behind, TEN], End::Closed);
        let verdicts = are_the_same(&Script::new([whole]));
        assert_eq!(verdicts, [Ok(*b"0123456789"); 3]);
    }
}

#[test]
fn a_stream_that_ends_anywhere_has_one_verdict() {
    let mut refused = 0;
    for end in [End::Closed, End::Broken, End::Unwritable, End::Full] {
        for at in 0..=TEN.len() {
            let torn = [line(&[TEN, &TEN[..at]], end), line(&[TEN, TEN], end)];
            let verdicts = are_the_same(&Script::new(torn));
            let refusals = verdicts.iter().filter(|verdict| verdict.is_err());
            refused += refusals.count();
            let none = [None, line(&[&TEN[..at]], end)];
            are_the_same(&Script::new(none));
        }
    }
    assert!(refused > 3 * TEN.len());
}

#[test]
fn whatever_a_server_answers_has_one_verdict() {
    let closing = TEN.replace("Content-Length", "Connection: close\r\nContent-Length");
    let more = format!("{TEN}x");
    let interim = format!("HTTP/1.1 100 Continue\r\n\r\n{TEN}");
    let answers = [
        TEN,
        &closing,
        &more,
        &interim,
        "HTTP/1.1 404 N\r\nContent-Length: 3\r\n\r\n404",
        "HTTP/1.1 416 R\r\nContent-Range: bytes */90\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 206 P\r\nContent-Range: bytes 100-104/105\r\nContent-Length: 5\r\n\r\n01234",
        "HTTP/1.1 200 O\r\nContent-Length: 10\r\n\r\n0123456789",
        "HTTP/1.1 302 F\r\nLocation: /g\r\nContent-Length: 0\r\n\r\n",
        "no HTTP at all\r\n\r\n",
    ];
    for first in answers {
        for second in answers {
            let mixed = Script::new([
                line(&[first, second], End::Closed),
                line(&[second, TEN], End::Closed),
                line(&[TEN], End::Closed),
            ]);
            are_the_same(&mixed);
        }
    }
}

#[test]
fn a_post_and_receipts_and_the_newest_name_are_asked_for_alike() {
    let name = "ab".repeat(32);
    let latest = format!("HTTP/1.1 200 O\r\nContent-Length: 64\r\n\r\n{name}");
    let taken = "HTTP/1.1 204 N\r\n\r\n";
    let why = "HTTP/1.1 400 B\r\nContent-Length: 5\r\n\r\nB203\n";
    let script = Script::new([
        line(&[&latest, why], End::Closed),
        line(
            &[taken, "HTTP/1.1 200 O\r\nContent-Length: 3\r\n\r\nabc"],
            End::Closed,
        ),
    ]);
    let receipts = Receipts::<1024>::new();

    let mut blocking = script.clone();
    let mut client = http::Client::new(&mut blocking, "server");
    let digest = client.latest("/latest");
    let delivered = client.post_receipts("/receipts", &receipts);
    let posted = client.post("/reports", b"it runs");
    let nameless = client.latest("/latest");

    let mut waiting = script.clone();
    waiting.polls = 2;
    let mut client = Client::new(&mut waiting, "server");
    assert_eq!(drive(client.latest("/latest")).0, digest);
    assert_eq!(
        drive(client.post_receipts("/receipts", &receipts)).0,
        delivered
    );
    assert_eq!(drive(client.post("/reports", b"it runs")).0, posted);
    assert_eq!(drive(client.latest("/latest")).0, nameless);
    assert_eq!(waiting.history, blocking.history);
    assert!(digest.is_ok() && posted.is_ok());
    assert_eq!(delivered, Ok(http::Delivery::Refused(Some(203))));
    assert_eq!(nameless, Err(Error::NoDigest));
}

#[test]
fn a_request_that_was_dropped_half_way_leaves_nothing_to_the_next_one() {
    let mut ready = false;
    for polls in 0..40 {
        // The second answer is not to be mistaken for that to the third request.
        let other = TEN.replace("0123456789", "the second");
        let mut script = Script::new([
            line(&[TEN, &other, &other], End::Closed),
            line(&[TEN], End::Closed),
        ]);
        script.polls = 3;
        let mut client = Client::new(&mut script, "server");
        let mut buffer = [0; 10];
        assert!(drive(client.file("/f").read(100, &mut buffer)).0.is_ok());
        let dropped = drop_after(polls, client.file("/f").read(100, &mut buffer));
        ready = dropped.is_some();
        let third = drive(client.file("/f").read(100, &mut buffer)).0;
        assert_eq!(third, Ok(()));
        let expected = match polls > 0 && !ready {
            true => b"0123456789",
            false => b"the second",
        };
        assert_eq!(&buffer, expected, "after {polls} polls");
    }
    assert!(ready, "it is ready in the end");
}

#[test]
fn a_client_that_is_closed_closes_what_was_dropped_half_way() {
    let mut script = Script::new([line(&[TEN], End::Closed)]);
    script.polls = 1;
    let mut client = Client::new(&mut script, "server");
    let mut buffer = [0; 10];
    assert!(drop_after(3, client.file("/f").read(100, &mut buffer)).is_none());
    client.close();
    client.close();
    assert_eq!(script.history.first().unwrap(), "open");
    assert_eq!(script.history.last().unwrap(), "close");
}
