//! The rules that a `layout.toml` must meet, one function each.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use bistable_core::handover::HANDOVER_LEN;
use bistable_core::journal::{COPIES, MAX_SECTORS};
use bistable_core::layout::HEADER_LEN;
use bistable_core::ledger::RECORD_LEN as LEDGER_RECORD_LEN;
use bistable_core::manifest::{ATTEMPTS, CHUNK_SIZES, TRIAL_SECONDS};
use bistable_core::snapshot::SNAPSHOT_LEN;

use crate::error::Problem;
use crate::file;
use crate::product::{Flash, Product, Ram, Stays, Trial, Units};
use crate::region::{self, Region};

/// The most health checks of a product: they are bits of one word.
pub(crate) const MAX_CHECKS: usize = 32;

/// What the updater's identity has room for.
pub(crate) const MAX_CALIBRATION: usize = 16;

/// Fewer than two resets are no loop, and no device sees more than this in a soak period.
const CRASH_LOOP: RangeInclusive<u16> = 2..=1000;

/// The device that [`Region`]s in the processor's address space lie on.
const ADDRESS_SPACE: &str = "address space";

/// A DNS name in lower case: the UUID depends on every byte of it.
pub(crate) fn vendor(name: &str) -> Result<(), Problem> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    if name.len() <= 253 && name.contains('.') && name.split('.').all(label) {
        return Ok(());
    }
    Err(Problem::value(
        "product.vendor",
        format!("`{name}`"),
        "a DNS name of yours in lower case, such as `devices.example.com`",
    ))
}

pub(crate) fn class(name: &str) -> Result<(), Problem> {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Problem::value(
        "product.class",
        format!("`{name}`"),
        "printable ASCII without spaces, at least one character",
    ))
}

/// Names of devices and partitions become names of Rust modules.
pub(crate) fn module_names<'a>(
    table: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), Problem> {
    let plain = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    for name in names {
        if !plain(name) {
            return Err(Problem::value(
                format!("[{table}.{name}]"),
                format!("`{name}`"),
                "a name of small letters, digits and `_` that begins with a letter",
            ));
        }
    }
    Ok(())
}

pub(crate) fn geometry(name: &str, flash: &Flash) -> Result<(), Problem> {
    let field = |field: &str| format!("flash.{name}.{field}");
    if !flash.write_size.is_power_of_two() || flash.write_size > 32 {
        return Err(Problem::value(
            field("write_size"),
            flash.write_size,
            "1, 2, 4, 8, 16 or 32",
        ));
    }
    if !flash.erase_size.is_power_of_two() || flash.erase_size < flash.write_size {
        return Err(Problem::value(
            field("erase_size"),
            format!("{:#x}", flash.erase_size),
            format!(
                "a power of two, at least the write size of {}",
                flash.write_size
            ),
        ));
    }
    if flash.size == 0 || !flash.size.is_multiple_of(flash.erase_size) {
        return Err(Problem::value(
            field("size"),
            format!("{:#x}", flash.size),
            format!(
                "a multiple of the erase size of {:#x}, not 0",
                flash.erase_size
            ),
        ));
    }
    Ok(())
}

/// Devices must not share addresses, and none may reach the last one: ranges are half-open.
pub(crate) fn addresses(
    flash: &BTreeMap<String, Flash>,
    ram: &BTreeMap<String, Ram>,
) -> Result<(), Problem> {
    let flash = flash
        .iter()
        .map(|(name, flash)| ("flash", name, flash.address, flash.size));
    let ram = ram
        .iter()
        .map(|(name, ram)| ("RAM", name, ram.address, ram.size));
    let devices: Vec<_> = flash
        .chain(ram)
        .map(|(kind, name, address, size)| {
            Region::new(format!("{kind} `{name}`"), ADDRESS_SPACE, address, size)
        })
        .collect();
    let everything = Region::new("the 32-bit range", ADDRESS_SPACE, 0_u32, u32::MAX);
    for device in &devices {
        device.check_inside(&everything)?;
    }
    region::check_disjoint(&devices)
}

