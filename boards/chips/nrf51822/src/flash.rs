//! The flash: 256 KiB in pages of 1 KiB (chapter 6).
//!
//! Not embassy's `Nvmc`: on this chip it says 4 KiB, of which it erases the first quarter, and ends at 128 KiB. The
//! processor stands still while a word is written (46 µs) or a page erased (22 ms).

use embassy_nrf::pac;
use embassy_nrf::pac::nvmc::vals::Wen;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use crate::layout::flash_main::{ERASE_SIZE, SIZE, WRITE_SIZE};

/// The flash, from address 0 on.
#[derive(Debug)]
pub struct Flash;

/// What may be done to the flash, until this is dropped.
struct Enabled;

impl Enabled {
    fn enable(access: Wen) -> Self {
        pac::NVMC.config().write(|config| config.set_wen(access));
        wait();
        Self
    }
}

impl Drop for Enabled {
    fn drop(&mut self) {
        pac::NVMC.config().write(|config| config.set_wen(Wen::Ren));
        wait();
    }
}

fn wait() {
    while !pac::NVMC.ready().read().ready() {}
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
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
        check_erase(self, from, to)?;
        let _enabled = Enabled::enable(Wen::Een);
        for page in (from..to).step_by(Self::ERASE_SIZE) {
            pac::NVMC.erasepage().write_value(page);
            wait();
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let _enabled = Enabled::enable(Wen::Wen);
        let addresses = (offset as usize..).step_by(Self::WRITE_SIZE);
        for (address, word) in addresses.zip(bytes.as_chunks().0) {
            let place = core::ptr::with_exposed_provenance_mut::<u32>(address);
            // SAFETY: an aligned word of the flash, as was checked. No program changes what it runs from: bootloader and
            // updater write where the layout puts the journal and the other slot.
            unsafe { place.write_volatile(u32::from_le_bytes(*word)) };
            wait();
        }
        Ok(())
    }
}
