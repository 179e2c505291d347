//! Step 7: the active slot loses bits.

use anyhow::{Result, ensure};
use bistable_core::layout::Slot;

use super::failing::built;
use super::releases::Release;
use super::timeline::observed;
use super::world::World;

/// Step 7.
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
