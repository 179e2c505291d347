//! `bistable completions`: the script that teaches a shell the commands.

use clap_complete::Shell;

use crate::output::Output;
use crate::{Error, cli};

/// Print the script that completes commands and options in a shell.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable completions bash > ~/.local/share/bash-completion/completions/bistable"
)]
pub struct Arguments {
    /// Which shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let mut script = Vec::new();
    let mut command = cli::command();
    clap_complete::generate(arguments.shell, &mut command, "bistable", &mut script);
    output.say_as_it_is(&String::from_utf8_lossy(&script))
}
