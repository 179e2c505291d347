//! The board's PCI bus: finding a device on it, and giving its memory a place (`board_kit::pci`).
//!
//! Places, of the 1 GiB from 0x4000_0000 on: the [watchdog](crate::watchdog) answers at 0x4000_0000, the memory shared with
//! the host at 0x4400_0000.

pub use board_kit::pci::{Function, NotPlaced};

use board_kit::pci::Bus;

// SAFETY: device tree, `pci@30000000`: configuration space is there, bus 0 first.
const BUS: Bus = unsafe { Bus::new(0x3000_0000) };

/// The first device that says it is `device` of `vendor`.
#[must_use]
pub fn find(vendor: u16, device: u16) -> Option<Function> {
    BUS.find(vendor, device)
}
