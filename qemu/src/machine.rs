//! A running board: QEMU on a flash file, its log, and the cutting of its power.
//!
//! The emulator sends what both UARTs say into one socket, so that everything is in order; a thread
//! reads it.

use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};
use std::{fs, mem};

use tempfile::TempDir;

use crate::boot_chip;
use crate::log_frames::{Finder, Found, Frames, Tables};
use crate::{Board, Error, FlashFile, Level, LogLine, NotSeen, TriggerState};

/// A program whose log can be read.
#[derive(Clone, Debug)]
pub struct Program {
    /// How it announces itself (the name given to `mps2_an385::log::start`).
    pub name: String,
    /// Its ELF file.
    pub elf: PathBuf,
}

/// What a machine consists of.
#[derive(Clone, Debug)]
pub struct Config {
    /// The board.
    pub board: Board,
    /// ELF file of the bootloader, which the emulator loads at every reset.
    pub bootloader: PathBuf,
    /// File of the flash, made by [`FlashFile::create`].
    pub flash: PathBuf,
    /// All programs whose log is to be read, the bootloader included.
    pub programs: Vec<Program>,
    /// The emulator: the board's, found as commands are, if nobody says otherwise.
    pub emulator: PathBuf,
    /// Whether there is a network, in which the board reaches the host's 127.0.0.1 as 10.0.2.2.
    pub network: bool,
    /// Finds the log tables of images that nobody knew of when the machine was started.
    pub finder: Option<Finder>,
    /// Whether each announcement of a program is a line, too ([`LogLine::announces`]).
    pub announcements: bool,
    /// The port of 127.0.0.1 at which a debugger (the GDB remote protocol) is waited for before the
    /// first instruction; `None`: the board runs at once.
    pub debugger: Option<u16>,
    /// What else the emulator is told, behind everything that makes the board.
    pub options: Vec<OsString>,
}

impl Config {
    /// A board with network that runs `bootloader` on `flash` and whose log nobody can read yet.
    pub fn new(board: Board, bootloader: impl Into<PathBuf>, flash: impl Into<PathBuf>) -> Self {
        Self {
            board,
            bootloader: bootloader.into(),
            flash: flash.into(),
            programs: Vec::new(),
            emulator: board.emulator().0.into(),
            network: true,
            finder: None,
            announcements: false,
            debugger: None,
            options: Vec::new(),
        }
    }

    /// With the log of one more program.
    pub fn with_program(mut self, name: impl Into<String>, elf: impl Into<PathBuf>) -> Self {
        self.programs.push(Program {
            name: name.into(),
            elf: elf.into(),
        });
        self
    }

    fn tables(&self) -> Result<Tables, Error> {
        let mut tables = Tables::new(self.finder.clone());
        for Program { name, elf } in &self.programs {
            let bytes = fs::read(elf).map_err(|cause| Error::File {
                action: "read",
                path: elf.clone(),
                cause,
            })?;
            tables.add(name, &bytes, elf)?;
        }
        Ok(tables)
    }

    /// `directory`: where the machine keeps what only it needs.
    fn command(&self, directory: &Path, socket: &Path) -> Result<Command, Error> {
        let mut command = Command::new(&self.emulator);
        command.args(["-display", "none", "-monitor", "none"]);
        let uarts = "socket,id=uarts,mux=on,path=";
        command.arg("-chardev").arg(option(uarts, socket));
        command.args(["-serial", "chardev:uarts"]);
        match self.board {
            Board::Mps2An385 => self.mps2_an385(&mut command),
            Board::Riscv32Virt => self.riscv32_virt(&mut command, directory)?,
        }
        if let Some(port) = self.debugger {
            command.args(["-S", "-gdb", &format!("tcp:127.0.0.1:{port}")]);
        }
        command.args(&self.options);
        command.stdin(Stdio::null());
        command.stdout(Stdio::null());
        command.stderr(Stdio::piped());
        Ok(command)
    }

