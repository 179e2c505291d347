//! Async flash for who asks for flash that blocks: each operation is polled until it is ready.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use embedded_storage_async::nor_flash as asynchronous;

/// An [`embedded_storage_async`] flash as the [`embedded_storage`] one that the updater asks for: the same sizes, the same
/// errors, and `idle` is called whenever an operation is not ready.
///
/// The task that calls an operation does not go on until it is done, and no other task of its executor does: only
/// interrupts do, and executors that they run. So `idle` is where the processor waits for an interrupt:
///
/// ```
/// # use bistable_async::Blocking;
/// # fn wfe() {} // cortex_m::asm::wfe
/// fn lend<F>(flash: F) -> Blocking<F, fn()> {
///     Blocking::new(flash, wfe)
/// }
/// ```
///
/// `wfe` and not `wfi` on Arm: the interrupt that completes an operation may come after the poll and before the wait, and
/// leaves an event, on which `wfe` goes on at once. A driver that completes without an interrupt needs an `idle` that returns,
/// such as `|| {}`. The waker that an operation gets does nothing; `embassy_time::Timer` takes it only with one of the features
/// `generic-queue-…` of embassy-time, and panics without.
///
/// # Deadlock
///
/// An operation never ends that only another task of the same executor could complete: one that waits for a mutex which such a
/// task holds, or for a driver task that was spawned beside it. Give the updater a flash that its driver's interrupt completes.
/// Nothing here feeds the watchdog, and `idle` should not either: then the watchdog ends such a wait, as it ends a flash
/// that stays busy for ever. Its period must be longer than the longest operation, as ever.
#[derive(Debug)]
pub struct Blocking<F, I> {
    flash: F,
    idle: I,
}

impl<F, I: FnMut()> Blocking<F, I> {
    /// Lends `flash`. `idle` is called between two polls of an operation that is not ready.
    pub const fn new(flash: F, idle: I) -> Self {
        Self { flash, idle }
    }

    /// The flash.
    pub fn into_inner(self) -> F {
        self.flash
    }
}

impl<F: ErrorType, I> ErrorType for Blocking<F, I> {
    type Error = F::Error;
}

impl<F: asynchronous::ReadNorFlash, I: FnMut()> ReadNorFlash for Blocking<F, I> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        wait(self.flash.read(offset, bytes), &mut self.idle)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: asynchronous::NorFlash, I: FnMut()> NorFlash for Blocking<F, I> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        wait(self.flash.erase(from, to), &mut self.idle)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        wait(self.flash.write(offset, bytes), &mut self.idle)
    }
}

fn wait<O: Future>(operation: O, idle: &mut impl FnMut()) -> O::Output {
    let mut operation = pin!(operation);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match operation.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => idle(),
        }
    }
}
