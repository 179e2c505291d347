//! Images: built from two links, signed, inspected, verified.
//!
//! | file | idea |
//! | --- | --- |
//! | [`build`] | `image build`: two links, one signed image |
//! | [`make`] | the same without files: links and fields in, a checked image out |
//! | [`package`] | cargo, called once for each slot |
//! | [`elf`] | a linked program, flattened to the bytes that lie in a slot |
//! | [`pair`] | two links of one program: what differs must be addresses |
//! | [`assemble`] | payload and fix-ups into pages and a file |
//! | [`mod@file`] | a whole image file, taken apart and checked against itself |
//! | [`mod@judge`] | all that a device checks, by the device's own functions |
//! | `concern`, `rules` | what is compared one by one, and by which rule of the design |
//! | [`taker`] | the device that an image is judged for |
//! | [`mod@check`] | the same, up to the first check that fails |
//! | [`signers`] | who signed an image, and whether that is enough |
//! | [`symbols`] | the symbols of two programs, compared |
//! | [`cost`], [`summary`] | what an image costs at boot, and what is said of a new one |
//! | [`sign`], [`inspect`], [`verify`], [`diff`] | the other commands |

pub mod assemble;
pub mod build;
pub mod check;
mod concern;
pub mod cost;
pub mod diff;
pub mod elf;
pub mod file;
pub mod inspect;
pub mod judge;
pub mod make;
pub mod package;
pub mod pair;
mod rules;
pub mod sign;
pub mod signers;
pub mod summary;
pub mod symbols;
pub mod taker;
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
    /// Say what changed from one image to another: fields, signatures, chunks, bytes and symbols.
    Diff(diff::Arguments),
    /// Show all that an image says of itself.
    Inspect(inspect::Arguments),
    /// Check an image as a device does; exit status 1 if it fails a check.
    Verify(verify::Arguments),
}

/// Runs one of them.
///
/// # Errors
/// What the command says.
pub fn run(command: &Command, output: &Output) -> Result<(), Error> {
    match command {
        Command::Build(arguments) => build::run(arguments, output),
        Command::Sign(arguments) => sign::run(arguments, output),
        Command::Diff(arguments) => diff::run(arguments, output),
        Command::Inspect(arguments) => inspect::run(arguments, output),
        Command::Verify(arguments) => verify::run(arguments, output),
    }
}
