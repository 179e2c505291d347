//! Images: built from two links, signed, inspected, verified.
//!
//! | file | idea |
//! | --- | --- |
//! | [`build`] | `image build`: two links, one signed image |
//! | [`make`] | the same without files: links and fields in, a checked image out |
//! | [`package`] | cargo, called once for each slot |
//! | [`project`] | what cargo and the compiler tell of the package |
//! | [`remap`] | no path of this machine in a program |
//! | [`elf`] | a linked program, flattened to the bytes that lie in a slot |
//! | [`pair`] | two links of one program: what differs must be addresses |
//! | [`assemble`] | payload and fix-ups into pages and a file |
//! | [`mod@file`] | a whole image file, taken apart and checked against itself |
//! | [`check`] | all that a device checks, by the device's own functions |
//! | [`signers`] | who signed an image, and whether that is enough |
//! | [`advice`] | what to do about a refusal |
//! | [`cost`], [`summary`] | what an image costs at boot, and what is said of a new one |
//! | [`sbom`], [`provenance`] | what an image consists of, and how it was built |
//! | [`cyclonedx`], [`records`], [`recorded`] | the format of the one, and both as files beside an image and in a report |
//! | [`reproduce`] | an image built again, and compared |
//! | [`sign`], [`inspect`], [`verify`] | the other commands |

pub mod advice;
pub mod assemble;
pub mod build;
pub mod check;
pub mod cost;
pub mod cyclonedx;
pub mod elf;
pub mod file;
pub mod inspect;
pub mod make;
pub mod package;
pub mod pair;
pub mod project;
pub mod provenance;
pub mod recorded;
pub mod records;
pub mod remap;
pub mod reproduce;
pub mod sbom;
pub mod sign;
pub mod signers;
pub mod summary;
pub mod verify;

use clap::Subcommand;

use crate::Error;
use crate::output::Output;

/// What can be done with images.
#[derive(Subcommand)]
pub enum Command {
    /// Build an image from an application package, or from its two links.
    Build(Box<build::Arguments>),
    /// Add a signature to an image, which keeps its name.
    Sign(sign::Arguments),
    /// Show all that an image says of itself.
    Inspect(inspect::Arguments),
    /// Check an image as a device does; exit status 1 at the first check that it fails.
    Verify(verify::Arguments),
    /// Build an image again from its source, and say whether it is the same.
    Reproduce(Box<reproduce::Arguments>),
}

/// Runs one of them.
///
/// # Errors
/// What the command says.
pub fn run(command: &Command, output: &Output) -> Result<(), Error> {
    match command {
        Command::Build(arguments) => build::run(arguments, output),
        Command::Sign(arguments) => sign::run(arguments, output),
        Command::Inspect(arguments) => inspect::run(arguments, output),
        Command::Verify(arguments) => verify::run(arguments, output),
        Command::Reproduce(arguments) => reproduce::run(arguments, output),
    }
}
