//! One file for each command: its arguments, and `run`.

pub mod key_new;
pub mod key_show;
pub mod publish;
pub mod request_roll_back;
pub mod request_show;
pub mod serve;
pub mod store_affected;
