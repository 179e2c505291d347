//! Runs the conformance suite on an emulated board: its own drivers, resets, and the loss of power.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bistable_firmware::Toolchain;

use crate::{Board, Config, FlashFile, Level, Machine};

/// How long one step may take: machines are shared.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often the board may start again before something is wrong.
const STEPS: usize = 12;

/// How the lines begin, or what is in them, without which the board did not come to the end of everything.
const LEARNT: [&str; 11] = [
    "flash, slots, handover and fuses keep the contract",
    "the handover survives a reset",
    "the reset is told as Software",
    "the watchdog resets who does not feed it",
    "; not who feeds it",
    "now a hang, which the watchdog ends",
    "now cut the power",
    "the reset is told as PowerOn",
    "the platform keeps the contract",
    "two handles of the flash see the same",
    "the flash driver's waits: ", // see each board's `self_test`
];

/// Builds the suite's firmware for `board` in `repository`, and runs it on a fresh flash in `folder`. Prints what it
/// learns.
///
/// # Errors
/// The board breaks its contract, or did not come to the end.
pub fn conformance(board: Board, repository: &Path, folder: &Path) -> Result<()> {
    let elf = build(board, repository)?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let flash = folder.join("flash");
    FlashFile::create(board, &flash, &[])?;
    run(&Config {
        network: false,
        ..Config::new(board, &elf, &flash).with_program("bootloader", &elf)
    })
}

fn build(board: Board, repository: &Path) -> Result<PathBuf> {
    let toolchain = Toolchain::for_target(board.target())?;
    let target = repository.join("target");
    let program = format!("{board}-conformance");
    let built = toolchain
        .command("build")
        .current_dir(repository)
        .args(["--quiet", "--profile", "firmware"])
        .args(["-p", &board.bootloader(), "--bin", &program])
        .args(["--features", "conformance"])
        .arg("--target-dir")
        .arg(&target)
        .status()?;
    ensure!(built.success(), "the conformance suite does not build");
    Ok(board.firmware(&target, &program))
}

/// Cuts the power when the board asks for it, until everything was tried.
fn run(config: &Config) -> Result<()> {
    let begun = Instant::now();
    let mut machine = Machine::start(config)?;
    let mut last = String::from("power-on");
    let mut learnt = Vec::new();
    for _ in 0..STEPS {
        let mut said: Vec<String> = Vec::new();
        let line = machine.wait_for(
            |line| {
                said.push(line.text.clone());
                line.level >= Level::Error
                    || ["now ", "everything "]
                        .iter()
                        .any(|start| line.text.starts_with(start))
            },
            PATIENCE,
        );
        let line = line.with_context(|| format!("after \"{last}\""))?;
        last.clone_from(&line.text);
        for text in &said {
            println!("{:6.2} s  {text}", begun.elapsed().as_secs_f32());
        }
        learnt.append(&mut said);
        match line.text.as_str() {
            _ if line.level >= Level::Error => bail!("{}: {}", config.board, line.text),
            "now cut the power" => {
                machine.power_cut();
                machine = Machine::start(config)?;
            }
            "everything was tried" => match unlearnt(&learnt) {
                Some(what) => bail!("{}: the end, and nothing said {what:?}", config.board),
                None => return Ok(()),
            },
            _ => {}
        }
    }
    bail!("{}: {STEPS} steps, and no end", config.board)
}

/// What was to be learnt and was not said.
fn unlearnt(said: &[String]) -> Option<&'static str> {
    let is_said = |what: &&str| said.iter().any(|line| line.contains(*what));
    LEARNT.into_iter().find(|what| !is_said(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_is_not_learnt_is_missed() {
        let all = LEARNT.map(String::from);
        assert_eq!(unlearnt(&all), None);
        for (place, what) in LEARNT.into_iter().enumerate() {
            let mut said = all.to_vec();
            said.remove(place);
            assert_eq!(unlearnt(&said), Some(what));
        }
    }
}
