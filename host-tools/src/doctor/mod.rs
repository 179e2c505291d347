//! `bistable doctor`: what would boot from a flash file, as what and why, what is refused, what the
//! journal went through, and what to do.
//!
//! The answer is the bootloader's own: its story runs over a copy of the flash in memory, with the
//! reset reason that is asked about and RAM that did not survive. The file is not changed. It may hold
//! a part of the flash: what can be judged is judged, and what boots is said if the bootloader wanted
//! nothing that is missing.
//!
//! | file | idea |
//! | --- | --- |
//! | [`dump`] | a flash, or as much of it as a file holds |
//! | [`mod@examine`] | runs the bootloader on a copy, and looks at what it left |
//! | [`board`] | a board in memory |
//! | [`mod@sectors`] | the journal's sectors as they lie, and what the device went through |
//! | [`mod@strange`] | what may be wrong with the file rather than with the device |
//! | [`advice`] | what to do |
//! | [`report`] | what was found, for programs |
//! | [`text`] | the same for people |
//! | [`mod@map`], [`picture`] | what lies where on the flash, and how that looks |
//! | [`words`] | how states, roles and resets are called |

pub mod advice;
pub mod board;
pub mod dump;
pub mod examine;
pub mod map;
pub mod picture;
pub mod report;
pub mod sectors;
pub mod strange;
pub mod text;
pub mod words;

use std::path::PathBuf;

use bistable_core::reset::ResetReason;
use bistable_core::version::Version;

use crate::facts::{Facts, parse_version, workspace_version};
use crate::output::Output;
use crate::row::{InRow, Row};
use crate::{Error, files};

pub use dump::Dump;
pub use examine::{Boots, Conditions, Examination, InSlot, Seen, examine, examine_dump};
pub use report::Diagnosis;

/// Say what would boot from a flash file, why, and what to do; exit status 1 if nothing boots.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable doctor flash.bin --layout layout.toml --reset watchdog"
)]
pub struct Arguments {
    /// The flash file, or a part of it; what lies behind the layout's flash is ignored.
    #[arg(value_name = "FLASH")]
    pub flash: PathBuf,
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// Where the file's first byte lies: its address, or how many bytes behind the flash's start. Where journal and slots
    /// lie on several flashes, a file without it begins at the lowest address.
    #[arg(long, value_name = "ADDRESS|OFFSET", value_parser = parse_place)]
    pub at: Option<u32>,
    /// Why the processor starts: power-on, brown-out, pin, software, watchdog, lock-up or unknown.
    #[arg(long, value_name = "REASON", default_value = "power-on", value_parser = words::parse_reset)]
    pub reset: ResetReason,
    /// The device's bootloader; that of these tools without it.
    #[arg(long, value_name = "VERSION", value_parser = parse_version, default_value_t = workspace_version())]
    pub bootloader_version: Version,
}

/// Runs the command.
///
/// # Errors
/// Nothing boots, or it cannot be said from this file.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let bytes = files::read(&arguments.flash, "read the flash")?;
    let dump = Dump::of_row(&bytes, offset(arguments.at, &facts.row)?, &facts.row);
    let conditions = Conditions {
        reset: arguments.reset,
        bootloader: arguments.bootloader_version,
    };
    let examination = examine_dump(&dump, &facts, conditions);
    output.say(&Diagnosis::new(&examination, &dump, &facts))?;
    match examination.boots {
        Some(_) => Ok(()),
        None => Err(no_boot(arguments, &examination)),
    }
}

/// Where the file begins, from the row's start. What can be both is an address; an offset counts from the start of the
/// flash, where there is one.
fn offset(at: Option<u32>, row: &Row) -> Result<usize, Error> {
    let Some(at) = at else {
        return Ok(0);
    };
    let of_address = row.at_address(at);
    let size = row.only().map(|it| it.flash.size);
    let offset = || size.filter(|size| at < *size).map(|_| at as usize);
    of_address.or_else(offset).ok_or_else(|| {
        let range = |it: &InRow| {
            let address = it.flash.address;
            let end = u64::from(address) + u64::from(it.flash.size);
            format!("{address:#x}..{end:#x}")
        };
        let ranges: Vec<_> = row.flashes().iter().map(range).collect();
        let or_offset = size.map_or_else(
            || format!(", where {} lie", row.names()),
            |size| format!(", or an offset below {size:#x}"),
        );
        Error::argument(
            "--at",
            format!("{at:#x}"),
            format!("an address in {}{or_offset}", ranges.join(" or ")),
            "say where the first byte of the file was read from",
        )
    })
}

fn no_boot(arguments: &Arguments, examination: &Examination) -> Error {
    if !examination.missing.is_empty() {
        return Error::unexpected(
            &arguments.flash,
            format!(
                "not enough to say what boots: {} is not, or not all, in this file",
                examination.missing.join(", ")
            ),
            "all that the bootloader would read",
            "read the whole flash, or say with `--at` where this part of it begins",
        );
    }
    let refused = examination
        .refused
        .iter()
        .map(|(slot, refusal)| format!("slot {slot:?} refused as {refusal}"));
    let refused: Vec<_> = refused.collect();
    Error::unexpected(
        &arguments.flash,
        match refused.is_empty() {
            true => "nothing that boots".into(),
            false => format!("nothing that boots: {}", refused.join(", ")),
        },
        "an image that verifies in one of the slots",
        "such a device waits in recovery",
    )
}

/// For the command line: a number, in hexadecimal digits behind `0x`; `_` may stand between digits.
fn parse_place(text: &str) -> Result<u32, String> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    parsed.map_err(|_| "a number below 2^32, such as 0x2100_3000 or 12288".into())
}
