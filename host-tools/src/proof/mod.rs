//! Whether receipts are believed, and what they come to.
//!
//! | file | idea |
//! | --- | --- |
//! | [`judge`] | whether a receipt is whole, and its unit's |
//! | [`chain`] | where it stands in its unit's chain |
//! | [`refused`] | why it is not believed |

#[cfg(test)]
pub(crate) mod bench;
pub mod chain;
pub mod judge;
pub mod refused;