    /// The bootloader is loaded again at every reset; the flash is the board's PSRAM.
    fn mps2_an385(&self, command: &mut Command) {
        command.args(["-M", "mps2-an385", "-serial", "chardev:uarts"]);
        command.arg("-kernel").arg(&self.bootloader);
        let memory = "memory-backend-file,id=flash,size=16M,share=on,mem-path=";
        command.arg("-object").arg(option(memory, &self.flash));
        command.args(["-machine", "memory-backend=flash"]);
        command.args(["-nic", if self.network { "user" } else { "none" }]);
    }

    /// The bootloader lies in the first flash chip, which is read only; the second one has the slots. What
    /// the host shares with the flash driver is in the memory of a PCI device.
    fn riscv32_virt(&self, command: &mut Command, directory: &Path) -> Result<(), Error> {
        let boot = directory.join("boot");
        boot_chip::make(&self.bootloader, &boot)?;
        command.args(["-M", "virt", "-m", "16M", "-bios", "none"]);
        let chip = "if=pflash,unit=0,format=raw,readonly=on,file=";
        command.arg("-drive").arg(option(chip, &boot));
        let chip = "if=pflash,unit=1,format=raw,file=";
        command.arg("-drive").arg(option(chip, &self.flash));
        let notes = "memory-backend-file,id=notes,size=4M,share=on,mem-path=";
        let file = FlashFile::notes(&self.flash);
        command.arg("-object").arg(option(notes, &file));
        command.args(["-device", "ivshmem-plain,memdev=notes"]);
        command.args(["-device", "i6300esb"]);
        match self.network {
            true => command.args(["-netdev", "user,id=net"]).args([
                "-global",
                "virtio-mmio.force-legacy=false",
                "-device",
                "virtio-net-device,netdev=net",
            ]),
            false => command.args(["-nic", "none"]),
        };
        Ok(())
    }
}

/// An option of the emulator that ends in a path, in which commas are doubled.
fn option(start: &str, path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = start.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}

/// How long the emulator may take to open its serial port.
const OPEN_WITHIN: Duration = Duration::from_secs(20);

/// How often a trigger is looked at, and a serial port that is not open yet.
const POLL: Duration = Duration::from_millis(1);

/// Lines of the log that an error shows.
const LINES_SHOWN: usize = 60;

/// A board that runs, until its power is cut or this is dropped.
#[derive(Debug)]
pub struct Machine {
    emulator: Child,
    started: Instant,
    lines: Receiver<LogLine>,
    transcript: Vec<LogLine>,
    garbled: Arc<AtomicU64>,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    /// What only this machine needs: the emulator may open it at any time.
    _directory: TempDir,
}

impl Machine {
    /// Switches a board on.
    ///
    /// # Errors
    ///
    /// [`Error::File`] and [`Error::NoLogTable`] for the programs; [`Error::File`] and
    /// [`Error::NotFormatted`] for the flash; [`Error::NotStarted`] and [`Error::EndedEarly`] for the
    /// emulator.
    pub fn start(config: &Config) -> Result<Self, Error> {
        let tables = config.tables()?;
        FlashFile::open(config.board, &config.flash)?;
        check_readable(&config.bootloader)?;
        let directory = tempfile::tempdir().map_err(|cause| Error::File {
            action: "make a directory for a machine in",
            path: std::env::temp_dir(),
            cause,
        })?;
        let socket = directory.path().join("uarts");
        let listener = listen(&socket)?;
        let started = Instant::now();
        let emulator = config
            .command(directory.path(), &socket)?
            .spawn()
            .map_err(|cause| Error::NotStarted {
                emulator: config.emulator.clone(),
                cause,
            })?;
        let (sender, lines) = channel();
        // From here on dropping it ends the emulator.
        let mut machine = Self {
            emulator,
            started,
            lines,
            transcript: Vec::new(),
            garbled: Arc::default(),
            said: Arc::default(),
            readers: Vec::new(),
            _directory: directory,
        };
        machine.collect_what_the_emulator_says();
        let stream = machine.accept(&listener)?;
        let reader = Reader {
            started,
            tables,
            garbled: machine.garbled.clone(),
            announcements: config.announcements,
            lines: sender,
        };
        machine.readers.push(spawn(move || reader.run(stream)));
        Ok(machine)
    }

