//! Placeholder: the chip can be read.
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

/// Where the flash starts in the address space.
pub const ADDRESS: u32 = 0x2200_0000;
const SIZE: usize = 32 << 20;

/// The chip.
#[derive(Debug)]
pub struct Flash(());

/// Not formatted.
#[derive(Debug)]
pub struct NotFormatted;

/// Opens it.
///
/// # Errors
/// None.
///
/// # Safety
/// None.
pub unsafe fn open() -> Result<Flash, NotFormatted> {
    Ok(Flash(()))
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let mut at = core::ptr::with_exposed_provenance::<u8>(ADDRESS as usize)
            .wrapping_add(offset as usize);
        for byte in bytes {
            // SAFETY: placeholder.
            *byte = unsafe { at.read_volatile() };
            at = at.wrapping_add(1);
        }
        Ok(())
    }
    fn capacity(&self) -> usize {
        SIZE
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 256 << 10;
    fn erase(&mut self, _: u32, _: u32) -> Result<(), NorFlashErrorKind> {
        Err(NorFlashErrorKind::Other)
    }
    fn write(&mut self, _: u32, _: &[u8]) -> Result<(), NorFlashErrorKind> {
        Err(NorFlashErrorKind::Other)
    }
}
