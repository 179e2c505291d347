//! What tests of more than one room share: a flash that fails, fixtures, a board over memory.
//!
//! Nothing here is random: every choice follows from a seed, so a test that fails, fails again.

pub mod board;
pub mod device;
pub mod explorer;
pub mod fixtures;
pub mod flash;
pub mod golden;
pub mod images;
pub mod random;
pub mod states;