pub(crate) fn ram(name: &str, ram: &Ram) -> Result<(), Problem> {
    if ram.size > 0 && ram.address.is_multiple_of(8) && ram.size.is_multiple_of(8) {
        return Ok(());
    }
    Err(Problem::value(
        format!("[ram.{name}]"),
        format!("{:#x} bytes at {:#x}", ram.size, ram.address),
        "address and size to be multiples of 8, and the size not 0",
    ))
}

/// The handover block is the start of a RAM region, and leaves some of it.
pub(crate) fn handover(
    handover: &file::Handover,
    ram: &BTreeMap<String, Ram>,
) -> Result<(), Problem> {
    if (handover.size as usize) < HANDOVER_LEN || !handover.size.is_multiple_of(8) {
        return Err(Problem::value(
            "handover.size",
            handover.size,
            format!("a multiple of 8, at least {HANDOVER_LEN}"),
        ));
    }
    let starts: Vec<_> = ram
        .iter()
        .map(|(name, ram)| format!("{:#x} (ram.{name})", ram.address))
        .collect();
    let Some((name, region)) = ram.iter().find(|(_, ram)| ram.address == handover.address) else {
        return Err(Problem::value(
            "handover.address",
            format!("{:#x}", handover.address),
            format!("the start of a RAM region: {}", starts.join(", ")),
        ));
    };
    if handover.size >= region.size {
        return Err(Problem::value(
            "handover.size",
            format!("{:#x}", handover.size),
            format!(
                "less than all of ram.{name}, which has {:#x} bytes",
                region.size
            ),
        ));
    }
    Ok(())
}

pub(crate) fn known<'a, T>(
    field: &str,
    name: &str,
    devices: &'a BTreeMap<String, T>,
) -> Result<&'a T, Problem> {
    devices.get(name).ok_or_else(|| Problem::UnknownName {
        field: field.into(),
        name: name.into(),
        known: devices.keys().cloned().collect(),
    })
}

/// A region that has a size, lies in its flash, and can be erased without touching its neighbours.
pub(crate) fn placed(region: &Region, flashes: &BTreeMap<String, Flash>) -> Result<(), Problem> {
    if region.start >= region.end {
        return Err(Problem::value(
            &region.name,
            "0 bytes",
            "at least one erase sector",
        ));
    }
    let flash = known(&region.name, &region.device, flashes)?;
    let device = Region::new(
        format!("flash `{}`", region.device),
        &region.device,
        0_u32,
        flash.size,
    );
    if let Some((next, behind)) = flash_behind(flash, flashes)
        && region.start < device.end
        && device.end < region.end
    {
        return Err(Problem::AcrossFlashes {
            region: Box::new(region.clone()),
            erase_size: flash.erase_size,
            next: next.clone(),
            next_erase_size: behind.erase_size,
        });
    }
    region.check_inside(&device)?;
    region.check_aligned(flash.erase_size)
}

/// The flash whose first byte the processor sees right behind the last one of `flash`: where a chip's sectors are
/// uneven, the next run of equal ones.
fn flash_behind<'f>(
    flash: &Flash,
    flashes: &'f BTreeMap<String, Flash>,
) -> Option<(&'f String, &'f Flash)> {
    flashes.iter().find(|(_, it)| it.address == flash.end())
}

/// The flashes of both slots.
pub(crate) fn slot_flashes(
    names: &[String; 2],
    flashes: &BTreeMap<String, Flash>,
) -> Result<[Flash; 2], Problem> {
    let [a, b] = names;
    let fields = match a == b {
        true => ["slots.flash"; 2],
        false => ["slots.flash.a", "slots.flash.b"],
    };
    let [field_a, field_b] = fields;
    Ok([*known(field_a, a, flashes)?, *known(field_b, b, flashes)?])
}

