//! What cannot be undone: a chip's locks, as lists of register writes, each with a register that says whether it
//! was done.
//!
//! A list is data: a dry run shows the very writes that a run would do. What is locked already is seen, and left
//! alone.

mod nrf52;
mod simulated;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::{Duration, Instant};

use probe_rs::MemoryInterface as _;

use crate::{Error, Unit};

/// A flash controller that is not ready by then is broken.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// A step that cannot be undone. Stations take them in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lock {
    /// The device's key cannot be read from outside, or replaced.
    Key,
    /// A debugger cannot read the flash.
    Readout,
    /// The bootloader cannot be written.
    Bootloader,
}

impl Lock {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Key, Self::Readout, Self::Bootloader];
}

impl fmt::Display for Lock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Key => "key",
            Self::Readout => "readout",
            Self::Bootloader => "bootloader",
        })
    }
}

impl FromStr for Lock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|lock| lock.to_string() == text);
        known.ok_or_else(|| format!("`{text}` is none of key, readout, bootloader"))
    }
}

/// Where what is locked lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// The partition of the device's key, if the product has one.
    pub key: Option<Range<u32>>,
    /// The bootloader.
    pub bootloader: Range<u32>,
}

/// One access of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A word is written.
    Write {
        /// Where.
        address: u32,
        /// What.
        value: u32,
    },
    /// A register is read until these bits are so.
    Await(Bits),
}

/// Bits of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bits {
    /// The register.
    pub address: u32,
    /// Which bits.
    pub mask: u32,
    /// What they are.
    pub value: u32,
}

/// How something is locked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipe {
    /// What is done, in order.
    pub accesses: Vec<Access>,
    /// What says that it is done.
    pub done: Bits,
}

impl fmt::Display for Recipe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for access in &self.accesses {
            match access {
                Access::Write { address, value } => {
                    write!(formatter, "[{address:#010x}] = {value:#010x}, ")?;
                }
                Access::Await(bits) => write!(formatter, "wait for {bits}, ")?,
            }
        }
        write!(formatter, "then {} must hold", self.done)
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            mask,
            value,
        } = self;
        write!(formatter, "[{address:#010x}] & {mask:#x} = {value:#x}")
    }
}

/// What is known about the locks of a family of chips.
pub trait Locks: Sync {
    /// The family, and whether its lists were ever run on a chip.
    fn describe(&self) -> (&'static str, Tried);

    /// The two registers of the chip's unique number.
    fn unique(&self) -> [u32; 2];

    /// How this is locked.
    ///
    /// # Errors
    /// It cannot be, or there is nothing to lock; why.
    fn recipe(&self, lock: Lock, places: &Places) -> Result<Recipe, &'static str>;
}

/// Whether a list was ever run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    /// On the simulated chip, by the tests.
    Simulated,
    /// Written from the chip's documentation.
    NotOnHardware,
}

/// What is known about the locks of the chip of this name.
#[must_use]
pub fn locks_of(chip: &str) -> Option<&'static dyn Locks> {
    let chip = chip.to_ascii_lowercase();
    match () {
        () if chip == crate::simulated::CHIP => Some(&simulated::Simulated),
        () if chip.starts_with("nrf52") => Some(&nrf52::Nrf52),
        () => None,
    }
}

impl Unit {
    /// The chip's unique number.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn unique(&mut self, locks: &dyn Locks) -> Result<String, Error> {
        let [low, high] = locks.unique();
        let [low, high] = [self.word(low)?, self.word(high)?];
        Ok(format!("{high:08x}{low:08x}"))
    }

    /// Whether what `recipe` does is done.
    ///
    /// # Errors
    /// The chip does not answer.
    pub fn is_locked(&mut self, recipe: &Recipe) -> Result<bool, Error> {
        self.holds(recipe.done)
    }

    /// Does what `recipe` says, and looks whether it took.
    ///
    /// # Errors
    /// The chip does not answer, or the lock did not take.
    pub fn lock(&mut self, lock: Lock, recipe: &Recipe) -> Result<(), Error> {
        for access in &recipe.accesses {
            match *access {
                Access::Write { address, value } => self.write_word(address, value)?,
                Access::Await(bits) => self.wait_for(lock, bits)?,
            }
        }
        if self.is_locked(recipe)? {
            return Ok(());
        }
        let found = self.word(recipe.done.address)?;
        Err(Error::new(
            format!(
                "{found:#010x} at {:#010x} after the lock `{lock}` was set",
                recipe.done.address
            ),
            recipe.done,
            "the lock did not take: set this unit aside",
        ))
    }

    fn wait_for(&mut self, lock: Lock, bits: Bits) -> Result<(), Error> {
        let begun = Instant::now();
        while !self.holds(bits)? {
            if begun.elapsed() > READY_TIMEOUT {
                return Err(Error::new(
                    format!("no answer within {} s", READY_TIMEOUT.as_secs()),
                    format!("{bits}, while the lock `{lock}` is set"),
                    "look at the unit before you try again",
                ));
            }
        }
        Ok(())
    }

    fn holds(&mut self, bits: Bits) -> Result<bool, Error> {
        Ok(self.word(bits.address)? & bits.mask == bits.value)
    }

    fn word(&mut self, address: u32) -> Result<u32, Error> {
        let word = self.core()?.read_word_32(address.into());
        word.map_err(Error::probe("registers that can be read"))
    }

    fn write_word(&mut self, address: u32, value: u32) -> Result<(), Error> {
        let written = self.core()?.write_word_32(address.into(), value);
        written.map_err(Error::probe("registers that can be written"))
    }
}
