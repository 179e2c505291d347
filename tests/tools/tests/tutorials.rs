//! `docs/factory.md` and `docs/proof.md`, followed literally, each in an empty folder.

use bistable_firmware::ensure_command;
use bistable_tools_tests::{Document, released, repository};

#[test]
fn a_factory_works_as_it_is_written() {
    ensure_command("arm-none-eabi-as", "binutils-arm-none-eabi").unwrap();
    ensure_command("openssl", "openssl").unwrap();
    let commands = follow("factory.md");
    assert!(commands >= 28, "only {commands} commands were run");
}

#[test]
fn a_fleet_is_seen_as_it_is_written() {
    ensure_command("curl", "curl").unwrap();
    ensure_command("perl", "perl").unwrap();
    let commands = follow("proof.md");
    assert!(commands >= 20, "only {commands} commands were run");
}

/// How many commands the document has.
fn follow(name: &str) -> usize {
    let document = Document::read(&repository().join("docs").join(name)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = repository().display().to_string();
    let variables = [("BISTABLE", sources.as_str())];
    let followed = document.follow(folder.path(), &released(), &variables);
    followed.unwrap()
}
