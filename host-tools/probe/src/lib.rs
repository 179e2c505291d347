//! Flashing through a debug probe, for a factory's station.
//!
//! | file | idea |
//! | --- | --- |
//! | [`picture`](Picture) | what a unit's flash should hold |
//! | [`selector`](Selector) | which probe and which chip |
//! | [`unit`](Unit) | attach, compare, program, read back |
//! | [`simulated`] | a probe and a chip that are not there, below probe-rs |

mod error;
mod picture;
mod selector;
pub mod simulated;
mod unit;

pub use error::Error;
pub use picture::{Picture, Piece};
pub use selector::{ChipDescription, Selector};
pub use unit::{Sector, Unit};
