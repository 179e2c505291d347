//! `cargo xtask boards --conformance NAME`: the conformance suite on a port to a machine of QEMU.
//!
//! The suite says on the serial line what it learns; when it asks for it, the power is cut.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

use bistable_conformance::board::Then;
use bistable_firmware::ensure_command;
use bistable_layout::Product;
use bistable_qemu::FlashFile;

use super::emulator::{EMULATOR, Machine, PATIENCE, POLL, Process};
use super::port::{Port, scratch};
use crate::run::Outcome;

/// How a line begins that says which promise is not kept.
const BROKEN: &str = "not kept: ";

/// Without these lines, or what they begin with, it did not come to the end of everything.
const LEARNT: [&str; 4] = [
    "flash, slots, handover and fuses keep the contract",
    "the handover survives a reset",
    "the watchdog resets who does not feed it",
    "the platform keeps the contract",
];

/// Lets the suite go its way on an empty flash. It is built: `target/boards` has it.
pub(crate) fn keeps(port: &Port) -> Outcome {
    ensure_command(EMULATOR, EMULATOR).map_err(|error| error.to_string())?;
    let machine = port.machine()?;
    let product = Product::read(&port.layout()).map_err(|error| error.to_string())?;
    let flash = machine.flash(&product, &scratch(port, "conformance")?.join("flash"), &[])?;
    let mut said = String::new();
    let outcome = go(machine, &port.program("conformance"), &flash, &mut said);
    print!("{said}");
    outcome
        .and_then(|()| everything(&said))
        .map_err(|problem| format!("{}: {problem}", port.name))
}

/// Runs the suite to its end; what it says goes to `said`.
fn go(machine: &Machine, elf: &Path, flash: &FlashFile, said: &mut String) -> Outcome {
    let line = flash.path().with_file_name("line");
    let device = format!("file,id=line,path={}", line.display());
    for waits_for in [Then::AwaitPowerCut, Then::Nothing] {
        let _ = fs::remove_file(&line); // Of the start before this one, if there was any.
        let mut emulator = machine.start(elf, flash, &device)?;
        let outcome = follow(&mut emulator, &line, waits_for);
        drop(emulator);
        said.push_str(&heard(&line));
        outcome?;
    }
    Ok(())
}

/// Reads what the suite says until it waits for what it is to wait for.
fn follow(emulator: &mut Process, line: &Path, waits_for: Then) -> Outcome {
    let mut last = (Instant::now(), 0);
    loop {
        let said = heard(line);
        if let Some(broken) = said.lines().find(|line| line.starts_with(BROKEN)) {
            return Err(broken.into());
        }
        if said.lines().any(|line| line == waits_for.to_string()) {
            return Ok(());
        }
        if !emulator.runs() {
            return Err(format!("the emulator has ended: {}", emulator.said()));
        }
        if last.1 < said.len() {
            last = (Instant::now(), said.len());
        }
        if last.0.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(format!(
                "silent for {seconds} s, and it did not come to: {waits_for}"
            ));
        }
        sleep(POLL);
    }
}

/// The whole lines that came so far.
fn heard(line: &Path) -> String {
    let text = fs::read_to_string(line).unwrap_or_default();
    let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
    text.get(..whole).unwrap_or_default().replace('\r', "")
}

fn everything(said: &str) -> Outcome {
    let is_said = |what: &&str| said.lines().any(|line| line.starts_with(*what));
    match LEARNT.iter().find(|what| !is_said(what)) {
        None => Ok(()),
        Some(what) => Err(format!("came to the end, and did not say `{what}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_is_not_learnt_is_missed() {
        let all = LEARNT.map(|line| format!("{line}, and more"));
        assert_eq!(everything(&all.join("\n")), Ok(()));
        for (place, what) in LEARNT.into_iter().enumerate() {
            let mut said = all.to_vec();
            said.remove(place);
            assert!(everything(&said.join("\n")).unwrap_err().contains(what));
        }
    }
}
