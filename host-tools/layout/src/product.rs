//! What a valid `layout.toml` says.
//!
//! A [`Product`] only comes out of [`Product::read`] or [`Product::parse`], so whoever holds one holds
//! a layout that has passed every check.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use bistable_core::layout::{JournalLayout, Layout, Slot, SlotLayout};
use serde::Deserialize;
use uuid::Uuid;

use crate::digest::{self, Dependencies};
use crate::error::{Error, Problem};
use crate::file::File;
use crate::region::{self, Region};
use crate::ring::Ring;
use crate::rules;

/// A flash device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flash {
    /// Where the processor sees its first byte.
    pub address: u32,
    /// Length in bytes.
    pub size: u32,
    /// The smallest range that can be erased, in bytes: a power of two.
    pub erase_size: u32,
    /// The smallest range that can be programmed, in bytes: a power of two, at most 32.
    pub write_size: u32,
}

/// What a flash, or each of several, can be erased and programmed by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Units {
    /// In bytes: a power of two.
    pub erase_size: u32,
    /// In bytes: a power of two, at most 32.
    pub write_size: u32,
}

/// A RAM region.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ram {
    /// First byte.
    pub address: u32,
    /// Length in bytes.
    pub size: u32,
}

/// A partition besides bootloader, journal and slots.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// The flash that it lies on.
    pub flash: String,
    /// First byte, from the start of the flash.
    pub offset: u32,
    /// Length in bytes.
    pub size: u32,
}

/// Where receipts are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ledger {
    /// The flash that it lies on.
    pub flash: String,
    /// Its place there: its sectors are written as the journal's are.
    pub place: JournalLayout,
}

/// What images ask for unless they are made with other numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// How often an image is started before it is given up: 1 to 8.
    pub attempts: u8,
    /// How long it has until it must have passed its checks, in seconds: 1 to 3600.
    pub seconds: u16,
}

/// What it takes for an image to stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stays {
    /// How long a trial runs at least before it is kept, in seconds: 0 to 3600, at most half of its time counts.
    pub trial_soak_seconds: u16,
    /// How long a confirmed image runs until its abnormal resets are forgotten, in seconds: 1 to 65535.
    pub soak_seconds: u16,
    /// How many abnormal resets of a confirmed image, without a soak in between, are a crash loop: 2 to 1000,
    /// or 0 if no number is.
    pub crash_loop: u16,
}

impl Default for Stays {
    fn default() -> Self {
        Self {
            trial_soak_seconds: 10,
            soak_seconds: 3600,
            crash_loop: 5,
        }
    }
}

/// How a processor starts a program, and what linker scripts look like.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Arm Cortex-M: a program begins with its vector table.
    #[default]
    CortexM,
    /// RISC-V with 32-bit addresses: a program begins with its first instruction.
    Riscv32,
}

/// The memory of one program, as its linker script says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memory {
    /// What comes before the code: what the chip's ROM reads first. Empty where it reads nothing.
    pub head: Range<u32>,
    /// Where its code and constants lie.
    pub flash: Range<u32>,
    /// What it may use freely: the handover block is not in it.
    pub ram: Range<u32>,
}

/// One product: its ids, its memory, what lies where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Product {
    /// A DNS name.
    pub vendor: String,
    /// The vendor's name for this kind of device.
    pub class: String,
    /// Whether the board is an emulated one: only those accept development keys.
    pub emulated: bool,
    /// The processor's.
    pub architecture: Architecture,
    /// What bootloader, images and tools agree on.
    pub layout: Layout,
    /// Flash devices by name.
    pub flash: BTreeMap<String, Flash>,
    /// RAM regions by name.
    pub ram: BTreeMap<String, Ram>,
    /// The block that survives a reset: its addresses.
    pub handover: Range<u32>,
    /// Where the bootloader lies.
    pub bootloader: Partition,
    /// How many bytes come before the bootloader's code there: what the chip's ROM reads first.
    pub bootloader_head: u32,
    /// The RAM region that the bootloader uses.
    pub bootloader_ram: String,
    /// The flash that the journal lies on.
    pub journal_flash: String,
    /// The flash that slot A lies on, and that of slot B.
    pub slot_flashes: [String; 2],
    /// What both slots can be erased and programmed by: the larger sizes of their flashes.
    pub slot_units: Units,
    /// The RAM region that applications are linked for.
    pub application_ram: String,
    /// The processor's alignment for vector tables in bytes.
    pub vector_alignment: u32,
    /// Where receipts are kept, if the product keeps any.
    pub ledger: Option<Ledger>,
    /// Further partitions by name.
    pub partitions: BTreeMap<String, Partition>,
    /// Defaults for images.
    pub trial: Trial,
    /// The names of the health checks; number 1 comes first.
    pub checks: Vec<String>,
    /// What it takes for an image to stay.
    pub stays: Stays,
    /// The names of the calibration values that a unit gets in the factory, in their order.
    pub calibration: Vec<String>,
    /// The key ring's file.
    pub ring_path: PathBuf,
}

