//! One file for each command: its arguments, and `run`.

pub mod key_new;
pub mod key_show;
pub mod publish;
pub mod serve;
