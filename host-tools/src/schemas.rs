//! The schemas of all JSON documents, as `docs/json/` holds them: one file for each, generated.

use schemars::Schema;

use crate::commands::{key_show, publish, store_affected};
use crate::image::{inspect, reproduce, summary};
use crate::output::{Failure, Report, schema};

/// The format's name and the schema of each report, from the list of their types.
macro_rules! schemas {
    ($($report:ty,)*) => {
        /// The name of each format, such as `key-show/1`, and its schema.
        #[must_use]
        pub fn all() -> Vec<(&'static str, Schema)> {
            vec![$((<$report>::FORMAT, schema::<$report>()),)*]
        }
    };
}

schemas! {
    Failure,
    inspect::Inspected,
    key_show::Shown,
    publish::Published,
    reproduce::Reproduced,
    store_affected::Affected,
    summary::Summary,
}

/// The name of the file that documents `format`: `key-show/1` is in `key-show.json`.
#[must_use]
pub fn file_name(format: &str) -> String {
    let name = format.split('/').next().unwrap_or_default();
    format!("{name}.json")
}
