//! `bistable image manifest`: the part of an image that is signed, to be carried to where the key is.

use std::fmt;
use std::path::{Path, PathBuf};

use bistable_core::manifest::{MANIFEST_LEN, Manifest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::carry::{self, Kind, Ways};
use crate::image::file::ImageFile;
use crate::output::{Output, Report};
use crate::{Error, files};

/// Take the manifest out of an image, to be carried to a machine that can sign it.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable image manifest v1.img --out v1.manifest")]
pub struct Arguments {
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// How it is carried.
    #[command(flatten)]
    pub ways: Ways,
}

/// What is carried to the key.
#[derive(Serialize, JsonSchema)]
pub struct Carried {
    /// The image's file.
    pub image: String,
    /// The image's name: 64 hexadecimal digits.
    pub name: String,
    /// The manifest as text in one line.
    pub text: String,
    /// The file that it was written to.
    pub out: Option<String>,
    #[serde(skip)]
    printed: String,
}

impl Report for Carried {
    const FORMAT: &'static str = "image-manifest/1";
}

/// Runs the command.
///
/// # Errors
/// The file is no whole image: nobody should sign what was damaged.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let path = &arguments.image;
    let bytes = files::read(path, "read the image")?;
    let image = ImageFile::parse(&bytes).map_err(|defect| defect.at(path))?;
    let text = carry::encode(Kind::Manifest, image.manifest().as_bytes());
    let printed = arguments.ways.send(&text)?;
    output.say(&Carried {
        image: path.display().to_string(),
        name: image.manifest().digest().to_string(),
        text,
        out: arguments.ways.file(),
        printed,
    })
}

/// The manifest in the file at `path`, which `image manifest` made.
///
/// # Errors
/// It holds none, or not as it was made.
pub fn read(path: &Path) -> Result<Manifest, Error> {
    let text = files::read(path, "read the manifest")?;
    let bytes = carry::decode(path, Kind::Manifest, &text)?;
    let refuse = |found: String| {
        Error::unexpected(
            path,
            found,
            format!("a manifest, which is {MANIFEST_LEN} bytes"),
            "give what `bistable image manifest` made",
        )
    };
    let whole: &[u8; MANIFEST_LEN] = bytes
        .as_slice()
        .try_into()
        .map_err(|_| refuse(format!("{} bytes", bytes.len())))?;
    Manifest::new_checked(whole)
        .map_err(|refusal| refuse(format!("a manifest refused as {refusal}")))
}

impl fmt::Display for Carried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(out) = &self.out {
            writeln!(formatter, "manifest  {out}")?;
            writeln!(formatter, "name      {}", self.name)?;
        }
        formatter.write_str(&self.printed)
    }
}
