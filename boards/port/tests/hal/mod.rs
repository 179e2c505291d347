//! Chips in memory, and drivers over them that do what those of the HALs do: also what they should not.
//!
//! A driver computes in 32 bits without noticing an overflow, as firmware does, and touches whatever comes out; what has
//! no sector there panics.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind as Kind, ReadNorFlash,
};

/// The flash of a chip: erase sectors of any sizes, in a row.
pub(crate) struct Chip {
    pub(crate) cells: Vec<u8>,
    programmed: Vec<bool>,
    sectors: Vec<usize>,
    /// Every erased sector and every program call.
    pub(crate) operations: u64,
}

pub(crate) type Shared = Rc<RefCell<Chip>>;

impl Chip {
    /// Sectors of so many bytes, which hold something.
    pub(crate) fn new(sectors: &[usize]) -> Shared {
        let size = sectors.iter().sum();
        Rc::new(RefCell::new(Self {
            cells: (0..size).map(|at| (at * 31 + at / 256) as u8).collect(),
            programmed: vec![true; size],
            sectors: sectors.to_vec(),
            operations: 0,
        }))
    }

    /// Start and length of the sector with this byte in it.
    fn sector(&self, at: usize) -> (usize, usize) {
        let mut start = 0;
        for &length in &self.sectors {
            if at < start + length {
                return (start, length);
            }
            start += length;
        }
        panic!("there is no sector at {at:#x}");
    }

    fn erase(&mut self, from: usize, to: usize) -> Result<(), Failed> {
        let mut at = from;
        while at < to {
            let (start, length) = self.sector(at);
            if start != at {
                return Err(Failed::Unaligned);
            }
            at += length;
        }
        if at != to {
            return Err(Failed::Unaligned);
        }
        self.cells[from..to].fill(0xFF);
        self.programmed[from..to].fill(false);
        self.operations += 1;
        Ok(())
    }

    fn program(&mut self, at: usize, bytes: &[u8]) -> Result<(), Failed> {
        if self.programmed[at..][..bytes.len()].contains(&true) {
            return Err(Failed::Chip);
        }
        self.programmed[at..][..bytes.len()].fill(true);
        self.cells[at..][..bytes.len()].copy_from_slice(bytes);
        self.operations += 1;
        Ok(())
    }
}

/// Why a driver says no.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failed {
    Size,
    Unaligned,
    Chip,
}

impl NorFlashError for Failed {
    fn kind(&self) -> Kind {
        match self {
            Self::Size => Kind::OutOfBounds,
            Self::Unaligned => Kind::NotAligned,
            Self::Chip => Kind::Other,
        }
    }
}

/// As embassy-stm32's: `size` bytes of the chip from `base` on. The sum that is checked is one of 32 bits; an erase
/// is checked against the chip's sectors only. The whole chip is one with base 0 and the largest sector's size.
#[derive(Clone)]
pub(crate) struct Stm32<const WRITE: usize, const ERASE: usize> {
    pub(crate) chip: Shared,
    pub(crate) base: u32,
    pub(crate) size: u32,
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Stm32<WRITE, ERASE> {
    type Error = Failed;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Stm32<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        if offset.wrapping_add(bytes.len() as u32) > self.size {
            return Err(Failed::Size);
        }
        let at = self.base.wrapping_add(offset) as usize;
        bytes.copy_from_slice(&self.chip.borrow().cells[at..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Stm32<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        let [from, to] = [from, to].map(|at| self.base.wrapping_add(at) as usize);
        self.chip.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        if offset.wrapping_add(bytes.len() as u32) > self.size {
            return Err(Failed::Size);
        }
        if !offset.is_multiple_of(WRITE as u32) || !bytes.len().is_multiple_of(WRITE) {
            return Err(Failed::Unaligned);
        }
        let at = self.base.wrapping_add(offset) as usize;
        self.chip.borrow_mut().program(at, bytes)
    }
}

/// As embassy-nrf's QSPI: buffers at word boundaries, or it panics; no kind of error but `Other`.
pub(crate) struct Qspi(pub(crate) Shared);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QspiFailed;

impl NorFlashError for QspiFailed {
    fn kind(&self) -> Kind {
        Kind::Other
    }
}

impl Qspi {
    fn check(&self, offset: u32, bytes: &[u8]) -> Result<usize, QspiFailed> {
        let end = offset
            .checked_add(bytes.len() as u32)
            .filter(|end| *end as usize <= self.capacity());
        end.ok_or(QspiFailed)?;
        assert_eq!(bytes.as_ptr() as usize % 4, 0, "the buffer's address");
        assert_eq!(bytes.len() % 4, 0, "the buffer's length");
        assert_eq!(offset % 4, 0, "the offset");
        Ok(offset as usize)
    }
}

impl ErrorType for Qspi {
    type Error = QspiFailed;
}

impl ReadNorFlash for Qspi {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), QspiFailed> {
        let at = self.check(offset, bytes)?;
        bytes.copy_from_slice(&self.0.borrow().cells[at..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().cells.len()
    }
}

impl NorFlash for Qspi {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), QspiFailed> {
        for at in (from..to).step_by(4096) {
            assert_eq!(at % 4096, 0, "the sector");
            let (at, chip) = (at as usize, &mut self.0.borrow_mut());
            if at >= chip.cells.len() {
                return Err(QspiFailed);
            }
            chip.erase(at, at + 4096).map_err(|_| QspiFailed)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), QspiFailed> {
        let at = self.check(offset, bytes)?;
        let done = self.0.borrow_mut().program(at, bytes);
        done.map_err(|_| QspiFailed)
    }
}
