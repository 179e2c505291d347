//! A board in the emulator that counts its instructions and stops where it is told.
//!
//! With `-icount` QEMU counts each instruction that the processor executes, and knows the number whenever
//! the processor stands still (QMP's `query-replay`). A clock in the board would step every 40 instructions.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bistable_qemu::{Board, Config, Machine};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gdb::{Gdb, Stop};

/// A board that stands still before its first instruction, until it is told to run.
pub(crate) struct Probe {
    pub(crate) gdb: Gdb,
    control: Control,
    _machine: Machine,
    _sockets: TempDir,
}

impl Probe {
    /// Switches on a board without network, with this bootloader and this flash.
    pub(crate) fn start(board: Board, bootloader: &Path, flash: &Path) -> Result<Self> {
        let sockets = tempfile::tempdir().context("make a directory for sockets in")?;
        let debugger = sockets.path().join("gdb");
        let control = sockets.path().join("qmp");
        let mut config = Config::new(board, bootloader, flash);
        config.network = false;
        config.options = vec!["-icount".into(), "shift=0".into(), "-S".into()];
        for (option, socket) in [("-gdb", &debugger), ("-qmp", &control)] {
            let mut place = OsString::from("unix:");
            place.push(socket);
            place.push(",server=on,wait=off");
            config.options.extend([option.into(), place]);
        }
        let machine = Machine::start(&config)?;
        Ok(Self {
            control: Control::connect(&control)?,
            gdb: Gdb::connect(&debugger)?,
            _machine: machine,
            _sockets: sockets,
        })
    }

    /// Runs until `stop`; returns the number of instructions since power-on.
    pub(crate) fn run(&mut self, stop: Stop) -> Result<u64> {
        self.gdb.run(stop)?;
        self.instructions()
    }

    /// Instructions since power-on.
    pub(crate) fn instructions(&mut self) -> Result<u64> {
        let answer = self.control.ask("query-replay")?;
        let count = answer["icount"].as_u64();
        count.with_context(|| format!("query-replay: expected an icount, found {answer}"))
    }

    /// Resets the board, as the processor's own request would; it stands before its first instruction again.
    pub(crate) fn reset(&mut self) -> Result<()> {
        self.control.ask("system_reset").map(drop)
    }
}

/// How long the emulator may take to open a socket.
const OPEN_WITHIN: Duration = Duration::from_secs(20);

/// QEMU's control port: a JSON document a line.
struct Control(BufReader<UnixStream>);

impl Control {
    fn connect(socket: &Path) -> Result<Self> {
        let begun = Instant::now();
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(_) if begun.elapsed() < OPEN_WITHIN => sleep(Duration::from_millis(1)),
                Err(error) => return Err(error).context("the emulator's control port"),
            }
        };
        stream.set_read_timeout(Some(OPEN_WITHIN))?;
        let mut control = Self(BufReader::new(stream));
        control.line().context("the emulator's greeting")?;
        control.ask("qmp_capabilities")?;
        Ok(control)
    }

    fn ask(&mut self, command: &str) -> Result<Value> {
        writeln!(self.0.get_mut(), "{}", json!({ "execute": command }))?;
        loop {
            let mut answer = self.line().with_context(|| command.to_owned())?;
            // Events come whenever something happens.
            if answer.get("error").is_some() {
                bail!("{command}: {answer}");
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("found {line:?}"))
    }
}
