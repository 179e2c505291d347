//! `bistable request show`: what a request asks, of whom, and whether a unit would obey.

use std::path::PathBuf;

use crate::facts::Facts;
use crate::output::Output;
use crate::{Error, files, request};

/// Show what a request asks, and who signed it; exit status 1 if that is not enough.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable request show back.req --layout layout.toml")]
pub struct Arguments {
    /// The request.
    #[arg(value_name = "REQUEST")]
    pub request: PathBuf,
    /// The product's layout.toml: names its keys, and says whose signatures are valid.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The file is no request, or too few release keys of the ring have signed it.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let path = &arguments.request;
    let bytes = files::read(path, "read the request")?;
    let request = request::parse(path, &bytes)?;
    output.say(&request::describe(path, &request, &facts))?;
    request::check(&request, &facts, path.display())
}
