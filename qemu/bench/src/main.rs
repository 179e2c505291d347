//! `cargo xtask bench`: the figures of the bootloader and of an update, measured on what the demo boots.
#![forbid(unsafe_code)]

mod boot;
mod charts;
mod elf;
mod figures;
mod gate;
mod gdb;
mod measure;
mod page;
mod probe;
mod profile;
mod program;
mod quoted;
mod workshop;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use bistable_qemu::Board;
use clap::Parser;

use crate::figures::{COMMITTED, Figures, Measured, Tools};
use crate::gate::{Found, Quick};
use crate::profile::Profile;
use crate::workshop::Workshop;

/// Measures the bootloader and an update of the emulated boards, and writes the figures, their page and its charts.
#[derive(Parser)]
struct Arguments {
    /// The board; all of them without it, and the others' committed figures stay.
    #[arg(long, value_parser = board)]
    board: Option<Board>,
    /// Measure only text and instructions, and fail unless they are within 2 % of the committed figures.
    #[arg(long)]
    check: bool,
    /// Take all figures for 3 % above the committed ones: the check must fail.
    #[arg(long, requires = "check")]
    plant: bool,
    /// Measure nothing: write the page and its charts from the committed figures.
    #[arg(long, conflicts_with = "check")]
    render: bool,
    /// The repository.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// The command `bistable`.
    #[arg(long, default_value = "target/debug/bistable")]
    bistable: PathBuf,
}

/// The exit status that says that nothing was compared; a line with [`MARK`] says why.
const SKIPPED: u8 = 3;

/// What the line with the reason begins with.
const MARK: &str = "nothing is compared: ";

