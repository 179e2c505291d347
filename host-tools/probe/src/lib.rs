//! Flashing through a debug probe, for a factory's station.
//!
//! | file | idea |
//! | --- | --- |
//! | [`picture`](Picture) | what a unit's flash should hold |
//! | [`selector`](Selector) | which probe and which chip |
//! | [`unit`](Unit) | attach, compare, program, read back |
//! | [`boot_test`](BootTest) | the unit says which one it is |
//! | [`locks`](Locks) | what cannot be undone |
//! | [`simulated`] | a probe and a chip that are not there, below probe-rs |

mod boot_test;
mod error;
mod locks;
mod picture;
mod selector;
pub mod simulated;
mod unit;

pub use boot_test::BootTest;
pub use error::Error;
pub use locks::{Access, Bits, Lock, Locks, Places, Recipe, Tried, locks_of};
pub use picture::{Picture, Piece};
pub use selector::{ChipDescription, Selector};
pub use unit::{Sector, Unit};
