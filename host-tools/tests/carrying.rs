//! Signing on a machine without a network: what is carried there and back, and all that can happen to it.

mod bench;

use std::fs;

use bench::{Bench, read};
use bistable_core::layout::HEADER_LEN;

/// A bench with an image that nobody signed, its manifest, and the key `alice` that shall sign it.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.make_key("alice");
    unsigned(&bench, 1);
    bench.succeeds(&["image", "manifest", "v1.img", "--out", "v1.manifest"]);
    bench
}

/// Makes `v<sequence>.img`, which nobody signed.
fn unsigned(bench: &Bench, sequence: u8) {
    bench.link(sequence);
    let name = format!("v{sequence}.img");
    bench.succeeds(&bench::build(&name, sequence, &[]).as_strs());
}

const SIGN: [&str; 8] = [
    "key",
    "sign",
    "v1.manifest",
    "--key",
    "alice.pem",
    "--yes",
    "--out",
    "alice.sig",
];

const ATTACH: [&str; 4] = ["image", "attach", "v1.img", "alice.sig"];

const VERIFY: [&str; 5] = ["image", "verify", "v1.img", "--layout", "layout.toml"];

fn text(bench: &Bench, name: &str) -> String {
    fs::read_to_string(bench.path(name)).unwrap()
}

#[test]
fn a_signature_that_was_carried_is_the_one_that_is_made_in_place() {
    let bench = bench();
    fs::copy(bench.path("v1.img"), bench.path("here.img")).unwrap();
    bench.succeeds(&["image", "sign", "here.img", "--key", "alice.pem"]);
    bench.fails(&VERIFY);
    bench.succeeds(&SIGN);
    let said = bench.succeeds(&[&ATTACH[..], &["--layout", "layout.toml"]].concat());
    assert!(said.contains("signed    release 1 of 1 (alice)"), "{said}");
    assert!(read(&bench.path("v1.img")) == read(&bench.path("here.img")));
    bench.succeeds(&VERIFY);
}

#[test]
fn no_key_and_no_image_is_replaced_by_what_is_carried() {
    let bench = bench();
    let sign_into = |out| [&SIGN[..7], &[out]].concat();
    for out in ["alice.pem", "v1.img"] {
        let before = read(&bench.path(out));
        for command in [
            sign_into(out),
            vec!["image", "manifest", "v1.img", "--out", out],
        ] {
            let output = bench.bistable(&command);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(
                said.contains(&format!("{out}: found another file")),
                "{said}"
            );
            assert!(read(&bench.path(out)) == before);
        }
    }
    // What was carried before is.
    bench.succeeds(&SIGN);
    bench.succeeds(&SIGN);
    bench.succeeds(&sign_into("v1.manifest"));
}

#[test]
fn what_is_carried_is_some_hundred_bytes_of_letters_and_digits() {
    let bench = bench();
    bench.succeeds(&SIGN);
    for (name, most) in [("v1.manifest", 600), ("alice.sig", 300)] {
        let text = text(&bench, name);
        assert!(text.len() < most, "{name}: {}", text.len());
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
    }
}

#[test]
fn the_text_and_the_file_are_the_same_and_nothing_else_is_printed() {
    let bench = bench();
    let printed = bench.succeeds(&["image", "manifest", "v1.img", "--text"]);
    assert_eq!(printed, text(&bench, "v1.manifest"));
    bench.succeeds(&SIGN);
    let sign = ["key", "sign", "v1.manifest", "--key", "alice.pem", "--yes"];
    let printed = bench.succeeds(&[&sign[..], &["--text"]].concat());
    assert_eq!(printed, text(&bench, "alice.sig"));
    // On one line, as a camera gives it, with a line end of another system.
    let line = format!("{}\r\n", printed.replace('\n', ""));
    fs::write(bench.path("alice.sig"), line).unwrap();
    bench.succeeds(&ATTACH);
    let drawn = bench.succeeds(&["image", "manifest", "v1.img", "--qr"]);
    assert!(drawn.lines().count() > 30 && drawn.contains('█'), "{drawn}");
}

