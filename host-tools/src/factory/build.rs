//! `bistable factory build`: the flash file of a new device: journal, slot A, identity.

use std::path::PathBuf;

use bistable_core::version::Version;
use bistable_updater::identity::{Identity, Serial};

use crate::factory::map::Map;
use crate::facts::{Facts, parse_version, workspace_version};
use crate::image::check::check;
use crate::output::Output;
use crate::{Error, atomic, files};

pub use crate::factory::content::{build, build_in, common};

/// Make the flash file of a new device: journal, slot A, identity.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable factory build --layout layout.toml --image v1.img --serial BST-000042 --out flash.bin"
)]
pub struct Arguments {
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// The image that the device starts with.
    #[arg(long, value_name = "IMAGE")]
    pub image: PathBuf,
    /// The device's serial number, up to 32 bytes.
    #[arg(long)]
    pub serial: String,
    /// The board's revision.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub hardware_revision: u16,
    /// The device's bootloader; that of these tools without it.
    #[arg(long, value_name = "VERSION", value_parser = parse_version, default_value_t = workspace_version())]
    pub bootloader_version: Version,
    /// Where the flash file goes.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// What it could not make; nothing was written.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    facts.flash(&arguments.layout)?;
    let identity = Identity {
        serial: serial(&arguments.serial)?,
        hardware_revision: arguments.hardware_revision,
        ..Identity::default()
    };
    let bytes = files::read(&arguments.image, "read the image")?;
    let version = arguments.bootloader_version;
    let image =
        check(&bytes, &facts, version, drop).map_err(|failed| failed.at(&arguments.image))?;
    let flash = build(&facts, &arguments.layout, &image, &identity, version)?;
    atomic::replace(&arguments.out, &flash)
        .map_err(Error::io(&arguments.out, "write the flash file"))?;
    output.say(&Map::new(&arguments.out, &flash, &facts, &image, &identity))
}

/// The serial number that `text` is.
///
/// # Errors
/// It is empty or too long.
pub fn serial(text: &str) -> Result<Serial, Error> {
    let serial = Serial::try_from(text)
        .ok()
        .filter(|serial| !serial.is_empty());
    serial.ok_or_else(|| {
        Error::argument(
            "--serial",
            format!("{} bytes", text.len()),
            "1 to 32 bytes",
            "a serial number is given once, ever: choose a short form",
        )
    })
}
