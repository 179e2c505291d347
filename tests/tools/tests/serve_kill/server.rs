//! `bistable serve` as it is released, and connections that stay open.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bistable_tools_tests::released;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server on `folder/store`. It is killed when it goes out of scope.
pub(crate) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Self {
        let port_file = folder.join("port");
        let _ = fs::remove_file(&port_file);
        let log = File::options()
            .append(true)
            .create(true)
            .open(folder.join("log"))
            .unwrap();
        let mut process = Command::new(released())
            .args(["serve", "store", "--listen", "127.0.0.1:0"])
            .args(["--births", "births.jsonl", "--station-key", "station.pem"])
            .args(["--port-file", "port"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < PATIENCE, "the server did not start");
            assert!(
                process.try_wait().unwrap().is_none(),
                "it ended: {}",
                log_of(folder)
            );
            let port = fs::read_to_string(&port_file).ok();
            if let Some(port) = port.and_then(|text| text.trim_end().parse().ok()) {
                return Self { process, port };
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection(stream)
    }

    /// SIGKILL: it gets no chance to do anything more.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// A connection over which one request follows the other.
pub(crate) struct Connection(TcpStream);

impl Connection {
    /// Posts a receipt, without waiting for the answer.
    pub(crate) fn post(&mut self, receipt: &[u8]) -> io::Result<()> {
        let len = receipt.len();
        let mut request = format!(
            "POST /receipts HTTP/1.1\r\nHost: server\r\nContent-Length: {}\r\n\r\n",
            len + 2
        )
        .into_bytes();
        request.extend_from_slice(&(len as u16).to_le_bytes());
        request.extend_from_slice(receipt);
        self.0.write_all(&request)
    }

    /// The status of the next answer, which has no body if all is well.
    pub(crate) fn status(&mut self) -> io::Result<u16> {
        let mut answer = Vec::new();
        let mut buffer = [0; 512];
        while !answer.ends_with(b"\r\n\r\n") {
            let read = self.0.read(&mut buffer)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&answer);
            if text.contains("\r\n\r\n") && !text.starts_with("HTTP/1.1 204") {
                panic!("the server refused: {text}");
            }
        }
        Ok(204)
    }
}
