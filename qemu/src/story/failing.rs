//! Steps 3 to 7: releases that are given back.

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

/// A check of the product, by its number from 1.
struct Failing {
    number: usize,
    release: Release,
}

/// Step 3.
pub(super) fn self_test(world: &mut World, planted: bool) -> Result<()> {
    let release = Release {
        behaviour: if planted { b'h' } else { b'f' },
        ..Release::new("v3", "3.0.0", 3)
    };
    failed_check(world, Failing { number: 1, release })
}

/// Step 4.
pub(super) fn supply(world: &mut World, planted: bool) -> Result<()> {
    let release = Release {
        supply: if planted { 3300 } else { 2700 },
        ..Release::new("v3b", "3.0.1", 4)
    };
    failed_check(world, Failing { number: 3, release })
}

/// Step 5.
pub(super) fn free_stack(world: &mut World, planted: bool) -> Result<()> {
    let release = Release {
        behaviour: if planted { b'h' } else { b'd' },
        ..Release::new("v3c", "3.0.2", 5)
    };
    failed_check(world, Failing { number: 4, release })
}

/// A release that fails a check at once is given back, by name.
fn failed_check(world: &mut World, Failing { number, release }: Failing) -> Result<()> {
    let name = format!("`{}`", world.product.checks[number - 1]);
    let failed = format!("CheckFailed({number})");
    let v2 = built(world, "v2")?;
    let bad = world.build(&release)?;
    let before = world.wear()?;
    world.publish(release.name)?;
    let mut device = world.power_on()?;
    if number == 1 {
        // Slot B was programmed before the power was cut: the flash has not forgotten.
        device.expect(&["slot B: a second program is refused: true"])?;
    }
    device.expect(&["activated", &bad[..8]])?;
    device.expect(&["running", &bad[..8], "slot A", "Trial", "Software"])?;
    if number == 4 {
        device.expect_before(&["of the stack", "never used"], &["stays"])?;
    }
    let check = format!("check {number} {name}");
    device.expect_before(&[&check, "Failed"], &["this image stays"])?;
    device.expect(&["this image goes", &failed, &name])?;
    device.expect(&["running", &v2[..8], "slot B", "Confirmed", "Software"])?;
    device.expect(&["last verdict", &bad[..8], &failed, &name])?;
    device.expect(&["refused", &bad[..8], "RejectedBefore"])?;
    device.expect(&["rejected before", &failed, &name])?;
    device.switch_off();
    ensure_given_back(world, &bad, &v2, &name)?;
    ensure_revert_is_free(world, release.name, before)
}

/// Fails unless the journal has `bad` in slot A rejected because of the check `name`.
fn ensure_given_back(world: &World, bad: &str, good: &str, name: &str) -> Result<()> {
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "rejected", bad, false)?;
    journal.ensure(Slot::B, "confirmed", good, true)?;
    let reason = journal.slot(Slot::A).reason_text.as_deref();
    let reason = reason.unwrap_or_default();
    ensure!(
        reason.contains(name),
        "expected the check's name, found {reason:?}"
    );
    Ok(())
}

/// Step 6.
pub(super) fn update_source(world: &mut World, planted: bool) -> Result<()> {
    let name = format!("`{}`", world.product.checks[1]);
    let v2 = built(world, "v2")?;
    let v3d = world.build(&Release {
        behaviour: if planted { b'h' } else { b's' },
        trial_seconds: 4,
        ..Release::new("v3d", "3.0.3", 6)
    })?;
    world.publish("v3d")?;
    let mut device = world.power_on()?;
    // The network may have been away, so it is offered once more, and taken; and then never again.
    for reason in ["SourceUnreachable(2)", "CheckFailed(2)"] {
        device.expect(&["activated", &v3d[..8]])?;
        device.expect(&["running", &v3d[..8], "slot A", "Trial"])?;
        device.expect_before(&["no answer from the server"], &["this image stays"])?;
        device.expect_before(&["this image goes", reason, &name], &["stays"])?;
        device.expect(&["running", &v2[..8], "slot B", "Confirmed", "Software"])?;
        device.expect(&["last verdict", &v3d[..8], reason, &name])?;
    }
    device.expect_before(&["refused", &v3d[..8], "RejectedBefore"], &["activated"])?;
    device.expect(&["rejected before", "CheckFailed(2)", &name])?;
    device.switch_off();
    ensure_given_back(world, &v3d, &v2, &name)
}

/// Step 7.
pub(super) fn hanging(world: &mut World, planted: bool) -> Result<()> {
    let v2 = built(world, "v2")?;
    let v4 = world.build(&Release {
        behaviour: if planted { b'h' } else { b'x' },
        attempts: 2,
        ..Release::new("v4", "4.0.0", 7)
    })?;
    let before = world.wear()?;
    world.publish("v4")?;
    let mut device = world.power_on()?;
    device.expect(&["activated", &v4[..8]])?;
    // RAM is kept for the image that ran last, and cleared for another one.
    let kept = format!("in RAM lies what {} left", &v4[..8]);
    for (reset, ram) in [("Software", "in RAM lies nothing"), ("Watchdog", &kept)] {
        device.expect(&["running", &v4[..8], "slot A", "Trial", reset])?;
        device.expect_before(&[ram], &["in RAM lies"])?;
        device.expect_before(&["hanging"], &["this image stays"])?;
    }
    device.expect(&["running", &v2[..8], "slot B", "Confirmed", "Watchdog"])?;
    device.expect_before(&["in RAM lies nothing"], &["in RAM lies"])?;
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
        ..Release::new("v4b", "4.0.1", 8)
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
