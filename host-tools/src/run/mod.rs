//! `bistable run`: an application on its emulated board, from sources to a log.
//!
//! It is cargo's runner, too (`.cargo/config.toml`): then cargo has built the program for slot A, and it is
//! linked for B here. The image is signed, written with journal and identity as the factory does it, and
//! what bootloader and application log is shown, each line read with the table of the image that runs.
//!
//! Exit status 0: it went as it was asked for, or was interrupted. 1: it was not built, the emulator ended by
//! itself, or the line of `--until` did not come.

mod debugger;
mod image;
mod line;
mod project;
mod server;
mod tables;
mod watch;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bistable_core::layout::Slot;
use bistable_qemu::{Board, Config, FlashFile, Machine};
use clap::ValueEnum;

pub use crate::run::line::RunLine;

use crate::facts::Facts;
use crate::output::Output;
use crate::run::debugger::Debugger;
use crate::run::image::Written;
use crate::run::project::Project;
use crate::run::server::Server;
use crate::{Error, files};

/// Run an application on its emulated board, and show what bootloader and application log.
///
/// To be called in the application's folder, or by `cargo run`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable run --until \"this image stays\" --for 60")]
pub struct Arguments {
    /// The program as cargo linked it for slot A; without it, cargo is called for both slots.
    #[arg(value_name = "ELF")]
    pub elf: Option<PathBuf>,
    /// The application's package, if it is not clear.
    #[arg(long, value_name = "NAME")]
    pub package: Option<String>,
    /// The cargo profile; that of ELF, if it is given.
    #[arg(long, default_value = "dev", conflicts_with = "elf")]
    pub profile: String,
    /// Features of the package. With `cargo run --features`, they must be given here, too.
    #[arg(long, value_delimiter = ',')]
    pub features: Vec<String>,
    /// The slot that the image is written to.
    #[arg(long, ignore_case = true, default_value = "A")]
    pub slot: SlotName,
    /// The unit's serial number.
    #[arg(long, default_value = "DEV-0001")]
    pub serial: String,
    /// Go on with the flash that the last run left, and write no image.
    #[arg(long, conflicts_with_all = ["slot", "serial"])]
    pub keep: bool,
    /// Be the unit's update server meanwhile, with this store; without it, the unit looks at port 8080.
    #[arg(long, value_name = "STORE")]
    pub serve: Option<PathBuf>,
    /// End when a line contains this; only then it went well.
    #[arg(long, value_name = "TEXT")]
    pub until: Option<String>,
    /// End after so many seconds.
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: Option<u64>,
    /// Wait for a debugger before the first instruction.
    #[arg(long)]
    pub debug: bool,
    /// Where to wait for it.
    #[arg(long, value_name = "PORT", default_value_t = debugger::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub debug_port: u16,
    /// The emulator; the board says it otherwise.
    #[arg(long, value_name = "PROGRAM")]
    pub emulator: Option<PathBuf>,
}

/// A slot, on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum SlotName {
    /// Slot A.
    A,
    /// Slot B.
    B,
}

impl From<SlotName> for Slot {
    fn from(name: SlotName) -> Self {
        match name {
            SlotName::A => Self::A,
            SlotName::B => Self::B,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Something could not be built or started, or it did not go as it was asked for.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let emulator = arguments.emulator.as_deref();
    let emulator = emulator.map(command_from_here).transpose()?;
    let store = arguments.serve.as_deref().map(from_here).transpose()?;
    // From here on in the workspace's folder.
    let project = Project::find(arguments)?;
    let board = project.board;
    let emulator = emulator.unwrap_or_else(|| board.emulator().0.into());
    check_emulator(&emulator, board)?;
    project.make_folder()?;
    let facts = Facts::read(&project.layout())?;
    let bootloader = project.build_bootloader()?;
    let written = match arguments.keep {
        true => Written::left_by_the_last_run(&project)?,
        false => Written::make(arguments, &project, &facts)?,
    };
    let server = match &store {
        Some(store) => Some(Server::start(store, &project)?),
        None => None,
    };
    let mut flash = open(board, &written.flash)?;
    server::tell(&mut flash, &facts, server.as_ref(), &project.layout())?;
    let debugger = match arguments.debug {
        true => Some(Debugger::prepare(
            arguments.debug_port,
            &project,
            &facts,
            &flash,
        )?),
        false => None,
    };
    drop(flash);
    let mut config = Config::new(board, &bootloader, &written.flash);
    config = config.with_program("bootloader", &bootloader);
    config.emulator = emulator;
    config.announcements = true;
    config.debugger = debugger.as_ref().map(|debugger| debugger.port);
    config.finder = Some(tables::finder(project.image_folders()));
    let machine = Machine::start(&config).map_err(|error| emulation(&written.flash, &error))?;
    if let Some(debugger) = &debugger {
        debugger.announce();
    }
    watch::watch(machine, arguments, output, &project)
}

/// A path as it is meant in the folder that the command was called in.
fn from_here(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(Error::io(path, "find it from here"))
}

/// A program by its path, or by its name alone.
fn command_from_here(program: &Path) -> Result<PathBuf, Error> {
    match program.components().count() {
        1 => Ok(program.into()),
        _ => from_here(program),
    }
}

/// Asked before anything is built.
fn check_emulator(emulator: &Path, board: Board) -> Result<(), Error> {
    let mut command = Command::new(emulator);
    command.arg("--version").stdin(Stdio::null());
    let found = match command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("a program that ends with {status}"),
        Err(error) => format!("no program ({error})"),
    };
    Err(Error::unexpected(
        emulator,
        found,
        format!("an emulator of {board}, such as {}", board.emulator().0),
        format!(
            "install it (Debian, Ubuntu: `sudo apt-get install {}`; macOS: `brew install qemu`), \
             or name another one with --emulator",
            board.emulator().1
        ),
    ))
}

fn open(board: Board, flash: &Path) -> Result<FlashFile, Error> {
    FlashFile::open(board, flash).map_err(|error| emulation(flash, &error))
}

/// What the emulated board complains of.
fn emulation(flash: &Path, error: &bistable_qemu::Error) -> Error {
    use std::error::Error as _;
    let cause = error.source().map(|cause| format!(" ({cause})"));
    Error::unexpected(
        flash,
        format!(
            "that the board does not start: {error}{}",
            cause.unwrap_or_default()
        ),
        "a board that runs",
        "leave out --keep to begin with a new flash",
    )
}

/// The bytes of the flash that the slots lie on, from a file that begins with them.
fn flash_bytes(flash: &FlashFile, facts: &Facts, layout: &Path) -> Result<Vec<u8>, Error> {
    let size = facts.flash(layout)?.size as usize;
    let mut bytes = files::read(flash.path(), "read the flash")?;
    bytes.truncate(size);
    Ok(bytes)
}