/// The updater erases both slots by the same sectors: the larger ones, where their flashes differ.
pub(crate) fn slots_in_common_sectors(product: &Product) -> Result<(), Problem> {
    let size = product.slot_units.erase_size;
    let mut names = product.slot_flashes.iter();
    let has_it = |name: &&String| {
        let flash = product.flash.get(*name);
        flash.is_some_and(|flash| flash.erase_size == size)
    };
    let larger = names.find(has_it).cloned().unwrap_or_default();
    let [a, b] = product.layout.slots;
    for (field, value) in [
        ("slots.a", a.offset),
        ("slots.b", b.offset),
        ("slots.size", product.layout.slot_size),
    ] {
        if !value.is_multiple_of(size) {
            return Err(Problem::value(
                field,
                format!("{value:#x}"),
                format!(
                    "a multiple of {size:#x}, the erase size of `{larger}`: both slots are erased by the larger sectors"
                ),
            ));
        }
    }
    Ok(())
}

pub(crate) fn journal_sectors(field: &str, sectors: u8) -> Result<(), Problem> {
    if (2..=MAX_SECTORS).contains(&sectors) {
        return Ok(());
    }
    Err(Problem::value(
        field,
        sectors,
        format!("2 to {MAX_SECTORS}; 3 where erase sectors are small"),
    ))
}

/// The smallest number of whole erase sectors that holds all copies of a snapshot, in bytes.
///
/// The journal programs each copy right behind the one before it, so a copy must end where a write
/// unit ends.
pub(crate) fn journal_sector_size(flash: &Flash) -> u32 {
    const COPY: u32 = SNAPSHOT_LEN as u32;
    const {
        assert!(
            COPY.is_multiple_of(32),
            "a snapshot is made of whole write units of every allowed size"
        );
    }
    (u32::from(COPIES) * COPY).next_multiple_of(flash.erase_size)
}

/// The same for the ledger: it keeps receipts as the journal keeps snapshots.
pub(crate) fn ledger_sector_size(flash: &Flash) -> u32 {
    const COPY: u32 = LEDGER_RECORD_LEN as u32;
    const { assert!(COPY.is_multiple_of(32)) }
    (u32::from(COPIES) * COPY).next_multiple_of(flash.erase_size)
}

pub(crate) fn slots(
    slots: &file::Slots,
    flashes: [&Flash; 2],
    units: Units,
) -> Result<(), Problem> {
    slot_order(slots, flashes)?;
    if !CHUNK_SIZES.contains(&slots.chunk_size) {
        return Err(Problem::value(
            "slots.chunk_size",
            slots.chunk_size,
            "1024, 2048 or 4096",
        ));
    }
    if !slots.vector_alignment.is_power_of_two() || slots.vector_alignment < 4 {
        return Err(Problem::value(
            "slots.vector_alignment",
            slots.vector_alignment,
            "a power of two, at least 4",
        ));
    }
    payload_offset(slots, flashes, units)
}

/// Slot A has the lower address.
fn slot_order(slots: &file::Slots, [flash_a, flash_b]: [&Flash; 2]) -> Result<(), Problem> {
    let a = u64::from(flash_a.address) + u64::from(slots.a);
    let b = u64::from(flash_b.address) + u64::from(slots.b);
    if a < b {
        return Ok(());
    }
    if slots.flash.a == slots.flash.b {
        return Err(Problem::value(
            "slots.b",
            format!("{:#x}", slots.b),
            format!("an offset above slot A's, which is {:#x}", slots.a),
        ));
    }
    Err(Problem::value(
        "slots.flash",
        format!("slot A at {a:#x}, above slot B at {b:#x}"),
        "slot A at the lower address: call the other one A",
    ))
}

/// What comes before the bootloader's code, whose vector table begins behind it.
pub(crate) fn head(bootloader: &file::Bootloader, slots: &file::Slots) -> Result<(), Problem> {
    let refuse = |expected: String| {
        let found = format!("{:#x}", bootloader.head);
        Err(Problem::value("bootloader.head", found, expected))
    };
    if bootloader.head > 0 && bootloader.head >= bootloader.size {
        return refuse(format!(
            "less than bootloader.size, which is {:#x}",
            bootloader.size
        ));
    }
    if !bootloader.head.is_multiple_of(slots.vector_alignment) {
        return refuse(format!(
            "a multiple of slots.vector_alignment, which is {}",
            slots.vector_alignment
        ));
    }
    Ok(())
}

