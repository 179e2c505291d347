//! A machine of QEMU that a port is for: what the port's `Cargo.toml` says of it, its memory as a file, and how it is started.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bistable_layout::Product;
use bistable_qemu::{FlashFile, Geometry, InMemory};
use serde::Deserialize;

use crate::run::Outcome;

/// The emulator, which is the name of its Debian package, too.
pub(super) const EMULATOR: &str = "qemu-system-arm";

/// How long each step of a run may take: the slowest waits until a new image has run for ten seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How often what is waited for is looked at.
pub(super) const POLL: Duration = Duration::from_millis(100);

/// The flash that is the machine's memory, in the layout of each such port.
const FLASH: &str = "main";

/// `[package.metadata.qemu]`: what a port's `Cargo.toml` says of its machine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    /// What QEMU calls it.
    machine: String,
    /// Bytes of its memory.
    memory: u32,
}

impl Machine {
    /// Makes a file that is its memory, with `content` at the start of the flash.
    pub(super) fn flash(
        &self,
        product: &Product,
        path: &Path,
        content: &[u8],
    ) -> Result<FlashFile, String> {
        let Some(flash) = product.flash.get(FLASH) else {
            return Err(format!(
                "layout.toml: found no flash `{FLASH}`, expected the one in the machine's memory to be called so"
            ));
        };
        let form = InMemory {
            geometry: Geometry {
                size: flash.size,
                sector_size: flash.erase_size,
            },
            memory_size: self.memory,
        };
        if !form.fits() {
            return Err(format!(
                "layout.toml: flash `{FLASH}` has {:#x} bytes, expected at most half of the machine's memory, \
                 which has {:#x}",
                flash.size, self.memory
            ));
        }
        FlashFile::create(form, path, content).map_err(|error| error.to_string())
    }

    /// Switches it on, with `flash` as its memory and `line` (a character device of QEMU without its id) at its first UART.
    /// What it complains of goes to the folder of the flash.
    pub(super) fn start(
        &self,
        bootloader: &Path,
        flash: &FlashFile,
        line: &str,
    ) -> Result<Process, String> {
        let size = self.memory;
        let path = flash.path();
        let file = path.display();
        let mut command = Command::new(EMULATOR);
        command.args(["-M", &self.machine, "-display", "none", "-monitor", "none"]);
        command.args(["-nic", "none", "-machine", "memory-backend=flash"]);
        command.arg("-kernel").arg(bootloader);
        command.arg("-object").arg(format!(
            "memory-backend-file,id=flash,size={size},share=on,mem-path={file}"
        ));
        command.args(["-chardev", line, "-serial", "chardev:line"]);
        command.args(["-d", "guest_errors,unimp", "-D"]);
        command.arg(path.with_file_name("qemu.log"));
        Process::start(&mut command, &path.with_file_name("qemu.err"))
    }
}

/// Waits until something is so, then cuts the power.
pub(super) fn wait(mut emulator: Process, what: &str, is_so: impl Fn() -> bool) -> Outcome {
    let started = Instant::now();
    while !is_so() {
        if !emulator.runs() {
            return Err(format!("the emulator has ended: {}", emulator.said()));
        }
        if started.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(format!("waited {seconds} s until {what}"));
        }
        sleep(POLL);
    }
    Ok(())
}

/// A process that ends when it is dropped, by SIGKILL.
pub(super) struct Process {
    child: Child,
    errors: PathBuf,
}

impl Process {
    /// What it writes to its standard error goes to the file `errors`.
    pub(super) fn start(command: &mut Command, errors: &Path) -> Result<Self, String> {
        let file = File::create(errors);
        let file = file.map_err(|error| format!("{}: {error}", errors.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self {
            child,
            errors: errors.into(),
        })
    }

    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // Fails only for a process that has ended already.
        let _ = self.child.wait();
    }
}

/// Runs a command, whose output is shown only if it fails.
pub(super) fn quietly(command: &mut Command) -> Outcome {
    let output = command.output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
