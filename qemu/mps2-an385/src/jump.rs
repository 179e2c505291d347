//! Leaving one program for another: the processor as after a reset, and the jump.

pub use bistable_port::cortex_m::jump;

/// See [`bistable_port::cortex_m::clean_up`]. The board has 32 interrupts.
pub fn clean_up() {
    bistable_port::cortex_m::clean_up::<32>();
}
