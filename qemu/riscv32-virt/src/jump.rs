//! Leaving one program for another: the processor as after a reset, and the jump.

pub use bistable_port::riscv::{clean_up, jump};