impl Product {
    /// Reads a `layout.toml`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let cannot_read = |source| {
            let doing = "read the layout";
            Problem::Io { doing, source }.at(path)
        };
        let text = fs::read_to_string(path).map_err(cannot_read)?;
        let whole_path = path.canonicalize().map_err(cannot_read)?;
        let directory = whole_path.parent().unwrap_or(Path::new("/"));
        Self::parse(&text, directory).map_err(|problem| problem.at(path))
    }

    /// Checks the text of a `layout.toml`; the key ring's path is taken from `directory`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, Problem> {
        let file = toml::from_str(text).map_err(|error| Problem::syntax(text, &error))?;
        Self::from_file(file, directory)
    }

    fn from_file(file: File, directory: &Path) -> Result<Self, Problem> {
        rules::vendor(&file.product.vendor)?;
        rules::class(&file.product.class)?;
        rules::module_names("flash", file.flash.keys())?;
        rules::module_names("ram", file.ram.keys())?;
        rules::module_names("partition", file.partition.keys())?;
        for (name, flash) in &file.flash {
            rules::geometry(name, flash)?;
        }
        for (name, ram) in &file.ram {
            rules::ram(name, ram)?;
        }
        rules::addresses(&file.flash, &file.ram)?;
        rules::handover(&file.handover, &file.ram)?;
        rules::known("bootloader.ram", &file.bootloader.ram, &file.ram)?;
        rules::known("slots.ram", &file.slots.ram, &file.ram)?;
        rules::known("bootloader.flash", &file.bootloader.flash, &file.flash)?;
        for (name, partition) in &file.partition {
            let field = format!("partition.{name}.flash");
            rules::known(&field, &partition.flash, &file.flash)?;
        }
        let journal_flash = rules::known("journal.flash", &file.journal.flash, &file.flash)?;
        let slot_flashes = [file.slots.flash.a.clone(), file.slots.flash.b.clone()];
        let [flash_a, flash_b] = rules::slot_flashes(&slot_flashes, &file.flash)?;
        let slot_units = flash_a.units().and(flash_b.units());
        rules::journal_sectors("journal.sectors", file.journal.sectors)?;
        let ledger = file.ledger.map(|ledger| {
            let flash = rules::known("ledger.flash", &ledger.flash, &file.flash)?;
            rules::journal_sectors("ledger.sectors", ledger.sectors)?;
            Ok(Ledger {
                place: JournalLayout {
                    offset: ledger.offset,
                    sector_size: rules::ledger_sector_size(flash),
                    sectors: ledger.sectors,
                },
                flash: ledger.flash,
            })
        });
        let ledger = ledger.transpose()?;
        rules::calibration(&file.factory.calibration)?;
        rules::slots(&file.slots, [&flash_a, &flash_b], slot_units)?;
        rules::head(&file.bootloader, &file.slots)?;
        rules::trial(&file.trial)?;
        rules::checks(&file.health.checks)?;
        rules::stays(&file.health.stays)?;

        let journal = JournalLayout {
            offset: file.journal.offset,
            sector_size: rules::journal_sector_size(journal_flash),
            sectors: file.journal.sectors,
        };
        let vendor_id = Uuid::new_v5(&Uuid::NAMESPACE_DNS, file.product.vendor.as_bytes());
        let class_id = Uuid::new_v5(&vendor_id, file.product.class.as_bytes());
        let mut product = Self {
            vendor: file.product.vendor,
            class: file.product.class,
            emulated: file.product.emulated,
            architecture: file.product.architecture,
            layout: Layout {
                digest: Digest::NONE,
                vendor_id: vendor_id.into_bytes(),
                class_id: class_id.into_bytes(),
                journal,
                slots: [(file.slots.a, flash_a), (file.slots.b, flash_b)].map(|(offset, flash)| {
                    SlotLayout {
                        offset,
                        address: flash.address.saturating_add(offset),
                    }
                }),
                slot_size: file.slots.size,
                payload_offset: file.slots.payload_offset,
                chunk_size: file.slots.chunk_size,
                factory_floor: file.security.factory_floor,
            },
            flash: file.flash,
            ram: file.ram,
            handover: file.handover.address
                ..file.handover.address.saturating_add(file.handover.size),
            bootloader: Partition {
                flash: file.bootloader.flash,
                offset: file.bootloader.offset,
                size: file.bootloader.size,
            },
            bootloader_head: file.bootloader.head,
            bootloader_ram: file.bootloader.ram,
            journal_flash: file.journal.flash,
            slot_flashes,
            slot_units,
            application_ram: file.slots.ram,
            vector_alignment: file.slots.vector_alignment,
            ledger,
            partitions: file.partition,
            trial: file.trial,
            checks: file.health.checks,
            stays: file.health.stays,
            calibration: file.factory.calibration,
            ring_path: directory.join(file.keys.ring),
        };

        let regions = product.regions();
        for region in &regions {
            rules::placed(region, &product.flash)?;
        }
        rules::slots_in_common_sectors(&product)?;
        region::check_disjoint(&regions)?;
        product.layout.digest = digest::of(&Dependencies {
            layout: &product.layout,
            erase_size: slot_units.erase_size,
            write_size: slot_units.write_size,
            ram: &product.ram_ranges(),
            handover: product.handover.clone(),
        });
        Ok(product)
    }

    /// All that lies on flash, by device and offset: the factory map.
    #[must_use]
    pub fn regions(&self) -> Vec<Region> {
        let layout = &self.layout;
        let journal_size =
            u64::from(layout.journal.sector_size) * u64::from(layout.journal.sectors);
        let [a, b] = layout.slots;
        let mut regions = vec![
            Region::new(
                "the bootloader",
                &self.bootloader.flash,
                self.bootloader.offset,
                self.bootloader.size,
            ),
            Region::new(
                "the journal",
                &self.journal_flash,
                layout.journal.offset,
                journal_size,
            ),
            Region::new(
                "slot A",
                self.slot_flash(Slot::A),
                a.offset,
                layout.slot_size,
            ),
            Region::new(
                "slot B",
                self.slot_flash(Slot::B),
                b.offset,
                layout.slot_size,
            ),
        ];
        regions.extend(self.ledger.iter().map(|ledger| {
            let JournalLayout {
                offset,
                sector_size,
                sectors,
            } = ledger.place;
            let size = u64::from(sector_size) * u64::from(sectors);
            Region::new("the ledger", &ledger.flash, offset, size)
        }));
        regions.extend(self.partitions.iter().map(|(name, partition)| {
            Region::new(
                format!("partition `{name}`"),
                &partition.flash,
                partition.offset,
                partition.size,
            )
        }));
        regions.sort_by(|a, b| (&a.device, a.start).cmp(&(&b.device, b.start)));
        regions
    }

    /// The flash that `slot` lies on.
    #[must_use]
    pub const fn slot_flash(&self, slot: Slot) -> &String {
        slot.of(&self.slot_flashes)
    }

    /// The flash that both slots lie on, if it is one.
    #[must_use]
    pub fn only_slot_flash(&self) -> Option<&String> {
        let [a, b] = &self.slot_flashes;
        (a == b).then_some(a)
    }

    /// The RAM regions, in the order of their addresses.
    #[must_use]
    pub fn ram_ranges(&self) -> Vec<Range<u32>> {
        let mut ranges: Vec<_> = self.ram.values().map(Ram::range).collect();
        ranges.sort_by_key(|range| range.start);
        ranges
    }

    /// The bootloader's memory.
    #[must_use]
    pub fn bootloader_memory(&self) -> Memory {
        let base = self
            .flash
            .get(&self.bootloader.flash)
            .map_or(0, |flash| flash.address);
        let start = base.saturating_add(self.bootloader.offset);
        let code = start.saturating_add(self.bootloader_head);
        Memory {
            head: start..code,
            flash: code..start.saturating_add(self.bootloader.size),
            ram: self.usable_ram(&self.bootloader_ram),
        }
    }

    /// The memory of an application that is linked to run in `slot`.
    #[must_use]
    pub fn application_memory(&self, slot: Slot) -> Memory {
        let start = self.layout.payload_address(slot);
        Memory {
            head: start..start,
            flash: start..start.saturating_add(self.layout.payload_capacity()),
            ram: self.usable_ram(&self.application_ram),
        }
    }

    fn usable_ram(&self, name: &str) -> Range<u32> {
        let ram = self.ram.get(name).map_or(0..0, Ram::range);
        if ram.start == self.handover.start {
            self.handover.end..ram.end
        } else {
            ram
        }
    }

    /// Reads the product's key ring, and checks that this product may use it.
    ///
    /// # Errors
    /// There is none (the message says how to make one), or it breaks a rule.
    pub fn ring(&self) -> Result<Ring, Error> {
        if !self.ring_path.exists() {
            let development = if self.emulated { " --development" } else { "" };
            let path = self.ring_path.display();
            let command = format!("bistable key new --ring {path} --name <name>{development}");
            return Err(Problem::NoRing { command }.at(&self.ring_path));
        }
        let ring = Ring::read(&self.ring_path)?;
        ring.check_complete()
            .and_then(|()| ring.check_development(self.emulated))
            .map_err(|problem| problem.at(&self.ring_path))?;
        Ok(ring)
    }
}

impl Flash {
    /// What it can be erased and programmed by.
    #[must_use]
    pub const fn units(&self) -> Units {
        Units {
            erase_size: self.erase_size,
            write_size: self.write_size,
        }
    }

    /// Where the processor would see the byte behind its last one.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.address.saturating_add(self.size)
    }
}

impl Units {
    /// What two flashes can both be erased and programmed by: of powers of two, the larger is a multiple of the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            erase_size: self.erase_size.max(other.erase_size),
            write_size: self.write_size.max(other.write_size),
        }
    }
}

impl Ram {
    fn range(&self) -> Range<u32> {
        self.address..self.address.saturating_add(self.size)
    }
}
