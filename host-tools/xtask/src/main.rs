//! The commands of this repository: `cargo xtask demo`, `boards`, `beats`, `conformance`, `explore`, `compare`, `bench`
//! and `test`.
//!
//! They do all the set-up that they need. What is built with which toolchain is
//! `bistable_firmware`'s business; what the demo tells is `bistable_qemu`'s.
#![forbid(unsafe_code)]

mod beats;
mod bench;
mod boards;
mod checks;
mod conformance;
mod demo;
mod explore;
mod report;
mod run;
mod stories;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <command>

  demo [options]     the whole way once, on an emulated Cortex-M3: build, sign, flash, update over
                     Ethernet, try, keep or give back, with the power cut on the way
                     (--seed N repeats the power cuts of an earlier run; --help shows the rest)
  beats [options]    two applications that keep a beat of 10 ms while they update themselves, one under embassy and
                     one with a timer interrupt, measured (--help shows the rest)
  conformance [options]
                     whether the emulated boards keep what Bistable relies on: flash, handover, reset
                     reasons, watchdog (--board NAME is one of them alone)
  boards [options]   builds bootloader and application of each port to a chip, and one image of both links
                     (--board NAME is one of them alone; --run NAME and --conformance NAME run one whose machine
                     QEMU has: an update, the conformance suite; --write writes the README's table, of all ports)
  explore [options]  the power cut at every operation, from every state that can be reached, and every
                     invariant checked; then the same with each deliberate defect, which must be caught
                     (--full is the long run; --help shows the rest)
  compare            embassy-boot on the same flash model; fails if the committed figures differ
  bench [options]    sizes, instructions to boot, stack, flash operations and bytes of an update, measured
                     in the emulator (--check compares with the committed figures; --help shows the rest)
  test               every check: formatting, clippy, host tests, documentation, firmware, emulator,
                     explorer
  released, emulated
                     those of them that `test` runs beside the others: the released tools; what runs in
                     emulators, once `test` has built it";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let outcome = match command.as_deref() {
        Some("demo") => demo::demo(&rest),
        Some("boards") => boards::boards(&rest),
        Some("beats") => beats::beats(&rest),
        Some("conformance") => conformance::conformance(&rest),
        Some("explore") => explore::explore(&rest),
        Some("compare") => explore::compare(&rest),
        Some("bench") => bench::bench(&rest),
        Some("test") if rest.is_empty() => checks::all(),
        Some(checks::RELEASED) if rest.is_empty() => checks::released_tools(),
        Some(checks::EMULATED) if rest.is_empty() => checks::emulated(),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
