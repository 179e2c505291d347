//! Async flash that is asked to block: slow, failing, stuck.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bistable_async::Blocking;
use bistable_tests::flash::{Error, Extent, Fault, Flash};
use embedded_storage::nor_flash::{ErrorType, NorFlash as _, ReadNorFlash as _};
use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};

/// Sectors of 64 bytes, and each operation is not ready so many times before it is done.
struct Slow<'c> {
    flash: Flash<4, 64>,
    polls: usize,
    /// Operations under way: 1 or 0.
    under_way: &'c Cell<usize>,
}

impl<'c> Slow<'c> {
    fn new(polls: usize, under_way: &'c Cell<usize>) -> Self {
        Self {
            flash: Flash::new(4),
            polls,
            under_way,
        }
    }

    /// Takes its time; whatever happens, nothing is under way behind it.
    async fn takes_its_time(&self) {
        struct Over<'c>(&'c Cell<usize>);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        self.under_way.set(self.under_way.get() + 1);
        let _over = Over(self.under_way);
        common::wait(self.polls).await;
    }
}

impl ErrorType for Slow<'_> {
    type Error = Error;
}

impl ReadNorFlash for Slow<'_> {
    const READ_SIZE: usize = 2;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.takes_its_time().await;
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Slow<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 64;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        self.takes_its_time().await;
        self.flash.erase(from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.takes_its_time().await;
        self.flash.write(offset, bytes)
    }
}

#[test]
fn sizes_are_those_of_the_flash() {
    fn sizes<F: embedded_storage::nor_flash::NorFlash>(flash: &F) -> [usize; 4] {
        let capacity = flash.capacity();
        [F::READ_SIZE, F::WRITE_SIZE, F::ERASE_SIZE, capacity]
    }
    let under_way = Cell::new(0);
    let flash = Blocking::new(Slow::new(0, &under_way), || {});
    assert_eq!(sizes(&flash), [2, 4, 64, 256]);
}

#[test]
fn an_operation_that_is_not_ready_idles_and_is_done_when_it_returns() {
    for polls in [0, 1, 7] {
        let (under_way, idled) = (Cell::new(0), Cell::new(0));
        let idle = || {
            assert_eq!(under_way.get(), 1, "one idles only during an operation");
            idled.set(idled.get() + 1);
        };
        let mut flash = Blocking::new(Slow::new(polls, &under_way), idle);
        flash.erase(64, 128).unwrap();
        flash.write(64, b"bistable").unwrap();
        let mut read = [0; 10];
        flash.read(64, &mut read).unwrap();
        assert_eq!(&read, b"bistable\xFF\xFF");
        assert_eq!((idled.get(), under_way.get()), (3 * polls, 0));
        assert_eq!(&flash.into_inner().flash.bytes()[64..72], b"bistable");
    }
}

#[test]
fn an_operation_that_fails_says_why_and_the_next_one_is_tried() {
    let under_way = Cell::new(0);
    let mut slow = Slow::new(3, &under_way);
    slow.flash.plan(0, Fault::Fails(Extent::Nothing));
    let mut flash = Blocking::new(slow, || {});
    assert_eq!(flash.erase(0, 64), Err(Error::Failed));
    assert_eq!(flash.write(2, &[0; 4]), Err(Error::NotAligned));
    assert_eq!(under_way.get(), 0);
    flash.erase(0, 64).unwrap();
}

#[test]
fn an_operation_that_is_never_ready_is_left_only_by_what_ends_the_program() {
    let (under_way, idled) = (Cell::new(0), Cell::new(0));
    let mut flash = Blocking::new(Slow::new(usize::MAX, &under_way), || {
        idled.set(idled.get() + 1);
        assert!(idled.get() < 1000, "the watchdog");
    });
    let ended = catch_unwind(AssertUnwindSafe(|| flash.write(0, &[0; 4])));
    assert!(ended.is_err() && idled.get() == 1000);
    // It was dropped on the way, and nothing was written.
    assert_eq!(under_way.get(), 0);
    assert_eq!(&flash.into_inner().flash.bytes()[..4], [0xFF; 4]);
}
