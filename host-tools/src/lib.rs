//! The `bistable` command, as a library: keys, images, factory files, serving, diagnosis.
//!
//! | file | idea |
//! | --- | --- |
//! | [`cli`] | the command line: which command there is |
//! | [`commands`] | those that need no room of their own, one file each |
//! | [`output`] | what a command says: text for people, or JSON for programs |
//! | [`schemas`] | the schemas of all JSON documents |
//! | [`error`] | the one line that a failed command prints |
//! | [`keys`] | keys that sign, wherever they lie |
//! | [`carry`] | what is carried between machines, as text with a checksum |
//! | [`facts`] | a product's layout and key ring, as the device's own functions take them |
//! | [`image`] | `image build`, `sign`, `manifest`, `attach`, `inspect`, `verify` |
//! | [`factory`] | `factory build`: the flash file of a new device |
//! | [`request`] | what a request asks, who signed it, and whether a unit would obey |
//! | [`doctor`] | `doctor`: what would boot from a flash file, and why |
//! | [`proof`] | whether receipts are believed, and what they come to |
//! | [`refusals`] | what the numbers `B0xx` mean, and how to mend it |
//! | [`row`] | the flashes on which a device keeps its state, one behind the other |
//! | [`memory_flash`] | a flash in memory that refuses what flash refuses |
//! | [`new`] | `new`: an application to begin with |
//! | [`run`] | `run`: an application on an emulated board, and its log |
//! | [`store`], [`serve`], [`reports`] | images and reports of a fleet, in a directory and over HTTP |
//! | [`lines`] | files to which lines are only added |
//! | [`files`] | several files that are written together or not at all |
#![forbid(unsafe_code)]

pub mod carry;
pub mod cli;
pub mod commands;
pub mod doctor;
pub mod error;
pub mod factory;
pub mod facts;
pub mod files;
pub mod image;
pub mod keys;
pub mod lines;
mod lock;
pub mod memory_flash;
pub mod new;
pub mod output;
pub mod proof;
pub mod refusals;
pub mod reports;
pub mod request;
pub mod row;
pub mod run;
pub mod schemas;
pub mod serve;
pub mod store;

pub use bistable_layout::{atomic, hex};
pub use error::Error;
