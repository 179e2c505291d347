//! Steps 1 and 2: what the factory makes, and the first update.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use bistable_core::layout::Slot;
use bistable_firmware::Toolchain;

use super::device::{LOGGING, SILENT};
use super::factory::{OTHER_UNIT, UNIT};
use super::releases::Release;
use super::size::text_size;
use super::timeline::observed;
use super::world::World;

/// Step 1.
pub(super) fn factory(world: &mut World, planted: bool) -> Result<()> {
    make_key(world)?;
    let begun = Instant::now();
    build_bootloaders(world)?;
    let v1 = world.build(&Release {
        revoke_below: 0,
        ..Release::new("v1", "1.0.0", 1)
    })?;
    world.time_building = begun.elapsed();

    world.make_station()?;
    world.provision(&[UNIT, OTHER_UNIT], "v1", None)?;
    let mut flash = world.flash_unit(UNIT, "v1")?;
    if planted {
        let payload = world.layout().slots[0].offset + world.layout().payload_offset;
        flash.flip_bits(payload + 4000, 1)?;
    }

    let before = world.wear()?;
    let mut device = world.power_on()?;
    device.expect_before(&["starting", &v1[..8]], &["nothing verifies"])?;
    device.expect(&[&format!("unit {UNIT}, version 1.0.0")])?;
    device.expect(&["running", &v1[..8], "slot A", "Confirmed", "PowerOn"])?;
    device.expect(&["in RAM lies nothing"])?;
    device.expect(&["receipt 1: kept by the server"])?;
    device.switch_off();
    // The bootloader without its log is the one that is shipped and measured.
    let mut device = world.power_on_with(SILENT)?;
    device.expect(&["running", &v1[..8], "slot A", "Confirmed", "PowerOn"])?;
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "confirmed", &v1, true)?;
    let wear = world.wear()?.since(&before);
    observed(
        "flash",
        format!(
            "two confirmed boots: {} erases, {} program calls",
            wear.journal.erases, wear.journal.program_calls
        ),
    );
    ensure!(
        wear.journal.erases == 0 && wear.journal.program_calls == 0,
        "a confirmed boot wrote to the journal"
    );
    Ok(())
}

/// Step 2.
pub(super) fn update(world: &mut World, planted: bool) -> Result<()> {
    let v2 = world.build(&Release {
        behaviour: if planted { b'f' } else { b'h' },
        ..Release::new("v2", "2.0.0", 2)
    })?;
    let slot_a = world.slot_bytes(Slot::A)?;
    let before = world.wear()?;
    world.publish("v2")?;

    let mut device = world.power_on()?;
    device.expect(&["the server has", &v2[..8]])?;
    device.expect(&["installing", &v2[..8]])?;
    device.expect(&["activated", &v2[..8]])?;
    device.expect(&["starting", &v2[..8], "slot B"])?;
    device.expect(&["running", &v2[..8], "slot B", "Trial", "Software"])?;
    // What v1 left there was cleared.
    device.expect_before(&["in RAM lies nothing"], &["in RAM lies what"])?;
    for (number, check) in (1..).zip(&world.product.checks) {
        let named = format!("check {number} `{check}`");
        device.expect_before(&[&named, "Passed"], &["goes"])?;
    }
    device.expect(&["this image stays"])?;
    device.switch_off();

    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::B, "confirmed", &v2, true)?;
    ensure!(
        journal.floor == 1,
        "expected floor 1, found {}",
        journal.floor
    );
    super::corruption::ensure_fuses(world, 1)?;
    ensure!(world.slot_bytes(Slot::A)? == slot_a, "slot A has changed");
    let wear = world.wear()?.since(&before);
    let filled = sectors_filled(world, "v2")?;
    observed(
        "flash",
        format!(
            "slot A is byte for byte what it was; slot B: {} erases for {filled} sectors filled; \
             journal: {} erases",
            wear.slots[1].erases, wear.journal.erases
        ),
    );
    ensure!(wear.slots[0].erases == 0 && wear.slots[0].program_calls == 0);
    ensure!(
        wear.slots[1].erases == filled,
        "expected one erase for each sector filled"
    );
    ensure!(
        wear.journal.erases == 4,
        "expected four erases of the journal"
    );
    Ok(())
}

/// How many sectors the image of a release fills.
pub(super) fn sectors_filled(world: &World, name: &str) -> Result<u32> {
    let file = fs::read(world.image(name))?;
    let manifest = file.first_chunk().context("a manifest")?;
    let manifest = bistable_core::manifest::Manifest::new_checked(manifest)
        .map_err(|refusal| anyhow::anyhow!("{name}: {refusal:?}"))?;
    let plan = bistable_core::plan::Plan::new(world.layout(), &manifest, world.sector_size());
    let used = std::iter::successors(Some(0), |sector| plan.next_used(*sector));
    Ok(used.count() as u32)
}

/// Makes a development key, unless there is one: it is kept outside version control.
fn make_key(world: &World) -> Result<()> {
    let (key, ring) = (world.places.key(), &world.product.ring_path);
    if !(key.exists() && ring.exists()) {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        world.bistable(&[
            "key",
            "new",
            "--ring",
            &text(ring),
            "--name",
            "development",
            "--development",
            "--out",
            &text(&key),
        ])?;
    }
    observed(
        "tools",
        "a development key, which only emulated boards accept",
    );
    Ok(())
}

/// Builds the bootloader: with its log for the story, and without to see how large it is.
fn build_bootloaders(world: &World) -> Result<()> {
    build_bootloader(world, "", SILENT)?;
    build_bootloader(world, "log", LOGGING)?;
    let text = text_size(&world.places.file(SILENT))?;
    let limit = world.product.bootloader.size;
    observed(
        "tools",
        format!("bootloader, logging off: {text} B of flash"),
    );
    ensure!(text <= limit.into(), "the layout has {limit} B for it");
    Ok(())
}

/// Builds it with these features into this file of the world.
pub(super) fn build_bootloader(world: &World, features: &str, name: &str) -> Result<()> {
    let board = world.places.board;
    let package = board.bootloader();
    let target = world.places.repository.join("target");
    let mut cargo: Command = Toolchain::for_target(board.target())?.command("build");
    cargo
        .current_dir(&world.places.repository)
        .args(["--quiet", "--profile", "firmware", "-p", &package])
        .args(["--features", features])
        .arg("--target-dir")
        .arg(&target);
    ensure!(cargo.status()?.success(), "the bootloader does not build");
    let elf = board.firmware(&target, &package);
    fs::copy(&elf, world.places.file(name)).with_context(|| elf.display().to_string())?;
    Ok(())
}
