//! `bistable doctor`: what would boot from a flash file, as what and why, and what is refused.
//!
//! The answer is the bootloader's own: its story runs over a copy of the flash in memory, with the
//! reset reason that is asked about and RAM that did not survive. The file is not changed.
//!
//! | file | idea |
//! | --- | --- |
//! | [`mod@examine`] | runs the bootloader on a copy, and looks at what it left |
//! | [`board`] | a board in memory |
//! | [`text`] | what was found, for people |
//! | [`json`] | the same for programs; the keys are listed there |
//! | [`words`] | how states, roles and resets are called in both |

pub mod board;
pub mod examine;
pub mod json;
pub mod text;
pub mod words;

use std::path::PathBuf;

use bistable_core::reset::ResetReason;
use bistable_core::version::Version;

use crate::facts::{Facts, parse_version, workspace_version};
use crate::output::Output;
use crate::{Error, files};

pub use examine::{Boots, Conditions, Examination, InSlot, examine};

/// Say what would boot from a flash file, and why; exit status 1 if nothing does.
#[derive(clap::Args)]
pub struct Arguments {
    /// The flash file; what lies behind the layout's flash is ignored.
    #[arg(value_name = "FLASH")]
    pub flash: PathBuf,
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
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
/// The flash is not whole, or nothing boots from it.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let flash = facts.flash(&arguments.layout)?;
    let path = &arguments.flash;
    let mut bytes = files::read(path, "read the flash")?;
    let size = flash.size as usize;
    if bytes.len() < size {
        return Err(too_short(arguments, bytes.len(), &facts));
    }
    bytes.truncate(size);
    let conditions = Conditions {
        reset: arguments.reset,
        bootloader: arguments.bootloader_version,
    };
    let examination = examine(&bytes, &facts, conditions);
    match output.is_json() {
        true => println!("{}", json::render(&examination, &facts)),
        false => print!("{}", text::render(&examination, &facts)),
    }
    if examination.boots.is_some() {
        return Ok(());
    }
    let refused = examination
        .refused
        .iter()
        .map(|(slot, refusal)| format!("slot {slot:?} refused as {refusal}"));
    let refused: Vec<_> = refused.collect();
    Err(Error::unexpected(
        path,
        match refused.is_empty() {
            true => "nothing that boots".into(),
            false => format!("nothing that boots: {}", refused.join(", ")),
        },
        "an image that verifies in one of the slots",
        "such a device waits in recovery",
    ))
}

fn too_short(arguments: &Arguments, len: usize, facts: &Facts) -> Error {
    let slots = &facts.product.slots_flash;
    let regions = facts.product.regions().into_iter();
    let missing = regions.filter(|region| region.device == *slots && region.end > len as u64);
    let missing: Vec<_> = missing.map(|region| region.name).collect();
    let size = facts.product.flash.get(slots).map_or(0, |flash| flash.size);
    Error::unexpected(
        &arguments.flash,
        format!("{len} bytes, without all of {}", missing.join(", ")),
        format!("at least the {size} bytes of flash `{slots}`"),
        "read the whole flash, from its first byte on",
    )
}
