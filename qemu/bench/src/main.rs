//! `cargo xtask bench`: the figures of the bootloader and of an update, measured on what the demo boots.

mod boot;
mod elf;
mod gdb;
mod probe;
mod profile;
mod program;
mod workshop;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use bistable_qemu::Board;
use clap::Parser;

use crate::boot::Device;
use crate::profile::Profile;
use crate::workshop::Workshop;

/// Measures the bootloader and an update of the emulated boards.
#[derive(Parser)]
struct Arguments {
    /// The board; all of them without it.
    #[arg(long, value_parser = board)]
    board: Option<Board>,
    /// The repository.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// The command `bistable`.
    #[arg(long, default_value = "target/debug/bistable")]
    bistable: PathBuf,
}

fn board(name: &str) -> Result<Board, String> {
    let names = Board::ALL.map(Board::name).join(", ");
    Board::named(name).ok_or_else(|| format!("expected one of {names}"))
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let repository = std::path::absolute(&arguments.repository)?;
    let bistable = std::path::absolute(&arguments.bistable)?;
    let board = arguments.board.unwrap_or(Board::Mps2An385);
    let workshop = Workshop::open(board, &repository, &bistable)?;
    for profile in Profile::ALL {
        let elf = workshop.bootloader(profile, false)?;
        let program = elf::Program::read(&elf)?;
        println!("{board} {profile}: text {}", program.flash);
        for (owner, sizes) in &program.by_crate {
            println!(
                "  {owner:<28} {:>6} {:>6} {:>6}",
                sizes.text, sizes.data, sizes.bss
            );
        }
        for length in [64, 256] {
            let device = Device::with_payload(&workshop, length << 10)?;
            println!("  {length} KiB: {:?}", device.boot(&workshop, &elf)?);
            println!("  stack {}", device.stack(&workshop, &elf)?);
        }
    }
    Ok(())
}
