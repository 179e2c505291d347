//! The bootloader in a factory's files: put where it was linked, which must be where the layout wants it.

use std::path::Path;

use bistable_layout::{Product, Region};

use crate::factory::flashes::Contents;
use crate::facts::Facts;
use crate::image::elf;
use crate::image::intel_hex::{self, is_intel_hex};
use crate::image::pieces::Piece;
use crate::{Error, files};

/// What the layout calls it.
pub(crate) const REGION: &str = "the bootloader";

/// What mends a bootloader that lies elsewhere.
const LINK_AGAIN: &str = "link it with the memory.x that its build script makes from this layout";

/// Puts the program in the ELF or Intel HEX file at `path` into `flash`, the one that the bootloader lies on.
///
/// # Errors
/// It cannot be read, or does not lie in the bootloader's region, from its start.
pub(crate) fn place(path: &Path, facts: &Facts, flash: &mut Contents) -> Result<(), Error> {
    let bytes = files::read(path, "read the bootloader")?;
    let mut pieces = match is_intel_hex(&bytes) {
        true => intel_hex::pieces(path, &bytes)?,
        false => elf::pieces(path, &bytes, facts.entry())?,
    };
    pieces.sort_by_key(|piece| piece.address);
    let region = region(&facts.product);
    let start = u64::from(flash.flash.address) + region.start;
    let first = pieces.first();
    if first.is_none_or(|first| u64::from(first.address) != start) {
        let found = first.map_or("no loadable bytes".into(), |first| {
            lies(first, &facts.product)
        });
        return Err(Error::unexpected(
            path,
            found,
            format!("the first byte at {start:#x}, where {region} begins"),
            LINK_AGAIN,
        ));
    }
    let mut free = start;
    for piece in &pieces {
        let refuse = |found: String, expected: String| {
            Err(Error::unexpected(path, found, expected, LINK_AGAIN))
        };
        let address = u64::from(piece.address);
        let offset = address.saturating_sub(u64::from(flash.flash.address));
        let end = offset + piece.data.len() as u64;
        if address < free {
            let found = format!("{}, over the one before it", lies(piece, &facts.product));
            return refuse(found, "segments that do not overlap".into());
        }
        if end > region.end {
            let over = end - region.end;
            let into = reached(&region, end, &facts.product);
            let found = format!(
                "{}, which reaches {over} bytes {into}",
                lies(piece, &facts.product)
            );
            return refuse(found, format!("all of it within {region}"));
        }
        free = address + piece.data.len() as u64;
        if let Some(place) = flash.bytes.get_mut(offset as usize..end as usize) {
            place.copy_from_slice(&piece.data);
        }
    }
    Ok(())
}

/// The bootloader's; every layout has one.
fn region(product: &Product) -> Region {
    let partition = &product.bootloader;
    Region {
        name: REGION.into(),
        device: partition.flash.clone(),
        start: partition.offset.into(),
        end: u64::from(partition.offset) + u64::from(partition.size),
    }
}

/// A piece as a region of the flash that its first byte lies on.
fn lies(piece: &Piece<'_>, product: &Product) -> String {
    let address = u64::from(piece.address);
    let (start, len) = (address, piece.data.len() as u64);
    let on = product.flash.iter().find(|(_, flash)| {
        let first = u64::from(flash.address);
        (first..first + u64::from(flash.size)).contains(&address)
    });
    let Some((name, flash)) = on else {
        let end = start + len;
        return format!(
            "{} at {start:#x}..{end:#x}, on no flash of the layout",
            piece.name
        );
    };
    let start = start - u64::from(flash.address);
    let region = Region {
        name: piece.name.clone(),
        device: name.clone(),
        start,
        end: start + len,
    };
    let mut others = product.regions().into_iter();
    let inside = others.find(|other| {
        other.name != REGION && other.device == *name && (other.start..other.end).contains(&start)
    });
    match inside {
        Some(other) => format!("{region} in {other}"),
        None => region.to_string(),
    }
}

/// What lies behind the bootloader's `region`, where something that ends at `end` reaches.
fn reached(region: &Region, end: u64, product: &Product) -> String {
    let regions = product.regions();
    let behind = regions.iter().find(|other| {
        other.device == region.device && other.start >= region.end && other.start < end
    });
    let size = product
        .flash
        .get(&region.device)
        .map_or(0, |flash| flash.size);
    match behind {
        Some(other) => format!("into {other}"),
        None if end > size.into() => format!("behind the end of flash `{}`", region.device),
        None => "into what lies behind it".into(),
    }
}
