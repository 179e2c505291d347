//! `bistable factory flash`: units through debug probes, several at once: compare, program, read back, boot, lock,
//! record.
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | the command, and what it says of each unit |
//! | `station.rs` | what all units of one command have in common |
//! | `work.rs` | the order of the work on one unit |
//! | `chips.rs` | which chip a serial number went into: what a killed command knows when it goes on |
//!
//! Everything that needs probe-rs is in the package `bistable-probe`, and behind the feature `probe`.

#[cfg(feature = "probe")]
mod chips;
#[cfg(feature = "probe")]
mod station;
#[cfg(feature = "probe")]
mod work;

use std::fmt::{self, Display};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::factory::births::Locks;
use crate::keys::{Passphrases, Source};
use crate::output::{BAD, FAINT, GOOD, Output, Report, paint};

/// Flash units through debug probes: compare, program, read back, boot, lock, record.
///
/// Nothing that cannot be undone happens before the unit was read back and its boot test has passed. Killed at any
/// moment, the same command goes on where it was.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable factory flash --layout layout.toml --register register --common factory.hex \
                  --chip nRF52840_xxAA --unit BST-000042 --boot-test rtt --station line-1 --operator ada --key station.pem\n  \
                  bistable factory flash --layout layout.toml --register register --common factory.hex \
                  --chip bistable-simulated --probe sim:a.sim --probe sim:b.sim --next --boot-test rtt \
                  --lock key,readout,bootloader --station line-1 --operator ada --key station.pem --dry-run"
)]
pub struct Arguments {
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// The factory's register, which `factory provision` made.
    #[arg(long, value_name = "FOLDER")]
    pub register: PathBuf,
    /// What all units have in common, as `factory build` made it: Intel HEX, or the .bin of the flash with the slots.
    #[arg(long, value_name = "FILE")]
    pub common: PathBuf,
    /// The bootloader, as ELF or Intel HEX, if it is not in --common.
    #[arg(long, value_name = "FILE")]
    pub bootloader: Option<PathBuf>,
    /// The chip, as probe-rs calls it; bistable-simulated for a simulated one.
    #[arg(long, value_name = "NAME")]
    pub chip: String,
    /// A chip family that probe-rs does not know, in its YAML.
    #[arg(long, value_name = "FILE")]
    pub chip_description: Option<PathBuf>,
    /// A probe, `VID:PID[:SERIAL]`, once for each unit; without it, the only one that there is. sim:FILE is a simulated
    /// one, for training and tests: a chip whose flash is a file. sim:FILE,fault=NAME has a fault: erase-leaves-sector,
    /// program-flips-bit, program-writes-nothing, read-differs, program-fails, silent, wrong-serial, key-stays-open,
    /// readout-stays-open, or bootloader-stays-open.
    #[arg(long, value_name = "PROBE")]
    pub probe: Vec<String>,
    /// A unit's serial number, once for each probe, in the same order.
    #[arg(long, value_name = "SERIAL", required_unless_present = "next")]
    pub unit: Vec<String>,
    /// The units are the next ones of the register that are not flashed; one that was begun goes on.
    #[arg(long, conflicts_with = "unit")]
    pub next: bool,
    /// This station's name.
    #[arg(long, value_name = "NAME")]
    pub station: String,
    /// The operator's name.
    #[arg(long, value_name = "NAME")]
    pub operator: String,
    /// The station's private key, a PEM file or a `pkcs11:` URI.
    #[arg(long, value_name = "KEY")]
    pub key: Source,
    /// What an encrypted key is opened with.
    #[command(flatten)]
    pub passphrases: Passphrases,
    /// How the unit must say its serial number after a reset: rtt, or `uart:DEVICE[@BAUD]`.
    #[arg(long, value_name = "WAY")]
    pub boot_test: Option<String>,
    /// How long it may take to say it.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub seconds: u64,
    /// What is locked, in this order and for good: key, readout, bootloader.
    #[arg(long, value_name = "LOCKS", value_delimiter = ',')]
    pub lock: Vec<String>,
    /// Use lock steps that were written from a chip's documentation and never run on one.
    #[arg(long)]
    pub accept_untried_locks: bool,
    /// Look, and say what would be done; write and lock nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// What became of one unit.
#[derive(Serialize, JsonSchema)]
pub struct Flashed {
    /// The probe that it was on.
    pub probe: String,
    /// Its serial number; `null` if it is not known.
    pub unit: Option<String>,
    /// What became of it.
    pub result: Outcome,
    /// The chip's unique number, if it is known how to read it.
    pub chip: Option<String>,
    /// How many erase sectors were looked at.
    pub sectors: usize,
    /// How many of them were programmed, or would be; the others were right already.
    pub programmed: usize,
    /// The SHA-256 of what was read back.
    pub read_back: Option<String>,
    /// What it said in its boot test.
    pub said: Option<String>,
    /// The steps that cannot be undone, in their order.
    pub steps: Vec<Step>,
    /// What is locked.
    pub locks: Option<Locks>,
    /// The number of its birth record.
    pub record: Option<u64>,
    /// Why the work on it stopped.
    pub error: Option<String>,
}

/// What became of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is flashed and recorded.
    Flashed,
    /// It was before: nothing was done.
    FlashedBefore,
    /// A dry run: nothing was done.
    Looked,
    /// The work stopped, and nothing was recorded.
    Failed,
}

