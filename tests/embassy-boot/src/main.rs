//! embassy-boot on the flash model of the power-cut explorer, beside Bistable.
//!
//! Its documented use is cut at every operation in every way of the design's fault table, and its flash
//! operations for an update stand beside Bistable's. The figures are committed, and shown in
//! `docs/comparison-embassy-boot.md`: this command fails if it finds others.

mod bistable;
mod chip;
mod explore;
mod figures;
mod life;
mod operations;
mod point;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use figures::Figures;

const USAGE: &str = "\
Usage: compare [--json FILE] [--bless]
       compare --operations FILE

  --json FILE        writes the figures there
  --operations FILE  counts the flash operations of an update, nothing else, and writes them there
  --bless            makes what was found the committed figures, here and in the documentation";

/// What is committed.
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.json");

/// Where it is shown.
const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/comparison-embassy-boot.md"
);

fn main() -> ExitCode {
    let mut json = None;
    let mut bless = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bless" => bless = true,
            "--operations" => {
                let file = arguments.next().unwrap_or_default();
                return outcome(operations(Path::new(&file)));
            }
            "--json" => json = arguments.next().map(PathBuf::from),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::FAILURE;
            }
        }
    }
    outcome(compare(json.as_deref(), bless))
}

fn outcome(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// What `cargo xtask bench` sets beside its own figures.
fn operations(file: &Path) -> Result<(), String> {
    let costs = serde_json::to_string_pretty(&operations::costs());
    write(file, &(costs.map_err(|error| error.to_string())? + "\n"))
}

fn compare(json: Option<&Path>, bless: bool) -> Result<(), String> {
    let figures = Figures::measure();
    println!("embassy-boot {}\n", figures.embassy_boot);
    for (_, table) in figures.tables() {
        println!("{table}");
    }
    let text = serde_json::to_string_pretty(&figures).map_err(|error| error.to_string())? + "\n";
    let shown = with_tables(&read(PAGE)?, &figures)?;
    if let Some(file) = json {
        write(file, &text)?;
    }
    if bless {
        write(Path::new(FIGURES), &text)?;
        return write(Path::new(PAGE), &shown);
    }
    let committed = serde_json::from_str::<Figures>(&read(FIGURES)?);
    let committed = committed.map_err(|error| format!("{FIGURES}: {error}"))?;
    if committed != figures {
        return Err(format!(
            "{FIGURES} says something else; --bless rewrites it"
        ));
    }
    if read(PAGE)? != shown {
        return Err(format!("{PAGE} shows other tables; --bless rewrites them"));
    }
    println!("as committed");
    Ok(())
}

/// The page with these tables: each between `<!-- table: name -->` and the next empty line.
fn with_tables(page: &str, figures: &Figures) -> Result<String, String> {
    let mut page = page.to_owned();
    for (name, table) in figures.tables() {
        let mark = format!("<!-- table: {name} -->\n");
        let start = page.find(&mark).map(|start| start + mark.len());
        let start = start.ok_or_else(|| format!("{PAGE} has no line {}", mark.trim_end()))?;
        let len = page[start..]
            .find("\n\n")
            .map_or(page.len() - start, |len| len + 1);
        page.replace_range(start..start + len, &table);
    }
    Ok(page)
}

fn read(file: &str) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
