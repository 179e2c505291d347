//! One file for each command: its arguments, and `run`.

pub mod completions;
pub mod devices;
pub mod explain;
pub mod key_add;
pub mod key_export;
pub mod key_new;
pub mod key_show;
pub mod key_sign;
pub mod key_threshold;
pub mod man;
pub mod publish;
pub mod receipt_audit;
pub mod receipt_challenge;
pub mod receipt_verify;
pub mod request_roll_back;
pub mod request_show;
pub mod schema;
pub mod serve;
pub mod store_affected;
