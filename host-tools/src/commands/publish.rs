//! `bistable publish`: puts an image into a store and makes it the newest.

use std::path::PathBuf;

use crate::Error;
use crate::output::Output;
use crate::store::{Channel, Store};

/// Copy an image into a store, under its digest, and make it the newest of a channel.
#[derive(clap::Args)]
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

/// Runs the command.
///
/// # Errors
/// The file is no image, or cannot be copied: then the channel points where it did.
pub fn run(arguments: &Arguments, _output: &Output) -> Result<(), Error> {
    let store = Store::open(&arguments.store)?;
    let digest = store.publish(&arguments.image, &arguments.channel)?;
    println!("{digest}");
    Ok(())
}
