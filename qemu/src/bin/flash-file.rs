//! Makes the file that is the flash of an emulated machine, of what `bistable factory build` made.
//!
//! The machine's memory is this file; it holds the flash at its start, and from its middle on the notes that the flash
//! driver `board_kit::memory_flash` asks for.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use bistable_layout::Product;
use bistable_qemu::{FlashFile, Geometry, InMemory};
use clap::Parser;

/// Makes the file that is the flash of an emulated machine.
#[derive(Parser)]
struct Arguments {
    /// The product's layout.toml.
    #[arg(long)]
    layout: PathBuf,
    /// The layout's name for the flash.
    #[arg(long, default_value = "main")]
    flash: String,
    /// Bytes of the machine's memory: a power of two, at least twice the flash.
    #[arg(long, default_value_t = 16 << 20)]
    memory: u32,
    /// What the flash holds at its start: a .bin of `bistable factory build`.
    content: PathBuf,
    /// The file to make, in place of one that is there.
    out: PathBuf,
}

fn main() -> ExitCode {
    match make(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn make(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments {
        layout,
        flash,
        memory,
        content,
        out,
    } = arguments;
    let product = Product::read(layout)?;
    let described = product.flash.get(flash);
    let described =
        described.with_context(|| format!("{}: no flash `{flash}`", layout.display()))?;
    let form = InMemory {
        geometry: Geometry {
            size: described.size,
            sector_size: described.erase_size,
        },
        memory_size: *memory,
    };
    ensure!(
        form.fits(),
        "{}: {:#x} bytes of flash `{flash}` in sectors of {:#x}, expected at most the half of {memory:#x} bytes of \
         memory, which is a power of two; the notes lie in the other half",
        layout.display(),
        described.size,
        described.erase_size,
    );
    let content = fs::read(content).with_context(|| content.display().to_string())?;
    FlashFile::create(form, out, &content)?;
    Ok(())
}
