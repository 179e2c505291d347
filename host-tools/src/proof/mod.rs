//! Whether receipts are believed, and what they come to.
//!
//! | file | idea |
//! | --- | --- |
//! | [`judge`] | whether a receipt is whole, and its unit's |
//! | [`chain`] | where it stands in its unit's chain |
//! | [`refused`] | why it is not believed |
//! | [`units`] | which keys the units have: the birth records |
//! | [`stations`] | who signed those |
//! | [`challenge`] | what a server asks |
//! | [`kept`] | the file of receipts that were kept |
//! | [`fleet`] | what each unit said last |
//! | [`words`] | a receipt in words |
//! | [`keeper`] | who writes it |

#[cfg(test)]
pub(crate) mod bench;
pub mod chain;
pub mod challenge;
pub mod fleet;
pub mod judge;
pub mod keeper;
pub mod kept;
pub mod refused;
pub mod stations;
pub mod units;
pub mod words;
