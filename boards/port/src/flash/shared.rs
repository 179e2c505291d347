//! One driver for several owners.

use core::cell::{RefCell, RefMut};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use super::error::Error;

/// One handle of a flash that has several: the journal's, a slot's, that of the application's settings.
///
/// A HAL gives its flash out once. Where `Platform` and `Board` hand out the same type for journal and slots, one
/// object serves both, and this is not needed. It is where each wraps the driver in another way:
///
/// ```
/// # use core::cell::RefCell;
/// # use bistable_port::flash::{Either, Part, Shared};
/// # use embedded_storage::nor_flash::NorFlash;
/// # fn open<Internal: NorFlash, Qspi: NorFlash>(internal: Internal, qspi: Qspi) {
/// let internal = RefCell::new(internal);
/// let journal = Part::whole(Shared::new(&internal));
/// let slot_a = Either::<_, Qspi>::First(Part::whole(Shared::new(&internal)));
/// let slot_b = Either::Second(qspi);
/// # let _slots = [slot_a, slot_b];
/// # drop(journal);
/// # }
/// ```
///
/// A handle holds the flash for one call only, and handles cannot be sent to an interrupt: none finds it [in use](Error::InUse).
#[derive(Debug)]
pub struct Shared<'f, F>(&'f RefCell<F>);

impl<F> Clone for Shared<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Shared<'_, F> {}

impl<'f, F: ErrorType> Shared<'f, F> {
    /// One more handle of `flash`.
    #[must_use]
    pub const fn new(flash: &'f RefCell<F>) -> Self {
        Self(flash)
    }

    fn flash(&self) -> Result<RefMut<'f, F>, Error<F::Error>> {
        self.0.try_borrow_mut().map_err(|_| Error::InUse)
    }
}

impl<F: ErrorType> ErrorType for Shared<'_, F> {
    type Error = Error<F::Error>;
}

impl<F: ReadNorFlash> ReadNorFlash for Shared<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.flash()?.read(offset, bytes).map_err(Error::Flash)
    }

    /// 0 while somebody else uses it.
    fn capacity(&self) -> usize {
        self.0.try_borrow().map_or(0, |flash| flash.capacity())
    }
}

impl<F: NorFlash> NorFlash for Shared<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.flash()?.erase(from, to).map_err(Error::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.flash()?.write(offset, bytes).map_err(Error::Flash)
    }
}
