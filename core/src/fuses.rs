//! One-way memory that mirrors the floor, for chips that have some.
//!
//! A journal can be lost, and somebody with a programmer can write an old one back: then only what cannot
//! be taken back holds. Fuses are raised when an image was confirmed, never by a trial.

/// Fuses that hold a floor.
pub trait Fuses {
    /// The highest floor that they ever held; 0 if none.
    fn floor(&mut self) -> u32;

    /// Raises it to `floor`, from which it never falls. It is called again after a cut, with the same floor or
    /// a higher one.
    ///
    /// # Errors
    /// They could not be programmed, or hold no such number: the floor is then what it was, or this one.
    fn raise(&mut self, floor: u32) -> Result<(), NotRaised>;
}

/// The fuses could not be raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotRaised;

/// A board without fuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NoFuses;

impl Fuses for NoFuses {
    fn floor(&mut self) -> u32 {
        0
    }

    fn raise(&mut self, _: u32) -> Result<(), NotRaised> {
        Ok(())
    }
}
