//! `bistable receipt challenge`: what a unit is asked to answer.

use std::fmt::{self, Display};

use schemars::JsonSchema;
use serde::Serialize;

use crate::output::{Output, Report};
use crate::proof::challenge::random;
use crate::{Error, hex};

/// Make a challenge for a unit: what answers it was signed after now.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable receipt challenge")]
pub struct Arguments {}

/// What a unit is asked to answer.
#[derive(Serialize, JsonSchema)]
pub struct Asked {
    /// 64 hexadecimal digits that nobody can guess.
    pub challenge: String,
}

impl Report for Asked {
    const FORMAT: &'static str = "receipt-challenge/1";
}

/// Runs the command.
///
/// # Errors
/// The operating system gives no random bytes.
pub fn run(_: &Arguments, output: &Output) -> Result<(), Error> {
    output.say(&Asked {
        challenge: hex::encode(&random()?),
    })
}

impl Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.challenge)
    }
}
