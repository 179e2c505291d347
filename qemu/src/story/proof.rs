//! Step 13: what the server believes of the unit, which comes back to the factory and is made again.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use bistable_core::layout::Slot;
use bistable_updater::drift::Finding;
use bistable_updater::receipt::{Receipt, Signed, State};
use serde::Deserialize;

use super::factory::{OTHER_UNIT, UNIT};
use super::failing::built;
use super::releases::Release;
use super::timeline::observed;
use super::world::World;

/// Releases that never were healthy: each was written, verified, activated and started.
const NEVER_HEALTHY: [&str; 6] = ["v3", "v3b", "v3c", "v3d", "v4", "v4b"];

/// Of these, the ones that could say something before they failed.
const SPOKE: [&str; 3] = ["v3", "v3b", "v3c"];

/// Step 13.
pub(super) fn rework(world: &mut World, planted: bool) -> Result<()> {
    never_confirmed(world)?;

    let v10 = world.build(&Release::new("v10", "10.0.0", 60))?;
    world.publish("v10")?;
    world.provision(&[UNIT], "v10", Some("it crashes for ever"))?;
    let mut flash = world.flash_unit(UNIT, "v10")?;
    if planted {
        let (at, stolen) = world.device_key_of(OTHER_UNIT)?;
        flash.corrupt(at, &stolen)?;
    }
    let mut device = world.power_on()?;
    device.expect(&[&format!("unit {UNIT}, version 10.0.0")])?;
    device.expect(&["running", &v10[..8], "slot A", "Confirmed", "PowerOn"])?;
    // A new key, and a new ledger: the first receipt of its second life.
    let kept = ["receipt 1: kept by the server"];
    device.expect_before(&kept, &["the server refuses"])?;
    device.switch_off();

    let v11 = world.build(&Release::new("v11", "11.0.0", 61))?;
    world.publish("v11")?;
    let mut device = world.power_on()?;
    device.expect(&["running", &v11[..8], "slot B", "Trial", "Software"])?;
    device.expect(&["receipt", "kept by the server"])?;
    device.expect(&["this image stays"])?;
    device.expect(&["receipt", "kept by the server"])?;
    device.switch_off();
    let newest = newest(world)?;
    ensure_says(&newest, &v11, State::Confirmed)?;

    let place = world.layout().slots[0].offset + world.layout().payload_offset + 5000;
    world.flash()?.flip_bits(place, 0x08)?;
    observed("flash", format!("one bit at {place:#x}, in slot A, flips"));
    let mut device = world.power_on()?;
    device.expect(&["starting", &v11[..8], "slot B", "Active"])?;
    device.expect(&["running", &v11[..8], "slot B", "Confirmed", "PowerOn"])?;
    device.expect(&["measured slot B", "Intact"])?;
    device.expect_before(&["measured slot A", "Differs"], &["measured slot A"])?;
    device.expect(&["receipt", "kept by the server"])?;
    device.switch_off();
    let newest = self::newest(world)?;
    ensure_says(&newest, &v11, State::Confirmed)?;
    let drift = receipt(&newest)?.drift;
    ensure!(
        (drift.own, drift.other) == (Finding::Intact, Finding::Differs),
        "the receipt says {drift:?}"
    );
    believed(world, &newest, &v11)
}

/// The story of hawkBit, issue 3185: a rollout must not end well because images were written.
fn never_confirmed(world: &World) -> Result<()> {
    let receipts = receipts(world)?;
    let of = |digest: &str| {
        let of_it = move |receipt: &&Receipt| hex(&receipt.digest) == digest;
        receipts.iter().filter(of_it).collect::<Vec<_>>()
    };
    for name in NEVER_HEALTHY {
        let digest = built(world, name)?;
        for receipt in of(&digest) {
            ensure!(
                matches!(receipt.state, State::Trial { .. } | State::Rejected { .. }),
                "receipt {} says of {name}: {:?}",
                receipt.number,
                receipt.state
            );
        }
        let came_back = receipts.iter().any(|receipt| match receipt.state {
            State::Reverted(rejected) => hex(&rejected.digest) == digest,
            _ => false,
        });
        ensure!(came_back, "no receipt says that {name} was given back");
    }
    for name in SPOKE {
        let said = of(&built(world, name)?);
        let on_trial = |receipt: &&Receipt| matches!(receipt.state, State::Trial { .. });
        ensure!(
            said.iter().any(on_trial),
            "{name} was on trial in no receipt"
        );
    }
    let v2 = of(&built(world, "v2")?);
    let is_confirmed = |receipt: &&Receipt| receipt.state == State::Confirmed;
    ensure!(
        v2.iter().any(is_confirmed),
        "v2 was confirmed in no receipt"
    );
    observed(
        "tools",
        format!("the server keeps {} receipts", receipts.len()),
    );
    let names = NEVER_HEALTHY.join(", ");
    observed(
        "server",
        format!("of {names} none was ever confirmed, and each was given back"),
    );
    Ok(())
}

