//! `bistable schema`: how the JSON of a command looks.

use crate::output::Output;
use crate::{Error, schemas};

/// Print the schema (JSON Schema 2020-12) of what a command says with --json; all names without FORMAT.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable schema key-show/1")]
pub struct Arguments {
    /// What stands in the document behind `format`.
    #[arg(value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// There is no such format.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let all = schemas::all();
    let Some(wanted) = &arguments.format else {
        let names = all.iter().map(|(format, _)| format!("{format}\n"));
        return output.say_as_it_is(&names.collect::<String>());
    };
    let found = all.iter().find(|(format, _)| format == wanted);
    let (_, schema) = found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(format, _)| *format).collect();
        Error::argument(
            "FORMAT",
            format!("`{}`", wanted.escape_debug()),
            names.join(", "),
            "a document of another version was written by other tools",
        )
    })?;
    output.say_as_it_is(&schemas::text(schema))
}
