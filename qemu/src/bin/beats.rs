//! Measures whether applications keep their beat while they update themselves, on an emulated board.
//!
//! `cargo xtask beats` builds and starts this.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bistable_qemu::Board;
use bistable_qemu::story::{Places, Rhythm, beats};
use clap::Parser;

/// Measures whether applications keep a beat of 10 ms while they update themselves.
#[derive(Parser)]
struct Arguments {
    /// The repository.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// The command `bistable`.
    #[arg(long, default_value = "target/debug/bistable")]
    bistable: PathBuf,
    /// Where it takes place, in a folder for each application.
    #[arg(long, default_value = "target/beats")]
    world: PathBuf,
    /// Packages of applications that log what they measure.
    #[arg(long = "package", default_values = ["mps2-an385-embassy", "mps2-an385-interrupts"])]
    packages: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nNOT TRUE: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let absolute = std::path::absolute::<&Path>;
    let mut figures = Vec::new();
    for package in &arguments.packages {
        println!("\n{package}");
        let places = Places {
            board: Board::Mps2An385,
            repository: absolute(&arguments.repository)?,
            world: absolute(&arguments.world)?.join(package),
            bistable: absolute(&arguments.bistable)?,
        };
        let measured = beats(places, package);
        figures.push((package, measured.with_context(|| package.clone())?));
    }
    println!("\nbeats of 10 ms during an update, in the emulator's time:");
    for (package, [kept, missed]) in figures {
        println!("{package:<22} above the update:  {}", words(kept));
        println!("{:<22} beside the update: {}", "", words(missed));
    }
    Ok(())
}

fn words(rhythm: Rhythm) -> String {
    format!(
        "{} beats in {:.1} ms, the longest distance {:.3} ms",
        rhythm.beats,
        rhythm.during as f64 / 1000.0,
        rhythm.longest as f64 / 1000.0
    )
}
