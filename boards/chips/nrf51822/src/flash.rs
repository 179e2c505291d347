//! The flash: 256 KiB in pages of 1 KiB (NVMC).
//!
//! Not embassy's `Nvmc`: on this chip it says 4 KiB, of which it erases the first quarter, and ends at 128 KiB. The
//! processor stands still while a word is written (46 µs) or a page erased (22 ms).

use embassy_nrf::pac::{NVMC, nvmc::vals::Wen};
use embedded_storage::nor_flash::{self, ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

use crate::layout::flash_main::{ERASE_SIZE, SIZE, WRITE_SIZE};

/// The flash, from address 0 on.
#[derive(Debug)]
pub struct Flash(pub(crate) ());

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        nor_flash::check_read(self, offset, bytes.len())?;
        for (address, byte) in (offset as usize..).zip(bytes) {
            // SAFETY: a byte of the flash, as was checked. The compiler knows of no object there that is written.
            *byte = unsafe { core::ptr::with_exposed_provenance::<u8>(address).read_volatile() };
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        SIZE as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WRITE_SIZE as usize;
    const ERASE_SIZE: usize = ERASE_SIZE as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        nor_flash::check_erase(self, from, to)?;
        allow(Wen::Een);
        for page in (from..to).step_by(Self::ERASE_SIZE) {
            NVMC.erasepage().write_value(page);
            wait();
        }
        allow(Wen::Ren);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        nor_flash::check_write(self, offset, bytes.len())?;
        allow(Wen::Wen);
        let addresses = (offset as usize..).step_by(Self::WRITE_SIZE);
        for (address, word) in addresses.zip(bytes.as_chunks().0) {
            let place = core::ptr::with_exposed_provenance_mut::<u32>(address);
            // SAFETY: an aligned word of the flash, as was checked. No program changes what it runs from: bootloader and
            // updater write where the layout puts the journal and the other slot.
            unsafe { place.write_volatile(u32::from_le_bytes(*word)) };
            wait();
        }
        allow(Wen::Ren);
        Ok(())
    }
}

/// What may be done to the flash from now on.
fn allow(access: Wen) {
    NVMC.config().write(|config| config.set_wen(access));
    wait();
}

fn wait() {
    while !NVMC.ready().read().ready() {}
}
