//! `bistable factory build`: the flash file of a new device: journal, slot A, identity.
//!
//! The journal is formatted, and the result read, by the device's own functions: the file is written
//! only if the bootloader's story boots slot A from it. It holds one flash; the bootloader, where it
//! lies on another one, is not part of it.

use std::path::{Path, PathBuf};

use bistable_core::choose::Role;
use bistable_core::header::{Header, authenticate_for_install};
use bistable_core::journal::{Journal, Opened, WriteError};
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::state::{Image, Origin, Snapshot};
use bistable_core::version::Version;
use bistable_updater::identity::{Identity, MAX_LEN, Serial};

use crate::doctor::{Conditions, examine};
use crate::factory::IDENTITY_PARTITION;
use crate::factory::map::Map;
use crate::facts::{Facts, parse_version, workspace_version};
use crate::image::check::check;
use crate::image::file::ImageFile;
use crate::memory_flash::{ERASED, MemoryFlash, NoWatchdog, WithWriteSize, for_write_size};
use crate::output::Output;
use crate::{Error, atomic, files};

/// Make the flash file of a new device: journal, slot A, identity.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable factory build --layout layout.toml --image v1.img --serial BST-000042 --out flash.bin"
)]
pub struct Arguments {
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// The image that the device starts with.
    #[arg(long, value_name = "IMAGE")]
    pub image: PathBuf,
    /// The device's serial number, up to 32 bytes.
    #[arg(long)]
    pub serial: String,
    /// The board's revision.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub hardware_revision: u16,
    /// The device's bootloader; that of these tools without it.
    #[arg(long, value_name = "VERSION", value_parser = parse_version, default_value_t = workspace_version())]
    pub bootloader_version: Version,
    /// Where the flash file goes.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// What it could not make; nothing was written.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    facts.flash(&arguments.layout)?;
    let identity = Identity {
        serial: serial(&arguments.serial)?,
        hardware_revision: arguments.hardware_revision,
        ..Identity::default()
    };
    let bytes = files::read(&arguments.image, "read the image")?;
    let version = arguments.bootloader_version;
    let image =
        check(&bytes, &facts, version, drop).map_err(|failed| failed.at(&arguments.image))?;
    let flash = build(&facts, &arguments.layout, &image, &identity, version)?;
    atomic::replace(&arguments.out, &flash)
        .map_err(Error::io(&arguments.out, "write the flash file"))?;
    output.say(&Map::new(&arguments.out, &flash, &facts, &image, &identity))
}

/// The flash of a new device that starts with `image`, which passed [`check`], from slot A.
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
    let flash = facts.flash(layout)?;
    let mut bytes = vec![ERASED; flash.size as usize];
    let impossible = |found: String| {
        Error::unexpected(
            layout,
            found,
            format!("a flash from which slot {slot:?} boots"),
            "check the image with `bistable image verify`",
        )
    };
    image
        .install(&mut bytes, &facts.product.layout, slot)
        .ok_or_else(|| impossible(format!("no room for the image in slot {slot:?}")))?;
    place_identity(&mut bytes, facts, layout, identity)?;
    let snapshot = snapshot(image, facts, slot)
        .map_err(|refusal| impossible(format!("an image refused as {refusal}")))?;
    let format = Format {
        bytes: &mut bytes,
        erase_size: flash.erase_size,
        facts,
        snapshot: &snapshot,
    };
    match for_write_size(flash.write_size, format) {
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
        let layout = &self.facts.product.layout;
        let mut flash = MemoryFlash::<WRITE>::new(self.bytes, self.erase_size);
        let mut journal = Journal::new(layout.journal, layout.digest);
        journal.format(&mut flash, &mut NoWatchdog, self.snapshot)
    }
}

/// The serial number that `text` is.
///
/// # Errors
/// It is empty or too long.
pub fn serial(text: &str) -> Result<Serial, Error> {
    let serial = Serial::try_from(text)
        .ok()
        .filter(|serial| !serial.is_empty());
    serial.ok_or_else(|| {
        Error::argument(
            "--serial",
            format!("{} bytes", text.len()),
            "1 to 32 bytes",
            "a serial number is given once, ever: choose a short form",
        )
    })
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
    let start = partition.offset as usize;
    let region = flash.get_mut(start..start + partition.size as usize);
    let place = region.and_then(|region| region.get_mut(..block.len()));
    place
        .ok_or_else(|| refuse("a partition that is too small"))?
        .copy_from_slice(block);
    Ok(())
}
