//! Step 8: what a bad source, a bad signer and a bad release can do, which is nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::manifest::Manifest;

use super::device::Device;
use super::failing::built;
use super::releases::Release;
use super::timeline::observed;
use super::world::World;

/// The chunk in which a bit is flipped: the seventh.
const BAD_CHUNK: u32 = 6;

/// Step 8.
pub(super) fn refusals(world: &mut World, planted: bool) -> Result<()> {
    let v2 = built(world, "v2")?;
    let v5 = world.build(&Release::new("v5", "5.0.0", 10))?;
    let refused = bad_releases(world)?;
    let good = fs::read(world.image("v5"))?;
    let first_chunk = manifest(&good)?.first_page_len() as usize + HEADER_LEN;
    let chunk = 4096 * BAD_CHUNK as usize;

    let mut flipped = good.clone();
    if !planted {
        flipped[first_chunk + chunk + 99] ^= 0x10;
    }
    world.publish_bytes("v5 with one bit flipped", &v5, &flipped)?;
    let mut device = world.power_on()?;
    let place = format!("at byte {}", first_chunk + chunk);
    device.expect_before(&["refused", &v5[..8], &place, "BadChunk"], &["activated"])?;
    let written = world.layout().slots[0].offset + world.layout().payload_offset + chunk as u32;
    let there = world.flash()?.read(written, 4096)?;
    ensure!(
        there.iter().all(|byte| *byte == 0xFF),
        "the bad chunk was written"
    );
    observed(
        "flash",
        format!("nothing was written at {written:#x}, where that chunk belongs"),
    );

    let before = world.wear()?;
    for (name, digest, why) in &refused {
        world.publish(name)?;
        device.expect(&["refused", &digest[..8], why])?;
    }
    let short = world.build(&Release::new("v5-short", "5.0.6", 11))?;
    let bytes = fs::read(world.image("v5-short"))?;
    world.publish_bytes(
        "an image that ends within its header",
        &short,
        &bytes[..600],
    )?;
    device.expect(&["the file ends at 600"])?;
    let wear = world.wear()?.since(&before);
    let done = wear.slots[0].erases + wear.slots[1].erases + wear.journal.erases;
    observed("flash", format!("the six refusals together: {done} erases"));
    ensure!(done == 0, "a refused image had something erased");

    ends_later(world, &mut device, &v5, &good, first_chunk)?;
    device.expect(&["activated", &v5[..8]])?;
    device.expect(&["running", &v5[..8], "slot A", "Trial"])?;
    device.expect(&["this image stays"])?;
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "confirmed", &v5, true)?;
    journal.ensure(Slot::B, "confirmed", &v2, false)
}

/// The right bytes, but not all of them at first.
fn ends_later(
    world: &World,
    device: &mut Device,
    digest: &str,
    good: &[u8],
    first_chunk: usize,
) -> Result<()> {
    let chunks = 4096 * 10;
    let end = first_chunk + chunks + 1000;
    world.publish_bytes("v5 without its end", digest, &good[..end])?;
    device.expect(&[&format!("the file ends at {end}")])?;
    let before = world.wear()?;
    world.publish_bytes("all of v5", digest, good)?;
    device.expect(&["installing", &digest[..8]])?;
    device.expect(&[&format!("at byte {}", first_chunk + chunks)])?;
    device.expect(&["everything is there"])?;
    let filled = super::first_update::sectors_filled(world, "v5")?;
    let erased = world.wear()?.since(&before).slots[0].erases;
    observed(
        "flash",
        format!("it went on where it was: {erased} more erases of {filled} sectors"),
    );
    // The sector that the next chunk begins in was erased ahead of it, and so were all before.
    let next = (world.layout().payload_offset + 4096 * 10) / world.sector_size();
    ensure!(erased + next < filled, "it began again");
    Ok(())
}

/// Images that must be refused before anything is erased: name, digest, reason.
fn bad_releases(world: &World) -> Result<Vec<(&'static str, String, &'static str)>> {
    let stranger = world.places.file("stranger.pem");
    let ring = world.places.file("stranger-ring.toml");
    if !stranger.exists() {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        world.bistable(&[
            "key",
            "new",
            "--ring",
            &text(&ring),
            "--name",
            "stranger",
            "--development",
            "--out",
            &text(&stranger),
        ])?;
    }
    let own_ring = &world.product.ring_path;
    let strangers = variant(world, "stranger", ("", ""), &ring)?;
    let class = format!("class = {:?}", world.product.class);
    let other_class = variant(world, "class", (&class, "class = \"toaster\""), own_ring)?;
    let handover = ("size = 256\n", "size = 512\n");
    let other_layout = variant(world, "layout", handover, own_ring)?;
    let releases = [
        (
            Release {
                key: Some(stranger),
                layout: Some(strangers),
                ..Release::new("v5-stranger", "5.0.1", 11)
            },
            "TooFewReleaseSignatures",
        ),
        (
            Release {
                layout: Some(other_class),
                ..Release::new("v5-class", "5.0.2", 11)
            },
            "OtherClass",
        ),
        (
            Release {
                layout: Some(other_layout),
                ..Release::new("v5-layout", "5.0.3", 11)
            },
            "OtherLayout",
        ),
        (Release::new("v5-old", "5.0.4", 1), "NotNewer"),
        (
            Release {
                security_counter: 0,
                revoke_below: 0,
                ..Release::new("v5-floor", "5.0.5", 11)
            },
            "BelowFloor",
        ),
    ];
    let mut built = Vec::new();
    for (release, why) in releases {
        built.push((release.name, world.build(&release)?, why));
    }
    Ok(built)
}

/// A copy of the product's layout with one fact changed, and with this key ring.
fn variant(world: &World, name: &str, change: (&str, &str), ring: &Path) -> Result<PathBuf> {
    let layout = fs::read_to_string(world.places.layout())?;
    let ring = format!("ring = {:?}", ring.display().to_string());
    let text = layout
        .replacen(change.0, change.1, 1)
        .replace("ring = \"keys/ring.toml\"", &ring);
    ensure!(
        text.contains(change.1) && text.contains(&ring),
        "layout.toml has changed"
    );
    let path = world.places.file(format!("layout-{name}.toml"));
    fs::write(&path, text)?;
    Ok(path)
}

fn manifest(image: &[u8]) -> Result<Manifest> {
    let bytes = image.first_chunk().context("a manifest")?;
    Manifest::new_checked(bytes).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
}