    /// Cuts the power: the emulator dies between two stores to memory that it shares with the host. The flash file of
    /// riscv32-virt is written by system calls, one for what was programmed or erased at once: a kill may tear one at the
    /// border of a page. What it had logged can still be read.
    pub fn power_cut(&mut self) {
        // Fails only for a process that has ended already.
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
        for reader in mem::take(&mut self.readers) {
            // One that panicked has ended, too.
            let _ = reader.join();
        }
    }

    /// Waits until the board has stopped half-way through the operation that `flash`, its flash, has a
    /// trigger armed for, and cuts the power.
    ///
    /// # Errors
    ///
    /// [`NotSeen`] if it does not come to that within `timeout`, or no trigger is armed; the machine runs on.
    pub fn power_cut_at_trigger(
        &mut self,
        flash: &FlashFile,
        timeout: Duration,
    ) -> Result<(), NotSeen> {
        let start = Instant::now();
        loop {
            match flash.trigger_state() {
                TriggerState::Reached => {
                    self.power_cut();
                    return Ok(());
                }
                TriggerState::Armed if start.elapsed() < timeout && self.is_running() => {
                    sleep(POLL);
                }
                _ => return Err(self.not_seen(start)),
            }
        }
    }

    /// The first line for which `wanted` holds, of those that nobody has waited for yet. The ones before it
    /// go into the [transcript](Self::transcript), as it does.
    ///
    /// # Errors
    ///
    /// [`NotSeen`] if there is none within `timeout`, or the machine ends before.
    pub fn wait_for(
        &mut self,
        mut wanted: impl FnMut(&LogLine) -> bool,
        timeout: Duration,
    ) -> Result<LogLine, NotSeen> {
        let start = Instant::now();
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            match self.next_line(left) {
                Some(line) if wanted(&line) => return Ok(line),
                Some(_) => {}
                None => return Err(self.not_seen(start)),
            }
        }
    }

    /// The next line, if one comes within `timeout`; it goes into the [transcript](Self::transcript), too.
    pub fn next_line(&mut self, timeout: Duration) -> Option<LogLine> {
        let line = match self.lines.recv_timeout(timeout) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        };
        self.transcript.push(line.clone());
        Some(line)
    }

    /// All lines so far.
    pub fn transcript(&mut self) -> &[LogLine] {
        self.transcript.extend(self.lines.try_iter());
        &self.transcript
    }

    /// Frames that could not be read: torn by a reset or a power cut, or of a program without a table.
    pub fn garbled_frames(&self) -> u64 {
        self.garbled.load(Ordering::Relaxed)
    }

    /// Whether the emulator has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.emulator.try_wait(), Ok(None))
    }

    /// When it was switched on: the moment from which lines count their time.
    pub fn started(&self) -> Instant {
        self.started
    }

    fn not_seen(&mut self, start: Instant) -> NotSeen {
        let ended = (!self.is_running()).then(|| self.said());
        let lines = self.transcript();
        NotSeen {
            waited: start.elapsed(),
            ended,
            last_lines: lines[lines.len().saturating_sub(LINES_SHOWN)..].to_vec(),
        }
    }

    /// What the emulator wrote to its standard error.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }

    fn collect_what_the_emulator_says(&mut self) {
        let Some(mut stderr) = self.emulator.stderr.take() else {
            return;
        };
        let said = self.said.clone();
        self.readers.push(spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..count]);
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.push_str(&text);
            }
        }));
    }

    /// Waits for the emulator to open its serial port.
    fn accept(&mut self, listener: &UnixListener) -> Result<UnixStream, Error> {
        loop {
            match listener.accept() {
                Ok((stream, _)) if stream.set_nonblocking(false).is_ok() => return Ok(stream),
                Err(cause) if cause.kind() != ErrorKind::WouldBlock => {
                    let said = format!("no serial port: {cause}");
                    return Err(Error::EndedEarly { said });
                }
                _ if self.started.elapsed() > OPEN_WITHIN || !self.is_running() => {
                    self.power_cut();
                    return Err(Error::EndedEarly { said: self.said() });
                }
                _ => sleep(POLL),
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power_cut();
    }
}

/// The emulator would complain about a missing file only after it has opened its serial port.
fn check_readable(path: &Path) -> Result<(), Error> {
    fs::File::open(path).map(drop).map_err(|cause| Error::File {
        action: "open",
        path: path.into(),
        cause,
    })
}

fn listen(path: &Path) -> Result<UnixListener, Error> {
    UnixListener::bind(path)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|cause| Error::File {
            action: "listen at",
            path: path.into(),
            cause,
        })
}

