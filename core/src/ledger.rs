//! How a receipt lies in the ledger, which is written as the journal is.
//!
//! ```text
//!   0       4          8        10     12                    348   352
//!   │ magic │ sequence │ length │ zero │ receipt, then zeros │ CRC │
//! ```

/// The longest receipt in bytes.
pub const MAX_RECEIPT_LEN: usize = 336;

/// Length of a record in bytes: a multiple of every write size up to 32.
pub const RECORD_LEN: usize = 352;
