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
//!
//! | rooms | what is in them |
//! | --- | --- |
//! | `content`, `truth`, `shape`, `flash`, `choices` | a flash: what is on it, and what that reads as |
//! | `scenario`, `jobs`, `plan`, `hunt` | the stories, and which are explored when, and how far |
//! | `world`, `start` | a story built, and the state in which it begins |
//! | `point`, `hardware`, `machine` | what the crates run on, and the points at which it can be cut |
//! | `state`, `boot`, `running` | one boot: bootloader, updater, and the application around it |
//! | `cuts`, `graph`, `key`, `walk`, `path` | from state to state, all of them or drawn |
//! | `invariants`, `watch`, `jump`, `ledger`, `wear`, `distances`, `rest` | what must hold, and the checks of it |
//! | `findings`, `report`, `retell`, `words` | what came of it, for people and for machines |

mod boot;
pub mod choices;
pub mod content;
mod cuts;
mod distances;
pub mod findings;
pub mod flash;
pub mod graph;
mod hardware;
pub mod hunt;
pub mod invariants;
pub mod jobs;
mod jump;
mod key;
mod ledger;
mod machine;
pub mod path;
pub mod plan;
mod point;
pub mod report;
mod rest;
pub mod retell;
mod running;
pub mod scenario;
pub mod shape;
mod start;
mod state;
pub mod truth;
pub mod walk;
mod watch;
mod wear;
mod words;
pub mod world;
