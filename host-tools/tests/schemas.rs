//! The documentation of the JSON documents is what the tools were built with.

use std::fs;
use std::path::Path;

use bistable_tools::schemas::{all, file_name, text};

/// Set to write the files anew instead of comparing them.
const BLESS: &str = "BISTABLE_BLESS";

#[test]
fn every_document_has_its_schema_in_the_documentation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json");
    let mut expected = Vec::new();
    for (format, schema) in all() {
        let name = file_name(format);
        let text = text(&schema);
        let path = folder.join(&name);
        if std::env::var_os(BLESS).is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "docs/json/{name} is not the schema of {format}: {BLESS}=1 cargo test -p bistable-tools \
             --test schemas writes it anew; a key that changed or went needs a higher version"
        );
        expected.push(name);
    }
    let entries = fs::read_dir(&folder).unwrap();
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            expected.contains(&name),
            "docs/json/{name} belongs to no document"
        );
    }
    let count = expected.len();
    expected.sort();
    expected.dedup();
    assert_eq!(count, expected.len(), "two documents have one name");
}
