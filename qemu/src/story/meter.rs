//! A meter between device and server: which conversations there were, and how many bytes each had.

use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::spawn;

use anyhow::{Context as _, Result};

/// One TCP connection of the device.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Conversation {
    /// The first line that the device sent.
    pub(super) request: String,
    /// Bytes that it sent, headers and all.
    pub(super) sent: u64,
    /// Bytes that the server sent.
    pub(super) received: u64,
}

/// Listens in front of a server, hands everything on, and counts it.
pub(super) struct Meter {
    port: u16,
    server: Arc<AtomicU16>,
    conversations: Log,
}

type Log = Arc<Mutex<Vec<Conversation>>>;

impl Meter {
    /// One that listens, at a free port of 127.0.0.1, for as long as this program runs.
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen for a meter")?;
        let meter = Self {
            port: listener.local_addr()?.port(),
            server: Arc::default(),
            conversations: Arc::default(),
        };
        let (server, log) = (meter.server.clone(), meter.conversations.clone());
        spawn(move || {
            for device in listener.incoming().map_while(Result::ok) {
                let (server, log) = (server.load(Ordering::Relaxed), log.clone());
                // A connection that fails is the device's to try again, as it would without a meter.
                spawn(move || hand_on(device, server, &log));
            }
        });
        Ok(meter)
    }

    /// Where to connect to for the server at this port.
    pub(super) fn in_front_of(&self, server: u16) -> u16 {
        self.server.store(server, Ordering::Relaxed);
        self.port
    }

    /// All conversations so far.
    pub(super) fn conversations(&self) -> Vec<Conversation> {
        lock(&self.conversations).clone()
    }
}

fn hand_on(device: TcpStream, server: u16, log: &Log) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    let index = {
        let mut log = lock(log);
        log.push(Conversation::default());
        log.len() - 1
    };
    let (from_server, to_device, received) =
        (server.try_clone()?, device.try_clone()?, log.clone());
    let answers = spawn(move || {
        copy(from_server, to_device, |bytes| {
            lock(&received)[index].received += bytes.len() as u64;
        })
    });
    let mut first = Vec::new();
    copy(device, server, |bytes| {
        let conversation = &mut lock(log)[index];
        conversation.sent += bytes.len() as u64;
        if conversation.request.is_empty() {
            first.extend_from_slice(bytes);
            if let Some(end) = first.windows(2).position(|two| two == b"\r\n") {
                conversation.request = String::from_utf8_lossy(&first[..end]).into_owned();
            }
        }
    });
    // It ends by itself: the server sees that the device is gone.
    let _ = answers.join();
    Ok(())
}

/// Copies until one end is closed, and closes the other.
fn copy(mut from: TcpStream, mut to: TcpStream, mut count: impl FnMut(&[u8])) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        count(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write); // Fails if it is closed already.
}

fn lock(log: &Mutex<Vec<Conversation>>) -> std::sync::MutexGuard<'_, Vec<Conversation>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_both_directions_is_counted_and_handed_on() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let served = spawn(move || {
            let (mut device, _) = server.accept().unwrap();
            let mut asked = Vec::new();
            device.read_to_end(&mut asked).unwrap_or_default();
            device.write_all(&[0x5A; 10_000]).unwrap();
            asked
        });
        let meter = Meter::start().unwrap();
        let address = (Ipv4Addr::LOCALHOST, meter.in_front_of(port));
        let mut device = TcpStream::connect(address).unwrap();
        device.write_all(b"GET /ima").unwrap();
        device.write_all(b"ges/1 HTTP/1.1\r\n\r\n").unwrap();
        device.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        device.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, [0x5A; 10_000]);
        assert_eq!(served.join().unwrap(), b"GET /images/1 HTTP/1.1\r\n\r\n");
        let expected = Conversation {
            request: "GET /images/1 HTTP/1.1".into(),
            sent: 26,
            received: 10_000,
        };
        assert_eq!(meter.conversations(), [expected]);
    }
}
