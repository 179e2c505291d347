//! Images: built from two links, signed, inspected, verified.
//!
//! | file | idea |
//! | --- | --- |
//! | [`build`] | `image build`: two links, one signed image |
//! | [`make`] | the same without files: links and fields in, a checked image out |
//! | [`package`] | cargo, called once for each slot |
//! | [`program`] | a program file as somebody gives it: ELF, Intel HEX, raw |
//! | [`elf`], [`intel_hex`] | what these files say lies where |
//! | [`pieces`] | that, flattened to the bytes that lie in a slot |
//! | [`pair`] | two links of one program: what differs must be addresses |
//! | [`assemble`] | payload and fix-ups into pages and a file |
//! | [`mod@file`] | a whole image file, taken apart and checked against itself |
//! | [`check`] | all that a device checks, by the device's own functions |
//! | [`signers`] | who signed an image, and whether that is enough |
//! | [`advice`] | what to do about a refusal |
//! | [`cost`], [`summary`] | what an image costs at boot, and what is said of a new one |
//! | [`sign`], [`inspect`], [`verify`] | the other commands |

pub mod advice;
pub mod assemble;
pub mod build;
pub mod check;
pub mod cost;
pub mod elf;
pub mod file;
pub mod inspect;
pub mod intel_hex;
pub mod make;
pub mod package;
pub mod pair;
pub mod pieces;
pub mod program;
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
    }
}
