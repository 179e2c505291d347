//! `bistable factory wipe`: identity files that have served, overwritten and removed: those that a gang programmer
//! took. `factory flash` wipes its own.

use std::fmt::{self, Display};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::factory::register::{Register, wipe};
use crate::output::{Output, Report};

/// Overwrite and remove the identity files of units that were flashed by other means.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable factory wipe --register factory --serial BST-000042")]
pub struct Arguments {
    /// The factory's memory.
    #[arg(long, value_name = "FOLDER")]
    pub register: PathBuf,
    /// A unit whose file is wiped. Several times for several units.
    #[arg(
        long = "serial",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub serials: Vec<String>,
    /// Wipe those of all units.
    #[arg(long)]
    pub all: bool,
}

/// What was wiped.
#[derive(Serialize, JsonSchema)]
pub struct Wiped {
    /// The register's folder.
    pub register: String,
    /// How many identity files were wiped.
    pub wiped: u64,
    /// Units that had none any more.
    pub without: Vec<String>,
}

impl Report for Wiped {
    const FORMAT: &'static str = "factory-wipe/1";
}

/// Runs the command.
///
/// # Errors
/// A serial number was never given: then nothing was wiped. A file cannot be overwritten or removed.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let path = &arguments.register;
    if !path.is_dir() {
        let hint = "give the folder that `factory provision` made";
        return Err(Error::unexpected(path, "no folder", "a register", hint));
    }
    let register = Register::open(path)?;
    let mut said = Wiped {
        register: path.display().to_string(),
        wiped: 0,
        without: Vec::new(),
    };
    for serial in &arguments.serials {
        if register.last(serial)?.is_none() {
            return Err(Error::argument(
                "--serial",
                format!("`{}`, which was never given", serial.escape_debug()),
                "a serial number of the register",
                "nothing was wiped",
            ));
        }
    }
    for serial in &arguments.serials {
        match wipe(&register.identity_file(serial))? {
            true => said.wiped += 1,
            false => said.without.push(serial.clone()),
        }
    }
    if arguments.all {
        said.wiped = register.wipe_all()?;
    }
    output.say(&said)
}

impl Display for Wiped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "wiped     {} identity files", self.wiped)?;
        match self.without.as_slice() {
            [] => Ok(()),
            without => writeln!(formatter, "no file   {}", without.join(", ")),
        }
    }
}
