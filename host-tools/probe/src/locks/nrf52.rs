//! The read-out protection of Nordic's nRF52 series, from the product specifications: NVMC (`READY`, `CONFIG`),
//! UICR (`APPROTECT`), FICR (`DEVICEID`). **It was never run on hardware.**
//!
//! `APPROTECT` takes effect at the next reset; until then the debugger still reads what was written. It is undone
//! only by an erase of the whole chip, which wipes the key and the identity too.

use super::{Access, Bits, Lock, Locks, Places, Recipe, Tried};

const NVMC_READY: u32 = 0x4001_E400;
const NVMC_CONFIG: u32 = 0x4001_E504;
const READ_ONLY: u32 = 0;
const WRITE_ENABLED: u32 = 1;
const UICR_APPROTECT: u32 = 0x1000_1208;
/// `PALL` (bits 0 to 7) is zero: enabled.
const PALL: u32 = 0xFF;
const PROTECTED: u32 = 0xFFFF_FF00;
const FICR_DEVICEID: [u32; 2] = [0x1000_0060, 0x1000_0064];

/// The nRF52 series.
pub(super) struct Nrf52;

impl Locks for Nrf52 {
    fn describe(&self) -> (&'static str, Tried) {
        ("the nRF52 series", Tried::NotOnHardware)
    }

    fn unique(&self) -> [u32; 2] {
        FICR_DEVICEID
    }

    fn recipe(&self, lock: Lock, _: &Places) -> Result<Recipe, &'static str> {
        match lock {
            Lock::Readout => {}
            Lock::Key => return Err("an nRF52 keeps a key from the debugger with `readout`"),
            Lock::Bootloader => {
                return Err(
                    "an nRF52 forgets its ACL at each reset: the bootloader sets it, in `Board::protect`",
                );
            }
        }
        let ready = Access::Await(Bits {
            address: NVMC_READY,
            mask: 1,
            value: 1,
        });
        let write = |address, value| Access::Write { address, value };
        Ok(Recipe {
            accesses: vec![
                ready,
                write(NVMC_CONFIG, WRITE_ENABLED),
                ready,
                write(UICR_APPROTECT, PROTECTED),
                ready,
                write(NVMC_CONFIG, READ_ONLY),
                ready,
            ],
            done: Bits {
                address: UICR_APPROTECT,
                mask: PALL,
                value: 0,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_protection_is_written_and_writing_is_switched_off_again() {
        let places = Places {
            key: None,
            bootloader: 0..0x8000,
        };
        let recipe = Nrf52.recipe(Lock::Readout, &places).expect("it is known");
        let writes: Vec<_> = recipe
            .accesses
            .iter()
            .filter_map(|access| match access {
                Access::Write { address, value } => Some((*address, *value)),
                Access::Await(_) => None,
            })
            .collect();
        let expected = [
            (0x4001_E504, 1),
            (0x1000_1208, 0xFFFF_FF00),
            (0x4001_E504, 0),
        ];
        assert_eq!(writes, expected);
        assert!(Nrf52.recipe(Lock::Key, &places).is_err());
        assert!(Nrf52.recipe(Lock::Bootloader, &places).is_err());
    }
}