fn board(name: &str) -> Result<Board, String> {
    let names = Board::ALL.map(Board::name).join(", ");
    Board::named(name).ok_or_else(|| format!("expected one of {names}"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match (arguments.check, arguments.render) {
        (true, _) => check(&arguments),
        (_, true) => render(&arguments).map(|()| ExitCode::SUCCESS),
        _ => bench(&arguments).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

/// Measures everything and writes it.
fn bench(arguments: &Arguments) -> Result<()> {
    let repository = std::path::absolute(&arguments.repository)?;
    let committed = repository.join(COMMITTED);
    let before = committed.exists().then(|| Figures::read(&committed));
    let before = before.transpose()?.unwrap_or_default();
    let mut figures = match arguments.board {
        Some(_) => before.clone(),
        None => Figures::default(),
    };
    // Whose tools they are is said once, for all of them.
    let mut together = arguments.board.is_some_and(|asked| {
        let mut others = before.boards.keys();
        others.any(|board| board != asked.name())
    });
    for board in boards(arguments) {
        if let Some(reason) = measure::missing(board, &repository) {
            println!("SKIPPED {board}: {reason}");
            figures.skipped.insert(board.to_string(), reason);
            continue;
        }
        let workshop = workshop(arguments, board, &repository)?;
        let tools = tools(&workshop)?;
        ensure!(
            !together || tools == figures.tools,
            "{board} would be measured with {tools}, and the other boards are with {}: measure all of them, with \
             the same tools",
            figures.tools
        );
        (figures.tools, together) = (tools, true);
        let profiles = figures.boards.entry(board.to_string()).or_default();
        for &profile in Profile::ALL {
            let measured = measure::measure(&workshop, profile)
                .with_context(|| format!("{board}, profile {profile}"))?;
            profiles.insert(profile.to_string(), measured);
        }
        figures.skipped.remove(board.name());
    }
    figures.same_geometry = measure::same_geometry(&repository)?;
    print(&figures);
    figures.write(&repository.join("target/bench.json"))?;
    figures.write(&committed)?;
    page::write(&figures, &repository)?;
    println!("\nwritten: target/bench.json, {COMMITTED}, docs/benchmarks.md and its charts");
    for line in gate::compare(&before, &quick_of(&figures)) {
        println!("against what was committed: {line}");
    }
    Ok(())
}

/// Makes the page again.
fn render(arguments: &Arguments) -> Result<()> {
    let figures = Figures::read(&arguments.repository.join(COMMITTED))?;
    page::write(&figures, &arguments.repository)
}

/// The gate.
fn check(arguments: &Arguments) -> Result<ExitCode> {
    let repository = std::path::absolute(&arguments.repository)?;
    let mut committed = Figures::read(&repository.join(COMMITTED))?;
    page::check(&committed, &repository)?;
    if let Some(asked) = arguments.board {
        committed.boards.retain(|board, _| board == asked.name());
    }
    let mut found = Found::new();
    for board in boards(arguments) {
        if let Some(reason) = measure::missing(board, &repository) {
            println!("{board}: {reason}");
            continue;
        }
        let workshop = workshop(arguments, board, &repository)?;
        // Every emulator counts the same instructions; every compiler writes others.
        let (rustc, with) = (workshop.compiler()?, &committed.tools.rustc);
        if rustc != *with {
            println!("{MARK}the committed figures are those of {with}, here is {rustc}");
            return Ok(ExitCode::from(SKIPPED));
        }
        let profiles = found.entry(board.to_string()).or_default();
        for &profile in Profile::ALL {
            let quick = measure::quick(&workshop, profile)
                .with_context(|| format!("{board}, profile {profile}"))?;
            println!("{board} {profile}: {quick:?}");
            profiles.insert(profile.to_string(), quick);
        }
    }
    let planted = arguments.plant.then(|| gate::plant(&committed, &mut found));
    let failures = gate::compare(&committed, &found);
    if let Some(planted) = planted {
        ensure!(
            planted > 0 && failures.len() == planted,
            "{planted} figures have grown, and {} were noticed: {failures:?}",
            failures.len()
        );
        println!("{planted} figures have grown, and all were noticed");
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn boards(arguments: &Arguments) -> Vec<Board> {
    match arguments.board {
        Some(board) => vec![board],
        None => Board::ALL.to_vec(),
    }
}

fn workshop(arguments: &Arguments, board: Board, repository: &Path) -> Result<Workshop> {
    let bistable = std::path::absolute(&arguments.bistable)?;
    Workshop::open(board, repository, &bistable)
}

fn tools(workshop: &Workshop) -> Result<Tools> {
    Ok(Tools {
        rustc: workshop.compiler()?,
        emulator: measure::emulator(workshop.board)?,
    })
}

fn quick_of(figures: &Figures) -> Found {
    let quick = |measured: &Measured| Quick {
        text: measured.text,
        instructions_64k: measured.instructions_64k,
        instructions_256k: measured.instructions_256k,
    };
    let profiles = figures.boards.iter().map(|(board, profiles)| {
        let profiles = profiles.iter();
        let profiles = profiles.map(|(profile, measured)| (profile.clone(), quick(measured)));
        (board.clone(), profiles.collect())
    });
    profiles.collect()
}

/// The table for the terminal.
fn print(figures: &Figures) {
    for (board, profiles) in &figures.boards {
        for (profile, measured) in profiles {
            println!("\n{board}, {profile}");
            for (figure, value) in [
                ("text", measured.text),
                ("data", measured.data),
                ("bss", measured.bss),
                ("instructions_64k", measured.instructions_64k),
                ("instructions_256k", measured.instructions_256k),
                ("  of which clearing RAM", measured.instructions_clearing),
                ("instructions_reset_64k", measured.instructions_reset_64k),
                ("instructions_reset_256k", measured.instructions_reset_256k),
                ("stack", measured.stack),
                ("erases_slot_update", measured.erases_slot_update.into()),
                (
                    "erases_journal_update",
                    measured.erases_journal_update.into(),
                ),
                ("erases_revert", measured.erases_revert.into()),
                (
                    "programs_confirmed_boot",
                    measured.programs_confirmed_boot.into(),
                ),
                ("bytes_network", measured.bytes_network),
            ] {
                println!("  {figure:<26} {value:>12}");
            }
        }
    }
    println!(
        "\non one flash model, 256 KiB: sector erases per update and per revert, bytes programmed"
    );
    for costs in &figures.same_geometry {
        println!(
            "  {:<34} {:>4} {:>4} {:>9}",
            costs.of, costs.update.erases, costs.revert.erases, costs.update.bytes
        );
    }
}
