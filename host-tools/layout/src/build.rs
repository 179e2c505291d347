//! Functions for build scripts: they write `memory.x` and `layout.rs` to `OUT_DIR`.
//!
//! If something is wrong, the build fails with one line that says what, and what to do.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use bistable_core::layout::Slot;

use crate::error::{Error, Problem};
use crate::generate;
use crate::product::{Memory, Product};
use crate::ring::Ring;

/// Says for which slot an application is linked: `A`, which it is without it, or `B`.
pub const SLOT_VARIABLE: &str = "BISTABLE_SLOT";

/// For a bootloader's build script: `layout` is the path of `layout.toml`, from the package's directory.
pub fn bootloader(layout: impl AsRef<Path>) {
    run(layout.as_ref(), |product| Ok(product.bootloader_memory()));
}

/// For an application's build script: as [`bootloader`], and `FLASH` is the payload of the slot that
/// [`SLOT_VARIABLE`] names.
pub fn application(layout: impl AsRef<Path>) {
    println!("cargo::rerun-if-env-changed={SLOT_VARIABLE}");
    run(layout.as_ref(), |product| {
        slot(env::var_os(SLOT_VARIABLE).as_deref()).map(|slot| product.application_memory(slot))
    });
}

/// Names the folder that [`c_library`] writes linker scripts to.
pub const SCRIPTS_VARIABLE: &str = "BISTABLE_LINKER_SCRIPTS";

/// For the build script of the library that an application in C is linked with: `layout.rs` alone, for the
/// library lies in either slot. If [`SCRIPTS_VARIABLE`] names a folder, `memory-a.x` and `memory-b.x` go
/// there: the memory of the application in each slot, for its linker script to include.
pub fn c_library(layout: impl AsRef<Path>) {
    println!("cargo::rerun-if-env-changed={SCRIPTS_VARIABLE}");
    let layout = layout.as_ref();
    if let Err(error) = write_c_library(layout) {
        println!("cargo::error={error}");
    }
}

/// For the build script of a library that bootloader and application share, such as a board's: `layout.rs` alone.
pub fn library(layout: impl AsRef<Path>) {
    if let Err(error) = write_constants(layout.as_ref()) {
        println!("cargo::error={error}");
    }
}

fn write_constants(layout: &Path) -> Result<Product, Error> {
    let (product, ring) = read(layout)?;
    let directory = out_dir().map_err(|problem| problem.at(layout))?;
    let constants = generate::layout_rs(&product, &ring);
    write_file(&directory.join("layout.rs"), &constants)?;
    Ok(product)
}

fn write_c_library(layout: &Path) -> Result<(), Error> {
    let product = write_constants(layout)?;
    let Some(scripts) = env::var_os(SCRIPTS_VARIABLE).map(PathBuf::from) else {
        return Ok(());
    };
    for (slot, name) in [(Slot::A, "memory-a.x"), (Slot::B, "memory-b.x")] {
        let path = scripts.join(name);
        // One that somebody took away is written again.
        println!("cargo::rerun-if-changed={}", path.display());
        write_file(
            &path,
            &generate::memory_x(product.architecture, &product.application_memory(slot)),
        )?;
    }
    Ok(())
}

fn run(layout: &Path, memory: impl FnOnce(&Product) -> Result<Memory, Problem>) {
    if let Err(error) = write(layout, memory) {
        // Cargo fails the build by this line alone, and then prints it without what came before it.
        println!("cargo::error={error}");
    }
}

fn write(
    layout: &Path,
    memory: impl FnOnce(&Product) -> Result<Memory, Problem>,
) -> Result<(), Error> {
    let (product, ring) = read(layout)?;
    let memory = memory(&product).map_err(|problem| problem.at(layout))?;
    let directory = out_dir().map_err(|problem| problem.at(layout))?;
    for (name, text) in outputs(&product, &ring, &memory) {
        write_file(&directory.join(name), &text)?;
    }
    println!("cargo::rustc-link-search={}", directory.display());
    Ok(())
}

/// Each line comes before the file is read: a build that failed is tried again when it is mended.
fn read(layout: &Path) -> Result<(Product, Ring), Error> {
    println!("cargo::rerun-if-changed={}", layout.display());
    let product = Product::read(layout)?;
    println!("cargo::rerun-if-changed={}", product.ring_path.display());
    let ring = product.ring()?;
    Ok((product, ring))
}

fn write_file(path: &Path, text: &str) -> Result<(), Error> {
    let doing = "write the generated file";
    fs::write(path, text).map_err(|source| Problem::Io { doing, source }.at(path))
}

fn outputs(product: &Product, ring: &Ring, memory: &Memory) -> [(&'static str, String); 2] {
    [
        ("memory.x", generate::memory_x(product.architecture, memory)),
        ("layout.rs", generate::layout_rs(product, ring)),
    ]
}

fn out_dir() -> Result<PathBuf, Problem> {
    let directory = env::var_os("OUT_DIR");
    let directory = directory.ok_or_else(|| {
        Problem::value(
            "OUT_DIR",
            "nothing",
            "a directory: call this from a build script",
        )
    })?;
    Ok(directory.into())
}

fn slot(variable: Option<&OsStr>) -> Result<Slot, Problem> {
    match variable.map(OsStr::to_str) {
        None | Some(Some("A")) => Ok(Slot::A),
        Some(Some("B")) => Ok(Slot::B),
        Some(_) => Err(Problem::value(
            SLOT_VARIABLE,
            format!("{:?}", variable.unwrap_or_default()),
            "A or B",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_linked_for_slot_a_unless_the_variable_says_b() {
        assert_eq!(slot(None).unwrap(), Slot::A);
        assert_eq!(slot(Some(OsStr::new("A"))).unwrap(), Slot::A);
        assert_eq!(slot(Some(OsStr::new("B"))).unwrap(), Slot::B);
    }

    #[test]
    fn another_slot_is_refused() {
        let message = slot(Some(OsStr::new("b"))).unwrap_err().to_string();
        assert_eq!(message, "BISTABLE_SLOT: found \"b\", expected A or B");
    }
}
