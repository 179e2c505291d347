//! The linker script and the Rust constants of a program, as text.

use std::fmt::{self, Write as _};

use bistable_core::layout::{JournalLayout, Slot, SlotLayout};

use crate::product::{Architecture, Memory, Product};
use crate::ring::Ring;

/// `memory.x`, as the linker script of `cortex-m-rt` or `riscv-rt` includes it.
#[must_use]
pub fn memory_x(architecture: Architecture, memory: &Memory) -> String {
    let line = |name: &str, access: &str, range: &std::ops::Range<u32>| {
        let length = range.end.saturating_sub(range.start);
        let start = range.start;
        format!("  {name} ({access}) : ORIGIN = {start:#010x}, LENGTH = {length:#010x}\n")
    };
    let head = match memory.head.is_empty() {
        true => String::new(),
        false => line("HEAD", "r", &memory.head),
    };
    format!(
        "/* Generated from layout.toml. */\nMEMORY\n{{\n{head}{}{}}}\n{}",
        line("FLASH", "rx", &memory.flash),
        line("RAM", "rwx", &memory.ram),
        match architecture {
            Architecture::CortexM => "",
            Architecture::Riscv32 => RISCV_REGIONS,
        }
    )
}

/// What `riscv-rt` puts where.
const RISCV_REGIONS: &str = "\
REGION_ALIAS(\"REGION_TEXT\", FLASH);
REGION_ALIAS(\"REGION_RODATA\", FLASH);
REGION_ALIAS(\"REGION_DATA\", RAM);
REGION_ALIAS(\"REGION_BSS\", RAM);
REGION_ALIAS(\"REGION_HEAP\", RAM);
REGION_ALIAS(\"REGION_STACK\", RAM);
";

/// `layout.rs`: the constants of bootloader and application.
#[must_use]
pub fn layout_rs(product: &Product, ring: &Ring) -> String {
    let mut text = String::new();
    let _ = write(&mut text, product, ring); // A String takes everything.
    text
}

fn write(text: &mut String, product: &Product, ring: &Ring) -> fmt::Result {
    writeln!(text, "// Generated from layout.toml and the key ring.")?;
    layout(text, product)?;
    key_ring(text, ring)?;
    ram(text, product)?;
    for (name, flash) in &product.flash {
        module(
            text,
            &format!("The flash `{name}`."),
            &format!("flash_{name}"),
            &[
                (
                    "ADDRESS",
                    "Where the processor sees its first byte.",
                    flash.address,
                ),
                ("SIZE", "Length in bytes.", flash.size),
                ("ERASE_SIZE", "Erase size in bytes.", flash.erase_size),
                ("WRITE_SIZE", "Write size in bytes.", flash.write_size),
            ],
        )?;
    }
    module(
        text,
        &format!(
            "The bootloader, on the flash `{}`.",
            product.bootloader.flash
        ),
        "bootloader",
        &[
            (
                "OFFSET",
                "First byte, from the start of the flash.",
                product.bootloader.offset,
            ),
            ("SIZE", "Length in bytes.", product.bootloader.size),
            ("HEAD", "Bytes before its code.", product.bootloader_head),
        ],
    )?;
    if let Some(ledger) = &product.ledger {
        let JournalLayout {
            offset,
            sector_size,
            sectors,
        } = ledger.place;
        writeln!(
            text,
            "
/// Where receipts are kept, on the flash `{}`.
pub const LEDGER: ::bistable_core::layout::JournalLayout = ::bistable_core::layout::JournalLayout {{
    offset: {},
    sector_size: {},
    sectors: {sectors},
}};",
            ledger.flash,
            Number(offset),
            Number(sector_size),
        )?;
    }
    for (name, partition) in &product.partitions {
        module(
            text,
            &format!(
                "The partition `{name}`, on the flash `{}`.",
                partition.flash
            ),
            &format!("partition_{name}"),
            &[
                (
                    "OFFSET",
                    "First byte, from the start of the flash.",
                    partition.offset,
                ),
                ("SIZE", "Length in bytes.", partition.size),
            ],
        )?;
    }
    writeln!(
        text,
        "\n/// The names of the health checks; number 1 comes first."
    )?;
    writeln!(
        text,
        "pub const CHECKS: [&str; {}] = {:?};
/// How long a trial runs at least before it is kept, in seconds.
pub const TRIAL_SOAK_SECONDS: u16 = {};
/// How long a confirmed image runs until its abnormal resets are forgotten, in seconds.
pub const SOAK_SECONDS: u16 = {};
/// How many abnormal resets of a confirmed image are a crash loop; 0: no number is.
pub const CRASH_LOOP: u16 = {};",
        product.checks.len(),
        product.checks,
        product.stays.trial_soak_seconds,
        product.stays.soak_seconds,
        product.stays.crash_loop,
    )?;
    writeln!(
        text,
        "
/// The names of a unit's calibration values, in their order.
pub const CALIBRATION: [&str; {}] = {:?};",
        product.calibration.len(),
        product.calibration,
    )
}

fn layout(text: &mut String, product: &Product) -> fmt::Result {
    let layout = &product.layout;
    let slot = |slot: SlotLayout| {
        format!(
            "::bistable_core::layout::SlotLayout {{ offset: {}, address: {} }}",
            Number(slot.offset),
            Number(slot.address)
        )
    };
    let [a, b] = layout.slots;
    writeln!(
        text,
        "
/// What bootloader, images and tools agree on.
pub const LAYOUT: ::bistable_core::layout::Layout = ::bistable_core::layout::Layout {{
    digest: ::bistable_core::digest::Digest({}),
    vendor_id: {},
    class_id: {},
    journal: ::bistable_core::layout::JournalLayout {{
        offset: {},
        sector_size: {},
        sectors: {},
    }},
    slots: [
        {},
        {},
    ],
    slot_size: {},
    payload_offset: {},
    chunk_size: {},
    factory_floor: {},
}};",
        Bytes(&layout.digest.0),
        Bytes(&layout.vendor_id),
        Bytes(&layout.class_id),
        Number(layout.journal.offset),
        Number(layout.journal.sector_size),
        layout.journal.sectors,
        slot(a),
        slot(b),
        Number(layout.slot_size),
        Number(layout.payload_offset),
        Number(layout.chunk_size),
        layout.factory_floor,
    )
}

fn key_ring(text: &mut String, ring: &Ring) -> fmt::Result {
    writeln!(
        text,
        "
/// Whose signatures count.
pub const KEY_RING: ::bistable_core::keys::KeyRing<'static> = ::bistable_core::keys::KeyRing {{
    keys: &["
    )?;
    for entry in &ring.keys {
        writeln!(
            text,
            "        // {}
        ::bistable_core::keys::Key {{
            id: ::bistable_core::keys::KeyId({}),
            roles: ::bistable_core::keys::Roles {{ release: {}, root: {} }},
            public: {},
        }},",
            entry.name,
            Number(entry.key.id.0),
            entry.key.roles.release,
            entry.key.roles.root,
            Bytes(&entry.key.public),
        )?;
    }
    writeln!(
        text,
        "    ],
    release_threshold: {},
    root_threshold: {},
}};",
        ring.release_threshold, ring.root_threshold
    )
}

fn ram(text: &mut String, product: &Product) -> fmt::Result {
    let ranges: Vec<_> = product
        .ram_ranges()
        .into_iter()
        .map(|range| format!("{}..{}", Number(range.start), Number(range.end)))
        .collect();
    let handover = &product.handover;
    let application = product.application_memory(Slot::A).ram;
    writeln!(
        text,
        "
/// The RAM regions.
#[allow(clippy::single_range_in_vec_init, reason = \"a board may have one region\")]
pub const RAM: [::core::ops::Range<u32>; {}] = [{}];
/// The RAM that applications are linked for, without the handover block.
pub const APPLICATION_RAM: ::core::ops::Range<u32> = {}..{};
/// How the processor starts an image.
pub const ENTRY: ::bistable_core::verify::Entry<'static> = ::bistable_core::verify::Entry::{};
/// Where the handover block lies in RAM.
pub const HANDOVER_ADDRESS: u32 = {};
/// Length of the handover block in bytes.
pub const HANDOVER_SIZE: u32 = {};
/// The processor's alignment for vector tables in bytes.
pub const VECTOR_ALIGNMENT: u32 = {};",
        ranges.len(),
        ranges.join(", "),
        Number(application.start),
        Number(application.end),
        match product.architecture {
            Architecture::CortexM => "CortexM { ram: &RAM }",
            Architecture::Riscv32 => "FirstInstruction",
        },
        Number(handover.start),
        Number(handover.end.saturating_sub(handover.start)),
        Number(product.vector_alignment),
    )
}

fn module(
    text: &mut String,
    about: &str,
    name: &str,
    constants: &[(&str, &str, u32)],
) -> fmt::Result {
    writeln!(text, "\n/// {about}\npub mod {name} {{")?;
    for (constant, about, value) in constants {
        writeln!(text, "    /// {about}")?;
        writeln!(text, "    pub const {constant}: u32 = {};", Number(*value))?;
    }
    writeln!(text, "}}")
}

/// A number as people read addresses: `0x2102_0000`.
struct Number(u32);

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 >> 16, self.0 & 0xffff) {
            (0, low) => write!(formatter, "{low:#x}"),
            (high, low) => write!(formatter, "{high:#x}_{low:04x}"),
        }
    }
}

/// Bytes as an array.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<_> = self.0.iter().map(|byte| format!("{byte:#04x}")).collect();
        write!(formatter, "[{}]", bytes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_x_says_origin_and_length_of_both_memories() {
        let memory = Memory {
            head: 0x2102_1000..0x2102_1000,
            flash: 0x2102_1000..0x210a_0000,
            ram: 0x2000_0100..0x2040_0000,
        };
        assert_eq!(
            memory_x(Architecture::CortexM, &memory),
            "/* Generated from layout.toml. */\n\
             MEMORY\n\
             {\n\
             \x20 FLASH (rx) : ORIGIN = 0x21021000, LENGTH = 0x0007f000\n\
             \x20 RAM (rwx) : ORIGIN = 0x20000100, LENGTH = 0x003fff00\n\
             }\n"
        );
    }

    #[test]
    fn what_comes_before_the_code_is_a_region_of_its_own() {
        let memory = Memory {
            head: 0x1000_0000..0x1000_0100,
            flash: 0x1000_0100..0x1000_8000,
            ram: 0x2000_0100..0x2004_2000,
        };
        let text = memory_x(Architecture::CortexM, &memory);
        assert!(text.contains("  HEAD (r) : ORIGIN = 0x10000000, LENGTH = 0x00000100\n"));
        assert!(text.contains("  FLASH (rx) : ORIGIN = 0x10000100, LENGTH = 0x00007f00\n"));
    }

    #[test]
    fn numbers_are_written_as_people_read_them() {
        let text = [0, 0xfff, 0x1_0000, u32::MAX].map(|number| Number(number).to_string());
        assert_eq!(text, ["0x0", "0xfff", "0x1_0000", "0xffff_ffff"]);
    }
}
