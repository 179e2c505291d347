//! The device that an image is judged for: an imagined one, or the one that a flash file is of.

use std::path::Path;

use bistable_core::digest::Digest;
use bistable_core::journal::Opened;
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::manifest::Manifest;
use bistable_core::state::{Image, Origin, Snapshot};
use bistable_core::version::Version;

use crate::doctor::{Conditions, Dump, examine_dump};
use crate::facts::Facts;
use crate::{Error, files};

/// A device, as far as what it takes depends on it.
#[derive(Clone, Debug)]
pub struct Taker {
    /// Its bootloader.
    pub bootloader: Version,
    /// Its state.
    pub snapshot: Snapshot,
    /// The slot that runs.
    pub running: Slot,
    /// Whether its journal takes nothing any more.
    pub worn_out: bool,
}

/// What is known of an imagined device; the rest suits the image.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// The floor, if it is above the factory's.
    pub floor: Option<u32>,
    /// The sequence of the image that runs.
    pub running: Option<u32>,
    /// The data schema of its application.
    pub schema: Option<u16>,
    /// The keys that it has revoked.
    pub revoked: Revoked,
}

impl Taker {
    /// A device of which only `known` is known: else it runs some older image than the one that says
    /// `manifest`, with the factory's floor, and its data can be read.
    #[must_use]
    pub fn imagined(
        facts: &Facts,
        bootloader: Version,
        known: Known,
        manifest: Option<&Manifest>,
    ) -> Self {
        let sequence = manifest.map_or(0, Manifest::sequence);
        let older = Image {
            digest: Digest::NONE,
            sequence: known.running.unwrap_or(sequence.saturating_sub(1)),
            origin: Origin::Factory,
        };
        let factory_floor = facts.product.layout.factory_floor;
        let floor = known.floor.unwrap_or_default().max(factory_floor);
        let schema = manifest.map_or(0, |manifest| manifest.schemas().0);
        Self {
            bootloader,
            snapshot: Snapshot {
                schema: known.schema.unwrap_or(schema),
                revoked: known.revoked,
                ..Snapshot::with_confirmed(Slot::A, older, floor)
            },
            running: Slot::A,
            worn_out: false,
        }
    }

    /// The device whose flash is in the file at `path`, after a power-on.
    ///
    /// # Errors
    /// The file is shorter than the flash (of several: does not hold what it takes to say what boots), or nothing boots
    /// from it.
    pub fn read(path: &Path, facts: &Facts, bootloader: Version) -> Result<Self, Error> {
        let bytes = files::read(path, "read the flash")?;
        let dump = Dump::of_row(&bytes, 0, &facts.row);
        if facts.row.only().is_some() && !dump.is_whole() {
            return Err(Error::unexpected(
                path,
                format!("{} bytes", bytes.len()),
                format!("the {} bytes of the device's flash", facts.row.size()),
                "read the whole flash; `bistable doctor` says what a part of it tells",
            ));
        }
        let conditions = Conditions {
            bootloader,
            ..Conditions::default()
        };
        let examination = examine_dump(&dump, facts, conditions);
        if !examination.missing.is_empty() {
            return Err(Error::unexpected(
                path,
                format!(
                    "not enough to say what boots: {} is not, or not all, in this file",
                    examination.missing.join(", ")
                ),
                format!("what begins with the first of {}", facts.row.names()),
                "read the flash with the journal and the slot that runs from their start on",
            ));
        }
        let boots = examination.boots.ok_or_else(|| {
            Error::unexpected(
                path,
                "a device from which nothing boots",
                "one whose application can install an image",
                "see why with `bistable doctor`",
            )
        })?;
        Ok(Self {
            bootloader,
            snapshot: boots.after,
            running: boots.slot,
            worn_out: matches!(examination.journal, Some(Opened::GaveUp(_))),
        })
    }
}
