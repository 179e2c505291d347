//! The schemas of all JSON documents, as `docs/json/` holds them: one file for each, generated.

use schemars::Schema;

use crate::commands::{key_add, key_export, key_new, key_show, key_sign, key_threshold};
use crate::image::{attach, manifest, sign};
use crate::output::{Failure, Report, schema};
use crate::request;

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
    attach::Attached,
    manifest::Carried,
    sign::Signed,
    key_add::Added,
    key_export::Exported,
    key_new::Made,
    key_show::Shown,
    key_sign::Signed,
    key_threshold::Changed,
    request::Described,
}

/// The name of the file that documents `format`: `key-show/1` is in `key-show.json`.
#[must_use]
pub fn file_name(format: &str) -> String {
    let name = format.split('/').next().unwrap_or_default();
    format!("{name}.json")
}
