//! Step 12: confirmed images that crash.

use std::time::Duration;

use anyhow::{Result, ensure};
use bistable_core::layout::Slot;

use super::first_update::sectors_filled;
use super::releases::Release;
use super::timeline::observed;
use super::world::World;

/// How often the device is reset abnormally in all.
const RESETS: u32 = 1000;

/// How long that may take. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(600);

/// Program calls of one write of the journal: as many as copies, after one erase.
const COPIES: u32 = 5;

/// Step 12.
pub(super) fn crash_loop(world: &mut World, planted: bool) -> Result<()> {
    let limit = u32::from(world.product.stays.crash_loop);
    let release = |name, version, sequence, behaviour| Release {
        behaviour,
        security_counter: 2,
        revoke_below: 2,
        ..Release::new(name, version, sequence)
    };
    let v9 = world.build(&release("v9", "9.0.0", 50, b'l'))?;
    let behaviour = if planted { b'a' } else { b'c' };
    let v9b = world.build(&release("v9b", "9.0.1", 51, behaviour))?;

    world.publish("v9")?;
    let mut device = world.power_on()?;
    device.expect(&["running", &v9[..8], "slot B", "Trial"])?;
    device.expect(&["this image stays"])?;
    // From here on it writes nothing by itself.
    let before = world.wear()?;
    let operations = world.flash()?.counters().operations;
    world.publish("v9b")?;
    device.expect(&["running", &v9b[..8], "slot A", "Trial"])?;
    device.expect(&["this image stays"])?;
    // The first reset that counts is the one after the confirmation; after the last one v9 boots.
    let crashed = ["running", &v9b[..8], "slot A", "Confirmed", "Unknown"];
    let announced = ["running", &v9b[..8], "slot A", "Confirmed", "Software"];
    for _ in 1..limit {
        device.expect_before(&crashed, &announced)?;
        device.expect_before(&["in RAM lies what", &v9b[..8]], &["in RAM lies"])?;
    }
    device.expect_before(&["starting", &v9[..8], "slot B", "Other"], &crashed)?;
    device.expect(&["running", &v9[..8], "slot B", "Confirmed", "Unknown"])?;
    device.expect_before(&["in RAM lies nothing"], &["in RAM lies"])?;
    device.expect(&["last verdict", &v9b[..8], "CrashLoop"])?;

    let left = RESETS - limit;
    let counted = format!("abnormal since it is confirmed: {left}");
    let begun = device.expect(&["abnormal since it is confirmed: 1"])?;
    let end = device.expect_within(PATIENCE, &[&counted], &["starting", &v9b[..8]])?;
    let abnormal = device.count(&["running", "Unknown"]);
    device.switch_off();
    let took = (end.at - begun.at).as_secs_f64();
    observed(
        "device",
        format!("{abnormal} abnormal resets in all; the last {left} took {took:.0} s"),
    );
    ensure!(
        abnormal >= RESETS as usize,
        "the device was reset {abnormal} times"
    );
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::A, "rejected", &v9b, false)?;
    journal.ensure(Slot::B, "confirmed", &v9, true)?;

    // Receive, activate, attempt and confirmation of v9b, as with every update; and one snapshot more.
    const UPDATE: u32 = 4;
    let wear = world.wear()?.since(&before);
    let writes = wear.journal.erases - UPDATE;
    let programs = wear.journal.program_calls - UPDATE * COPIES;
    // The receipts that v9 and v9b signed before they crashed.
    let known =
        [wear.journal, wear.slots[0], wear.ledger].map(|part| part.erases + part.program_calls);
    let elsewhere = i64::from(world.flash()?.counters().operations - operations)
        - known.map(i64::from).iter().sum::<i64>();
    observed(
        "flash",
        format!(
            "of these resets: {writes} erase and {programs} program calls in the journal, none elsewhere"
        ),
    );
    ensure!(
        writes == 1 && programs == COPIES,
        "expected one write of the journal"
    );
    ensure!(
        wear.slots[0].erases == sectors_filled(world, "v9b")? && elsewhere == 0,
        "something else was written: {wear:?}, and {elsewhere} operations elsewhere"
    );
    Ok(())
}
