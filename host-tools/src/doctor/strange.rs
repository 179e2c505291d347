//! What may be wrong with the file rather than with the device: read from elsewhere, with its bytes
//! turned around, from a device of another layout, or never written.

use bistable_core::digest::Digest;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};

use crate::doctor::dump::{Dump, Holds};
use crate::doctor::sectors::{Copy, Sector};
use crate::facts::Facts;
use crate::memory_flash::ERASED;

/// What may be wrong with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strange {
    /// The journal was written for another layout.
    OtherLayout(Digest),
    /// The bytes of each word of this length are turned around.
    Swapped(usize),
    /// A journal lies in it, but elsewhere: the file may begin so far behind the flash's start.
    Elsewhere(usize),
    /// Every byte is the same.
    Uniform(u8),
}

/// What may be wrong with the file, if its journal makes no sense.
#[must_use]
pub fn strange(dump: &Dump, sectors: &[Sector], facts: &Facts) -> Option<Strange> {
    if sectors.iter().any(|sector| sector.view.valid > 0) {
        return None;
    }
    let mut copies = sectors.iter().flat_map(|sector| sector.copies);
    let of_its_copies = copies.find_map(|copy| match copy {
        Copy::OtherLayout(layout) => Some(Strange::OtherLayout(layout)),
        Copy::Swapped(width) => Some(Strange::Swapped(width)),
        Copy::Valid | Copy::Blank | Copy::Zero | Copy::Garbage | Copy::NotInFile => None,
    });
    of_its_copies
        .or_else(|| elsewhere(dump, facts).map(Strange::Elsewhere))
        .or_else(|| uniform(dump).map(Strange::Uniform))
}

/// Looks for the journal's first snapshot: where the file should begin so that it lies where it belongs.
fn elsewhere(dump: &Dump, facts: &Facts) -> Option<usize> {
    let layout = facts.row.layout();
    let present = dump.present();
    let places = present.clone().step_by(4);
    let found = places.into_iter().find(|at| {
        let bytes = dump.get(*at..at.saturating_add(SNAPSHOT_LEN));
        let copy = bytes.and_then(|bytes| <&snapshot::Bytes>::try_from(bytes).ok());
        copy.is_some_and(|copy| {
            snapshot::layout(copy) == layout.digest && snapshot::is_valid(copy, layout.digest)
        })
    })?;
    let belongs = (layout.journal.offset as usize).checked_add(present.start)?;
    belongs.checked_sub(found)
}

fn uniform(dump: &Dump) -> Option<u8> {
    let bytes = dump.bytes().get(dump.present())?;
    let first = *bytes.first()?;
    let same = bytes.iter().all(|byte| *byte == first);
    (same && dump.holds(0..dump.bytes().len()) != Holds::Nothing).then_some(first)
}

impl Strange {
    /// Whether the file makes sense, though not as it was read.
    #[must_use]
    pub const fn is_misread(self) -> bool {
        matches!(self, Self::OtherLayout(_) | Self::Swapped(_))
    }

    /// What it is, and what to do.
    #[must_use]
    pub fn advice(self, facts: &Facts) -> String {
        match self {
            Self::OtherLayout(layout) => format!(
                "The journal was written for another layout ({layout:.4}): give the layout.toml that the \
                 device was made with, for this one cannot judge it."
            ),
            Self::Swapped(width) => format!(
                "The bytes of each word of {width} are turned around: read the flash again, byte by byte."
            ),
            Self::Elsewhere(offset) => format!(
                "A journal lies elsewhere in this file: if that is the device's, the file begins at \
                 `--at {:#x}`.",
                facts.row.address(offset)
            ),
            Self::Uniform(ERASED) => {
                "The file is all 0xff: the flash is erased, or was never read.".into()
            }
            Self::Uniform(byte) => format!(
                "The file is all {byte:#04x}: it is no flash that ever worked; read the flash again."
            ),
        }
    }
}
