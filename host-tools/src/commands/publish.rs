//! `bistable publish`: puts an image into a store and makes it the newest.

use std::fmt::{self, Display};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::image::records::Kind;
use crate::output::{Output, Report};
use crate::store::{Channel, Kept, Publication, Store};

/// Copy an image into a store, under its digest, and make it the newest of a channel.
///
/// Bill of materials and provenance, if they lie beside the image, are copied with it.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable publish store v1.img --channel beta")]
pub struct Arguments {
    /// The store, which is made if it is not there.
    #[arg(value_name = "DIR")]
    pub store: PathBuf,
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The channel whose devices shall take it.
    #[arg(long, default_value_t = Channel::stable())]
    pub channel: Channel,
}

/// What was published.
#[derive(Serialize, JsonSchema)]
pub struct Published {
    /// The image's name, 64 hexadecimal digits.
    pub image: String,
    /// The channel whose newest image it is now.
    pub channel: String,
    /// What became of its bill of materials.
    pub sbom: Kept,
    /// What became of its provenance.
    pub provenance: Kept,
}

impl Report for Published {
    const FORMAT: &'static str = "publish/1";
}

/// Runs the command.
///
/// # Errors
/// The file is no image, or cannot be copied: then the channel points where it did.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let image = Publication::read(&arguments.image)?;
    let store = Store::open(&arguments.store)?;
    let published = store.publish(&image, &arguments.channel)?;
    output.say(&Published {
        image: published.digest.to_string(),
        channel: arguments.channel.to_string(),
        sbom: published.sbom,
        provenance: published.provenance,
    })
}

impl Display for Published {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.image)?;
        for (kind, kept) in [(Kind::Sbom, self.sbom), (Kind::Provenance, self.provenance)] {
            if kept == Kept::Missing {
                let file = kind.extension();
                writeln!(
                    formatter,
                    "warning: the {kind} that the image names is not in the store: lay it beside the \
                     image as <image>.{file}, and publish again"
                )?;
            }
        }
        Ok(())
    }
}
