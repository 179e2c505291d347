//! `cargo xtask test`: every check, one after the other, and what came of each in the last lines.

use std::process::Command;
use std::time::Instant;

use bistable_firmware::Toolchain;
use bistable_qemu::Board;
use bistable_qemu::ram_routine::{self, May};

use crate::bench::{self, Compared};
use crate::conformance;
use crate::demo::{development_ring, emulator, host_tools, toolchain};
use crate::explore::{COMPARISON, explore};
use crate::run::{Outcome, built, cargo, released, repository, run};
use crate::stories;

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
        run(cargo("test").args(["-p", "bistable-updater", "--all-features"]))?;
        // What the profiles of the bootloader are made of.
        for features in ["hmac-sha256,small-verifier", "hmac-sha512,small-verifier"] {
            run(cargo("test").args(["-p", "bistable-core", "--features", features]))?;
        }
        Ok(())
    });
    report.check("documentation", || {
        run(cargo("doc")
            .arg("--no-deps")
            .env("RUSTDOCFLAGS", "-D warnings"))
    });
    report.check("the explorer", || explore(&[]));
    report.check("host tools", || {
        host_tools()?;
        Board::ALL.into_iter().try_for_each(development_ring)
    });
    report.check("the tools as they are released", released_tools);
    match Board::ALL.map(toolchain).into_iter().collect() {
        Ok(toolchains) => firmware(&mut report, toolchains),
        Err(error) => {
            for check in [
                "firmware",
                "clippy, firmware",
                "the figures",
                "the tools at work",
                "conformance, on each board",
                "the demo, on each board",
                "planted failures",
            ] {
                report.skip(check, &error);
            }
        }
    }
    report.close()
}

/// With the feature that brings probe-rs, which is compiled once: its tests are released ones too.
fn released_tools() -> Outcome {
    let tools = ["-p", "bistable-tools", "--features", "probe"];
    run(cargo("build").arg("--release").args(tools))?;
    run(cargo("test").args(["--release", "-p", "bistable-probe"]))?;
    // It looks at the probe's own crate on the way.
    run(cargo("clippy").args(tools).args(["--", "-D", "warnings"]))
}

/// What goes onto each board, each by itself: built together, they would share their crates' features.
const FIRMWARE: [(Board, &[&str]); 9] = [
    (Board::Mps2An385, &["-p", "mps2-an385-bootloader"]),
    (
        Board::Mps2An385,
        &["-p", "mps2-an385-bootloader", "--features", "log"],
    ),
    (Board::Mps2An385, &["-p", "mps2-an385-demo"]),
    (Board::Mps2An385, &["-p", "mps2-an385-c"]),
    (Board::Riscv32Virt, &["-p", "riscv32-virt-bootloader"]),
    (
        Board::Riscv32Virt,
        &["-p", "riscv32-virt-bootloader", "--features", "log"],
    ),
    (Board::Riscv32Virt, &["-p", "riscv32-virt-demo"]),
    (
        Board::Mps2An385,
        &conformance_of("mps2-an385-bootloader", "mps2-an385-conformance"),
    ),
    (
        Board::Riscv32Virt,
        &conformance_of("riscv32-virt-bootloader", "riscv32-virt-conformance"),
    ),
];

/// The conformance suite, beside the bootloader in its package.
const fn conformance_of(package: &'static str, program: &'static str) -> [&'static str; 6] {
    ["-p", package, "--bin", program, "--features", "conformance"]
}

fn firmware(report: &mut Report, toolchains: Vec<Toolchain>) {
    let each = |subcommand: &str, options: &[&str]| {
        FIRMWARE.iter().try_for_each(|(board, package)| {
            let mut command = toolchain(*board)?.command(subcommand);
            run(command.args(*package).args(options))
        })
    };
    report.check("firmware", || {
        FIRMWARE.iter().try_for_each(|(board, package)| {
            let mut command = toolchain(*board)?.command("build");
            run(command.args(*package).args(["--profile", "firmware"]))?;
            what_runs_from_ram(*board, package)
        })
    });
    if toolchains.iter().all(has_clippy) {
        report.check("clippy, firmware", || {
            each("clippy", &["--", "-D", "warnings"])
        });
    } else {
        report.skip("clippy, firmware", "this toolchain has no clippy");
    }
    if let Err(error) = Board::ALL.into_iter().try_for_each(emulator) {
        for check in [
            "the figures",
            "the tools at work",
            "conformance, on each board",
            "the demo, on each board",
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
            .env("BISTABLE", built("bistable"))
            .env("BISTABLE_RELEASE", released("bistable")))
    });
    report.check("conformance, on each board", conformance::on_each_board);
    match report.check("the demo, on each board", stories::on_each_board) {
        true => {
            report.check("planted failures", stories::with_planted_failures);
        }
        false => report.skip("planted failures", "they need a demo that comes true"),
    }
}

/// The program that these options of cargo make on a board.
fn program<'p>(package: &[&'p str]) -> Result<&'p str, String> {
    let behind = |option: &str| {
        let at = package.iter().position(|word| *word == option)?;
        package.get(at.checked_add(1)?).copied()
    };
    let program = behind("--bin").or_else(|| behind("-p"));
    program.ok_or_else(|| format!("no program in {package:?}"))
}

/// A program that executes from flash has a routine that does not, while the flash is busy. To be asked after each
/// build: the next one of the same package takes its place.
fn what_runs_from_ram(board: Board, package: &[&str]) -> Outcome {
    if board != Board::Riscv32Virt {
        return Ok(());
    }
    let elf = board.firmware(&repository().join("target"), program(package)?);
    let bytes = std::fs::read(&elf).map_err(|error| format!("{}: {error}", elf.display()))?;
    ram_routine::check(&bytes, May::CallNothing)
        .map_err(|unfit| format!("{}: {unfit}", elf.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_each_build_is_known() {
        let programs = FIRMWARE.map(|(_, package)| program(package).unwrap());
        let conformance = ["mps2-an385-conformance", "riscv32-virt-conformance"];
        assert_eq!(programs[7..], conformance);
        assert_eq!(programs[0], "mps2-an385-bootloader");
        assert_eq!(programs[4], programs[5]);
        assert!(program(&["--features", "log"]).is_err());
    }
}
