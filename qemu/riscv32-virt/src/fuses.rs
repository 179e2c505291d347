//! Placeholder.
use bistable_core::fuses::{Fuses, NotRaised};
/// Fuses.
#[derive(Debug, Default)]
pub struct FloorFuses;
impl FloorFuses {
    /// New.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}
impl Fuses for FloorFuses {
    fn floor(&mut self) -> u32 {
        0
    }
    fn raise(&mut self, _: u32) -> Result<(), NotRaised> {
        Err(NotRaised)
    }
}
