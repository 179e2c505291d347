//! What a factory does: the flash of a new device, who each unit is, and the record of it.
//!
//! | file | idea |
//! | --- | --- |
//! | [`mod@build`] | the command that makes the files that new devices are flashed with |
//! | [`content`] | what is on the flash of a new device |
//! | [`flashes`], `bootloader` | all flashes with what is on them; the bootloader among it |
//! | [`formats`], [`uf2`] | the kinds of files |
//! | [`map`], [`svg`] | what is in them and where; a picture of that |
//! | [`provision`], [`units`] | serial numbers, keys and identity files for the units of a list |
//! | [`identity_file`] | who a unit is and its key, as a small file on top of what all have in common |
//! | [`public_keys`] | what others get to know of the units' keys |
//! | [`mod@audit`], [`export`], [`wipe`] | what becomes of records and of identity files that have served |
//! | [`births`] | the record of each unit: signed lines in a chain |
//! | [`flash`] | units through debug probes |
//! | [`register`] | which serial numbers were given: a folder, and the order in which it is written |

pub mod audit;
pub mod births;
pub(crate) mod bootloader;
pub mod build;
pub mod content;
pub mod export;
pub mod flash;
pub mod flashes;
pub mod formats;
pub mod identity_file;
pub mod map;
pub mod provision;
pub mod public_keys;
pub mod register;
pub mod svg;
pub mod uf2;
pub mod units;
pub mod wipe;

pub use build::{build, build_in, common, serial};

use crate::Error;
use crate::output::Output;

/// The partition that the identity lies in.
pub const IDENTITY_PARTITION: &str = "identity";

/// The partition that the seed of a device's key lies in, where it has no secure element.
pub const KEY_PARTITION: &str = "device_key";

/// What can be made for the factory.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make the files that new devices are flashed with.
    Build(build::Arguments),
    /// Flash units through debug probes: compare, program, read back, boot, lock, record.
    Flash(flash::Arguments),
    /// Give the units of a list their serial numbers, keys, identity files and birth records.
    Provision(Box<provision::Arguments>),
    /// Verify all birth records: signatures, chain, serial numbers, and that none is missing.
    Audit(audit::Arguments),
    /// Write the birth records as CSV, if all of them are sound.
    Export(export::Arguments),
    /// Overwrite and remove the identity files of units that were flashed by other means.
    Wipe(wipe::Arguments),
}

/// Runs the command.
///
/// # Errors
/// What the command says; nothing was written.
pub fn run(command: &Command, output: &Output) -> Result<(), Error> {
    match command {
        Command::Build(arguments) => build::run(arguments, output),
        Command::Flash(arguments) => flash::run(arguments, output),
        Command::Provision(arguments) => provision::run(arguments, output),
        Command::Audit(arguments) => audit::run(arguments, output),
        Command::Export(arguments) => export::run(arguments, output),
        Command::Wipe(arguments) => wipe::run(arguments, output),
    }
}

/// The time (RFC 3339, in UTC), to the second.
#[must_use]
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
