//! What is on the flash of a new device: journal and slot A, which all units have in common, and one unit's
//! identity.
//!
//! The journal is formatted, and the result read, by the device's own functions: nothing comes out of here
//! unless the bootloader's story boots from it. It is one row, also of several flashes; the bootloader may lie on another one.

use std::path::Path;

use bistable_core::choose::Role;
use bistable_core::header::{Header, authenticate_for_install};
use bistable_core::journal::{Journal, Opened, WriteError};
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::state::{Image, Origin, Snapshot};
use bistable_core::version::Version;
use bistable_updater::identity::{Identity, MAX_LEN};

use crate::Error;
use crate::doctor::{Conditions, examine};
use crate::factory::IDENTITY_PARTITION;
use crate::facts::Facts;
use crate::image::file::ImageFile;
use crate::memory_flash::{ERASED, MemoryFlash, NoWatchdog, WithWriteSize, for_write_size};

/// What all new units have in common: the [row](crate::row) of flashes, with the journal and with `image`, which passed
/// [`check`](crate::image::check::check), confirmed in slot A. All else on it is erased: identity, device key,
/// ledger, the other slot; so is the bootloader's region, if it lies there.
///
/// # Errors
/// The bootloader would not boot the result.
pub fn common(
    facts: &Facts,
    layout: &Path,
    image: &ImageFile,
    bootloader: Version,
) -> Result<Vec<u8>, Error> {
    common_in(Slot::A, facts, layout, image, bootloader)
}

/// The flash of one new unit: [`common`], and its identity.
///
/// # Errors
/// The layout has no place for the identity, or the bootloader would not boot the result.
pub fn build(
    facts: &Facts,
    layout: &Path,
    image: &ImageFile,
    identity: &Identity,
    bootloader: Version,
) -> Result<Vec<u8>, Error> {
    build_in(Slot::A, facts, layout, image, identity, bootloader)
}

/// The same, from `slot`: for a bench, where the other link is to be tried.
///
/// # Errors
/// As [`build`].
pub fn build_in(
    slot: Slot,
    facts: &Facts,
    layout: &Path,
    image: &ImageFile,
    identity: &Identity,
    bootloader: Version,
) -> Result<Vec<u8>, Error> {
    let mut bytes = common_in(slot, facts, layout, image, bootloader)?;
    place_identity(&mut bytes, facts, layout, identity)?;
    Ok(bytes)
}

fn common_in(
    slot: Slot,
    facts: &Facts,
    layout: &Path,
    image: &ImageFile,
    bootloader: Version,
) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![ERASED; facts.row.size()];
    let impossible = |found: String| {
        Error::unexpected(
            layout,
            found,
            format!("a flash from which slot {slot:?} boots"),
            "check the image with `bistable image verify`",
        )
    };
    image
        .install(&mut bytes, facts.row.layout(), slot)
        .ok_or_else(|| too_large(facts, layout, image, slot))?;
    let snapshot = snapshot(image, facts, slot)
        .map_err(|refusal| impossible(format!("an image refused as {refusal}")))?;
    let units = facts.row.units();
    let format = Format {
        bytes: &mut bytes,
        erase_size: units.erase_size,
        facts,
        snapshot: &snapshot,
    };
    match for_write_size(units.write_size, format) {
        Some(Ok(())) => {}
        other => {
            return Err(impossible(format!(
                "no way to format the journal ({other:?})"
            )));
        }
    }
    let conditions = Conditions {
        bootloader,
        ..Conditions::default()
    };
    let examination = examine(&bytes, facts, conditions);
    let whole = Some(Opened::Sound {
        snapshot,
        rewrites: 0,
    });
    let boots = examination
        .boots
        .map(|boots| (boots.slot, boots.role, boots.after));
    if examination.journal != whole || boots != Some((slot, Role::Active, snapshot)) {
        return Err(impossible(format!("a flash that boots {boots:?}")));
    }
    Ok(bytes)
}

/// The image and the slot that it does not fit into, with what lies behind that.
fn too_large(facts: &Facts, layout: &Path, image: &ImageFile, slot: Slot) -> Error {
    let product = &facts.product;
    let payload = image.payload(slot).len() as u64;
    let room = u64::from(product.layout.payload_capacity());
    let regions = product.regions();
    let start = u64::from(slot.of(&product.layout.slots).offset);
    let here = |region: &&bistable_layout::Region| region.device == *product.slot_flash(slot);
    let mut regions = regions.iter().filter(here);
    let own = regions.find(|region| region.start == start);
    let own = own.map_or(format!("slot {slot:?}"), ToString::to_string);
    let next = regions
        .next()
        .map_or("the end of the flash".into(), ToString::to_string);
    Error::unexpected(
        layout,
        format!(
            "an image whose payload of {payload} bytes is {} bytes too large for {own}, before {next}",
            payload.saturating_sub(room)
        ),
        format!("a payload of at most {room} bytes"),
        "make the program smaller, or the slots larger",
    )
}

/// The state of a device that has just been made: its image counts as confirmed.
fn snapshot(
    image: &ImageFile,
    facts: &Facts,
    slot: Slot,
) -> Result<Snapshot, bistable_core::refusal::Refusal> {
    let header = Header::new_checked(image.header())?;
    let authentic = authenticate_for_install(header, &facts.key_ring(), Revoked::default())?;
    let manifest = authentic.manifest();
    let confirmed = Image {
        digest: authentic.digest(),
        sequence: manifest.sequence(),
        origin: Origin::Factory,
    };
    let floor = facts
        .product
        .layout
        .factory_floor
        .max(manifest.revoke_below());
    Ok(Snapshot {
        schema: manifest.schemas().1,
        revoked: authentic.revokes(),
        ..Snapshot::with_confirmed(slot, confirmed, floor)
    })
}

struct Format<'f> {
    bytes: &'f mut [u8],
    erase_size: u32,
    facts: &'f Facts,
    snapshot: &'f Snapshot,
}

impl WithWriteSize for Format<'_> {
    type Output = Result<(), WriteError>;

    fn run<const WRITE: usize>(self) -> Self::Output {
        let layout = self.facts.row.layout();
        let mut flash = MemoryFlash::<WRITE>::new(self.bytes, self.erase_size);
        let mut journal = Journal::new(layout.journal, layout.digest);
        journal.format(&mut flash, &mut NoWatchdog, self.snapshot)
    }
}

fn place_identity(
    flash: &mut [u8],
    facts: &Facts,
    layout: &Path,
    identity: &Identity,
) -> Result<(), Error> {
    let refuse = |found| {
        Error::unexpected(
            layout,
            found,
            format!("a partition `{IDENTITY_PARTITION}` with room for {MAX_LEN} bytes"),
            format!("add [partition.{IDENTITY_PARTITION}] to the layout"),
        )
    };
    let partition = facts.product.partitions.get(IDENTITY_PARTITION);
    let partition = partition.ok_or_else(|| refuse("no place for the identity"))?;
    let mut buffer = [ERASED; MAX_LEN];
    let block = identity.encode(&mut buffer);
    let block = block.ok_or_else(|| refuse("an identity that is too long"))?;
    let start = facts.row.start(&partition.flash).unwrap_or_default() + partition.offset as usize;
    let region = flash.get_mut(start..start + partition.size as usize);
    let place = region.and_then(|region| region.get_mut(..block.len()));
    place
        .ok_or_else(|| refuse("a partition that is too small"))?
        .copy_from_slice(block);
    Ok(())
}
