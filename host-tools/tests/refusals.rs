//! The numbers of refusals and reasons: none is renumbered, lost or left without an explanation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bistable_tools::refusals::{Numbered, page};
use serde_json::Value;

/// Set to write the page anew, and to add new numbers to the list, instead of comparing them.
const BLESS: &str = "BISTABLE_BLESS";

fn explain(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bistable"))
        .arg("explain")
        .args(arguments)
        .output()
        .unwrap()
}

fn said(arguments: &[&str]) -> String {
    let output = explain(arguments);
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn blessing() -> bool {
    std::env::var_os(BLESS).is_some()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn a_number_keeps_its_name_for_ever() {
    let path = file("tests/golden/refusals.txt");
    let known = fs::read_to_string(&path).unwrap_or_default();
    let now: Vec<_> = Numbered::all().map(|it| it.to_string()).collect();
    for line in known.lines() {
        assert!(
            now.iter().any(|it| it == line),
            "`{line}` is a number that devices in the field say: it may not change or go"
        );
    }
    if blessing() {
        fs::write(&path, now.join("\n") + "\n").unwrap();
        return;
    }
    for line in now {
        assert!(
            known.lines().any(|it| it == line),
            "`{line}` is new: {BLESS}=1 cargo test -p bistable-tools --test refusals adds it, for ever"
        );
    }
}

#[test]
fn the_page_is_what_the_tools_say() {
    let path = file("../docs/refusals.md");
    if blessing() {
        fs::write(&path, page::page()).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page::page(),
        "docs/refusals.md is not what the tools say: {BLESS}=1 cargo test -p bistable-tools --test \
         refusals writes it anew"
    );
}

#[test]
fn one_number_is_explained_and_none_lists_all() {
    let text = said(&["B033"]);
    for expected in [
        "B033 BelowFloor",
        "seen      Its security counter is below the floor.",
        "expected  a security counter not below the floor",
        "to mend   build it with a higher `--security-counter`",
        "said by   bootloader, updater, tools",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert_eq!(said(&["belowfloor"]), text);
    assert_eq!(said(&["33"]), text);
    assert_eq!(said(&[]).lines().count(), Numbered::all().count());
}

#[test]
fn programs_get_every_number_with_its_texts() {
    let document: Value = serde_json::from_str(&said(&["--json"])).unwrap();
    assert_eq!(document["format"], "explain/1");
    let numbers = document["numbers"].as_array().unwrap();
    for (entry, numbered) in numbers.iter().zip(Numbered::all()) {
        let line = format!(
            "{} {}",
            entry["number"].as_str().unwrap(),
            entry["name"].as_str().unwrap()
        );
        assert_eq!(line, numbered.to_string());
        assert_eq!(entry["mend"], numbered.explanation().mend);
    }
    assert_eq!(numbers.len(), Numbered::all().count());
    let one: Value = serde_json::from_str(&said(&["B103", "--json"])).unwrap();
    assert_eq!(one["numbers"][0]["name"], "CheckFailed");
    assert_eq!(one["numbers"][0]["said_by"][0], "journal");
}

#[test]
fn a_number_that_there_is_not_names_the_nearest() {
    let output = explain(&["B017"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: CODE: found \"B017\", expected a number or a name that `bistable explain` lists; \
         the nearest: B013 RevokesTooMany, B020 OtherVendor\n"
    );
}
