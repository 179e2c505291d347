//! A NOR flash in memory that keeps the contract, of any sizes.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::cell::RefCell;
use std::rc::Rc;

use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind as Kind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// A watchdog that counts.
#[derive(Default)]
pub(crate) struct Fed(pub(crate) u64);

impl Watchdog for Fed {
    fn feed(&mut self) {
        self.0 += 1;
    }
}

/// What happens at a second program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Second {
    /// It is refused.
    Refused,
    /// Bits are cleared.
    ClearsBits,
    /// Only zeros are taken a second time.
    OnlyZeros,
}

/// Flash that reads, writes and erases so many bytes at once. Copies share their content.
#[derive(Clone)]
pub(crate) struct Model<const READ: usize, const WRITE: usize, const ERASE: usize> {
    pub(crate) cells: Rc<RefCell<Vec<u8>>>,
    programmed: Rc<RefCell<Vec<bool>>>,
    second: Second,
    /// Nothing can be erased or programmed.
    pub(crate) dead: bool,
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> Model<READ, WRITE, ERASE> {
    /// So many sectors, which hold something.
    pub(crate) fn new(sectors: usize, second: Second) -> Self {
        let cells = (0..sectors * ERASE).map(|at| (at * 31 + at / 256) as u8);
        Self {
            cells: Rc::new(RefCell::new(cells.collect())),
            programmed: Rc::new(RefCell::new(vec![true; sectors * ERASE / WRITE])),
            second,
            dead: false,
        }
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ErrorType
    for Model<READ, WRITE, ERASE>
{
    type Error = Kind;
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ReadNorFlash
    for Model<READ, WRITE, ERASE>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Kind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.cells.borrow()[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.cells.borrow().len()
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> NorFlash
    for Model<READ, WRITE, ERASE>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Kind> {
        check_erase(self, from, to)?;
        if self.dead {
            return Err(Kind::Other);
        }
        let (from, to) = (from as usize, to as usize);
        self.cells.borrow_mut()[from..to].fill(0xFF);
        self.programmed.borrow_mut()[from / WRITE..to / WRITE].fill(false);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Kind> {
        check_write(self, offset, bytes.len())?;
        if self.dead {
            return Err(Kind::Other);
        }
        let offset = offset as usize;
        let units = offset / WRITE..(offset + bytes.len()) / WRITE;
        let again = self.programmed.borrow()[units.clone()].contains(&true);
        let zeros = bytes.iter().all(|byte| *byte == 0);
        match self.second {
            Second::Refused if again => return Err(Kind::Other),
            Second::OnlyZeros if again && !zeros => return Err(Kind::Other),
            _ => {}
        }
        self.programmed.borrow_mut()[units].fill(true);
        for (cell, byte) in self.cells.borrow_mut()[offset..].iter_mut().zip(bytes) {
            *cell &= byte;
        }
        Ok(())
    }
}
