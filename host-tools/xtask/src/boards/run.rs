//! `cargo xtask boards --run NAME`: a port to a machine of QEMU updates itself over its serial line, while its power is cut.
//!
//! The machine's first UART is connected to `bistable serve`; nothing is in between. Everything is judged by the flash file: its
//! journal says what the unit believes, and `bistable doctor` reads it.

use std::fs;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Instant;

use bistable_firmware::ensure_command;
use bistable_layout::Product;
use bistable_qemu::{FlashFile, Operations, Trigger, TriggerState};
use serde::Deserialize;

use super::build::key;
use super::emulator::{EMULATOR, Machine, PATIENCE, POLL, Process, quietly, wait};
use super::port::{Port, scratch};
use crate::run::{Outcome, built};

/// Where the download is cut: in the middle of this operation in slot B.
const IN_THE_DOWNLOAD: u32 = 9;

/// Where the journal is cut behind that: in the middle of this copy of what says that a trial begins.
const IN_THE_JOURNAL: u32 = 2;

/// Lets the port go from version 1 to version 2, with two cuts on the way, and looks what the flash says. The port is built:
/// `target/boards` has its programs.
pub(crate) fn update_over_the_line(port: &Port) -> Outcome {
    let name = &port.name;
    ensure_command(EMULATOR, EMULATOR).map_err(|error| error.to_string())?;
    let started = Instant::now();
    let machine = port.machine()?;
    let mut bench = Bench::make(port, machine)?;
    let server = Server::start(&bench)?;
    let outcome = bench.tell(&server);
    let seconds = started.elapsed().as_secs_f32();
    match outcome {
        Ok(()) => println!("{name}: an update over the serial line, {seconds:.0} s"),
        Err(problem) => {
            let folder = bench.folder.display();
            return Err(format!(
                "{name}: {problem}\n{}\nserve.log, qemu.log (accesses to nothing) and the flash are in {folder}",
                bench.doctor_text()
            ));
        }
    }
    Ok(())
}

/// One unit: its flash, and what it runs.
struct Bench<'p> {
    machine: &'p Machine,
    layout: PathBuf,
    product: Product,
    folder: PathBuf,
    bootloader: PathBuf,
    flash: FlashFile,
    /// What the factory left.
    factory: Vec<u8>,
}

impl<'p> Bench<'p> {
    /// Makes two images of the same program, flashes the first one, and publishes the second.
    fn make(port: &Port, machine: &'p Machine) -> Result<Self, String> {
        let layout = port.layout();
        let product = Product::read(&layout).map_err(|error| error.to_string())?;
        let folder = scratch(port, "update")?;
        let images = [1, 2].map(|number| folder.join(format!("v{number}.img")));
        for (number, image) in (1..).zip(&images) {
            sign(port, &layout, number, image)?;
        }
        let [v1, v2] = images;
        let content = folder.join("factory.bin");
        let mut command = Command::new(built("bistable"));
        command.args(["factory", "build", "--serial", "DEV-1", "--layout"]);
        command.arg(&layout).arg("--image").arg(v1);
        quietly(command.arg("--out").arg(&content))?;
        let mut command = Command::new(built("bistable"));
        quietly(command.arg("publish").arg(folder.join("store")).arg(v2))?;
        let factory = fs::read(&content);
        let factory = factory.map_err(|error| format!("{}: {error}", content.display()))?;
        Ok(Self {
            flash: machine.flash(&product, &folder.join("flash"), &factory)?,
            bootloader: port.program("bootloader"),
            machine,
            layout,
            product,
            folder,
            factory,
        })
    }

    fn tell(&mut self, server: &Server) -> Outcome {
        let [a, b] = [0, 1].map(|slot| self.slot(slot));
        let download = Trigger::nth_in(IN_THE_DOWNLOAD, Operations::All, self.sectors(&b));
        self.cut(server, "the download", download)?;
        let journal = self.sectors(&self.journal());
        let copy = Trigger::nth_in(IN_THE_JOURNAL, Operations::Programs, journal);
        self.cut(server, "a change of the journal", copy)?;

        let emulator = self.start(server)?;
        let updated = || self.doctor().is_some_and(|doctor| doctor.is_updated());
        wait(
            emulator,
            "version 2.0.0 is confirmed and active in slot B",
            updated,
        )?;
        let settled = self.flash.content();
        let a = a.start as usize..a.end as usize;
        if settled.get(a.clone()) != self.factory.get(a) {
            return Err("slot A is not what the factory wrote any more".into());
        }

        // Off and on again: it runs, and writes nothing.
        let asked = server.asked()?;
        let emulator = self.start(server)?;
        let asks = || server.asked().is_ok_and(|times| times > asked);
        wait(
            emulator,
            "the unit asks the server after another start",
            asks,
        )?;
        match self.flash.content() == settled {
            true => Ok(()),
            false => Err("the start of a confirmed image has changed the flash".into()),
        }
    }

