//! How much flash a program takes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSegment as _};

/// The bytes of all loaded segments of an ELF file that lie in flash: vectors, code, constants and
/// what RAM is initialised with.
pub(super) fn text_size(elf: &Path) -> Result<u64> {
    let bytes = fs::read(elf).with_context(|| format!("read {}", elf.display()))?;
    let file = object::File::parse(&*bytes).with_context(|| elf.display().to_string())?;
    let loaded = file.segments().filter_map(|segment| segment.data().ok());
    Ok(loaded.map(|data| data.len() as u64).sum())
}
