//! What a factory's files hold and where, for the station's log.

use std::fmt::{self, Display};
use std::path::PathBuf;

use bistable_core::digest::Digest;
use bistable_updater::identity::Identity;
use schemars::JsonSchema;
use serde::Serialize;

use crate::doctor::map::Place;
use crate::doctor::picture::Picture;
use crate::factory::bootloader;
use crate::factory::flashes::Contents;
use crate::factory::formats::Format;
use crate::factory::uf2::Family;
use crate::facts::Facts;
use crate::image::file::ImageFile;
use crate::memory_flash::ERASED;
use crate::output::Report;

/// What the files of a factory hold. The same inputs give the same map, wherever the files are written.
#[derive(Serialize, JsonSchema)]
pub struct Map {
    /// The files, without the folder that they lie in; they all hold the same.
    pub files: Vec<MappedFile>,
    /// The flashes that they are for, by rising addresses.
    pub flashes: Vec<MappedFlash>,
    /// The digest of the layout.
    pub layout: String,
    /// The image that the device starts with.
    pub image: String,
    /// That image's version.
    pub version: String,
    /// The unit's serial number; `null` if the files are for all units.
    pub serial: Option<String>,
    /// The board's revision; `null` if the files are for all units.
    pub hardware_revision: Option<u16>,
    /// The family in the UF2 blocks, such as `0xe48bff56`; `null` if they name none.
    pub uf2_family: Option<String>,
    /// Everything that the layout has a place for, by flash and in the order of the addresses.
    pub regions: Vec<MappedRegion>,
    /// Where the files lie.
    #[serde(skip)]
    folder: PathBuf,
}

/// A file.
#[derive(Clone, Serialize, JsonSchema)]
pub struct MappedFile {
    /// Its name.
    pub file: String,
    /// What it is.
    pub format: Format,
    /// The flash that a `.bin` is all of; `null` if the file has addresses.
    pub flash: Option<String>,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub digest: String,
}

/// A flash that is in the files.
#[derive(Serialize, JsonSchema)]
pub struct MappedFlash {
    /// As the layout calls it.
    pub name: String,
    /// Where the processor sees its first byte.
    pub address: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The smallest range that can be erased, in bytes.
    pub erase_size: u32,
    /// The SHA-256 of all its bytes, erased ones included.
    pub digest: String,
}

/// A region of the layout.
#[derive(Serialize, JsonSchema)]
pub struct MappedRegion {
    /// What lies there.
    pub name: String,
    /// The flash that it lies on.
    pub flash: String,
    /// Where the processor sees its first byte.
    pub address: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it is in the files; what is not must be flashed otherwise.
    pub included: bool,
    /// How many bytes of it are used: up to the last one that is not erased.
    pub used: u64,
    /// The SHA-256 of what is in it, the erased rest included; `null` if it is erased.
    pub digest: Option<String>,
    /// What is in it, for people.
    #[serde(skip)]
    state: String,
}

impl Report for Map {
    const FORMAT: &'static str = "factory-build/2";
}

/// What a map is drawn from.
pub struct Sources<'s> {
    /// The product's.
    pub facts: &'s Facts,
    /// All that is flashed, by rising addresses.
    pub flashes: &'s [Contents],
    /// The image in slot A.
    pub image: &'s ImageFile,
    /// Whose files they are, if they are not for all units.
    pub identity: Option<&'s Identity>,
    /// Whether the bootloader is among it.
    pub has_bootloader: bool,
    /// The family in UF2 blocks.
    pub family: Option<Family>,
}

impl Map {
    /// Of these files in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf, files: Vec<MappedFile>, sources: &Sources<'_>) -> Self {
        let product = &sources.facts.product;
        let identity = sources.identity;
        Self {
            folder,
            files,
            flashes: sources.flashes.iter().map(MappedFlash::new).collect(),
            layout: product.layout.digest.to_string(),
            image: sources.image.manifest().digest().to_string(),
            version: sources.image.manifest().version().to_string(),
            serial: identity.map(|identity| identity.serial.to_string()),
            hardware_revision: identity.map(|identity| identity.hardware_revision),
            uf2_family: sources
                .family
                .map(|Family(family)| format!("{family:#010x}")),
            regions: sources.regions(),
        }
    }

    /// The regions of `flash`, as the doctor draws them.
    fn places(&self, flash: &MappedFlash) -> Vec<Place> {
        let here = self.regions.iter().filter(|it| it.flash == flash.name);
        here.map(|region| Place {
            name: region.name.clone(),
            address: region.address,
            offset: region.address - flash.address,
            size: region.length,
            used: region.included.then_some(region.used),
            state: region.state.clone(),
            good: (region.used > 0).then_some(true),
        })
        .collect()
    }
}

