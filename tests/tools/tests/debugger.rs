//! `bistable run --debug` with the debugger that a new application's recipe and `launch.json` are for.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::Duration;

use bistable_firmware::{Toolchain, ensure_command};
use bistable_tools_tests::{BUILD_VARIABLE, bistable, refused, shared_build, succeeds};
use serde_json::Value;

/// Slot B of the layout: its payload, and its end.
const SLOT_B: std::ops::Range<u64> = 0x210A_1000..0x2112_0000;

/// How long anything may take. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(300);

const GDB: &str = "gdb-multiarch";

/// An application, made anew. Its target folder is kept between runs of this test.
fn application() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debugger");
    fs::create_dir_all(&folder).unwrap();
    let app = folder.join("blinky");
    let _ = fs::remove_dir_all(&app); // Fails if there is none, which is what is wanted.
    let mut new = Command::new(bistable());
    new.args(["new", "blinky", "--board", "mps2-an385"]);
    succeeds(new.current_dir(&folder));
    app
}

fn in_application(app: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(app)
        .env("CARGO_TARGET_DIR", app.with_file_name("target"))
        .env(BUILD_VARIABLE, shared_build())
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_PKG_NAME");
    command
}

/// A run, and what it says, line by line; it ends with the test.
struct Run {
    process: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Run {
    fn start(app: &Path, arguments: &[&str]) -> Self {
        let mut process = in_application(app, bistable())
            .arg("run")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(process.stdout.take().unwrap()),
            Box::new(process.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            spawn(move || {
                let lines = BufReader::new(stream).lines().map_while(Result::ok);
                lines.for_each(|line| drop(sender.send(line)));
            });
        }
        let seen = Vec::new();
        Self {
            process,
            lines,
            seen,
        }
    }

    /// Waits for a line that contains `text`.
    fn expect(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no `{text}` in {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // SIGTERM, so that it ends its emulator, too.
            let pid = self.process.id().to_string();
            let _ = Command::new("kill").arg(pid).status();
            let _ = self.process.wait();
        }
    }
}

#[test]
fn the_recipe_stops_at_main_in_slot_b_goes_on_and_lets_go() {
    Toolchain::for_target("thumbv7m-none-eabi").unwrap();
    ensure_command("qemu-system-arm", "qemu-system-arm").unwrap();
    ensure_command(GDB, GDB).unwrap();
    let app = application();
    succeeds(in_application(&app, "cargo").args(["fmt", "--all", "--check"]));

    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let mut run = Run::start(&app, &["--slot", "B", "--debug", "--debug-port", &port]);
    let announced = run.expect("waiting for a debugger");
    assert!(announced.contains("slot B will run"), "{announced}");
    // The very line that people are told to type. With the program of the other slot it would never stop.
    let line = run.expect(GDB);
    let line = line.replace(GDB, &format!("timeout 60 {GDB} -batch"));
    let said = succeeds(in_application(&app, "bash").args(["-c", &line]));
    let stopped = said.lines().find(|line| line.starts_with("Breakpoint 1, "));
    assert!(stopped.is_some_and(|line| line.contains("main")), "{said}");
    let counter = said.lines().find_map(|line| line.strip_prefix("pc "));
    let address = counter.and_then(|line| line.split_whitespace().next());
    let address = address.unwrap().strip_prefix("0x").unwrap();
    let address = u64::from_str_radix(address, 16).unwrap();
    assert!(SLOT_B.contains(&address), "stopped at {address:#x}");
    assert!(said.contains("detached"), "{said}");
    let line = run.expect("good morning");
    assert!(line.contains("app B"), "{line}");

    // Whoever comes second is told that the place is taken.
    let second = ["run", "--keep", "--debug", "--debug-port", &port];
    let said = refused(in_application(&app, bistable()).args(second));
    assert!(said.contains("--debug-port"), "{said}");
    // Who is asked to end takes the emulator along.
    let pid = run.process.id().to_string();
    succeeds(Command::new("kill").arg(pid));
    assert!(run.process.wait().unwrap().success());
    TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();

    the_editor_starts_what_run_offers(&app);
    succeeds(in_application(&app, "cargo").args(["clippy", "--quiet", "--", "-D", "warnings"]));
}

/// `launch.json` and `tasks.json` name the files, the port and the words of `run --debug`.
fn the_editor_starts_what_run_offers(app: &Path) {
    let launch = read_with_comments(&app.join(".vscode/launch.json"));
    let tasks = read_with_comments(&app.join(".vscode/tasks.json"));
    let task = &tasks["tasks"][0];
    let configurations = launch["configurations"].as_array().unwrap();
    assert_eq!(configurations.len(), 2);
    let help = succeeds(in_application(app, bistable()).args(["run", "--help"]));
    for (configuration, program, address) in [
        (&configurations[0], "executable", "gdbTarget"),
        (&configurations[1], "program", "miDebuggerServerAddress"),
    ] {
        let file = configuration[program].as_str().unwrap();
        let file = file.strip_prefix("${workspaceFolder}/target/").unwrap();
        assert!(app.with_file_name("target").join(file).exists(), "{file}");
        let address = configuration[address].as_str().unwrap();
        let port = address.strip_prefix("127.0.0.1:").unwrap();
        assert!(help.contains(&format!("[default: {port}]")), "{help}");
        assert_eq!(configuration["preLaunchTask"], task["label"]);
    }
    assert_eq!(task["command"], "cargo run -- --debug");
    let ends = &task["problemMatcher"]["background"]["endsPattern"];
    assert_eq!(*ends, "^waiting for a debugger ");
}

/// JSON in which lines may be comments.
fn read_with_comments(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}
