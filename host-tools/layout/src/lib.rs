//! A product's `layout.toml` and key ring: read, checked, and turned into code.
//!
//! | file | idea |
//! | --- | --- |
//! | [`product`] | what a valid `layout.toml` says; the only way to a [`Product`] is through all checks |
//! | [`ring`], [`ring_file`] | the key ring, and how its file is changed |
//! | [`digest`] | what images depend on, as one digest |
//! | [`generate`] | the linker script and the Rust constants, as text |
//! | [`build`] | two functions for build scripts |
//! | [`atomic`], [`hex`] | files that are whole or absent; digits |
//!
//! A build script is one line, and the program includes what it wrote:
//!
//! ```ignore
//! // build.rs
//! fn main() {
//!     bistable_layout::build::bootloader("../layout.toml");
//! }
//! // src/main.rs
//! #[allow(dead_code, unreachable_pub, reason = "generated: each program uses its part of it")]
//! mod layout {
//!     include!(concat!(env!("OUT_DIR"), "/layout.rs"));
//! }
//! ```
#![forbid(unsafe_code)]

pub mod atomic;
pub mod build;
pub mod digest;
mod error;
mod file;
pub mod generate;
pub mod hex;
pub mod product;
mod region;
pub mod ring;
pub mod ring_file;
mod rules;

pub use error::{Error, Problem};
pub use product::Product;
pub use region::Region;
pub use ring::{Ring, RingKey};
