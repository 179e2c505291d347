//! `cargo xtask boards --run NAME` and `--conformance NAME`: a port to a machine of QEMU, run.

mod contract;
mod emulator;
mod run;

use bistable_firmware::Toolchain;

use crate::demo::host_tools;
use crate::run::{Outcome, repository, run as call};

/// Builds the port that `--run` names, and lets it update itself.
pub(crate) fn boards(arguments: &[String]) -> Outcome {
    let [option, port] = arguments else {
        return Err("usage: cargo xtask boards --run NAME | --conformance NAME".into());
    };
    host_tools()?;
    match option.as_str() {
        "--run" => {
            build(port, &UPDATES)?;
            run::update_over_the_line(port)
        }
        "--conformance" => {
            build(port, &SUITE)?;
            contract::keeps(port)
        }
        _ => Err(format!("found {option}, expected --run or --conformance")),
    }
}

/// A package, the slot that it is linked for, and what it is called then.
type Part = (&'static str, &'static str, &'static str);

const UPDATES: [Part; 3] = [
    ("bootloader", "A", "bootloader"),
    ("application", "A", "application-A"),
    ("application", "B", "application-B"),
];

const SUITE: [Part; 1] = [("conformance", "A", "conformance")];

/// Builds programs of a port into `target/boards`.
fn build(port: &str, parts: &[Part]) -> Outcome {
    let target = "thumbv7m-none-eabi";
    let toolchain = Toolchain::for_target(target).map_err(|error| error.to_string())?;
    let folder = repository().join("target/boards");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    for (what, slot, name) in parts {
        let package = format!("{port}-{what}");
        let mut command = toolchain.command("build");
        command.args(["--profile", "firmware", "-p", &package]);
        command.args(["--manifest-path", "boards/chips/Cargo.toml"]);
        command.env("CARGO_TARGET_DIR", repository().join("boards/chips/target"));
        call(command.env("BISTABLE_SLOT", slot))?;
        let built = repository().join("boards/chips/target").join(target);
        let built = built.join("firmware").join(&package);
        let copy = folder.join(format!("{port}-{name}.elf"));
        std::fs::copy(built, copy).map_err(|error| error.to_string())?;
    }
    Ok(())
}
