//! Tells the story of an update, from keys to a unit that is made again, on an emulated board, and checks it.
//!
//! `cargo xtask demo` builds and starts this.

use std::path::PathBuf;
use std::process::ExitCode;

use bistable_qemu::Board;
use bistable_qemu::story::{Places, Settings, tell};
use clap::Parser;

/// Tells the story of an update on an emulated board, and checks every step.
#[derive(Parser)]
struct Arguments {
    /// The board.
    #[arg(long, default_value = Board::Mps2An385.name(), value_parser = board)]
    board: Board,
    /// The repository.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// The command `bistable`.
    #[arg(long, default_value = "target/debug/bistable")]
    bistable: PathBuf,
    /// Where the story takes place; it is emptied, unless the story does not begin with step 1.
    #[arg(long, default_value = "target/demo")]
    world: PathBuf,
    /// What the power cuts are drawn from; drawn itself if it is not given.
    #[arg(long, value_parser = seed)]
    seed: Option<u64>,
    /// The step to begin with: the world must be as the step before left it.
    #[arg(long, default_value_t = 1)]
    from: u8,
    /// The step to end with.
    #[arg(long, default_value_t = 13)]
    to: u8,
    /// Plant a failure into this step, to see that it is noticed.
    #[arg(long)]
    plant: Option<u8>,
    /// Copy the world into this folder before each step.
    #[arg(long)]
    checkpoints: Option<PathBuf>,
}

fn board(name: &str) -> Result<Board, String> {
    let names = Board::ALL.map(Board::name).join(", ");
    Board::named(name).ok_or_else(|| format!("expected one of {names}"))
}

fn seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nNOT TRUE: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let absolute = std::path::absolute::<PathBuf>;
    tell(&Settings {
        places: Places {
            board: arguments.board,
            repository: absolute(arguments.repository)?,
            world: absolute(arguments.world)?,
            bistable: absolute(arguments.bistable)?,
        },
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..)),
        steps: (arguments.from, arguments.to),
        plant: arguments.plant,
        checkpoints: arguments.checkpoints,
    })
}
