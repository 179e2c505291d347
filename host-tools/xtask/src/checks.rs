//! `cargo xtask test`: every check, one after the other, and what came of each in the last lines.

use std::process::Command;

use bistable_firmware::Toolchain;
use bistable_qemu::Board;
use bistable_qemu::ram_routine::{self, May};

use crate::conformance;
use crate::demo::{development_ring, emulator, toolchain};
use crate::explore::{COMPARISON, explore};
use crate::report::{Beside, Own, Report};
use crate::run::{Outcome, built, cargo, host, released, repository, run};
use crate::stories;
use crate::{beats, bench, boards};

/// Lints are errors.
const WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

/// The package whose tests need more than cargo.
const TOOLS_TESTS: &str = "bistable-tools-tests";

/// Runs everything.
pub(crate) fn all() -> Outcome {
    let own = Own::copied()?;
    let mut report = Report::default();
    report.check("formatting", || {
        run(cargo("fmt").args(["--all", "--check"]))?;
        run(cargo("fmt").args(["--manifest-path", COMPARISON, "--check"]))
    });
    report.check("clippy, host", || {
        // With the feature, it looks at the probe's crate too.
        let everything = ["--all-targets", "--features", "bistable-tools/probe"];
        run(host("clippy").args(everything).args(WARNINGS))?;
        let updater = ["-p", "bistable-updater", "--all-features", "--all-targets"];
        run(cargo("clippy").args(updater).args(WARNINGS))
    });
    report.check("tests, host", || {
        run(host("test").args(["--exclude", TOOLS_TESTS]))?;
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
        // As the tests have built them, so that there is little left to do.
        run(host("build").args(["--bins", "--tests"]))?;
        Board::ALL.into_iter().try_for_each(development_ring)
    });
    // One compiles large crates, whose ends keep one processor busy; the other links many small programs, which does too.
    let released = Beside::start(&own, RELEASED);
    let toolchains: Result<Vec<_>, String> = Board::ALL.map(toolchain).into_iter().collect();
    match &toolchains {
        Ok(toolchains) => firmware(&mut report, toolchains),
        Err(error) => report.skip_each(&WITH_FIRMWARE, error),
    }
    report.take_over(released, &[AS_RELEASED]);
    let emulators = || Board::ALL.into_iter().try_for_each(emulator);
    match toolchains.and_then(|_| emulators()) {
        Ok(()) => at_work(&mut report, &own),
        Err(error) => {
            report.skip_each(&WITH_TOOLS, &error);
            report.skip_each(&IN_EMULATORS, &error);
        }
    }
    report.close()
}

/// The command that builds and tests the released tools beside the firmware, and its one check.
pub(crate) const RELEASED: &str = "released";
const AS_RELEASED: &str = "the tools as they are released";

/// With the feature that brings probe-rs, which is compiled once: its tests are released ones too.
pub(crate) fn released_tools() -> Outcome {
    let mut report = Report::default();
    report.check(AS_RELEASED, || {
        let tools = ["-p", "bistable-tools", "--features", "probe"];
        run(cargo("build").arg("--release").args(tools))?;
        run(cargo("test").args(["--release", "-p", "bistable-probe"]))
    });
    report.close()
}

/// What goes onto each board, each by itself: built together, they would share their crates' features.
const FIRMWARE: [(Board, &[&str]); 11] = [
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
    (Board::Mps2An385, &["-p", "mps2-an385-embassy"]),
    (Board::Mps2An385, &["-p", "mps2-an385-interrupts"]),
];

/// The conformance suite, beside the bootloader in its package.
const fn conformance_of(package: &'static str, program: &'static str) -> [&'static str; 6] {
    ["-p", package, "--bin", program, "--features", "conformance"]
}

/// What is compiled for devices, in this order.
const WITH_FIRMWARE: [&str; 3] = ["firmware", "clippy, firmware", "the chips"];

fn firmware(report: &mut Report, toolchains: &[Toolchain]) {
    let [firmware, clippy, chips] = WITH_FIRMWARE;
    let each = |subcommand: &str, options: &[&str]| {
        FIRMWARE.iter().try_for_each(|(board, package)| {
            let mut command = toolchain(*board)?.command(subcommand);
            run(command.args(*package).args(options))
        })
    };
    report.check(firmware, || {
        FIRMWARE.iter().try_for_each(|(board, package)| {
            let mut command = toolchain(*board)?.command("build");
            run(command.args(*package).args(["--profile", "firmware"]))?;
            what_runs_from_ram(*board, package)
        })
    });
    if toolchains.iter().all(has_clippy) {
        report.check(clippy, || each("clippy", &WARNINGS));
    } else {
        report.skip(clippy, "this toolchain has no clippy");
    }
    report.check_unless_skipped(chips, boards::check);
}

/// What runs when everything is built: the tools, on files and on emulated boards, and beside them what needs emulators more than
/// processors.
fn at_work(report: &mut Report, own: &Own) {
    let test = |names: &[&str], options: &[&str]| {
        run(host("test")
            .args(names.iter().flat_map(|name| ["--test", name]))
            .args(options)
            .env("BISTABLE", built("bistable"))
            .env("BISTABLE_RELEASE", released("bistable")))
    };
    let [at_work, at_full_speed] = WITH_TOOLS;
    let emulated = Beside::start(own, EMULATED);
    report.check(at_work, || {
        let tests = tests_of_the_tools()?;
        let tests = tests.iter().map(String::as_str);
        test(
            &tests
                .filter(|name| *name != AT_FULL_SPEED)
                .collect::<Vec<_>>(),
            &[],
        )
    });
    report.take_over(emulated, &IN_EMULATORS);
    report.check(at_full_speed, || {
        test(&[AT_FULL_SPEED], &["--", "--test-threads=1"])
    });
}

/// What is checked with the tools when they are built, in this order.
const WITH_TOOLS: [&str; 2] = ["the tools at work", "the server at full speed"];

/// The test that measures how fast the server is: nothing may run beside it.
const AT_FULL_SPEED: &str = "serve_kill";

/// The command that runs the emulators beside the tools.
pub(crate) const EMULATED: &str = "emulated";

/// What is checked there, in this order.
const IN_EMULATORS: [&str; 6] = [
    "the figures",
    "conformance, on each board",
    "beats beside an update",
    "ports, run",
    "the demo, on each board",
    "planted failures",
];

/// What needs emulators more than processors. Everything that it needs is built.
pub(crate) fn emulated() -> Outcome {
    let [figures, conformance, beats, ports, demo, planted] = IN_EMULATORS;
    let mut report = Report::default();
    report.check_unless_skipped(figures, bench::check);
    report.check(conformance, conformance::on_each_board);
    report.check(beats, beats::measure);
    report.check(ports, boards::run_those_that_can);
    match report.check(demo, stories::on_each_board) {
        true => {
            report.check(planted, stories::with_planted_failures);
        }
        false => report.skip(planted, "they need a demo that comes true"),
    }
    report.close()
}

/// The tests of the package that needs more than cargo, by the names of their files.
fn tests_of_the_tools() -> Result<Vec<String>, String> {
    let folder = repository().join("tests/tools/tests");
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        names.extend(
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
    }
    names.sort_unstable();
    Ok(names)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_each_build_is_known() {
        let programs = FIRMWARE.map(|(_, package)| program(package).unwrap());
        let conformance = ["mps2-an385-conformance", "riscv32-virt-conformance"];
        assert_eq!(programs[7..9], conformance);
        assert_eq!(programs[0], "mps2-an385-bootloader");
        assert_eq!(programs[4], programs[5]);
        assert!(program(&["--features", "log"]).is_err());
    }
}
