//! The board's flash as a driver with interrupts offers it: async, and it takes its time.
//!
//! The emulator's flash is never busy. Here an erase takes 2 ms and a write 100 µs, in which the processor is free:
//! whoever has something to do at a higher priority does it.

use board::flash;
use embassy_time::Timer;
use embedded_storage::nor_flash::{self as blocking, ErrorType};
use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};

/// What an erase waits for, again and again: how often, and for how many microseconds.
const ERASING: (u32, u64) = (4, 500);

/// How long a write takes, in microseconds.
const WRITING_US: u64 = 100;

/// The board's flash.
pub(crate) struct Busy(pub(crate) flash::Flash);

impl ErrorType for Busy {
    type Error = <flash::Flash as ErrorType>::Error;
}

impl ReadNorFlash for Busy {
    const READ_SIZE: usize = <flash::Flash as blocking::ReadNorFlash>::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        blocking::ReadNorFlash::read(&mut self.0, offset, bytes)
    }

    fn capacity(&self) -> usize {
        blocking::ReadNorFlash::capacity(&self.0)
    }
}

impl NorFlash for Busy {
    const WRITE_SIZE: usize = <flash::Flash as blocking::NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <flash::Flash as blocking::NorFlash>::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let (times, microseconds) = ERASING;
        for _ in 0..times {
            Timer::after_micros(microseconds).await;
        }
        blocking::NorFlash::erase(&mut self.0, from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        Timer::after_micros(WRITING_US).await;
        blocking::NorFlash::write(&mut self.0, offset, bytes)
    }
}
