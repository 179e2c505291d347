//! `bistable image verify`: what a device would say, check by check.

use std::path::PathBuf;

use bistable_core::version::Version;

use crate::facts::{Facts, parse_version, workspace_version};
use crate::image::check::{Failed, check};
use crate::output::Output;
use crate::{Error, files};

/// Check an image as a device does; exit status 1 at the first check that it fails.
#[derive(clap::Args)]
pub struct Arguments {
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// The device's bootloader; that of these tools without it.
    #[arg(long, value_name = "VERSION", value_parser = parse_version, default_value_t = workspace_version())]
    pub bootloader_version: Version,
}

/// Runs the command.
///
/// # Errors
/// The first check that the image fails.
pub fn run(arguments: &Arguments, _output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let path = &arguments.image;
    let bytes = files::read(path, "read the image")?;
    let verdict = check(&bytes, &facts, arguments.bootloader_version, |passed| {
        println!("ok      {:<11} {}", passed.check, passed.found);
    });
    verdict.map(drop).map_err(|failed| {
        let Failed { check, defect } = &failed;
        println!("FAILED  {check:<11} {defect}");
        failed.at(path)
    })
}
