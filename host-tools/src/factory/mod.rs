//! What a factory does: the flash of a new device, who each unit is, and the record of it.
//!
//! | file | idea |
//! | --- | --- |
//! | [`build`] | the flash file of a new device |
//! | [`map`] | what is in it and where |
//! | [`births`] | the record of each unit: signed lines in a chain |
//! | [`register`] | which serial numbers were given: a folder, and the order in which it is written |

pub mod births;
pub mod build;
pub mod map;
pub mod register;

pub use build::{build, build_in, serial};

use crate::Error;
use crate::output::Output;

/// The partition that the identity lies in.
pub const IDENTITY_PARTITION: &str = "identity";

/// The partition that the seed of a device's key lies in, where it has no secure element.
pub const KEY_PARTITION: &str = "device_key";

/// What can be made for the factory.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make the flash file of a new device: journal, slot A, identity.
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
