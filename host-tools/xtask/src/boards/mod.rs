//! `cargo xtask boards`: builds the bootloader and the application of each port, and makes one image of the
//! application's two links.
//!
//! | file | idea |
//! | --- | --- |
//! | [`port`] | the ports that there are: what they are for, and what is known of them |
//! | [`build`] | building one, and what is measured of it |
//! | [`table`] | the table of chips in the README |

mod build;
mod port;
mod table;

use crate::bench::Compared;
use crate::demo::{asked_for_by, host_tools};
use crate::run::Outcome;

use build::{Built, build, ring};
use port::{PORTS, Port};

/// Builds all ports, or the one that `--board` names; with `--write`, writes the README's table.
pub(crate) fn boards(arguments: &[String]) -> Outcome {
    host_tools()?;
    if let Some(name) = asked_for_by("--board", arguments) {
        let known = || PORTS.map(|port| port.name).join(", ");
        let port = PORTS.iter().find(|port| port.name == name);
        let port =
            port.ok_or_else(|| format!("--board: found `{name}`, expected one of {}", known()))?;
        ring()?;
        println!("{}", table::row(port, &build(port)?));
        return Ok(());
    }
    let built = build_all()?;
    match arguments {
        [] => table::show(&built),
        [write] if write == "--write" => table::write(&built),
        _ => Err("usage: cargo xtask boards [--board NAME | --write]".into()),
    }
}

/// Builds all ports, and compares what is measured with the README's table. The host tools are built.
pub(crate) fn check() -> Result<Compared, String> {
    table::compare(&build_all()?)
}

fn build_all() -> Result<Vec<(&'static Port, Built)>, String> {
    ring()?;
    PORTS.iter().map(|port| Ok((port, build(port)?))).collect()
}
