//! What updates cost: a small part of the story, told with counters instead of checks.
//!
//! The device starts from the factory; it takes an image over the network and keeps it; it takes another one
//! that fails its self-test, and gives it back. Both images are the demo application, made as long as is asked
//! for by bytes behind its end that nobody reads.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bistable_core::layout::Slot;
use object::read::elf::{ElfFile32, ProgramHeader as _};

use super::first_update::sectors_filled;
use super::meter::{Conversation, Meter};
use super::releases::{Release, name_of, patch};
use super::world::{Places, World};
use crate::FlashFile;

/// What was done to the flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Work {
    /// Erases of sectors of the slots.
    pub slot_erases: u32,
    /// Erases of sectors of the journal.
    pub journal_erases: u32,
    /// Program calls, wherever.
    pub programs: u32,
    /// Bytes that they programmed.
    pub bytes: u32,
}

/// What updates cost with images of one length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Length of an image file, in bytes.
    pub image: u64,
    /// Sectors that it fills.
    pub sectors: u32,
    /// Starting an image that is confirmed.
    pub confirmed_boot: Work,
    /// An update, from the first byte asked for until the image is kept.
    pub update: Work,
    /// An update that is given back, until the image before it runs again.
    pub failed_update: Work,
    /// Of that, what was done to the slots from the first start of the new image on.
    pub revert_slot_erases: u32,
    /// What was done to the journal meanwhile.
    pub revert_journal_erases: u32,
    /// Bytes of TCP payload in both directions of asking for the newest image and of fetching it.
    pub network: u64,
}

/// Tells that part with payloads of `payload` bytes and the bootloader in `bootloader`, whose log is on.
///
/// # Errors
/// Something did not come true, or could not be counted.
pub fn cost(places: Places, bootloader: &Path, payload: usize) -> Result<Cost> {
    let mut world = World::open(places, 0, false)?;
    world.meter = Some(Meter::start()?);
    fs::copy(bootloader, world.places.file("bootloader.elf"))
        .with_context(|| bootloader.display().to_string())?;
    let v1 = world.build(&Release::new("v1", "1.0.0", 1))?;
    make_device(&world)?;

    let before = done(&world)?;
    let mut device = world.power_on()?;
    device.expect(&["running", &v1[..8], "slot A", "Confirmed", "PowerOn"])?;
    device.switch_off();
    let confirmed_boot = before.until(&done(&world)?);

    let v2 = padded(&world, &Release::new("v2", "2.0.0", 2), payload)?;
    world.publish("v2")?;
    let asked_before = conversations(&world)?.len();
    let before = done(&world)?;
    let mut device = world.power_on()?;
    device.expect(&["activated", &v2[..8]])?;
    device.expect(&["running", &v2[..8], "slot B", "Trial", "Software"])?;
    device.expect(&["this image stays"])?;
    device.switch_off();
    let update = before.until(&done(&world)?);
    let network = fetched(&conversations(&world)?[asked_before..], &v2)?;

    let release = Release {
        behaviour: b'f',
        ..Release::new("v3", "3.0.0", 3)
    };
    let v3 = padded(&world, &release, payload)?;
    world.publish("v3")?;
    let before = done(&world)?;
    let mut device = world.power_on()?;
    device.expect(&["activated", &v3[..8]])?;
    device.expect(&["running", &v3[..8], "slot A", "Trial", "Software"])?;
    let installed = before.until(&done(&world)?);
    device.expect(&["running", &v2[..8], "slot B", "Confirmed", "Software"])?;
    device.switch_off();
    let failed_update = before.until(&done(&world)?);

    Ok(Cost {
        image: fs::metadata(world.image("v2"))?.len(),
        sectors: sectors_filled(&world, "v2")?,
        confirmed_boot,
        update,
        failed_update,
        revert_slot_erases: failed_update.slot_erases - installed.slot_erases,
        revert_journal_erases: failed_update.journal_erases - installed.journal_erases,
        network,
    })
}

/// A flash file as the factory makes it, with v1.
pub(super) fn make_device(world: &World) -> Result<()> {
    let (layout, image, factory) = (
        world.places.layout(),
        world.image("v1"),
        world.places.file("factory.bin"),
    );
    let arguments = [
        Path::new("factory"),
        Path::new("build"),
        Path::new("--layout"),
        &layout,
        Path::new("--image"),
        &image,
        Path::new("--serial"),
        Path::new("BENCH"),
        Path::new("--out"),
        &factory,
    ];
    world.bistable(&arguments)?;
    let flash = world.places.file("flash");
    FlashFile::create(world.places.board, &flash, &fs::read(&factory)?)?;
    Ok(())
}

