//! All that a device checks before it installs an image and before it boots it, by the device's own
//! functions, as a list of checks in their order.

use std::path::Path;

use bistable_core::admit::Terms;
use bistable_core::digest::Digest;
use bistable_core::header::{Authentic, Header, authenticate_for_install};
use bistable_core::keys::Revoked;
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::refusal::Refusal;
use bistable_core::state::{Image, Origin, Snapshot};
use bistable_core::verify::{Rules, verify};
use bistable_core::version::Version;

use crate::Error;
use crate::facts::Facts;
use crate::image::file::{Defect, ImageFile, Wrong};
use crate::image::signers::Signers;
use crate::memory_flash::{ERASED, MemoryFlash, NoWatchdog};

/// A check that an image passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// What was checked, in one word.
    pub check: &'static str,
    /// What was found.
    pub found: String,
}

/// The check that an image failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// What was checked, in one word.
    pub check: &'static str,
    /// What is wrong.
    pub defect: Defect,
}

impl Failed {
    /// As the line that a command prints about the file at `path`.
    #[must_use]
    pub fn at(&self, path: &Path) -> Error {
        self.defect.at(path)
    }
}

/// Checks the image file in `bytes` for a device that knows `facts`; each check that it passes is
/// told to `passed`.
///
/// The device is one that runs some older image, with the factory's floor.
///
/// # Errors
/// The first check that it fails.
pub fn check(
    bytes: &[u8],
    facts: &Facts,
    bootloader: Version,
    mut passed: impl FnMut(Passed),
) -> Result<ImageFile, Failed> {
    let mut pass = |check, found: String| passed(Passed { check, found });

    let header_bytes = header_of(bytes)?;
    let refuse = |check| {
        move |refusal| Failed {
            check,
            defect: Defect::refused("header", 0, refusal),
        }
    };
    let header = Header::new_checked(header_bytes).map_err(refuse("header"))?;
    let digest = header.manifest().digest();
    pass("header", format!("image {digest}"));

    let ring = facts.key_ring();
    let authentic = authenticate_for_install(header, &ring, Revoked::default())
        .map_err(refuse("signatures"))?;
    pass("signatures", Signers::of(&header, facts).to_string());

    installable(facts, &authentic, bootloader).map_err(refuse("terms"))?;
    pass(
        "terms",
        format!(
            "vendor, class, layout and size; bootloader {bootloader}; floor {}",
            facts.product.layout.factory_floor
        ),
    );

    let image = ImageFile::parse(bytes).map_err(|defect| Failed {
        check: part_of(&defect),
        defect,
    })?;
    let manifest = image.manifest();
    pass(
        "pages",
        format!(
            "{} of together {} bytes",
            image.pages().len(),
            image.pages_len()
        ),
    );
    pass(
        "chunks",
        format!(
            "{} in both slots, {} fix-ups",
            manifest.chunks(),
            image.fixups()
        ),
    );
    pass(
        "length",
        format!("{} bytes, nothing behind them", bytes.len()),
    );

    for (slot, check) in [(Slot::A, "slot A"), (Slot::B, "slot B")] {
        boots(&image, facts, bootloader, slot).map_err(|refusal| Failed {
            check,
            defect: Defect::refused(format!("the image in slot {slot:?}"), HEADER_LEN, refusal),
        })?;
        pass(
            check,
            format!(
                "boots: payload {} and its vector table",
                manifest.payload(slot)
            ),
        );
    }
    Ok(image)
}

fn header_of(bytes: &[u8]) -> Result<&[u8; HEADER_LEN], Failed> {
    bytes.first_chunk().ok_or_else(|| Failed {
        check: "header",
        defect: Defect {
            part: "header".into(),
            offset: 0,
            wrong: Wrong::Truncated(HEADER_LEN - bytes.len()),
        },
    })
}

fn part_of(defect: &Defect) -> &'static str {
    match defect.wrong {
        Wrong::Truncated(_) | Wrong::Trailing(_) => "length",
        Wrong::Refused(Refusal::BadPage | Refusal::MalformedPage) => "pages",
        Wrong::Refused(_) => "chunks",
    }
}

fn installable(facts: &Facts, image: &Authentic<'_>, bootloader: Version) -> Result<(), Refusal> {
    let layout = &facts.product.layout;
    let older = Image {
        digest: Digest::NONE,
        sequence: image.manifest().sequence().saturating_sub(1),
        origin: Origin::Factory,
    };
    // Its application's data are in a schema that this image can read: nothing else is known of it.
    let snapshot = Snapshot {
        schema: image.manifest().schemas().0,
        ..Snapshot::with_confirmed(Slot::A, older, layout.factory_floor)
    };
    Terms::of_the_factory(layout, bootloader, 0)
        .with(&snapshot)
        .installable(image, &snapshot, Slot::A)?;
    let flash = facts.product.flash.get(&facts.product.slots_flash);
    let write_size = flash.map_or(1, |flash| flash.write_size);
    let whole_units = image.manifest().payload_len().is_multiple_of(write_size);
    whole_units.then_some(()).ok_or(Refusal::UnalignedLength)
}

/// Puts the image into a slot of an otherwise erased flash and verifies it there as at each boot.
fn boots(image: &ImageFile, facts: &Facts, bootloader: Version, slot: Slot) -> Result<(), Refusal> {
    let layout = &facts.product.layout;
    let end = layout
        .slots
        .map(|slot| slot.offset.saturating_add(layout.slot_size));
    let mut bytes = vec![ERASED; end.into_iter().max().unwrap_or_default() as usize];
    image
        .install(&mut bytes, layout, slot)
        .ok_or(Refusal::TooLarge)?;
    let ring = facts.key_ring();
    let rules = Rules {
        ring: &ring,
        revoked: Revoked::default(),
        terms: Terms {
            layout,
            bootloader,
            floor: layout.factory_floor,
            schema: None,
        },
        entry: facts.entry(),
    };
    let mut flash = MemoryFlash::<1>::new(&mut bytes, 1);
    let expected = Some(image.manifest().digest());
    verify(&mut flash, slot, expected, &rules, &mut NoWatchdog).map(drop)
}
