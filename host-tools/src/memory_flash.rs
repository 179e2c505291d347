//! A flash in memory that refuses what flash refuses: reads and writes out of range or unaligned, and
//! programming what was not erased. A part of it may be missing: what is wanted from there is noted.
//!
//! Write sizes are constants of `embedded-storage`'s trait and numbers in a layout:
//! [`for_write_size`] goes from one to the other.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// What an erased byte reads as.
pub const ERASED: u8 = 0xFF;

/// A flash with write units of `WRITE` bytes.
pub struct MemoryFlash<'m, const WRITE: usize> {
    bytes: &'m mut [u8],
    erase_size: u32,
    present: Range<usize>,
    missed: Option<&'m Missed>,
}

/// What was wanted of a flash, and is missing.
#[derive(Default, Debug)]
pub struct Missed(RefCell<BTreeSet<usize>>);

impl Missed {
    /// The first missing byte of each range that was wanted, from the flash's start.
    #[must_use]
    pub fn into_offsets(self) -> BTreeSet<usize> {
        self.0.into_inner()
    }
}

impl<'m, const WRITE: usize> MemoryFlash<'m, WRITE> {
    /// A flash that holds `bytes`, with erase sectors of `erase_size` bytes.
    pub fn new(bytes: &'m mut [u8], erase_size: u32) -> Self {
        let present = 0..bytes.len();
        Self {
            bytes,
            erase_size,
            present,
            missed: None,
        }
    }

    /// The same, but only the bytes in `present` are there. The others can neither be read nor written.
    pub fn partial(
        bytes: &'m mut [u8],
        erase_size: u32,
        present: Range<usize>,
        missed: &'m Missed,
    ) -> Self {
        Self {
            bytes,
            erase_size,
            present,
            missed: Some(missed),
        }
    }

    fn range(&mut self, from: u32, len: usize) -> Result<&mut [u8], Refused> {
        let start = from as usize;
        let end = start.saturating_add(len);
        if let Some(missed) = self.missed
            && (start < self.present.start || self.present.end < end)
        {
            let first = match start < self.present.start {
                true => start,
                false => start.max(self.present.end),
            };
            missed.0.borrow_mut().insert(first);
            return Err(Refused(NorFlashErrorKind::Other));
        }
        let range = self.bytes.get_mut(start..end);
        range.ok_or(Refused(NorFlashErrorKind::OutOfBounds))
    }
}

/// Why the flash did not do it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused(pub NorFlashErrorKind);

impl NorFlashError for Refused {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

impl<const WRITE: usize> ErrorType for MemoryFlash<'_, WRITE> {
    type Error = Refused;
}

impl<const WRITE: usize> ReadNorFlash for MemoryFlash<'_, WRITE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Refused> {
        check_read(self, offset, bytes.len()).map_err(Refused)?;
        bytes.copy_from_slice(self.range(offset, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize> NorFlash for MemoryFlash<'_, WRITE> {
    const WRITE_SIZE: usize = WRITE;
    /// The layout's erase size, which is no constant here, is checked when something is erased.
    const ERASE_SIZE: usize = WRITE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Refused> {
        check_erase(self, from, to).map_err(Refused)?;
        if !from.is_multiple_of(self.erase_size) || !to.is_multiple_of(self.erase_size) {
            return Err(Refused(NorFlashErrorKind::NotAligned));
        }
        self.range(from, (to - from) as usize)?.fill(ERASED);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refused> {
        check_write(self, offset, bytes.len()).map_err(Refused)?;
        let range = self.range(offset, bytes.len())?;
        if range.iter().any(|byte| *byte != ERASED) {
            return Err(Refused(NorFlashErrorKind::Other));
        }
        range.copy_from_slice(bytes);
        Ok(())
    }
}

/// The watchdog of a process that nobody watches.
pub struct NoWatchdog;

impl Watchdog for NoWatchdog {
    fn feed(&mut self) {}
}

/// Something to be done with a flash whose write size is known only now.
pub trait WithWriteSize {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<const WRITE: usize>(self) -> Self::Output;
}

/// Does it with a write size that a layout allows; `None` with any other.
pub fn for_write_size<T: WithWriteSize>(write_size: u32, task: T) -> Option<T::Output> {
    match write_size {
        1 => Some(task.run::<1>()),
        2 => Some(task.run::<2>()),
        4 => Some(task.run::<4>()),
        8 => Some(task.run::<8>()),
        16 => Some(task.run::<16>()),
        32 => Some(task.run::<32>()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_erased_can_be_programmed_once() {
        let mut bytes = [0; 64];
        let mut flash = MemoryFlash::<4>::new(&mut bytes, 32);
        assert!(flash.write(0, &[1; 4]).is_err(), "not erased");
        flash.erase(0, 32).unwrap();
        flash.write(0, &[1; 4]).unwrap();
        assert!(flash.write(0, &[1; 4]).is_err(), "programmed before");
        flash.write(4, &[2; 4]).unwrap();
        assert_eq!(bytes[..12], [1, 1, 1, 1, 2, 2, 2, 2, 255, 255, 255, 255]);
        assert_eq!(bytes[32..], [0; 32]);
    }

    #[test]
    fn unaligned_and_distant_ranges_are_refused() {
        let mut bytes = [ERASED; 64];
        let mut flash = MemoryFlash::<4>::new(&mut bytes, 32);
        assert!(flash.erase(0, 16).is_err());
        assert!(flash.erase(32, 96).is_err());
        assert!(flash.write(2, &[0; 4]).is_err());
        assert!(flash.write(0, &[0; 2]).is_err());
        assert!(flash.write(64, &[0; 4]).is_err());
        assert!(flash.read(60, &mut [0; 8]).is_err());
    }

    #[test]
    fn what_is_missing_cannot_be_used_and_is_noted() {
        let mut bytes = [ERASED; 64];
        let missed = Missed::default();
        let mut flash = MemoryFlash::<4>::partial(&mut bytes, 8, 16..32, &missed);
        flash.read(16, &mut [0; 16]).unwrap();
        flash.write(16, &[1; 4]).unwrap();
        assert!(flash.read(8, &mut [0; 16]).is_err());
        assert!(flash.read(28, &mut [0; 8]).is_err());
        assert!(flash.erase(40, 48).is_err());
        assert!(
            flash.read(60, &mut [0; 8]).is_err(),
            "it is not even in range"
        );
        assert_eq!(missed.into_offsets(), BTreeSet::from([8, 32, 40]));
    }

    #[test]
    fn every_write_size_that_a_layout_allows_is_there() {
        struct Size;
        impl WithWriteSize for Size {
            type Output = usize;
            fn run<const WRITE: usize>(self) -> usize {
                WRITE
            }
        }
        for size in [1, 2, 4, 8, 16, 32] {
            assert_eq!(for_write_size(size, Size), Some(size as usize));
        }
        assert_eq!(for_write_size(64, Size), None);
    }
}