/// Builds the image of a release with a payload of so many bytes; returns its name.
pub(super) fn padded(world: &World, release: &Release, payload: usize) -> Result<String> {
    let image = world.image(release.name);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut arguments: Vec<String> = ["image", "build"].map(String::from).to_vec();
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    for (slot, letter) in [(Slot::A, 'a'), (Slot::B, 'b')] {
        let elf = world.places.file(format!("images/v1.img.{letter}.elf"));
        let file = |kind: &str| format!("{}.{letter}.{kind}", release.name);
        let patched = world.places.file(file("elf"));
        patch(&elf, &patched, release)?;
        let mut bytes = flat(&patched)?;
        ensure!(
            bytes.len() <= payload,
            "the demo application has {} B, more than {payload}",
            bytes.len()
        );
        let mut random = fastrand::Rng::with_seed(5);
        bytes.resize_with(payload, || random.u8(..));
        let raw = world.places.file(file("bin"));
        fs::write(&raw, bytes)?;
        let address = world.layout().payload_address(slot);
        let place = format!("{}@{address:#x}", raw.display());
        add(&format!("--program-{letter}"), place);
    }
    add("--layout", text(&world.places.layout()));
    add("--key", text(&world.places.key()));
    add("--version", release.version.into());
    add("--sequence", release.sequence.to_string());
    add("--security-counter", release.security_counter.to_string());
    add("--attempts", release.attempts.to_string());
    add("--trial-seconds", release.trial_seconds.to_string());
    add("--out", text(&image));
    world.bistable(&arguments)?;
    name_of(&fs::read(&image)?)
}

/// What an ELF file has loaded, as it lies in flash from its lowest address on.
fn flat(elf: &Path) -> Result<Vec<u8>> {
    let file = fs::read(elf).with_context(|| format!("read {}", elf.display()))?;
    let parsed = ElfFile32::<object::Endianness>::parse(&*file)?;
    let endian = parsed.endian();
    let mut segments = Vec::new();
    for header in parsed.elf_program_headers() {
        if header.p_type(endian) == object::elf::PT_LOAD && header.p_filesz(endian) > 0 {
            let data = header.data(endian, &*file);
            let data = data.map_err(|()| anyhow::anyhow!("a segment that is not in the file"))?;
            segments.push((header.p_paddr(endian) as usize, data));
        }
    }
    segments.sort_by_key(|(address, _)| *address);
    let (start, _) = *segments.first().context("nothing is loaded")?;
    let mut bytes = Vec::new();
    for (address, data) in segments {
        bytes.resize(address - start, 0xFF);
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

/// What was said over the network so far.
fn conversations(world: &World) -> Result<Vec<Conversation>> {
    Ok(world.meter.as_ref().context("no meter")?.conversations())
}

/// Bytes of asking what is newest, once, and of all that was said about the image `name`. Of the questions, the last
/// one before the image counts: the device had its whole answer, or it would not have asked for the image.
fn fetched(conversations: &[Conversation], name: &str) -> Result<u64> {
    let about = |asking: String| move |one: &&Conversation| one.request.starts_with(&asking);
    let about_image = about(format!("GET /images/{name} "));
    let first = conversations.iter().position(|one| about_image(&one));
    let first =
        first.with_context(|| format!("nobody fetched the image; found {conversations:?}"))?;
    let (before, after) = conversations.split_at(first);
    let latest = before.iter().rfind(about("GET /latest ".into()));
    let latest = latest.context("nobody asked what is newest")?;
    let bytes = |one: &Conversation| one.sent + one.received;
    let image: u64 = after.iter().filter(about_image).map(bytes).sum();
    Ok(bytes(latest) + image)
}

/// What was done to the flash since it was made.
struct Done(Work);

fn done(world: &World) -> Result<Done> {
    let (wear, all) = (world.wear()?, world.flash()?.counters());
    Ok(Done(Work {
        slot_erases: wear.slots.iter().map(|slot| slot.erases).sum(),
        journal_erases: wear.journal.erases,
        programs: all.program_calls,
        bytes: all.bytes_programmed,
    }))
}

impl Done {
    fn until(&self, after: &Self) -> Work {
        let (before, after) = (self.0, after.0);
        Work {
            slot_erases: after.slot_erases - before.slot_erases,
            journal_erases: after.journal_erases - before.journal_erases,
            programs: after.programs - before.programs,
            bytes: after.bytes - before.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(request: &str, received: u64) -> Conversation {
        Conversation {
            request: format!("GET {request} HTTP/1.1"),
            sent: 100,
            received,
        }
    }

    #[test]
    fn the_question_before_the_image_and_all_of_the_image_count() {
        let said = [
            conversation("/latest", 20),
            conversation("/latest", 300),
            conversation("/images/ab", 4_000),
            conversation("/images/cd", 7_000),
            conversation("/images/ab", 2_000),
            conversation("/latest", 500),
        ];
        assert_eq!(fetched(&said, "ab").unwrap(), 400 + 4_100 + 2_100);
        assert!(fetched(&said[..2], "ab").is_err());
        assert!(fetched(&said[2..], "ab").is_err());
    }
}
