//! The figures: what is written to `target/bench.json`, and committed as `docs/benchmarks.json`.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::elf::Sizes;

/// Where the committed ones are, from the repository.
pub(crate) const COMMITTED: &str = "docs/benchmarks.json";

/// Everything that was measured.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// What measured it.
    pub(crate) tools: Tools,
    /// By board, then by profile of its bootloader.
    pub(crate) boards: BTreeMap<String, BTreeMap<String, Measured>>,
    /// Boards that were not measured, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) skipped: BTreeMap<String, String>,
    /// What an update costs on the flash model of the power-cut explorer.
    pub(crate) same_geometry: Vec<Costs>,
}

/// The tools, as they name themselves.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Tools {
    /// The compiler of the firmware.
    pub(crate) rustc: String,
    /// The emulator.
    pub(crate) emulator: String,
}

impl Display for Tools {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.rustc, self.emulator)
    }
}

/// One bootloader on one board. Sizes in bytes, times in instructions of the processor.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// What it takes of flash: vectors, code, constants, and what RAM is initialised with.
    pub(crate) text: u64,
    /// Of that, what RAM is initialised with.
    pub(crate) data: u64,
    /// What it takes of RAM besides.
    pub(crate) bss: u64,
    /// What each crate takes.
    pub(crate) by_crate: BTreeMap<String, Sizes>,
    /// From power-on to the first instruction of a confirmed application with a payload of 64 KiB.
    pub(crate) instructions_64k: u64,
    /// The same with 256 KiB.
    pub(crate) instructions_256k: u64,
    /// Of either, what clearing the application's RAM takes, which a reset does not do.
    pub(crate) instructions_clearing: u64,
    /// From a reset of the running application to its first instruction, 64 KiB.
    pub(crate) instructions_reset_64k: u64,
    /// The same with 256 KiB.
    pub(crate) instructions_reset_256k: u64,
    /// Of each, what the signature of the 256 KiB image takes.
    pub(crate) instructions_signature: u64,
    /// The deepest that the stack was.
    pub(crate) stack: u64,
    /// The image whose updates were counted: length of its file.
    pub(crate) image: u64,
    /// Sectors of a slot that it fills.
    pub(crate) sectors_filled: u32,
    /// Erases of slot sectors by an update that is kept.
    pub(crate) erases_slot_update: u32,
    /// Erases of journal sectors by that update.
    pub(crate) erases_journal_update: u32,
    /// Bytes programmed by it, wherever.
    pub(crate) bytes_programmed_update: u32,
    /// Erases of slot sectors from the first start of an image on trial until the one before it runs again.
    pub(crate) erases_revert: u32,
    /// Erases of journal sectors meanwhile.
    #[serde(default)]
    pub(crate) erases_journal_revert: u32,
    /// Erases of journal sectors by an update that is given back, all in all.
    pub(crate) erases_journal_failed_update: u32,
    /// Program calls of starting a confirmed image.
    pub(crate) programs_confirmed_boot: u32,
    /// Erases of starting a confirmed image.
    pub(crate) erases_confirmed_boot: u32,
    /// Bytes of TCP payload in both directions, headers included, that an update takes.
    pub(crate) bytes_network: u64,
}

/// What an update costs somebody on the flash model: see `tests/embassy-boot`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Costs {
    /// Whom, and with which partitions.
    pub(crate) of: String,
    /// From the first byte of the download until the image is kept for good.
    pub(crate) update: Cost,
    /// From the reset after a failed trial until the old image runs.
    pub(crate) revert: Cost,
}

/// Operations of a flash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Erased sectors.
    pub(crate) erases: u64,
    /// Program calls.
    pub(crate) programs: u64,
    /// Bytes that they programmed.
    pub(crate) bytes: u64,
    /// How often the sector was erased that was erased most.
    pub(crate) most_erased: u64,
}

impl Figures {
    /// Reads a file of figures.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Writes them to a file.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }
}
