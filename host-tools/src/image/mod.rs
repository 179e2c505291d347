//! Images: built from two links, signed, inspected, verified.
//!
//! | file | idea |
//! | --- | --- |
//! | [`build`] | `image build`: two links, one signed image |
//! | [`make`] | the same without files: links and fields in, a checked image out |
//! | [`package`] | cargo, called once for each slot |
//! | [`project`] | what cargo and the compiler tell of the package |
//! | [`remap`] | no path of this machine in a program |
//! | [`program`] | a program file as somebody gives it: ELF, Intel HEX, raw |
//! | [`elf`], [`intel_hex`] | what these files say lies where |
//! | [`pieces`] | that, flattened to the bytes that lie in a slot |
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
//! | [`sbom`], [`provenance`] | what an image consists of, and how it was built |
//! | [`cyclonedx`], [`records`], [`recorded`] | the format of the one, and both as files beside an image and in a report |
//! | [`described`], [`signed`] | all that a manifest says, and who signed it, for reports |
//! | [`detached`] | a signature that travels alone |
//! | [`sign`], [`mod@manifest`], [`attach`] | `image sign`; the same by way of another machine |
//! | [`reproduce`] | an image built again, and compared |
//! | [`inspect`], [`verify`], [`diff`] | the other commands |

pub mod assemble;
pub mod attach;
pub mod build;
pub mod check;
mod concern;
pub mod cost;
pub mod cyclonedx;
pub mod described;
pub mod detached;
pub mod diff;
pub mod elf;
pub mod file;
pub mod inspect;
pub mod intel_hex;
pub mod judge;
pub mod make;
pub mod manifest;
pub mod package;
pub mod pair;
pub mod pieces;
pub mod program;
pub mod project;
pub mod provenance;
pub mod recorded;
pub mod records;
pub mod remap;
pub mod reproduce;
mod rules;
pub mod sbom;
pub mod sign;
pub mod signed;
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
    /// Add signatures to images, which keep their names.
    Sign(sign::Arguments),
    /// Take the manifest out of an image, to be carried to a machine that can sign it.
    Manifest(manifest::Arguments),
    /// Put signatures that were made elsewhere into the image that they sign.
    Attach(attach::Arguments),
    /// Say what changed from one image to another: fields, signatures, chunks, bytes and symbols.
    Diff(diff::Arguments),
    /// Show all that an image says of itself.
    Inspect(inspect::Arguments),
    /// Check an image as a device does; exit status 1 if it fails a check.
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
        Command::Manifest(arguments) => manifest::run(arguments, output),
        Command::Attach(arguments) => attach::run(arguments, output),
        Command::Diff(arguments) => diff::run(arguments, output),
        Command::Inspect(arguments) => inspect::run(arguments, output),
        Command::Verify(arguments) => verify::run(arguments, output),
        Command::Reproduce(arguments) => reproduce::run(arguments, output),
    }
}
