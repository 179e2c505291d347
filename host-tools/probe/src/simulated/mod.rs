//! A simulated probe with a simulated chip behind it, below probe-rs' `DebugProbe` trait.
//!
//! probe-rs sees what it sees through a CMSIS-DAP probe: the registers of a debug port and of an access port. So
//! its own code attaches, halts, resets, loads a flash algorithm into RAM, runs it, and reads memory. Simulated are
//! the wire, the [port], the [core] and the [chip].
//!
//! | file | idea |
//! | --- | --- |
//! | [`port`](self) `port.rs` | debug port and access port: registers to memory accesses |
//! | `core.rs` | the processor's debug registers, and the few instructions that it knows |
//! | `chip.rs` | flash in a file, RAM, locks |
//! | `firmware.rs` | what the unit says when it starts |
//! | `fault.rs` | what may go wrong |
//! | `family.yaml` | the chip, as probe-rs describes chips |

mod chip;
mod core;
mod fault;
mod firmware;
mod port;

use std::io;
use std::path::Path;

use probe_rs::Target;
use probe_rs::probe::Probe;

pub use self::chip::State;
pub(crate) use self::chip::register;
pub use self::fault::Fault;
pub use self::firmware::{Firmware, IDENTITY_LEN};
use self::port::SimulatedProbe;

/// The simulated chip's name.
pub const CHIP: &str = "bistable-simulated";

/// The simulated chip, as probe-rs describes chips.
pub const FAMILY: &str = include_str!("family.yaml");

/// A probe on the chip in the file at `path`, a new one if there is no such file.
///
/// # Errors
/// The file cannot be used, is none of a simulated chip, or somebody else has it open.
pub fn probe(
    path: &Path,
    target: &Target,
    firmware: Firmware,
    fault: Option<Fault>,
) -> io::Result<Probe> {
    let chip = chip::Chip::open(path, target, fault)?;
    let core = core::Core::power_on(chip, firmware);
    Ok(Probe::new(SimulatedProbe::new(core)))
}
