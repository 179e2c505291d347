//! `bistable new` and what `bistable run` refuses, as people call them. Building and running what was made is in
//! `tests/tools`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use bistable_layout::{Product, Ring};
use bistable_tools::keys::{Signer as _, SigningKey};
use tempfile::TempDir;

fn bistable(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bistable"))
        .args(arguments)
        .current_dir(folder)
        // This test has a workspace of its own around it.
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .unwrap()
}

fn made(arguments: &[&str]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = bistable(folder.path(), arguments);
    assert!(output.status.success(), "{output:?}");
    (folder, String::from_utf8(output.stdout).unwrap())
}

fn refused(folder: &Path, arguments: &[&str], status: i32) -> String {
    let output = bistable(folder, arguments);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

const NEW: [&str; 4] = ["new", "blinky", "--board", "mps2-an385"];

#[test]
fn a_new_application_is_a_product_of_its_own_with_a_key_that_only_its_maker_can_read() {
    let (folder, said) = made(&NEW);
    assert!(said.starts_with("made `blinky` in blinky"), "{said}");
    assert_eq!(names(folder.path()), ["blinky"]);
    let app = folder.path().join("blinky");
    let key = app.join("keys/development.pem");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let ring = Ring::read(&app.join("keys/ring.toml")).unwrap();
    let public = SigningKey::read(&key).unwrap().public();
    assert!(ring.keys.len() == 1 && ring.keys[0].key.public == public && ring.keys[0].development);
    let ignored = fs::read_to_string(app.join(".gitignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "*.pem"), "{ignored}");
    let product = Product::read(&app.join("layout.toml")).unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../qemu/mps2-an385/layout.toml");
    let demo = Product::read(&demo).unwrap();
    assert_ne!(product.layout.class_id, demo.layout.class_id);
}

#[test]
fn two_new_applications_have_two_keys() {
    let (one, _) = made(&NEW);
    let (two, _) = made(&NEW);
    let ring = |folder: &TempDir| fs::read(folder.path().join("blinky/keys/ring.toml")).unwrap();
    assert_ne!(ring(&one), ring(&two));
}

#[test]
fn the_document_lists_every_file_and_no_private_key() {
    let (folder, said) = made(&["--json", "new", "blinky", "--board", "mps2-an385"]);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(document["format"], "new/1");
    let files = document["files"].as_array().unwrap();
    let app = folder.path().join("blinky");
    for file in files {
        assert!(app.join(file.as_str().unwrap()).is_file(), "{file}");
    }
    assert_eq!(files.len(), count(&app));
    let key = fs::read_to_string(app.join("keys/development.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!said.contains(secret));
}

fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap();
    let of = |path: &Path| if path.is_dir() { count(path) } else { 1 };
    entries.map(|entry| of(&entry.unwrap().path())).sum()
}

#[test]
fn what_is_in_the_way_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("blinky");
    fs::create_dir(&app).unwrap();
    fs::write(app.join("thesis.txt"), "years").unwrap();
    let said = refused(folder.path(), &NEW, 1);
    assert!(
        said.contains("found a folder with something in it"),
        "{said}"
    );
    assert_eq!(names(&app), ["thesis.txt"]);
    assert_eq!(names(folder.path()), ["blinky"]);
    fs::remove_file(app.join("thesis.txt")).unwrap();
    assert!(bistable(folder.path(), &NEW).status.success());
    fs::write(folder.path().join("file"), "").unwrap();
    refused(folder.path(), &["new", "file", "--board", "mps2-an385"], 1);
}

#[test]
fn a_name_that_cargo_would_not_take_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["2nd", "fn", "defmt", "with space"] {
        let said = refused(folder.path(), &["new", name, "--board", "mps2-an385"], 1);
        assert!(said.contains(&format!("found `{name}`")), "{said}");
    }
    assert_eq!(names(folder.path()), [""; 0]);
    let said = bistable(
        folder.path(),
        &["new", "2nd", "--name", "second", "--board", "mps2-an385"],
    );
    assert!(said.status.success(), "{said:?}");
}

#[test]
fn an_unknown_board_is_answered_with_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let said = refused(folder.path(), &["new", "blinky", "--board", "esp32"], 2);
    assert!(said.contains("mps2-an385"), "{said}");
}

#[test]
fn sources_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&NEW[..], &["--bistable", "."]].concat();
    let said = refused(folder.path(), &arguments, 1);
    assert!(said.contains("found no bootloader/Cargo.toml"), "{said}");
    assert_eq!(names(folder.path()), [""; 0]);
}

/// A program that says it is an emulator, so that what comes after it is reached.
const EMULATOR: [&str; 3] = ["run", "--emulator", "true"];

#[test]
fn an_emulator_that_is_missing_is_said_with_how_to_install_it() {
    let (folder, _) = made(&NEW);
    let app = folder.path().join("blinky");
    let said = refused(&app, &["run", "--emulator", "/nonexistent/qemu"], 1);
    assert!(said.contains("apt-get install qemu-system-arm"), "{said}");
    assert!(!app.join("target").exists(), "something was built");
}

#[test]
fn run_outside_of_an_application_says_where_to_go() {
    let folder = tempfile::tempdir().unwrap();
    let said = refused(folder.path(), &EMULATOR, 1);
    assert!(said.contains("bistable new"), "{said}");
}

#[test]
fn a_workspace_that_does_not_speak_of_bistable_is_refused() {
    let (folder, _) = made(&NEW);
    let app = folder.path().join("blinky");
    let manifest = app.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    for (from, to, says) in [
        ("metadata.bistable]", "metadata.other]", "found no table"),
        ("key = ", "kay = ", "unknown field `kay`"),
        (
            "board = \"mps2-an385\"",
            "board = \"esp32\"",
            "the board `esp32`",
        ),
        (
            "bootloader = \"blinky-",
            "bootloader = \"other-",
            "no package `other-bootloader`",
        ),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        fs::write(&manifest, changed).unwrap();
        let said = refused(&app, &EMULATOR, 1);
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn an_argument_without_its_meaning_is_refused() {
    let (folder, _) = made(&NEW);
    let app = folder.path().join("blinky");
    for arguments in [["--slot", "C"], ["--for", "0"], ["--debug-port", "0"]] {
        refused(&app, &[&["run"], &arguments[..]].concat(), 2);
    }
    refused(&app, &["run", "--keep", "--slot", "B"], 2);
}
