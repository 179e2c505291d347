//! The explorer: every cut of every operation, from every state that can be reached.
//!
//! ```text
//!   state ──▶ boot (bootloader, updater, application) ──▶ end ──▶ state
//!               │ at each operation, in every way that can be told apart
//!               └──▶ cut ──▶ state
//! ```
//!
//! What is explored are the crates themselves, over a [`flash`] model with every row of the design's fault
//! table. After a cut, what happens next depends on flash and retained RAM alone, so states are remembered by a
//! hash of all of both, and exploration ends when there is no new one.

pub mod boot;
pub mod choices;
pub mod flash;
pub mod graph;
pub mod hunt;
pub mod invariants;
pub mod jobs;
pub mod machine;
pub mod path;
pub mod plan;
pub mod report;
pub mod walk;
pub mod world;
