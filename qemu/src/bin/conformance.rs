//! Learns whether an emulated board keeps what Bistable relies on.
//!
//! `cargo xtask conformance` builds and starts this.

use std::path::PathBuf;
use std::process::ExitCode;

use bistable_qemu::{Board, conformance};
use clap::Parser;

/// Learns whether an emulated board keeps what Bistable relies on: flash, handover, reset reasons, watchdog.
#[derive(Parser)]
struct Arguments {
    /// The board.
    #[arg(long, default_value = Board::Mps2An385.name(), value_parser = board)]
    board: Board,
    /// The repository.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// Where the board's flash is kept.
    #[arg(long, default_value = "target/conformance")]
    folder: PathBuf,
}

fn board(name: &str) -> Result<Board, String> {
    let names = Board::ALL.map(Board::name).join(", ");
    Board::named(name).ok_or_else(|| format!("expected one of {names}"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Arguments {
        board,
        repository,
        folder,
    } = &arguments;
    let absolute = std::path::absolute::<&PathBuf>;
    let outcome = absolute(repository)
        .and_then(|repository| Ok((repository, absolute(folder)?)))
        .map_err(anyhow::Error::from)
        .and_then(|(repository, folder)| {
            conformance(*board, &repository, &folder.join(board.name()))
        });
    match outcome {
        Ok(()) => {
            println!("{board} keeps the contract");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("NOT KEPT: {error:#}");
            ExitCode::FAILURE
        }
    }
}
