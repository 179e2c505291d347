//! Steps 3 and 4: releases that are given back.

use anyhow::{Result, ensure};
use bistable_core::layout::Slot;

use super::releases::{Release, name_of};
use super::timeline::observed;
use super::world::World;

/// The name of a release that was built in an earlier step.
pub(super) fn built(world: &World, name: &str) -> Result<String> {
    name_of(&std::fs::read(world.image(name))?)
}

/// Fails unless going back wrote no slot: what was written is what the installation wrote.
fn ensure_revert_is_free(world: &World, name: &str, before: super::world::Wear) -> Result<()> {
    let wear = world.wear()?.since(&before);
    let filled = super::first_update::sectors_filled(world, name)?;
    observed(
        "flash",
        format!(
            "{name} and its revert: slot A {} erases for {filled} sectors filled, slot B {}, journal {}",
            wear.slots[0].erases, wear.slots[1].erases, wear.journal.erases
        ),
    );
    ensure!(
        wear.slots[0].erases == filled,
        "the revert erased a sector of slot A"
    );
    ensure!(
        wear.slots[1].erases == 0 && wear.slots[1].program_calls == 0,
        "slot B was written"
    );
    Ok(())
}

/// Step 3.
pub(super) fn failed_check(world: &mut World, planted: bool) -> Result<()> {
    let v2 = built(world, "v2")?;
    let v3 = world.build(&Release {
        behaviour: if planted { b'h' } else { b'f' },
        ..Release::new("v3", "3.0.0", 3)
    })?;
    let before = world.wear()?;
    world.publish("v3")?;
    let mut device = world.power_on()?;
    // Slot B was programmed before the power was cut: the flash has not forgotten.
    device.expect(&["slot B: a second program is refused: true"])?;
    device.expect(&["activated", &v3[..8]])?;
    device.expect(&["running", &v3[..8], "slot A", "Trial"])?;
    device.expect_before(&["check self-test", "false"], &["check self-test", "true"])?;
    device.expect(&["this image goes", "CheckFailed(1)"])?;
    device.expect(&["running", &v2[..8], "slot B", "Confirmed"])?;
    device.expect(&["last verdict", &v3[..8], "CheckFailed(1)"])?;
    device.expect(&["refused", &v3[..8], "RejectedBefore"])?;
    device.expect(&["rejected before", "CheckFailed(1)"])?;
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "rejected", &v3, false)?;
    journal.ensure(Slot::B, "confirmed", &v2, true)?;
    let reason = journal
        .slot(Slot::A)
        .reason_text
        .clone()
        .unwrap_or_default();
    ensure!(
        reason.contains("self-test"),
        "expected the check's name, found {reason:?}"
    );
    ensure_revert_is_free(world, "v3", before)
}

/// Step 4.
pub(super) fn hanging(world: &mut World, planted: bool) -> Result<()> {
    let v2 = built(world, "v2")?;
    let v4 = world.build(&Release {
        behaviour: if planted { b'h' } else { b'x' },
        attempts: 2,
        ..Release::new("v4", "4.0.0", 4)
    })?;
    let before = world.wear()?;
    world.publish("v4")?;
    let mut device = world.power_on()?;
    device.expect(&["activated", &v4[..8]])?;
    for reset in ["Software", "Watchdog"] {
        device.expect(&["running", &v4[..8], "slot A", "Trial", reset])?;
        device.expect_before(&["hanging"], &["this image stays"])?;
    }
    device.expect(&["running", &v2[..8], "slot B", "Confirmed", "Watchdog"])?;
    device.expect(&["last verdict", &v4[..8], "AttemptsUsedUp"])?;
    device.expect(&["the watchdog barked at"])?;
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "rejected", &v4, false)?;
    journal.ensure(Slot::B, "confirmed", &v2, true)?;
    ensure_revert_is_free(world, "v4", before)?;

    let v4b = world.build(&Release {
        behaviour: b'w',
        attempts: 1,
        trial_seconds: 5,
        ..Release::new("v4b", "4.0.1", 5)
    })?;
    world.publish("v4b")?;
    let mut device = world.power_on()?;
    device.expect(&["activated", &v4b[..8]])?;
    let fed = device.expect(&["feeding for ever"])?;
    let back = device.expect(&["running", &v2[..8], "slot B", "Confirmed", "Watchdog"])?;
    device.switch_off();
    let seconds = (back.at - fed.at).as_secs_f64();
    observed(
        "device",
        format!("back after {seconds:.1} s: a trial time of 5 s, and the watchdog's"),
    );
    ensure!(seconds > 5.0, "it was fed for longer than it ran");
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "rejected", &v4b, false)?;
    journal.ensure(Slot::B, "confirmed", &v2, true)
}
