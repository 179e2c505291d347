//! Steps 10 and 11: the active slot loses bits, and the journal everything.

use anyhow::{Result, ensure};
use bistable_core::layout::Slot;

use super::failing::built;
use super::releases::Release;
use super::timeline::observed;
use super::world::World;
use crate::FlashFile;

/// Step 10.
pub(super) fn corruption(world: &mut World, planted: bool) -> Result<()> {
    let (v5, v6) = (built(world, "v5")?, built(world, "v6")?);
    let v7 = world.build(&Release::new("v7", "7.0.0", 30))?;
    let place = world.layout().slots[1].offset + world.layout().payload_offset + 5000;
    if !planted {
        world.flash()?.flip_bits(place, 0x08)?;
    }
    observed("flash", format!("one bit at {place:#x}, in slot B, flips"));
    let mut device = world.power_on()?;
    let boots = ["starting", &v6[..8]];
    device.expect_before(&["slot B refused", "BadPayload"], &boots)?;
    device.expect(&["starting", &v5[..8], "slot A", "Other"])?;
    device.expect(&["running", &v5[..8], "slot A", "Confirmed"])?;
    device.expect(&["the bootloader refused slot B", "BadPayload"])?;
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::B, "confirmed", &v6, true)?;
    let boots = journal.boots.as_ref().map(|boots| boots.slot.as_str());
    ensure!(
        boots == Some("A"),
        "bistable doctor says that {boots:?} boots"
    );

    world.publish("v7")?;
    let mut device = world.power_on()?;
    device.expect(&["activated", &v7[..8]])?;
    device.expect(&["running", &v7[..8], "slot B", "Trial"])?;
    device.expect(&["this image stays"])?;
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "confirmed", &v5, false)?;
    journal.ensure(Slot::B, "confirmed", &v7, true)
}

/// Step 11.
pub(super) fn lost_journal(world: &mut World, planted: bool) -> Result<()> {
    let v7 = built(world, "v7")?;
    let v8 = world.build(&Release {
        security_counter: 2,
        revoke_below: 2,
        ..Release::new("v8", "8.0.0", 40)
    })?;
    ensure_fuses(world, 1)?;
    world.publish("v8")?;
    let mut device = world.power_on()?;
    device.expect(&["running", &v8[..8], "slot A", "Trial"])?;
    device.expect(&["this image stays"])?;
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "confirmed", &v8, true)?;
    journal.ensure(Slot::B, "confirmed", &v7, false)?;
    ensure!(journal.floor == 2, "the floor has not risen");
    ensure_fuses(world, 2)?;

    let journal = world.layout().journal;
    let (first, size) = (
        journal.offset,
        u32::from(journal.sectors) * journal.sector_size,
    );
    let garbage: Vec<u8> = (0..size).map(|_| world.random.u8(..)).collect();
    let mut flash = world.flash()?;
    flash.corrupt(first, &garbage)?;
    observed("flash", "every byte of the journal is garbage");
    if planted {
        // The same flash beside fuses of which none is blown.
        let (board, path) = (world.places.board, world.places.file("flash"));
        FlashFile::create(board, &path, &flash.content())?;
    }
    let mut device = world.power_on()?;
    device.expect(&["the journal is lost"])?;
    device.expect_before(&["slot B refused", "BelowFloor"], &["starting"])?;
    device.expect(&["starting", &v8[..8], "slot A", "Active"])?;
    device.expect(&["running", &v8[..8], "slot A", "Confirmed", "PowerOn"])?;
    let v7_again = world.build(&Release::new("v7-again", "7.0.1", 41))?;
    world.publish("v7-again")?;
    device.expect(&["refused", &v7_again[..8], "BelowFloor"])?;
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "confirmed", &v8, true)?;
    ensure!(
        journal.slot(Slot::B).state == "empty" && journal.floor == 2,
        "expected nothing in slot B and floor 2, the journal says {journal}"
    );
    ensure_fuses(world, 2)
}

/// Fails unless so many fuses are blown: the floor that they hold.
pub(super) fn ensure_fuses(world: &World, floor: u32) -> Result<()> {
    let blown = world.flash()?.blown_fuses();
    observed(
        "fuses",
        format!("blown: {blown}, so they hold floor {blown}"),
    );
    ensure!(
        blown == floor,
        "expected {floor} blown fuses, found {blown}"
    );
    Ok(())
}
