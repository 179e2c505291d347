//! `bistable image diff`: fields, signatures, chunks, bytes and symbols that changed.

mod bench;

use std::fs;

use bench::elf::Elf;
use bench::{Bench, build, document, program, read};
use bistable_core::layout::Slot;
use serde_json::{Value, json};

/// What changed from one image to the other, as JSON.
fn diff(bench: &Bench, old: &str, new: &str, more: &[&str]) -> Value {
    let arguments = [&["image", "diff", old, new, "--json"], more].concat();
    document(bench.succeeds(&arguments).as_bytes())
}

/// Builds an image of a program that `change` was done to, with these functions: name, offset, length.
fn built(
    bench: &Bench,
    sequence: u8,
    change: impl Fn(&mut Vec<u8>),
    functions: &[(&'static str, u32, u32)],
) {
    for (slot, name) in [(Slot::A, "a.elf"), (Slot::B, "b.elf")] {
        let base = bench.facts().product.layout.payload_address(slot);
        let mut bytes = program(base, 1);
        change(&mut bytes);
        let functions = functions.iter();
        let elf = Elf {
            symbols: functions
                .map(|(name, offset, len)| (*name, base + offset + 1, *len))
                .collect(),
            ..Elf::new(base, &bytes)
        };
        fs::write(bench.path(name), elf.bytes()).unwrap();
    }
    let image = format!("v{sequence}.img");
    bench.succeeds(&build(&image, sequence, &["--key", "dev.pem"]).as_strs());
}

const MAIN: (&str, u32, u32) = ("_ZN4demo4main17h0123456789abcdefE", 0x100, 0x40);

#[test]
fn an_image_does_not_differ_from_itself() {
    let bench = Bench::new();
    bench.image(1);
    let said = bench.succeeds(&["image", "diff", "v1.img", "v1.img"]);
    assert!(said.contains("one image: nothing changed"), "{said}");
    assert!(!said.contains("field "), "{said}");
    assert!(
        said.contains("20032 → 20032 bytes: 20032 equal, 0 changed\n"),
        "{said}"
    );
    assert!(said.contains("of 1024 bytes: 20 equal (20032 bytes), 0 moved (0), 0 changed (0)"));
}

#[test]
fn fields_are_named_with_what_they_were_and_are() {
    let bench = Bench::new();
    built(&bench, 1, |_| (), &[MAIN]);
    built(&bench, 2, |_| (), &[MAIN]);
    let said = diff(&bench, "v1.img", "v2.img", &[]);
    assert_eq!(said["same_name"], false);
    assert_eq!(
        said["fields"],
        json!([
            { "field": "version", "old": "1.1.0", "new": "1.2.0" },
            { "field": "sequence", "old": "1", "new": "2" },
        ]),
        "the payload is the same"
    );
    let text = bench.succeeds(&["image", "diff", "v1.img", "v2.img"]);
    assert!(
        text.contains("field     sequence           1 → 2\n"),
        "{text}"
    );
}

#[test]
fn a_signature_more_is_all_that_promotion_changes() {
    let bench = Bench::new();
    bench.make_key("second");
    fs::copy(bench.image(1), bench.path("signed.img")).unwrap();
    bench.succeeds(&["image", "sign", "signed.img", "--key", "second.pem"]);
    let second = bench.facts().ring.keys[1].key.id.to_string();
    let said = diff(&bench, "v1.img", "signed.img", &[]);
    assert_eq!(said["same_name"], true);
    assert_eq!(said["signatures_added"], json!([second]));
    assert_eq!(said["fields"], json!([]));
    let said = diff(&bench, "signed.img", "v1.img", &[]);
    assert_eq!(said["signatures_removed"], json!([second]));
    assert_eq!(said["signatures_added"], json!([]));
}

#[test]
fn a_byte_changes_a_chunk_and_a_chunk_that_moved_is_found() {
    let bench = Bench::new();
    built(&bench, 1, |_| (), &[MAIN]);
    built(&bench, 2, |bytes| bytes[5 * 1024 + 500] ^= 1, &[MAIN]);
    let said = diff(&bench, "v1.img", "v2.img", &[]);
    let payload = json!({ "old": 20032, "new": 20032, "equal": 20031, "changed": 1 });
    assert_eq!(said["payload"], json!([payload, payload]));
    let chunks = json!({
        "size": 1024, "equal": 19, "equal_bytes": 19008, "moved": 0, "moved_bytes": 0,
        "changed": 1, "changed_bytes": 1024,
    });
    assert_eq!(said["chunks"], chunks);
    // One chunk now lies where its neighbour lay, and the program is longer.
    let moves = |bytes: &mut Vec<u8>| {
        bytes.copy_within(6 * 1024..7 * 1024, 5 * 1024);
        bytes.extend([0x21; 3000]);
    };
    built(&bench, 3, moves, &[MAIN]);
    let said = diff(&bench, "v1.img", "v3.img", &[]);
    assert_eq!(said["chunks"]["moved"], 1);
    assert_eq!(
        said["chunks"]["equal"], 18,
        "all but the moved one and the last"
    );
    assert_eq!(said["payload"][0]["new"], 23008);
}

#[test]
fn symbols_came_went_grew_shrank_and_changed() {
    let bench = Bench::new();
    let (gone, grown, shrunk) = (
        ("gone", 0x200, 0x20),
        ("grown", 0x300, 0x20),
        ("shrunk", 0x400, 0x60),
    );
    let changed = ("changed", 0x1400, 0x400);
    built(&bench, 1, |_| (), &[MAIN, gone, grown, shrunk, changed]);
    let (came, grown, shrunk) = (
        ("came", 0x200, 0x30),
        ("grown", 0x300, 0x50),
        ("shrunk", 0x400, 0x40),
    );
    let now = [MAIN, came, grown, shrunk, changed];
    built(&bench, 2, |bytes| bytes[5 * 1024 + 500] ^= 1, &now);
    let said = diff(&bench, "v1.img", "v2.img", &[]);
    assert_eq!(
        said["symbols"],
        json!({
            "added": [{ "name": "came", "bytes": 0x30 }],
            "removed": [{ "name": "gone", "bytes": 0x20 }],
            "grown": [{ "name": "grown", "old": 0x20, "new": 0x50 }],
            "shrunk": [{ "name": "shrunk", "old": 0x60, "new": 0x40 }],
            "changed": [{ "name": "changed", "bytes": 0x400 }],
            "equal": 1,
        })
    );
    let text = bench.succeeds(&["image", "diff", "v1.img", "v2.img"]);
    for expected in [
        "symbols   1 added, 1 removed, 1 grown, 1 shrunk, 1 changed, 1 equal",
        "    added     +48  came\n",
        "    grown     +48  grown (32 → 80)\n",
        "   shrunk     -32  shrunk (96 → 64)\n",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    // The same with the links for B.
    let elves = ["--elf-old", "v1.img.b.elf", "--elf-new", "v2.img.b.elf"];
    let of_b = diff(&bench, "v1.img", "v2.img", &elves);
    assert_eq!(of_b["symbols"], said["symbols"]);
}

#[test]
fn a_program_that_is_not_in_the_image_is_not_believed() {
    let bench = Bench::new();
    built(&bench, 1, |_| (), &[MAIN]);
    built(&bench, 2, |bytes| bytes[900] ^= 1, &[MAIN]);
    let diff_with = |old: &str| {
        let arguments = [
            "image",
            "diff",
            "v1.img",
            "v2.img",
            "--elf-old",
            old,
            "--elf-new",
        ];
        bench.fails(&[&arguments[..], &["v2.img.a.elf"]].concat())
    };
    let said = diff_with("v2.img.a.elf");
    assert!(
        said.contains("v2.img.a.elf: found a program that is not in the image"),
        "{said}"
    );
    let said = diff_with("v1.img");
    assert!(said.contains("v1.img: found no such file"), "{said}");
    fs::copy(bench.path("v2.img.a.elf"), bench.path("v1.img.a.elf")).unwrap();
    let said = diff(&bench, "v1.img", "v2.img", &[]);
    assert_eq!(said["symbols"], Value::Null);
    let why = said["no_symbols"].as_str().unwrap();
    assert!(why.contains("a program that is not in the image"), "{why}");
    fs::remove_file(bench.path("v1.img.a.elf")).unwrap();
    let text = bench.succeeds(&["image", "diff", "v1.img", "v2.img"]);
    assert!(
        text.contains("symbols   not compared: v1.img.a.elf is not there"),
        "{text}"
    );
}

#[test]
fn what_is_no_image_is_not_compared() {
    let bench = Bench::new();
    let mut bytes = read(&bench.image(1));
    bytes.truncate(3000);
    fs::write(bench.path("cut.img"), bytes).unwrap();
    let said = bench.fails(&["image", "diff", "v1.img", "cut.img"]);
    assert!(
        said.contains("cut.img: found the end of the file within"),
        "{said}"
    );
}
