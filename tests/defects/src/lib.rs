//! Deliberate defects, to see whether the power-cut explorer has teeth.
//!
//! A defect is a change that a maintainer could make in good faith, and that breaks the design. None is
//! ever in the sources themselves: [`copy()`] writes a copy of what the explorer is built from and plants
//! all of them there at once, asleep. The environment variable `BISTABLE_DEFECT` wakes one of them; without
//! it the copy does what the sources do.
//!
//! ```text
//!   core, bootloader, updater, tests ──▶ copy ──▶ + memory          "shipped"
//!                                           └───▶ + memory + edits  "planted"
//! ```
#![forbid(unsafe_code)]

mod catalogue;
mod copy;
mod edits;

pub use catalogue::{DEFECTS, Defect};
pub use copy::copy;

/// The environment variable that names the defect to wake; empty or unset: none.
pub const VARIABLE: &str = "BISTABLE_DEFECT";

/// One change of one file. What replaces asks `planted::is("name")` and does what was there before, unless
/// that is so. An edit may serve several defects, and a defect may need several edits.
struct Edit {
    /// From the repository's root.
    file: &'static str,
    /// Stands there exactly once.
    find: &'static str,
    /// What stands there afterwards.
    replace: &'static str,
}
