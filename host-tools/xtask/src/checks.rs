//! `cargo xtask test`: every check, one after the other, and what came of each in the last lines.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use bistable_firmware::Toolchain;

use crate::bench::{self, Compared};
use crate::demo::{demo_command, development_ring, emulator, host_tools};
use crate::explore::{COMPARISON, explore};
use crate::run::{FIRMWARE_TARGET, Outcome, built, cargo, repository, run};

/// The power cuts of the story that the checks tell; the demo draws its own.
const SEED: &str = "0xb157ab1e";

/// The steps of the story.
const STEPS: std::ops::RangeInclusive<u8> = 1..=12;

enum Finding {
    Passed,
    Failed(String),
    Skipped(String),
}

struct Report(Vec<(String, Finding, u64)>);

/// Runs everything.
pub(crate) fn all() -> Outcome {
    let mut report = Report(Vec::new());
    report.check("formatting", || {
        run(cargo("fmt").args(["--all", "--check"]))?;
        run(cargo("fmt").args(["--manifest-path", COMPARISON, "--check"]))
    });
    report.check("clippy, host", || {
        run(cargo("clippy").args(["--all-targets", "--", "-D", "warnings"]))?;
        let updater = ["-p", "bistable-updater", "--all-features", "--all-targets"];
        run(cargo("clippy").args(updater).args(["--", "-D", "warnings"]))?;
        let tools = ["-p", "bistable-tools-tests", "--all-targets"];
        run(cargo("clippy").args(tools).args(["--", "-D", "warnings"]))
    });
    report.check("tests, host", || {
        run(&mut cargo("test"))?;
        run(cargo("test").args(["-p", "bistable-updater", "--all-features"]))
    });
    report.check("documentation", || {
        run(cargo("doc")
            .arg("--no-deps")
            .env("RUSTDOCFLAGS", "-D warnings"))
    });
    report.check("the explorer", || explore(&[]));
    report.check("host tools", || {
        host_tools()?;
        development_ring()
    });
    match Toolchain::for_target(FIRMWARE_TARGET) {
        Ok(toolchain) => firmware(&mut report, &toolchain),
        Err(error) => {
            for check in [
                "firmware",
                "clippy, firmware",
                "the figures",
                "the tools at work",
                "the demo",
                "planted failures",
            ] {
                report.skip(check, &error.to_string());
            }
        }
    }
    report.close()
}

/// What goes onto the board, each by itself: built together, they would share their crates' features.
const FIRMWARE: [&[&str]; 4] = [
    &["-p", "mps2-an385-bootloader"],
    &["-p", "mps2-an385-bootloader", "--features", "log"],
    &["-p", "mps2-an385-demo"],
    &["-p", "mps2-an385-c"],
];

fn firmware(report: &mut Report, toolchain: &Toolchain) {
    report.check("firmware", || {
        FIRMWARE.iter().try_for_each(|package| {
            let profile = ["--profile", "firmware"];
            run(toolchain.command("build").args(*package).args(profile))
        })
    });
    if has_clippy(toolchain) {
        report.check("clippy, firmware", || {
            FIRMWARE.iter().try_for_each(|package| {
                let deny = ["--", "-D", "warnings"];
                run(toolchain.command("clippy").args(*package).args(deny))
            })
        });
    } else {
        report.skip("clippy, firmware", "this toolchain has no clippy");
    }
    if let Err(error) = emulator() {
        for check in [
            "the figures",
            "the tools at work",
            "the demo",
            "planted failures",
        ] {
            report.skip(check, &error);
        }
        return;
    }
    report.check_unless_skipped("the figures", bench::check);
    report.check("the tools at work", || {
        run(cargo("test")
            .args(["-p", "bistable-tools-tests"])
            .env("BISTABLE", built("bistable")))
    });
    let checkpoints = repository().join("target/demo-checkpoints");
    // Fails if there are none, which is what is wanted.
    let _ = fs::remove_dir_all(&checkpoints);
    let came_true = report.check("the demo", || {
        run(demo_command()
            .args(["--seed", SEED, "--checkpoints"])
            .arg(&checkpoints))
    });
    if !came_true {
        report.skip("planted failures", "they need a demo that comes true");
        return;
    }
    for step in STEPS {
        let world = checkpoints.join(step.to_string());
        report.check(
            &format!("a failure planted in step {step} is noticed"),
            || planted(step, world),
        );
    }
}

/// The demo must end with 1 where a failure was planted, and for that step's reason.
fn planted(step: u8, world: PathBuf) -> Outcome {
    let step = step.to_string();
    let output = demo_command()
        .args([
            "--seed", SEED, "--from", &step, "--to", &step, "--plant", &step, "--world",
        ])
        .arg(world)
        .current_dir(repository())
        .output()
        .map_err(|error| format!("the demo: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let verdict = said.lines().find(|line| line.starts_with("NOT TRUE"));
    println!("step {step}: {}", verdict.unwrap_or("nothing was noticed"));
    let noticed = verdict.is_some_and(|verdict| {
        verdict.starts_with(&format!("NOT TRUE: step {step}"))
            && !verdict.contains("nobody noticed")
    });
    if output.status.code() == Some(1) && noticed {
        return Ok(());
    }
    Err(format!(
        "{}, expected exit status 1:\n{said}",
        output.status
    ))
}

fn has_clippy(toolchain: &Toolchain) -> bool {
    let version: Result<std::process::Output, _> = {
        let mut command: Command = toolchain.command("clippy");
        command.arg("--version").current_dir(repository()).output()
    };
    version.is_ok_and(|output| output.status.success())
}

impl Report {
    /// Whether it passed.
    fn check(&mut self, name: &str, check: impl FnOnce() -> Outcome) -> bool {
        self.check_unless_skipped(name, || check().map(|()| Compared::Equal))
    }

    /// The same, of a check that may find that it cannot say anything here.
    fn check_unless_skipped(
        &mut self,
        name: &str,
        check: impl FnOnce() -> Result<Compared, String>,
    ) -> bool {
        println!("\n── {name}");
        let begun = Instant::now();
        let finding = match check() {
            Ok(Compared::Equal) => Finding::Passed,
            Ok(Compared::Skipped(why)) => Finding::Skipped(why),
            Err(message) => {
                println!("{message}");
                Finding::Failed(message)
            }
        };
        let passed = matches!(finding, Finding::Passed);
        self.0
            .push((name.to_owned(), finding, begun.elapsed().as_secs()));
        passed
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.0
            .push((name.to_owned(), Finding::Skipped(why.to_owned()), 0));
    }

    /// Says what came of each check.
    fn close(self) -> Outcome {
        println!();
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for (name, finding, seconds) in &self.0 {
            match finding {
                Finding::Passed => {
                    passed += 1;
                    println!("passed   {seconds:>4} s  {name}");
                }
                Finding::Failed(message) => {
                    failed += 1;
                    let line = message.lines().next().unwrap_or_default();
                    println!("FAILED   {seconds:>4} s  {name}: {line}");
                }
                Finding::Skipped(why) => {
                    skipped += 1;
                    println!("SKIPPED          {name}: {why}");
                }
            }
        }
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        match failed {
            0 => Ok(()),
            _ => Err("not every check passed".to_owned()),
        }
    }
}
