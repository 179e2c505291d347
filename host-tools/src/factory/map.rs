//! What a flash file holds and where, for the station's log.

use std::fmt::{self, Display};
use std::path::Path;

use bistable_core::digest::Digest;
use bistable_updater::identity::Identity;
use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::Facts;
use crate::image::file::ImageFile;
use crate::memory_flash::ERASED;
use crate::output::Report;

/// What a flash file holds.
#[derive(Serialize, JsonSchema)]
pub struct Map {
    /// The file.
    pub file: String,
    /// Its length in bytes.
    pub length: u64,
    /// The flash that it is all of, as the layout calls it.
    pub flash: String,
    /// Its SHA-256.
    pub digest: String,
    /// The image that the device starts with.
    pub image: String,
    /// That image's version.
    pub version: String,
    /// The unit's serial number.
    pub serial: String,
    /// The board's revision.
    pub hardware_revision: u16,
    /// Everything that the layout has a place for, in the order of the addresses.
    pub regions: Vec<MappedRegion>,
}

/// A region of the layout.
#[derive(Serialize, JsonSchema)]
pub struct MappedRegion {
    /// What lies there.
    pub name: String,
    /// The flash that it lies on.
    pub flash: String,
    /// Where the processor sees its first byte; `null` if it is not in this file.
    pub address: Option<u64>,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it is in this file, and something is in it.
    pub filled: bool,
    /// The SHA-256 of what is in it, the erased rest included.
    pub digest: Option<String>,
}

impl Report for Map {
    const FORMAT: &'static str = "factory-build/1";
}

impl Map {
    /// Of the file at `path`, which holds all of `flash`.
    #[must_use]
    pub fn new(
        path: &Path,
        flash: &[u8],
        facts: &Facts,
        image: &ImageFile,
        identity: &Identity,
    ) -> Self {
        let product = &facts.product;
        let on = product.flash.get(&product.slots_flash);
        let base = on.map_or(0, |flash| u64::from(flash.address));
        let regions = product.regions().into_iter().map(|region| {
            let here = region.device == product.slots_flash;
            let bytes = flash.get(region.start as usize..region.end as usize);
            let bytes = bytes.filter(|_| here).unwrap_or_default();
            let filled = bytes.iter().any(|byte| *byte != ERASED);
            MappedRegion {
                name: region.name,
                flash: region.device,
                address: here.then_some(base + region.start),
                length: region.end - region.start,
                filled,
                digest: filled.then(|| Digest::of(bytes).to_string()),
            }
        });
        Self {
            file: path.display().to_string(),
            length: flash.len() as u64,
            flash: product.slots_flash.clone(),
            digest: Digest::of(flash).to_string(),
            image: image.manifest().digest().to_string(),
            version: image.manifest().version().to_string(),
            serial: identity.serial.to_string(),
            hardware_revision: identity.hardware_revision,
            regions: regions.collect(),
        }
    }
}

impl Display for Map {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "flash     {} ({} bytes, all of `{}`), SHA-256 {}",
            self.file, self.length, self.flash, self.digest
        )?;
        let Self { version, image, .. } = self;
        writeln!(
            formatter,
            "image     {version} {image}, confirmed in slot A"
        )?;
        let revision = self.hardware_revision;
        writeln!(
            formatter,
            "serial    {}, hardware revision {revision}\n",
            self.serial
        )?;
        let [region, address, bytes] = ["region", "address", "bytes"];
        writeln!(formatter, "{region:<22} {address:<21} {bytes:>8}  SHA-256")?;
        self.regions
            .iter()
            .try_for_each(|region| writeln!(formatter, "{region}"))
    }
}

impl Display for MappedRegion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, length, .. } = self;
        let Some(address) = self.address else {
            let flash = &self.flash;
            return write!(
                formatter,
                "{name:<22} not in this file: it lies on flash `{flash}`"
            );
        };
        let end = address + length;
        let content = match (&self.digest, name.as_str()) {
            (Some(digest), _) => digest,
            (None, "the bootloader") => "not part of this file: flash it before",
            (None, _) => "erased",
        };
        write!(
            formatter,
            "{name:<22} {address:#010x}..{end:#010x} {length:>8}  {content}"
        )
    }
}