/// The command line believes what the server kept, and says the same.
fn believed(world: &World, newest: &Signed, running: &str) -> Result<()> {
    let path = world.places.file("newest.receipt");
    fs::write(&path, newest.as_bytes())?;
    let births = world.births().to_string_lossy().into_owned();
    let station = world.station_key().to_string_lossy().into_owned();
    let proof = ["--births", &births, "--station-key", &station];
    let file = path.to_string_lossy().into_owned();
    let said = world.bistable(&[&["receipt", "verify", &file][..], &proof].concat())?;
    observed("tools", said.trim_end());
    ensure!(
        said.contains(UNIT) && said.contains(running),
        "the receipt is of another unit, or another image"
    );
    let store = world.places.file("store").to_string_lossy().into_owned();
    let devices = |filter: &[&str]| {
        let arguments = [&["devices", &store][..], &proof, filter].concat();
        world.bistable(&arguments)
    };
    let said = devices(&[])?;
    observed("tools", said.trim_end());
    let listed = |filter: &[&str]| -> Result<Vec<Listed>> {
        let json = devices(&[filter, &["--json"]].concat())?;
        let list: List =
            serde_json::from_str(&json).context("read what bistable devices printed")?;
        Ok(list.devices)
    };
    for filter in [&[][..], &["--drifting"]] {
        let is_it = |listed: &Listed| listed.unit == UNIT && listed.image == running;
        ensure!(
            matches!(&listed(filter)?[..], [one] if is_it(one)),
            "{UNIT} is not the only device listed, or not with v11: {filter:?}"
        );
    }
    for name in NEVER_HEALTHY {
        let listed = listed(&["--image", &built(world, name)?])?;
        ensure!(listed.is_empty(), "somebody is listed as running {name}");
    }
    observed(
        "server",
        format!(
            "{UNIT} runs v11, has drifted in slot {:?}, and is listed with nothing else",
            Slot::A
        ),
    );
    Ok(())
}

fn ensure_says(signed: &Signed, digest: &str, state: State) -> Result<()> {
    let receipt = receipt(signed)?;
    ensure!(
        receipt.unit == UNIT && hex(&receipt.digest) == digest && receipt.state == state,
        "expected {UNIT} with {}: {state:?}, the newest receipt says {receipt:?}",
        &digest[..8]
    );
    Ok(())
}

/// What `bistable devices --json` lists.
#[derive(Deserialize)]
struct List {
    devices: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    unit: String,
    image: String,
}

/// A line of what the server kept.
#[derive(Deserialize)]
struct Line {
    receipt: String,
}

/// What the server kept, in the order in which it came, each once.
fn kept(world: &World) -> Result<Vec<Signed>> {
    let path = world.places.file("store/receipts.jsonl");
    let lines = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for line in lines.lines() {
        let line: Line = serde_json::from_str(line)?;
        let bytes = unhex(&line.receipt).context("hexadecimal digits")?;
        let (signed, _) = Signed::new_checked(&bytes)
            .map_err(|malformed| anyhow::anyhow!("the server kept {malformed:?}"))?;
        if seen.insert(line.receipt) {
            kept.push(signed);
        }
    }
    Ok(kept)
}

fn receipts(world: &World) -> Result<Vec<Receipt>> {
    kept(world)?.iter().map(receipt).collect()
}

fn newest(world: &World) -> Result<Signed> {
    kept(world)?.pop().context("the server kept no receipt")
}

fn receipt(signed: &Signed) -> Result<Receipt> {
    match Signed::new_checked(signed.as_bytes()) {
        Ok((_, receipt)) => Ok(receipt),
        Err(malformed) => anyhow::bail!("{malformed:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