#[test]
fn a_way_must_be_chosen() {
    let bench = bench();
    let output = bench.bistable(&["image", "manifest", "v1.img"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn whoever_signs_sees_all_that_inspection_shows_of_the_manifest() {
    let bench = bench();
    bench.make_key("second");
    bench.link(7);
    let more = [
        "--security-counter",
        "5",
        "--revoke-below",
        "4",
        "--revoke",
        "second",
        "--schemas",
        "3..=4",
    ];
    bench.succeeds(&bench::build("v7.img", 7, &more).as_strs());
    bench.succeeds(&["image", "manifest", "v7.img", "--out", "v1.manifest"]);
    let output = bench.bistable(&[&SIGN[..], &["--ring", "ring.toml"]].concat());
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stderr).unwrap();
    let inspected = bench.succeeds(&["image", "inspect", "v7.img", "--layout", "layout.toml"]);
    let fields = [
        "name",
        "vendor id",
        "class id",
        "layout",
        "version",
        "sequence",
        "security counter",
        "revoke below",
        "revoked keys",
        "payload",
        "payload in A",
        "payload in B",
        "position-free",
        "chunks",
        "trial attempts",
        "trial time",
        "data schemas",
        "oldest bootloader",
        "SBOM",
        "provenance",
    ];
    for name in fields {
        let is_it = |line: &&str| line.get(..18).is_some_and(|start| start.trim() == name);
        let line = inspected.lines().find(is_it);
        let line = line.unwrap_or_else(|| panic!("{name} in\n{inspected}"));
        // Whether it is this layout's cannot be seen without one.
        let line = line.replace(" (this layout's)", "");
        assert!(shown.lines().any(|it| it == line), "{line} in\n{shown}");
    }
    assert!(
        shown.contains("(second)") && shown.contains("first page"),
        "{shown}"
    );
}

#[test]
fn nothing_is_signed_when_nobody_can_be_asked() {
    let bench = bench();
    let arguments: Vec<_> = SIGN.into_iter().filter(|it| *it != "--yes").collect();
    let said = bench.fails(&arguments);
    assert!(
        said.contains("nobody to ask whether it shall be signed"),
        "{said}"
    );
    assert!(said.contains("--yes"), "{said}");
}

#[test]
fn every_changed_byte_of_a_carried_file_is_noticed() {
    let bench = bench();
    bench.succeeds(&SIGN);
    let image = read(&bench.path("v1.img"));
    for (name, command) in [("v1.manifest", &SIGN[..]), ("alice.sig", &ATTACH[..])] {
        let whole = read(&bench.path(name));
        fs::remove_file(bench.path("alice.sig")).unwrap();
        // Each byte is exhausted in the unit tests of the text; here the whole command is run.
        for at in (0..whole.len()).step_by(7) {
            let mut changed = whole.clone();
            changed[at] ^= 0x04;
            fs::write(bench.path(name), &changed).unwrap();
            let said = bench.fails(command);
            assert!(
                said.starts_with(&format!("error: {name}: found ")),
                "{at}: {said}"
            );
        }
        fs::write(bench.path(name), &whole).unwrap();
        if name == "v1.manifest" {
            bench.succeeds(&SIGN);
        }
    }
    assert!(read(&bench.path("v1.img")) == image);
}

#[test]
fn what_is_cut_longer_garbage_or_something_else_is_refused_by_name() {
    let bench = bench();
    bench.succeeds(&SIGN);
    let manifest = read(&bench.path("v1.manifest"));
    let signature = read(&bench.path("alice.sig"));
    let as_text =
        |bytes: &[u8]| bistable_tools::carry::encode(bistable_tools::carry::Kind::Manifest, bytes);
    let inner = read(&bench.path("v1.img"))[..320].to_vec();
    let longer = as_text(&[&inner[..], b"x"].concat());
    let shorter = as_text(&inner[..319]);
    let mut newer = inner.clone();
    newer[4] = 2;
    let newer_format = as_text(&newer);
    let newer_text = String::from_utf8(manifest.clone())
        .unwrap()
        .replace("-1:", "-2:");
    for (bytes, expected) in [
        (&manifest[..200], "a wrong or missing character"),
        (&manifest[..182], "checksum is wrong"),
        (&manifest[..0], "something else"),
        (&[0xFF; 500], "something else"),
        (&[b'A'; 5000], "more than 4096 bytes"),
        (&signature, "a BISTABLE-SIGNATURE-1"),
        (&read(&bench.path("v1.img")), "more than 4096 bytes"),
        (
            longer.as_bytes(),
            "found 321 bytes, expected a manifest, which is 320",
        ),
        (shorter.as_bytes(), "found 319 bytes"),
        (newer_format.as_bytes(), "B002 UnknownFormat"),
        (newer_text.as_bytes(), "another version of it"),
    ] {
        fs::write(bench.path("v1.manifest"), bytes).unwrap();
        let said = bench.fails(&SIGN);
        assert!(said.contains(expected), "{expected} in {said}");
    }
    fs::write(bench.path("alice.sig"), &manifest).unwrap();
    let said = bench.fails(&ATTACH);
    assert!(said.contains("a BISTABLE-MANIFEST-1"), "{said}");
}

#[test]
fn a_signature_for_another_image_is_refused() {
    let bench = bench();
    bench.succeeds(&SIGN);
    unsigned(&bench, 2);
    let said = bench.fails(&["image", "attach", "v2.img", "alice.sig"]);
    let expected = "error: alice.sig: found a signature for the image ";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("which is v2.img"), "{said}");
}

#[test]
fn a_signature_of_a_stranger_is_refused_where_the_ring_is_known() {
    let bench = bench();
    bench.make_stranger();
    let mut arguments = SIGN;
    arguments[4] = "stranger.pem";
    let with_ring = [&arguments[..], &["--ring", "ring.toml"]].concat();
    let said = bench.fails(&with_ring);
    assert!(
        said.contains("expected a key of the ring ring.toml"),
        "{said}"
    );
    bench.succeeds(&arguments);
    let said = bench.fails(&[&ATTACH[..], &["--layout", "layout.toml"]].concat());
    assert!(said.contains("alice.sig: found a signature by"), "{said}");
    bench.succeeds(&ATTACH);
}

#[test]
fn a_signature_that_its_key_did_not_make_is_refused() {
    let bench = bench();
    bench.succeeds(&SIGN);
    let path = bench.path("alice.sig");
    let mut forged = bistable_tools::image::detached::Detached::read(&path).unwrap();
    forged.bytes[10] ^= 1;
    fs::write(&path, forged.text()).unwrap();
    let said = bench.fails(&ATTACH);
    assert!(said.contains("did not make over this manifest"), "{said}");
}

#[test]
fn attaching_twice_does_no_harm() {
    let bench = bench();
    bench.succeeds(&SIGN);
    bench.succeeds(&ATTACH);
    let before = fs::metadata(bench.path("v1.img"))
        .unwrap()
        .modified()
        .unwrap();
    let said = bench.succeeds(&ATTACH);
    assert!(said.contains(", already"), "{said}");
    let after = fs::metadata(bench.path("v1.img"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after, "it was written again");
    let both = bench.succeeds(&["image", "attach", "v1.img", "alice.sig", "alice.sig"]);
    assert_eq!(both.matches(", already").count(), 2, "{both}");
}

#[test]
fn several_signatures_are_attached_at_once_or_none_is() {
    let bench = bench();
    bench.make_key("bob");
    bench.succeeds(&SIGN);
    let bob = [
        "key",
        "sign",
        "v1.manifest",
        "--key",
        "bob.pem",
        "--yes",
        "--out",
        "bob.sig",
    ];
    bench.succeeds(&bob);
    fs::write(bench.path("bad.sig"), "BISTABLE-SIGNATURE-1:AAAA").unwrap();
    bench.fails(&["image", "attach", "v1.img", "alice.sig", "bad.sig"]);
    bench.succeeds(&["image", "attach", "v1.img", "alice.sig", "bob.sig"]);
    let said = bench.succeeds(&["image", "inspect", "v1.img", "--layout", "layout.toml"]);
    assert!(said.contains("release 2 of 1"), "{said}");
}

#[test]
fn an_invalid_signature_in_the_image_gives_way_to_the_valid_one_of_its_key() {
    let bench = bench();
    bench.succeeds(&SIGN);
    bench.succeeds(&ATTACH);
    let good = read(&bench.path("v1.img"));
    let mut bytes = good.clone();
    // Within the first signature: 320 bytes of manifest, four of count, four of key id.
    bytes[330] ^= 1;
    fs::write(bench.path("v1.img"), &bytes).unwrap();
    bench.fails(&VERIFY);
    // Whose that id is only a ring can say.
    let said = bench.fails(&ATTACH);
    assert!(said.contains("another signature by"), "{said}");
    bench.succeeds(&[&ATTACH[..], &["--layout", "layout.toml"]].concat());
    assert!(read(&bench.path("v1.img")) == good);
    assert!(good.len() > HEADER_LEN);
}

#[test]
fn a_damaged_image_gives_no_manifest_and_takes_no_signature() {
    let bench = bench();
    bench.succeeds(&SIGN);
    let mut bytes = read(&bench.path("v1.img"));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(bench.path("v1.img"), &bytes).unwrap();
    for command in [&["image", "manifest", "v1.img", "--text"][..], &ATTACH] {
        let said = bench.fails(command);
        assert!(said.contains("BadChunk"), "{said}");
    }
}

#[test]
fn json_says_what_was_signed_and_by_whom() {
    let bench = bench();
    let output = bench.bistable(&[&SIGN[..], &["--ring", "ring.toml", "--json"]].concat());
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let signed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(signed["format"], "key-sign/1");
    assert_eq!(signed["key_name"], "alice");
    assert_eq!(signed["manifest"]["version"], "1.1.0");
    assert_eq!(signed["manifest"]["sbom"], serde_json::Value::Null);
    assert_eq!(signed["out"], "alice.sig");
    let carried = signed["text"].as_str().unwrap();
    assert_eq!(carried, text(&bench, "alice.sig").replace('\n', ""));
    let attached = bench.succeeds(&[&ATTACH[..], &["--layout", "layout.toml", "--json"]].concat());
    let attached: serde_json::Value = serde_json::from_str(&attached).unwrap();
    assert_eq!(attached["signed"]["release"]["have"], 1);
    assert_eq!(attached["signed"]["signatures"][0]["name"], "alice");
}
