//! `bistable key threshold`: how many keys of a ring must sign.

use std::fmt;
use std::path::PathBuf;

use bistable_layout::ring_file::{self, Thresholds};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::output::{Output, Report};

/// Say how many keys of a ring must sign; the rest of its file stays as it is.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable key threshold --ring keys/ring.toml --release 2 --root 2"
)]
pub struct Arguments {
    /// The key ring.
    #[arg(long, value_name = "FILE")]
    pub ring: PathBuf,
    /// How many release keys must sign an image or a request, 1 to 8.
    #[arg(long, value_name = "N", required_unless_present = "root")]
    pub release: Option<u8>,
    /// How many root keys must sign an image that revokes keys, 1 to 8.
    #[arg(long, value_name = "N")]
    pub root: Option<u8>,
}

/// The thresholds of a ring, as they are now.
#[derive(Serialize, JsonSchema)]
pub struct Changed {
    /// The ring's file.
    pub ring: String,
    /// How many release keys must sign.
    pub release: u8,
    /// How many root keys must sign an image that revokes keys.
    pub root: u8,
    /// What the ring lacks before a product takes it.
    pub incomplete: Option<String>,
}

impl Report for Changed {
    const FORMAT: &'static str = "key-threshold/1";
}

/// Runs the command.
///
/// # Errors
/// There is no such ring, or a number is out of range: then the ring is as it was.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let thresholds = Thresholds {
        release: arguments.release,
        root: arguments.root,
    };
    let ring = ring_file::set_thresholds(&arguments.ring, thresholds)?;
    output.say(&Changed {
        ring: arguments.ring.display().to_string(),
        release: ring.release_threshold,
        root: ring.root_threshold,
        incomplete: ring.check_complete().err().map(|it| it.to_string()),
    })
}

impl fmt::Display for Changed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, root, .. } = self;
        writeln!(formatter, "ring:    {}", self.ring)?;
        writeln!(
            formatter,
            "release threshold {release}, root threshold {root}"
        )?;
        match &self.incomplete {
            Some(problem) => writeln!(formatter, "the ring is not complete yet: {problem}"),
            None => Ok(()),
        }
    }
}
