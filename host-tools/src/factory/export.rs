//! `bistable factory export`: the birth records as CSV, for those who keep theirs in tables.

use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::factory::audit::Records;
use crate::factory::births::{Birth, Event, KeyMade, Locks};
use crate::output::{Output, Report};
use crate::{Error, files};

/// Write the birth records as CSV, if all of them are sound.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable factory export factory --station-key line-3.pub.pem --csv births.csv"
)]
pub struct Arguments {
    /// What is exported.
    #[command(flatten)]
    pub records: Records,
    /// Where the table goes.
    #[arg(long, value_name = "FILE")]
    pub csv: PathBuf,
}

/// A table that was written.
#[derive(Serialize, JsonSchema)]
pub struct Exported {
    /// The file of the records.
    pub file: String,
    /// The table.
    pub csv: String,
    /// How many records are in it.
    pub records: u64,
}

impl Report for Exported {
    const FORMAT: &'static str = "factory-export/1";
}

/// The columns. A new one comes behind the last.
const COLUMNS: [&str; 24] = [
    "number",
    "event",
    "unit",
    "life",
    "rework",
    "hardware_revision",
    "calibration",
    "device_key",
    "key_made",
    "image",
    "version",
    "layout",
    "common",
    "identity",
    "batch",
    "tool",
    "station",
    "operator",
    "began",
    "done",
    "read_back",
    "key_locked",
    "readout_locked",
    "bootloader_locked",
];

/// Runs the command.
///
/// # Errors
/// The records are not as they should be, or the table cannot be written: then what was there is still there.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let opened = arguments.records.open()?;
    let path = &arguments.csv;
    let refused = |error: csv::Error| Error::io(path, "write the table")(io::Error::other(error));
    let records = files::write_streamed(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        let mut written = table.write_record(COLUMNS);
        let audited = opened.audit(|birth| {
            if written.is_ok() {
                written = table.write_record(row(birth));
            }
        });
        let audited = audited.map_err(|broken| opened.refusal(&broken))?;
        written.map_err(refused)?;
        table.flush().map_err(Error::io(path, "write the table"))?;
        Ok(audited.records)
    })?;
    output.say(&Exported {
        file: opened.file.display().to_string(),
        csv: path.display().to_string(),
        records,
    })
}

fn row(birth: &Birth) -> [String; COLUMNS.len()] {
    let calibration: Vec<_> = birth
        .calibration
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let locked = |which: fn(&Locks) -> bool| {
        let locked = birth.locks.as_ref().map(which);
        locked.map_or_else(String::new, |locked| locked.to_string())
    };
    [
        birth.number.to_string(),
        match birth.event {
            Event::Provisioned => "provisioned".into(),
            Event::Flashed => "flashed".into(),
        },
        birth.unit.clone(),
        birth.life.to_string(),
        birth.rework.clone().unwrap_or_default(),
        birth.hardware_revision.to_string(),
        calibration.join(";"),
        birth.device_key.clone().unwrap_or_default(),
        match birth.key_made {
            KeyMade::ByTool => "by-tool".into(),
            KeyMade::OnDevice => "on-device".into(),
        },
        birth.image.clone(),
        birth.version.clone(),
        birth.layout.clone(),
        birth.common.clone(),
        birth.identity.clone(),
        birth.batch.clone(),
        birth.tool.clone(),
        birth.station.clone(),
        birth.operator.clone(),
        birth.began.clone(),
        birth.done.clone(),
        birth.read_back.clone().unwrap_or_default(),
        locked(|locks| locks.key),
        locked(|locks| locks.readout),
        locked(|locks| locks.bootloader),
    ]
}

impl Display for Exported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { csv, records, .. } = self;
        writeln!(formatter, "{csv}: {records} records, all sound")
    }
}
