//! The locks of the simulated chip.

use super::{Access, Bits, Lock, Locks, Places, Recipe, Tried};
use crate::simulated::register;

/// The simulated chip.
pub(super) struct Simulated;

impl Locks for Simulated {
    fn describe(&self) -> (&'static str, Tried) {
        ("the simulated chip", Tried::Simulated)
    }

    fn unique(&self) -> [u32; 2] {
        [register::UNIQUE, register::UNIQUE_HIGH]
    }

    fn recipe(&self, lock: Lock, places: &Places) -> Result<Recipe, &'static str> {
        let (address, value) = match (lock, &places.key) {
            (Lock::Key, Some(key)) => (register::KEY_SECTOR, key.start),
            (Lock::Key, None) => return Err("the layout has no partition for a key"),
            (Lock::Readout, _) => (register::READOUT, 0),
            (Lock::Bootloader, _) => (register::BOOT_BYTES, places.bootloader.end),
        };
        let unlock = Access::Write {
            address: register::UNLOCK_KEY,
            value: register::UNLOCK,
        };
        Ok(Recipe {
            accesses: vec![unlock, Access::Write { address, value }],
            done: Bits {
                address,
                mask: u32::MAX,
                value,
            },
        })
    }
}
