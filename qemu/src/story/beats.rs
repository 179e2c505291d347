//! Whether an application keeps a beat of 10 ms while it updates itself, measured by the application.
//!
//! The emulator counts time in instructions ([`ICOUNT`]): a host that is busy with other things makes no beat late, and
//! a processor that is busy does. What is left to chance is when the network brings something.
//!
//! Two updates are made. The first is measured by a release that keeps its beat where nothing of the update is in its way; the second
//! by one that keeps it beside the update, and must be found to miss it: else nothing was measured.

use anyhow::{Context as _, Result, ensure};
use bistable_core::layout::Slot;

use super::cost::make_device;
use super::device::{Device, LOGGING};
use super::first_update::build_bootloader;
use super::releases::Release;
use super::timeline::observed;
use super::world::{Places, World};

/// From one beat to the next, in microseconds.
const PERIOD: u64 = 10_000;

/// The longest distance between two beats that are kept, in microseconds.
const LIMIT: u64 = 11_000;

/// An instruction takes 2^6 ns: 15.6 million in a second, fewer than the board's 25 MHz would make.
const ICOUNT: [&str; 2] = ["-icount", "shift=6"];

/// What an application measured during one update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rhythm {
    /// Beats.
    pub beats: u64,
    /// How long the update took, in microseconds of the emulator's time.
    pub during: u64,
    /// The longest time without a beat, in microseconds.
    pub longest: u64,
}

/// Lets the application of `package` update itself twice. Returns what it measured: with its beat where it belongs, and
/// with its beat beside the update.
///
/// # Errors
/// Something did not come true: an update, or that the first beat is kept and the second is not.
pub fn beats(places: Places, package: &str) -> Result<[Rhythm; 2]> {
    let mut world = World::open(places, 0, false)?;
    package.clone_into(&mut world.package);
    world.options = ICOUNT.map(Into::into).into();
    build_bootloader(&world, "log", LOGGING)?;
    let v1 = world.build(&Release::new("v1", "1.0.0", 1))?;
    let v2 = world.build(&Release {
        behaviour: b'b',
        ..Release::new("v2", "2.0.0", 2)
    })?;
    let v3 = world.build(&Release::new("v3", "3.0.0", 3))?;
    make_device(&world)?;

    let kept = update(&mut world, "v2", [&v1, &v2], Slot::B)?;
    ensure!(
        kept.longest <= LIMIT,
        "expected a beat every {PERIOD} us, at most {LIMIT} us apart: {kept:?}"
    );
    ensure!(
        kept.beats.abs_diff(kept.during / PERIOD) <= 1,
        "expected a beat for each {PERIOD} us: {kept:?}"
    );
    let missed = update(&mut world, "v3", [&v2, &v3], Slot::A)?;
    ensure!(
        missed.longest > LIMIT,
        "a beat beside the update was kept, so what is measured? {missed:?}"
    );
    Ok([kept, missed])
}

/// Lets the unit update itself to the release of this name, from the first digest to the second, into `slot`.
fn update(world: &mut World, name: &str, [from, to]: [&str; 2], slot: Slot) -> Result<Rhythm> {
    world.publish(name)?;
    let mut device = world.power_on()?;
    device.expect(&["running", &from[..8], "as Confirmed"])?;
    let rhythm = measured(&mut device)?;
    device.expect_before(&["running", &to[..8], "as Trial"], &["not installed"])?;
    device.expect_before(&["this image stays"], &["goes"])?;
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(slot, "confirmed", to, true)?;
    Ok(rhythm)
}

fn measured(device: &mut Device) -> Result<Rhythm> {
    let line = device.expect(&["beats in", "us of the update"])?;
    let words = line.text.split(|letter: char| !letter.is_ascii_digit());
    let figures: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
    let [beats, during, longest] = figures[..] else {
        return Err(anyhow::anyhow!("{}", line.text)).context("expected three figures");
    };
    Ok(Rhythm {
        beats,
        during,
        longest,
    })
}