impl MappedFile {
    /// The file `name`, which holds `bytes`.
    #[must_use]
    pub fn new(name: String, format: Format, flash: Option<&str>, bytes: &[u8]) -> Self {
        Self {
            file: name,
            format,
            flash: flash.map(Into::into),
            length: bytes.len() as u64,
            digest: Digest::of(bytes).to_string(),
        }
    }
}

impl MappedFlash {
    fn new(contents: &Contents) -> Self {
        Self {
            name: contents.name.clone(),
            address: contents.flash.address.into(),
            length: contents.flash.size.into(),
            erase_size: contents.flash.erase_size,
            digest: Digest::of(&contents.bytes).to_string(),
        }
    }
}

impl MappedRegion {
    /// One past its last byte's address.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.address + self.length
    }

    /// What is in it, in a few words.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}

impl Sources<'_> {
    fn regions(&self) -> Vec<MappedRegion> {
        let product = &self.facts.product;
        let regions = product.regions().into_iter().map(|region| {
            let on = self.flashes.iter().find(|it| it.name == region.device);
            let bytes = on.and_then(|on| on.bytes.get(region.start as usize..region.end as usize));
            let is_missing = region.name == bootloader::REGION && !self.has_bootloader;
            let bytes = bytes.filter(|_| !is_missing);
            let last = bytes.and_then(|bytes| bytes.iter().rposition(|byte| *byte != ERASED));
            let base = product.flash.get(&region.device);
            MappedRegion {
                state: self.state(&region.name, bytes.is_some(), last.is_some()),
                address: base.map_or(0, |flash| u64::from(flash.address)) + region.start,
                length: region.end - region.start,
                included: bytes.is_some(),
                used: last.map_or(0, |last| last as u64 + 1),
                digest: bytes
                    .filter(|_| last.is_some())
                    .map(|bytes| Digest::of(bytes).to_string()),
                name: region.name,
                flash: region.device,
            }
        });
        regions.collect()
    }

    fn state(&self, name: &str, is_included: bool, is_filled: bool) -> String {
        let version = self.image.manifest().version();
        match (is_included, is_filled, name) {
            (false, ..) => "not in these files".into(),
            (true, false, _) => "erased".into(),
            (true, true, "slot A") => format!("{version}, confirmed"),
            (true, true, "the journal") => "every sector whole".into(),
            (true, true, name) if name.contains("identity") => self
                .identity
                .map_or_else(|| "written".into(), |identity| identity.serial.to_string()),
            (true, true, _) => "written".into(),
        }
    }
}

impl Display for Map {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            let path = self.folder.join(&file.file);
            let (what, of) = match &file.flash {
                Some(flash) => ("flash", format!(", all of `{flash}`")),
                None => ("file", String::new()),
            };
            writeln!(
                formatter,
                "{what:<9} {} ({} bytes{of}), SHA-256 {}",
                path.display(),
                file.length,
                file.digest
            )?;
        }
        let Self { version, image, .. } = self;
        writeln!(
            formatter,
            "image     {version} {image}, confirmed in slot A"
        )?;
        match (&self.serial, self.hardware_revision) {
            (Some(serial), Some(revision)) => {
                writeln!(
                    formatter,
                    "serial    {serial}, hardware revision {revision}"
                )?;
            }
            _ => writeln!(
                formatter,
                "serial    none: this is what all units have in common"
            )?,
        }
        for flash in &self.flashes {
            let places = self.places(flash);
            let picture = Picture {
                name: &flash.name,
                address: flash.address,
                size: flash.length,
                places: &places,
            };
            write!(formatter, "\n{picture}")?;
        }
        writeln!(formatter)?;
        let erased = |region: &&MappedRegion| region.included && region.digest.is_none();
        for region in self.regions.iter().filter(|region| !erased(region)) {
            writeln!(formatter, "{region}")?;
        }
        Ok(())
    }
}

impl Display for MappedRegion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, flash) = (&self.name, &self.flash);
        match (&self.digest, self.included) {
            (Some(digest), _) => write!(formatter, "{name:<22} SHA-256 {digest}"),
            (None, true) => write!(formatter, "{name:<22} erased"),
            (None, false) => write!(
                formatter,
                "{name:<22} not in these files: it lies on flash `{flash}`, flash it before"
            ),
        }
    }
}
