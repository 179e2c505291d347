//! The factory of the story: its register, the units that it makes, and what their flash holds.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bistable_core::layout::Slot;

use super::timeline::observed;
use super::world::World;
use crate::FlashFile;

/// The unit that the story is of.
pub(super) const UNIT: &str = "BST-000042";

/// Another one, from the same list.
pub(super) const OTHER_UNIT: &str = "BST-000043";

/// The columns of a list: those of every product, and what this one calibrates.
const COLUMNS: &str = "serial,hardware_revision,offset-mv,gain-ppm";

impl World {
    /// Makes the key of the station, which signs birth records.
    pub(super) fn make_station(&self) -> Result<()> {
        let [ring, key] = [self.places.file("stations.toml"), self.station_key()];
        self.bistable(&[
            "key",
            "new",
            "--ring",
            &text(&ring),
            "--name",
            "line-1",
            "--out",
            &text(&key),
        ])
        .map(drop)
    }

    /// The station's key.
    pub(super) fn station_key(&self) -> PathBuf {
        self.places.file("station.pem")
    }

    /// The factory's memory.
    fn register(&self) -> PathBuf {
        self.places.file("factory")
    }

    /// The birth records.
    pub(super) fn births(&self) -> PathBuf {
        self.register().join("births.jsonl")
    }

    /// Gives these units their serial numbers, keys and records, to start with the image of a release. `rework`: why
    /// they are made again.
    pub(super) fn provision(
        &self,
        units: &[&str],
        release: &str,
        rework: Option<&str>,
    ) -> Result<()> {
        let mut list = format!("{COLUMNS}\n");
        for unit in units {
            list += &format!("{unit},3,-12,1000003\n");
        }
        let csv = self.places.file(format!("units-for-{release}.csv"));
        fs::write(&csv, list)?;
        let mut arguments: Vec<String> = ["factory", "provision"].map(String::from).into();
        arguments.push(text(&csv));
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        add("--layout", text(&self.places.layout()));
        add("--image", text(&self.image(release)));
        add("--register", text(&self.register()));
        add("--key", text(&self.station_key()));
        add("--station", "line-1".into());
        add("--operator", "demo".into());
        if let Some(reason) = rework {
            add("--rework", reason.into());
        }
        let said = self.bistable(&arguments)?;
        observed("tools", said.trim_end());
        Ok(())
    }

    /// Makes the flash of a unit: what all have in common, with this release confirmed in slot A, and its identity file
    /// on top, as a gang programmer does it.
    pub(super) fn flash_unit(&self, unit: &str, release: &str) -> Result<FlashFile> {
        let common = self.places.file(format!("common-{release}.bin"));
        let said = self.bistable(&[
            "factory",
            "build",
            "--layout",
            &text(&self.places.layout()),
            "--image",
            &text(&self.image(release)),
            "--out",
            &text(&common),
        ])?;
        observed("tools", said.trim_end());
        let mut bytes = fs::read(&common)?;
        for (address, block) in self.identity_blocks(unit)? {
            let at = self.offset_of(address)?;
            let place = bytes.get_mut(at..at + block.len());
            place
                .context("an identity file reaches beyond the flash")?
                .copy_from_slice(&block);
        }
        observed("tools", format!("and the identity file of {unit} on top"));
        let flash = self.places.file("flash");
        Ok(FlashFile::create(self.places.board, &flash, &bytes)?)
    }

    /// What an identity file has for the partition `device_key`, and where that is in the flash.
    pub(super) fn device_key_of(&self, unit: &str) -> Result<(u32, Vec<u8>)> {
        let start = self.product.partitions["device_key"].offset;
        for (address, block) in self.identity_blocks(unit)? {
            if self.offset_of(address)? == start as usize {
                return Ok((start, block));
            }
        }
        anyhow::bail!("the identity file of {unit} has no device key")
    }

    /// Where an address lies in the flash file.
    fn offset_of(&self, address: u32) -> Result<usize> {
        let flash = &self.product.flash[self.product.slot_flash(Slot::A)];
        let offset = address.checked_sub(flash.address);
        Ok(offset.context("an address below the flash")? as usize)
    }

    /// The pieces of an identity file that lie behind each other, by their addresses.
    fn identity_blocks(&self, unit: &str) -> Result<Vec<(u32, Vec<u8>)>> {
        let path = self.register().join(format!("units/{unit}.hex"));
        let file = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut blocks: Vec<(u32, Vec<u8>)> = Vec::new();
        let mut upper = 0;
        for record in ihex::Reader::new(&file) {
            match record.with_context(|| path.display().to_string())? {
                ihex::Record::ExtendedLinearAddress(high) => upper = u32::from(high) << 16,
                ihex::Record::Data { offset, value } => {
                    let address = upper + u32::from(offset);
                    match blocks.last_mut() {
                        Some((start, block)) if *start + block.len() as u32 == address => {
                            block.extend(value);
                        }
                        _ => blocks.push((address, value)),
                    }
                }
                _ => {}
            }
        }
        ensure!(!blocks.is_empty(), "{} is empty", path.display());
        Ok(blocks)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
