//! The numbers in `bistable.h` are those of the code, each with what it says.
//!
//! `BISTABLE_BLESS=1 cargo test -p bistable-updater-c` writes them anew.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use bistable_core::refusal::Refusal;
use bistable_updater_c::Misuse;

#[test]
fn the_header_has_the_number_of_every_refusal_and_every_mistake() {
    let refusals = Refusal::ALL.map(|refusal| {
        let (code, name) = (refusal.code(), shouted(refusal));
        let text = refusal.text();
        format!("    /* {text} */\n    BISTABLE_B{code:03}_{name} = {code},\n")
    });
    let mistakes = Misuse::ALL.map(|misuse| {
        let (code, name) = (misuse.code(), shouted(misuse));
        let text = misuse.text();
        format!("    /* {text} */\n    BISTABLE_{name} = {code},\n")
    });
    holds("refusals", &refusals.concat());
    holds("mistakes", &mistakes.concat());
}

/// `BelowFloor` as `BELOW_FLOOR`.
fn shouted(name: impl Debug) -> String {
    let mut words = String::new();
    for letter in format!("{name:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_uppercase());
    }
    words
}

/// Between the two comments about `what` stands `expected`.
fn holds(what: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/bistable.h");
    let header = fs::read_to_string(&path).unwrap();
    let start = header.find(&format!("/* {what}: generated")).unwrap();
    let start = start + header[start..].find('\n').unwrap() + 1;
    let end = header.find(&format!("    /* end of {what}")).unwrap();
    if std::env::var_os("BISTABLE_BLESS").is_some() {
        let text = [&header[..start], expected, &header[end..]].concat();
        fs::write(&path, text).unwrap();
        return;
    }
    assert!(
        header[start..end] == *expected,
        "{}: found\n{}expected\n{expected}run BISTABLE_BLESS=1 cargo test -p bistable-updater-c",
        path.display(),
        &header[start..end]
    );
}