/// A step that cannot be undone.
#[derive(Serialize, JsonSchema)]
pub struct Step {
    /// What is locked: key, readout, or bootloader.
    pub lock: String,
    /// Whether it was so already.
    pub already: bool,
    /// What is written, and what must hold then.
    pub accesses: String,
}

impl Report for Flashed {
    const FORMAT: &'static str = "factory-flash/1";
}

impl Display for Flashed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.as_deref().unwrap_or("a unit");
        write!(formatter, "{unit} on {}: ", self.probe)?;
        let record = self.record.unwrap_or_default();
        match self.result {
            Outcome::Flashed => write!(formatter, "{}, record {record}", paint(GOOD, "flashed"))?,
            Outcome::FlashedBefore => {
                return writeln!(
                    formatter,
                    "{} before, record {record}; nothing was done",
                    paint(GOOD, "flashed")
                );
            }
            Outcome::Looked => formatter.write_str("looked at, nothing was done")?,
            Outcome::Failed => {
                let error = self.error.as_deref().unwrap_or_default();
                return writeln!(formatter, "{}: {error}", paint(BAD, "failed"));
            }
        }
        let Self {
            sectors,
            programmed,
            ..
        } = self;
        let differ = match self.result {
            Outcome::Looked => "differ",
            _ => "programmed",
        };
        writeln!(formatter, "; {programmed} of {sectors} sectors {differ}")?;
        if let Some(said) = &self.said {
            writeln!(formatter, "  boot test   `{said}`")?;
        }
        for Step {
            lock,
            already,
            accesses,
        } in &self.steps
        {
            let done = match (already, self.result) {
                (true, _) => "locked already",
                (false, Outcome::Looked) => "would be locked",
                (false, _) => "locked",
            };
            let accesses = paint(FAINT, accesses);
            writeln!(formatter, "  {lock:<11} {done}: {accesses}")?;
        }
        Ok(())
    }
}

/// Runs the command.
///
/// # Errors
/// The station is not ready, or a unit was not flashed; each unit has its own line.
#[cfg(feature = "probe")]
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let station = station::Station::open(arguments)?;
    let (sender, receiver) = std::sync::mpsc::channel();
    let units = station.units();
    let failed = std::thread::scope(|scope| {
        for unit in units {
            let (station, sender) = (&station, sender.clone());
            scope.spawn(move || {
                // The receiver lives until all have said what became of their unit.
                let _ = sender.send(work::flash(station, unit));
            });
        }
        drop(sender);
        let mut failed = 0;
        for flashed in receiver {
            failed += usize::from(flashed.result == Outcome::Failed);
            output.say_line(&flashed)?;
        }
        Ok::<usize, Error>(failed)
    })?;
    if failed == 0 {
        return Ok(());
    }
    Err(Error::argument(
        "factory flash",
        format!("{failed} of {} units that are not flashed", units.len()),
        "each of them flashed",
        "what stands on its line says why; the same command tries again",
    ))
}

/// Says that these tools cannot.
///
/// # Errors
/// Always.
#[cfg(not(feature = "probe"))]
pub fn run(_: &Arguments, _: &Output) -> Result<(), Error> {
    Err(Error::argument(
        "factory flash",
        "tools that were built without debug probes",
        "the feature `probe`",
        "install them with `cargo install --path host-tools --features probe`",
    ))
}
