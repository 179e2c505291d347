//! The schemas of all JSON documents, as `docs/json/` holds them: one file for each, generated.

use schemars::Schema;

use crate::output::{Report, schema};

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
    crate::commands::devices::Devices,
    crate::commands::explain::Explained,
    crate::commands::key_add::Added,
    crate::commands::key_export::Exported,
    crate::commands::key_new::Made,
    crate::commands::key_show::Shown,
    crate::commands::key_sign::Signed,
    crate::commands::key_threshold::Changed,
    crate::commands::man::Pages,
    crate::commands::publish::Published,
    crate::commands::receipt_audit::Audited,
    crate::commands::receipt_challenge::Asked,
    crate::commands::receipt_verify::Verified,
    crate::commands::serve::Listening,
    crate::commands::store_affected::Affected,
    crate::doctor::Diagnosis,
    crate::factory::audit::Audit,
    crate::factory::export::Exported,
    crate::factory::map::Map,
    crate::factory::provision::Provisioned,
    crate::factory::wipe::Wiped,
    crate::image::attach::Attached,
    crate::image::diff::Difference,
    crate::image::inspect::Inspected,
    crate::image::manifest::Carried,
    crate::image::reproduce::Reproduced,
    crate::image::sign::Signed,
    crate::image::summary::Summary,
    crate::image::verify::Verification,
    crate::new::New,
    crate::output::Failure,
    crate::request::Described,
    crate::run::RunLine,
}

/// The name of the file that documents `format`: `key-show/1` is in `key-show.json`.
#[must_use]
pub fn file_name(format: &str) -> String {
    let name = format.split('/').next().unwrap_or_default();
    format!("{name}.json")
}

/// A schema as its file holds it.
#[must_use]
pub fn text(schema: &Schema) -> String {
    // A schema is a JSON value, which can always be written.
    let mut text = serde_json::to_string_pretty(schema).unwrap_or_default();
    text.push('\n');
    text
}
