//! `bistable publish` and `bistable serve`, as processes over loopback TCP.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bistable_core::header;
use bistable_core::manifest::{Fields, Manifest};
use bistable_tools::hex;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a store of its own; it is killed when it goes out of scope.
struct Server {
    process: Child,
    port: u16,
    store: PathBuf,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::start_with(|_| ())
    }

    fn start_with(prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        fs::create_dir(&store).unwrap();
        prepare(&store);
        let port_file = directory.path().join("port");
        let process = command(&store)
            .arg("--port-file")
            .arg(&port_file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Self {
            process,
            port: 0,
            store,
            _directory: directory,
        };
        let started = Instant::now();
        while server.port == 0 {
            assert!(started.elapsed() < PATIENCE, "the server did not start");
            assert!(server.process.try_wait().unwrap().is_none(), "it ended");
            if let Ok(text) = fs::read_to_string(&port_file) {
                server.port = text.trim_end().parse().unwrap();
            }
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn ask(&self, request: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let (first, headers) = request.split_once('\n').unwrap_or((request, ""));
        let mut bytes = format!("{first} HTTP/1.1\r\nHost: device\r\nConnection: close\r\n");
        if !body.is_empty() {
            bytes += &format!("Content-Length: {}\r\n", body.len());
        }
        if !headers.is_empty() {
            bytes += &format!("{headers}\r\n");
        }
        bytes += "\r\n";
        stream.write_all(bytes.as_bytes()).unwrap();
        // A server that refuses a large body may close before it has read all of it.
        let _ = stream.write_all(body);
        Answer::read(stream)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), b"")
    }

    fn get_range(&self, path: &str, range: &str) -> Answer {
        self.ask(&format!("GET {path}\nRange: {range}"), b"")
    }

    fn publish(&self, bytes: &[u8]) -> String {
        let image = self.store.join("../image");
        fs::write(&image, bytes).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_bistable"))
            .arg("publish")
            .args([&self.store, &image])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().into()
    }

    fn reports(&self) -> Vec<String> {
        let text = fs::read_to_string(self.store.join("reports.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn send(&self, signal: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.unwrap().success());
    }

    fn wait(&mut self) -> Option<i32> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the server did not end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bistable"));
    command
        .arg("serve")
        .arg(store)
        .args(["--listen", "127.0.0.1:0"]);
    command
}

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            // Part of a refused body was still under way.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            result => drop(result.unwrap()),
        }
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let headers = str::from_utf8(&bytes[..end]).unwrap().to_owned();
        Self {
            status: headers.split(' ').nth(1).unwrap().parse().unwrap(),
            body: bytes[end + 4..].to_vec(),
            headers,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// An image of 10,000 bytes; nobody signed it, which is the device's business.
fn image(sequence: u32) -> Vec<u8> {
    let manifest = Manifest::new(&Fields {
        sequence,
        payload_len: 4,
        chunk_size: 1024,
        first_page_len: 1,
        trial_attempts: 1,
        trial_seconds: 1,
        ..Fields::default()
    });
    let mut bytes = header::assemble(&manifest.unwrap(), &mut [])
        .unwrap()
        .to_vec();
    bytes.extend((bytes.len()..10_000).map(|at| (at % 251) as u8));
    bytes
}

#[test]
fn nothing_is_the_newest_before_something_is_published() {
    let server = Server::start();
    assert_eq!(server.get("/latest").status, 404);
}

#[test]
fn what_is_published_while_it_runs_is_the_newest_at_once() {
    let server = Server::start();
    for sequence in 1..=2 {
        let bytes = image(sequence);
        let digest = server.publish(&bytes);
        let answer = server.get("/latest");
        assert_eq!(answer.status, 200);
        assert!(
            answer
                .header("content-type")
                .unwrap()
                .starts_with("text/plain")
        );
        assert_eq!(answer.body, digest.as_bytes());
        assert_eq!(answer.body.len(), 64);
        assert_eq!(server.get("/latest/stable").body, digest.as_bytes());
        let whole = server.get(&format!("/images/{digest}"));
        assert_eq!((whole.status, whole.body), (200, bytes));
        assert!(
            whole.headers.contains("accept-ranges: bytes"),
            "{}",
            whole.headers
        );
    }
}

#[test]
fn a_range_of_an_image_is_just_these_bytes() {
    let server = Server::start();
    let bytes = image(1);
    let path = format!("/images/{}", server.publish(&bytes));
    for (range, expected, content_range) in [
        ("bytes=0-1023", 0..1024, "bytes 0-1023/10000"),
        ("bytes=1024-5119", 1024..5120, "bytes 1024-5119/10000"),
        ("bytes=9000-", 9000..10_000, "bytes 9000-9999/10000"),
        ("bytes=9999-99999", 9999..10_000, "bytes 9999-9999/10000"),
        ("bytes=-10", 9990..10_000, "bytes 9990-9999/10000"),
    ] {
        let answer = server.get_range(&path, range);
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.header("content-range"), Some(content_range));
        assert_eq!(answer.body, bytes[expected], "{range}");
    }
}

#[test]
fn a_range_behind_the_end_is_answered_with_the_length() {
    let server = Server::start();
    let path = format!("/images/{}", server.publish(&image(1)));
    let answer = server.get_range(&path, "bytes=10000-10001");
    assert_eq!(answer.status, 416);
    assert_eq!(answer.header("content-range"), Some("bytes */10000"));
}

#[test]
fn many_ranges_go_over_one_connection() {
    let server = Server::start();
    let bytes = image(1);
    let digest = server.publish(&bytes);
    let mut stream = BufReader::new(server.connect());
    for start in (0..9000).step_by(1000) {
        let end = start + 999;
        let request = format!(
            "GET /images/{digest} HTTP/1.1\r\nHost: device\r\nRange: bytes={start}-{end}\r\n\r\n"
        );
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 206"), "{line}");
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).unwrap();
        }
        let mut body = [0; 1000];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(body, bytes[start..=end]);
    }
}

