//! `cargo xtask boards`: builds the bootloader and the application of each port, and makes one image of the
//! application's two links; and runs those ports whose machine QEMU has.
//!
//! | file | idea |
//! | --- | --- |
//! | [`port`] | the ports that there are, and what their manifests say of them |
//! | [`mod@build`] | building one, and what is measured of it |
//! | [`table`] | the table of chips in the README |
//! | [`emulator`] | a machine of QEMU that a port is for |
//! | [`run`], [`contract`] | it updates itself; it keeps what Bistable relies on |
//! | [`interrupts`] | QEMU's nRF51 takes interrupts that its bootloader forwards |

mod build;
mod contract;
mod emulator;
mod interrupts;
mod port;
mod run;
mod table;

use std::fs;

use crate::bench::Compared;
use crate::demo::{asked_for_by, host_tools};
use crate::run::Outcome;

use build::{Built, build, compile, ring};
use port::Port;

/// Builds all ports, or the one that `--board` names, or runs the one that `--run` or `--conformance` names; with `--write`, writes the
/// README's table.
pub(crate) fn boards(arguments: &[String]) -> Outcome {
    host_tools()?;
    ring()?;
    if let Some(name) = asked_for_by("--board", arguments) {
        let port = Port::named(name)?;
        println!("{}", table::row(&port, &build(&port)?));
        return Ok(());
    }
    if let Some(name) = asked_for_by("--run", arguments) {
        let port = Port::named(name)?;
        build(&port)?;
        if port.name == interrupts::PORT {
            interrupts::build(&port)?;
            return interrupts::nrf51_interrupts();
        }
        return run::update_over_the_line(&port);
    }
    if let Some(name) = asked_for_by("--conformance", arguments) {
        let port = Port::named(name)?;
        compile(&port, "conformance")?;
        return contract::keeps(&port);
    }
    match arguments {
        [] => table::show(&build_all()?),
        [write] if write == "--write" => table::write(&build_all()?),
        _ => Err(
            "usage: cargo xtask boards [--board NAME | --run NAME | --conformance NAME | --write]"
                .into(),
        ),
    }
}

/// Builds all ports, and compares what is measured with the README's table. The host tools are built.
pub(crate) fn check() -> Result<Compared, String> {
    ring()?;
    let built = build_all()?;
    interrupts::build(&Port::named(interrupts::PORT)?)?;
    table::compare(&built)
}

/// Runs those ports that QEMU has a machine for. They are built.
pub(crate) fn run_those_that_can() -> Outcome {
    let ports = Port::all()?.into_iter();
    let mut ports = ports.filter(Port::can_be_run).peekable();
    if ports.peek().is_none() {
        return Err("there is no port to a machine of QEMU".into());
    }
    ports.try_for_each(|port| {
        run::update_over_the_line(&port)?;
        contract::keeps(&port)
    })?;
    interrupts::nrf51_interrupts()
}

fn build_all() -> Result<Vec<(Port, Built)>, String> {
    // What is left of another time must not be taken for what is built now. Fails if there is nothing.
    let _ = fs::remove_dir_all(port::built_programs());
    let ports = Port::all()?.into_iter();
    ports
        .map(|port| {
            let built = build(&port)?;
            Ok((port, built))
        })
        .collect()
}
