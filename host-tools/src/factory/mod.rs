//! What a factory does: the flash of a new device, who each unit is, and the record of it.
//!
//! | file | idea |
//! | --- | --- |
//! | [`build`] | the command that makes the files that new devices are flashed with |
//! | [`content`] | what is on the flash of a new device |
//! | [`flashes`], `bootloader` | all flashes with what is on them; the bootloader among it |
//! | [`formats`], [`uf2`] | the kinds of files |
//! | [`map`], [`svg`] | what is in them and where; a picture of that |
//! | [`births`] | the record of each unit: signed lines in a chain |
//! | [`register`] | which serial numbers were given: a folder, and the order in which it is written |

pub mod births;
pub(crate) mod bootloader;
pub mod build;
pub mod content;
pub mod flashes;
pub mod formats;
pub mod identity_file;
pub mod map;
pub mod register;
pub mod svg;
pub mod uf2;
pub mod units;

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
}

/// Runs the command.
///
/// # Errors
/// What the command says; nothing was written.
pub fn run(command: &Command, output: &Output) -> Result<(), Error> {
    match command {
        Command::Build(arguments) => build::run(arguments, output),
    }
}
