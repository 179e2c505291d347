//! `bistable man`: a manual page for each command, made of what `--help` says.

use std::fmt::{self, Display};
use std::fs;
use std::path::PathBuf;

use clap_mangen::Man;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::{Output, Report};
use crate::{Error, atomic, cli};

/// Write the manual pages, one for each command: `man -l DIR/bistable.1` shows the first.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable man ~/.local/share/man/man1")]
pub struct Arguments {
    /// The folder, which is made if it is not there.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// What was written.
#[derive(Serialize, JsonSchema)]
pub struct Pages {
    /// The folder that they are in.
    pub folder: String,
    /// Their names, such as `bistable-key-new.1`.
    pub pages: Vec<String>,
}

impl Display for Pages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, pages } = self;
        writeln!(formatter, "{} pages in {folder}", pages.len())
    }
}

impl Report for Pages {
    const FORMAT: &'static str = "man/1";
}

/// Runs the command.
///
/// # Errors
/// A page cannot be written.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let folder = &arguments.folder;
    fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
    let mut written = Vec::new();
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    for (name, page) in pages_of(&command) {
        let path = folder.join(&name);
        atomic::replace(&path, &page).map_err(Error::io(&path, "write the page"))?;
        written.push(name);
    }
    output.say(&Pages {
        folder: folder.display().to_string(),
        pages: written,
    })
}

/// The page of `command` and those of the commands below it, with the names of their files.
fn pages_of(command: &clap::Command) -> Vec<(String, Vec<u8>)> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    let _ = man.render(&mut page); // a Vec takes everything
    let mut pages = vec![(man.get_filename(), page)];
    pages.extend(command.get_subcommands().flat_map(pages_of));
    pages
}