fn payload_offset(
    slots: &file::Slots,
    [flash_a, flash_b]: [&Flash; 2],
    units: Units,
) -> Result<(), Problem> {
    let offset = slots.payload_offset;
    let refuse = |expected: String| {
        Err(Problem::value(
            "slots.payload_offset",
            format!("{offset:#x}"),
            expected,
        ))
    };
    if (offset as usize) < HEADER_LEN {
        return refuse(format!("room for the header, which has {HEADER_LEN} bytes"));
    }
    for (what, unit) in [
        ("slots.chunk_size", slots.chunk_size),
        ("the write size of the slots' flash", units.write_size),
        ("slots.vector_alignment", slots.vector_alignment),
    ] {
        if !offset.is_multiple_of(unit) {
            return refuse(format!("a multiple of {what}, which is {unit}"));
        }
    }
    if offset >= slots.size {
        return refuse(format!("less than slots.size, which is {:#x}", slots.size));
    }
    for (slot, flash, start) in [("A", flash_a, slots.a), ("B", flash_b, slots.b)] {
        let address = u64::from(flash.address) + u64::from(start) + u64::from(offset);
        if !address.is_multiple_of(slots.vector_alignment.into()) {
            return Err(Problem::value(
                format!("slot {slot}'s vector table"),
                format!("address {address:#x}"),
                format!(
                    "a multiple of slots.vector_alignment, which is {}",
                    slots.vector_alignment
                ),
            ));
        }
    }
    Ok(())
}

pub(crate) fn trial(trial: &Trial) -> Result<(), Problem> {
    if !ATTEMPTS.contains(&trial.attempts) {
        return Err(Problem::value(
            "trial.attempts",
            trial.attempts,
            format!("{} to {}", ATTEMPTS.start(), ATTEMPTS.end()),
        ));
    }
    if !TRIAL_SECONDS.contains(&trial.seconds) {
        return Err(Problem::value(
            "trial.seconds",
            trial.seconds,
            format!("{} to {}", TRIAL_SECONDS.start(), TRIAL_SECONDS.end()),
        ));
    }
    Ok(())
}

pub(crate) fn stays(stays: &Stays) -> Result<(), Problem> {
    if stays.trial_soak_seconds > *TRIAL_SECONDS.end() {
        return Err(Problem::value(
            "health.stays.trial_soak_seconds",
            stays.trial_soak_seconds,
            format!("0 to {}", TRIAL_SECONDS.end()),
        ));
    }
    if stays.soak_seconds == 0 {
        return Err(Problem::value(
            "health.stays.soak_seconds",
            0,
            format!("1 to {}", u16::MAX),
        ));
    }
    if stays.crash_loop != 0 && !CRASH_LOOP.contains(&stays.crash_loop) {
        return Err(Problem::value(
            "health.stays.crash_loop",
            stays.crash_loop,
            format!("0, or {} to {}", CRASH_LOOP.start(), CRASH_LOOP.end()),
        ));
    }
    Ok(())
}

pub(crate) fn checks(checks: &[String]) -> Result<(), Problem> {
    names("health.checks", checks, MAX_CHECKS)
}

pub(crate) fn calibration(names_of_values: &[String]) -> Result<(), Problem> {
    names("factory.calibration", names_of_values, MAX_CALIBRATION)
}

/// Names of small letters, digits and `-`, each once.
fn names(field: &str, names: &[String], most: usize) -> Result<(), Problem> {
    if names.len() > most {
        return Err(Problem::value(
            field,
            format!("{} names", names.len()),
            format!("at most {most}"),
        ));
    }
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if name.is_empty() || !plain {
            return Err(Problem::value(
                field,
                format!("`{name}`"),
                "names of small letters, digits and `-`",
            ));
        }
        if !seen.insert(name) {
            return Err(Problem::value(
                field,
                format!("`{name}` twice"),
                "each name once",
            ));
        }
    }
    Ok(())
}