/// Reads the UARTs until their end.
struct Reader {
    started: Instant,
    tables: Tables,
    garbled: Arc<AtomicU64>,
    announcements: bool,
    lines: Sender<LogLine>,
}

impl Reader {
    fn run(self, mut stream: UnixStream) {
        let mut frames = Frames::new(&self.tables);
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            frames.push(&buffer[..count], |found| self.hand_over(found));
        }
    }

    fn hand_over(&self, found: Found) {
        let announces = matches!(found, Found::Started(..));
        let (source, program, level, text) = match found {
            Found::Line(source, program, level, text) => (source, program, level, text),
            Found::Started(source, name) if self.announcements => {
                (source, name, Level::Info, "starts".into())
            }
            Found::Started(..) => return,
            Found::UnknownProgram(source, name) => {
                let text = format!("(no log table was given for \"{name}\")");
                (source, name.into(), Level::Warn, text)
            }
            Found::Garbled => {
                self.garbled.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        // Fails when the machine was dropped; then nobody wants to know.
        let _ = self.lines.send(LogLine {
            at: self.started.elapsed(),
            source,
            program,
            level,
            text,
            announces,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_commas_reach_the_emulator_whole() {
        let written = option("file,path=", Path::new("/tmp/a,b"));
        assert_eq!(written, "file,path=/tmp/a,,b");
    }

    fn start_with(emulator: &str) -> Error {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flash.bin");
        FlashFile::create(Board::Mps2An385, &path, &[]).unwrap();
        let bootloader = directory.path().join("bootloader.elf");
        fs::write(&bootloader, []).unwrap();
        let mut config = Config::new(Board::Mps2An385, bootloader, path);
        config.emulator = emulator.into();
        Machine::start(&config).unwrap_err()
    }

    #[test]
    fn an_emulator_that_is_not_there_is_named() {
        let error = start_with("/nonexistent/emulator");
        assert!(matches!(error, Error::NotStarted { .. }), "{error}");
        assert!(error.to_string().contains("/nonexistent/emulator"));
    }

    #[test]
    fn an_emulator_that_ends_at_once_is_not_waited_for() {
        let error = start_with("false");
        assert!(matches!(error, Error::EndedEarly { .. }), "{error}");
    }

    #[test]
    fn a_machine_without_flash_does_not_start() {
        let config = Config::new(Board::Mps2An385, "bootloader.elf", "/nonexistent/flash.bin");
        let error = Machine::start(&config).unwrap_err();
        assert!(error.to_string().contains("flash.bin"), "{error}");
    }

    #[test]
    fn a_machine_without_bootloader_does_not_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flash.bin");
        FlashFile::create(Board::Mps2An385, &path, &[]).unwrap();
        let config = Config::new(Board::Mps2An385, "/nonexistent/bootloader.elf", path);
        let error = Machine::start(&config).unwrap_err();
        assert!(error.to_string().contains("bootloader.elf"), "{error}");
    }
}