#[test]
fn what_is_not_in_the_store_is_not_found() {
    let server = Server::start_with(|store| fs::write(store.join("secret"), "x").unwrap());
    server.publish(&image(1));
    for path in [
        format!("/images/{}", "0".repeat(64)),
        "/images/0".into(),
        "/images/".into(),
        "/images/../secret".into(),
        "/images/..%2fsecret".into(),
        "/images/%2e%2e/secret".into(),
        "/secret".into(),
        "/reports.jsonl".into(),
        "/latest/..%2fsecret".into(),
        "/latest/nightly".into(),
        "/".into(),
    ] {
        assert_eq!(server.get(&path).status, 404, "{path}");
    }
}

#[test]
fn a_report_is_a_line_on_the_disk_when_it_is_acknowledged() {
    let server = Server::start();
    let report = b"\x01\x00\xffreport";
    assert_eq!(server.ask("POST /reports", report).status, 204);
    let lines = server.reports();
    assert_eq!(lines.len(), 1);
    let end = format!(",\"report\":\"{}\"}}", hex::encode(report));
    assert!(lines[0].ends_with(&end), "{}", lines[0]);
}

#[test]
fn a_report_of_4096_bytes_is_taken_and_a_longer_or_empty_one_is_not() {
    let server = Server::start();
    assert_eq!(server.ask("POST /reports", &[1; 4096]).status, 204);
    assert_eq!(server.ask("POST /reports", &[2; 4097]).status, 413);
    assert_eq!(server.ask("POST /reports", &[]).status, 400);
    assert_eq!(server.reports().len(), 1);
}

#[test]
fn reports_of_many_devices_at_the_same_time_are_all_there() {
    let server = Server::start();
    thread::scope(|scope| {
        for device in 0..8_u8 {
            let server = &server;
            scope.spawn(move || {
                for number in 0..8_u8 {
                    assert_eq!(server.ask("POST /reports", &[device, number]).status, 204);
                }
            });
        }
    });
    let mut reports: Vec<_> = server
        .reports()
        .iter()
        .map(|line| line.split("\"report\":").nth(1).unwrap().to_owned())
        .collect();
    reports.sort();
    reports.dedup();
    assert_eq!(reports.len(), 64);
}

#[test]
fn reports_are_still_there_after_the_server_was_killed() {
    let mut server = Server::start();
    assert_eq!(server.ask("POST /reports", b"before").status, 204);
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    assert_eq!(server.reports().len(), 1);
}

#[test]
fn a_method_that_is_not_offered_is_refused() {
    let server = Server::start();
    assert_eq!(server.ask("DELETE /latest", b"").status, 405);
    assert_eq!(server.get("/reports").status, 405);
}

#[test]
fn a_second_server_on_the_same_store_is_refused() {
    let server = Server::start();
    let output = command(&server.store).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("found another process that writes to it"),
        "{text}"
    );
}

#[test]
fn an_address_that_is_taken_is_refused_in_one_line() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bistable"))
        .arg("serve")
        .arg(directory.path())
        .args(["--listen", &format!("127.0.0.1:{}", server.port)])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let start = format!("error: 127.0.0.1:{}: cannot listen here: ", server.port);
    assert!(text.starts_with(&start), "{text}");
}

#[test]
fn each_request_is_one_line_of_the_log() {
    let mut server = Server::start();
    let digest = server.publish(&image(1));
    let path = format!("/images/{digest}");
    server.get_range(&path, "bytes=0-1023");
    server.get("/latest");
    server.ask("POST /reports", b"report");
    server.send("-TERM");
    server.wait();
    let mut log = String::new();
    let errors = server.process.stderr.as_mut().unwrap();
    errors.read_to_string(&mut log).unwrap();
    assert_eq!(
        log,
        format!("GET {path} bytes=0-1023 206\nGET /latest - 200\nPOST /reports - 204\n")
    );
}

#[test]
fn sigterm_and_ctrl_c_end_it_with_status_0() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start();
        server.send(signal);
        assert_eq!(server.wait(), Some(0), "{signal}");
    }
}

#[test]
fn a_connection_that_stays_open_does_not_keep_it_from_ending() {
    let mut server = Server::start();
    let mut stream = server.connect();
    stream.write_all(b"GET /latest HTT").unwrap();
    thread::sleep(Duration::from_millis(100));
    server.send("-TERM");
    assert_eq!(server.wait(), Some(0));
}
