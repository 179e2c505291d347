//! Measuring: one bootloader at a time, and what stands beside it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use bistable_qemu::Board;
use bistable_qemu::story::{self, Places};

use crate::boot::Device;
use crate::elf;
use crate::figures::{Costs, Measured};
use crate::gate::Quick;
use crate::profile::Profile;
use crate::workshop::Workshop;

/// Payloads of the images that are started.
const PAYLOADS: [usize; 2] = [64 << 10, 256 << 10];

/// The payload of the images whose updates are counted, in bytes.
const UPDATED: usize = 256 << 10;

/// Why a board cannot be measured yet, if it cannot.
pub(crate) fn missing(board: Board, repository: &Path) -> Option<String> {
    let folder = Path::new("qemu").join(board.name());
    ["bootloader", "demo"].iter().find_map(|package| {
        let package = folder.join(package);
        let there = repository.join(&package).join("Cargo.toml").exists();
        (!there).then(|| format!("there is no {}", package.display()))
    })
}

/// What the gate compares: seconds, if the bootloader is built already. Each boot is counted twice, by two
/// emulators that must agree.
pub(crate) fn quick(workshop: &Workshop, profile: Profile) -> Result<Quick> {
    let bootloader = workshop.bootloader(profile, false)?;
    let mut counts = Vec::new();
    for length in PAYLOADS {
        let device = Device::with_payload(workshop, length)?;
        let [first, second] = [(); 2].map(|()| device.boot(workshop, &bootloader));
        let (first, second) = (first?, second?);
        ensure!(
            first == second,
            "two boots of the same flash differ: {first:?}, {second:?}"
        );
        counts.push(first.power_on);
    }
    Ok(Quick {
        text: elf::Program::read(&bootloader)?.flash,
        instructions_64k: counts[0],
        instructions_256k: counts[1],
    })
}

/// Everything about one bootloader.
pub(crate) fn measure(workshop: &Workshop, profile: Profile) -> Result<Measured> {
    let bootloader = workshop.bootloader(profile, false)?;
    let program = elf::Program::read(&bootloader)?;
    let devices = PAYLOADS.map(|length| Device::with_payload(workshop, length));
    let [short, long] = devices;
    let (short, long) = (short?, long?);
    let stack = short.stack(workshop, &bootloader)?;
    let stack = stack.max(long.stack(workshop, &bootloader)?);
    let (short, long) = (
        short.boot(workshop, &bootloader)?,
        long.boot(workshop, &bootloader)?,
    );
    let cost = cost(workshop, profile)?;
    Ok(Measured {
        text: program.flash,
        data: program.sizes.data,
        bss: program.sizes.bss,
        by_crate: program.by_crate,
        instructions_64k: short.power_on,
        instructions_256k: long.power_on,
        instructions_clearing: long.clearing,
        instructions_reset_64k: short.reset,
        instructions_reset_256k: long.reset,
        instructions_signature: long.signature,
        stack,
        image: cost.image,
        sectors_filled: cost.sectors,
        erases_slot_update: cost.update.slot_erases,
        erases_journal_update: cost.update.journal_erases,
        bytes_programmed_update: cost.update.bytes,
        erases_revert: cost.revert_slot_erases,
        erases_journal_revert: cost.revert_journal_erases,
        erases_journal_failed_update: cost.failed_update.journal_erases,
        programs_confirmed_boot: cost.confirmed_boot.programs,
        erases_confirmed_boot: cost.confirmed_boot.slot_erases + cost.confirmed_boot.journal_erases,
        bytes_network: cost.network,
    })
}

/// What updates cost, with this bootloader in its place. Its log is on, which writes no flash.
fn cost(workshop: &Workshop, profile: Profile) -> Result<story::Cost> {
    let bootloader = workshop.bootloader(profile, true)?;
    let places = Places {
        board: workshop.board,
        repository: workshop.repository.clone(),
        world: workshop.file(format!("world-{profile}")),
        bistable: workshop.bistable.clone(),
    };
    story::cost(places, &bootloader, UPDATED)
}

/// Flash operations of embassy-boot and of Bistable on the flash model of the power-cut explorer.
pub(crate) fn same_geometry(repository: &Path) -> Result<Vec<Costs>> {
    let target = repository.join("target/compare");
    let file = repository.join("target/bench/same-geometry.json");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["run", "--quiet", "--release", "--manifest-path"])
        .args(["tests/embassy-boot/Cargo.toml", "--", "--operations"])
        .arg(&file)
        .env("CARGO_TARGET_DIR", target)
        .current_dir(repository);
    let status = cargo.status().with_context(|| format!("{cargo:?}"))?;
    ensure!(status.success(), "{cargo:?}: {status}");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

/// The emulator, as it names itself, without its distributor's number.
pub(crate) fn emulator(board: Board) -> Result<String> {
    let (emulator, _) = board.emulator();
    let output = Command::new(emulator).arg("--version").output();
    let output = output.with_context(|| format!("run {emulator}"))?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().next().unwrap_or_default();
    Ok(line.split(" (").next().unwrap_or(line).to_owned())
}