    /// Runs the unit until it is in the middle of an operation, and cuts its power.
    fn cut(&mut self, server: &Server, what: &str, trigger: Trigger) -> Outcome {
        self.flash.arm(trigger);
        let emulator = self.start(server)?;
        let reached = || self.flash.trigger_state() == TriggerState::Reached;
        wait(
            emulator,
            &format!("the unit is in the middle of {what}"),
            reached,
        )?;
        println!("cut the power in the middle of {what}");
        Ok(())
    }

    fn start(&self, server: &Server) -> Result<Process, String> {
        // The server closes what it does not understand, such as half a request before a reset.
        let line = format!(
            "socket,id=line,host=127.0.0.1,port={},reconnect=1",
            server.port
        );
        self.machine.start(&self.bootloader, &self.flash, &line)
    }

    /// What `bistable doctor` says of the flash; none while a change of it is under way.
    fn doctor(&self) -> Option<Doctor> {
        let mut command = Command::new(built("bistable"));
        command.args(["--json", "doctor", "--layout"]);
        let output = command.arg(&self.layout).arg(self.flash.path()).output();
        serde_json::from_slice(&output.ok()?.stdout).ok()
    }

    /// The same for people.
    fn doctor_text(&self) -> String {
        let mut command = Command::new(built("bistable"));
        command.args(["doctor", "--layout"]).arg(&self.layout);
        let output = command.arg(self.flash.path()).output();
        output.map_or_else(
            |error| format!("bistable doctor: {error}"),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    }

    fn slot(&self, number: usize) -> Range<u32> {
        let layout = &self.product.layout;
        let start = layout.slots.get(number).map_or(0, |slot| slot.offset);
        start..start.saturating_add(layout.slot_size)
    }

    fn journal(&self) -> Range<u32> {
        let journal = self.product.layout.journal;
        let size = journal.sector_size.saturating_mul(journal.sectors.into());
        journal.offset..journal.offset.saturating_add(size)
    }

    /// The sectors in which a range lies.
    fn sectors(&self, range: &Range<u32>) -> RangeInclusive<u32> {
        let size = self.flash.geometry().sector_size;
        range.start / size..=range.end.saturating_sub(1) / size
    }
}

/// What `bistable doctor --json` says, as far as it matters here.
#[derive(Deserialize)]
struct Doctor {
    active: String,
    slots: Vec<SlotState>,
}

#[derive(Deserialize)]
struct SlotState {
    slot: String,
    state: String,
    version: Option<String>,
    verifies: bool,
}

impl Doctor {
    fn is_updated(&self) -> bool {
        let is_it = |slot: &SlotState| {
            slot.slot == "B"
                && slot.state == "confirmed"
                && slot.version.as_deref() == Some("2.0.0")
                && slot.verifies
        };
        self.active == "B" && self.slots.iter().any(is_it)
    }
}

/// Makes an image of the program's two links.
fn sign(port: &Port, layout: &Path, number: u32, image: &Path) -> Outcome {
    let [a, b] = ["application-A", "application-B"].map(|what| port.program(what));
    let mut command = Command::new(built("bistable"));
    command.args(["image", "build", "--security-counter", "1"]);
    command.arg("--version").arg(format!("{number}.0.0"));
    command.arg("--sequence").arg(number.to_string());
    command.arg("--layout").arg(layout);
    command.arg("--program-a").arg(a).arg("--program-b").arg(b);
    command.arg("--key").arg(key()).arg("--out").arg(image);
    quietly(&mut command)
}

/// `bistable serve` with the second image.
struct Server {
    port: u16,
    log: PathBuf,
    _process: Process,
}

impl Server {
    fn start(bench: &Bench<'_>) -> Result<Self, String> {
        let log = bench.folder.join("serve.log");
        let port = bench.folder.join("serve.port");
        let mut command = Command::new(built("bistable"));
        command.arg("serve").arg(bench.folder.join("store"));
        command.args(["--listen", "127.0.0.1:0", "--port-file"]);
        let mut process = Process::start(command.arg(&port), &log)?;
        let started = Instant::now();
        while started.elapsed() < PATIENCE && process.runs() {
            let text = fs::read_to_string(&port).unwrap_or_default();
            if let Ok(port) = text.trim().parse() {
                let _process = process;
                return Ok(Self {
                    port,
                    log,
                    _process,
                });
            }
            sleep(POLL);
        }
        Err(format!("no server: {}", process.said()))
    }

    /// How often it was asked for the newest image.
    fn asked(&self) -> Result<usize, String> {
        let text = fs::read_to_string(&self.log);
        let text = text.map_err(|error| format!("{}: {error}", self.log.display()))?;
        Ok(text
            .lines()
            .filter(|line| line.starts_with("GET /latest "))
            .count())
    }
}
