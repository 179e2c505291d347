//! The way of an image from test to release, and of a key out of the ring: with the rings of two fleets.

mod bench;

use std::fs;

use bench::{Bench, build, read};
use bistable_core::header::Header;
use bistable_core::keys::Revoked;
use bistable_core::refusal::Refusal;
use bistable_tools::image::file::ImageFile;

const TEST: &str = "test.toml";
const PRODUCTION: &str = "layout.toml";

/// A product whose test fleet knows the key `dev` alone, and whose production fleet knows the release keys
/// `alice`, `bob`, `carol` (a spare), of which it takes two, and the root keys `rita`, `rolf`, both of them.
fn bench() -> Bench {
    let bench = Bench::new();
    let layout = fs::read_to_string(bench.path(PRODUCTION)).unwrap();
    fs::write(bench.path(TEST), &layout).unwrap();
    bench.edit_layout("ring.toml", "production.toml");
    let roles = [
        ("alice", "release"),
        ("bob", "release"),
        ("carol", "release"),
        ("rita", "root"),
        ("rolf", "root"),
    ];
    for (name, role) in roles {
        let new = [
            "key",
            "new",
            "--ring",
            "production.toml",
            "--name",
            name,
            "--role",
            role,
        ];
        bench.succeeds(&new);
    }
    let thresholds = [
        "key",
        "threshold",
        "--ring",
        "production.toml",
        "--release",
        "2",
        "--root",
        "2",
    ];
    bench.succeeds(&thresholds);
    bench
}

fn name(bench: &Bench, image: &str) -> String {
    let image = ImageFile::parse(&read(&bench.path(image))).unwrap();
    image.manifest().digest().to_string()
}

/// Builds `v<sequence>.img` for this fleet; `more` are arguments.
fn build_for(bench: &Bench, layout: &str, sequence: u8, more: &[&str]) -> String {
    bench.link(sequence);
    let image = format!("v{sequence}.img");
    let mut arguments = build(&image, sequence, more).0;
    for argument in &mut arguments {
        if argument == PRODUCTION {
            *argument = layout.into();
        }
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    bench.succeeds(&arguments);
    image
}

fn accepts(bench: &Bench, layout: &str, image: &str) {
    bench.succeeds(&["image", "verify", image, "--layout", layout]);
}

fn refuses(bench: &Bench, layout: &str, image: &str, expected: &str) {
    let said = bench.fails(&["image", "verify", image, "--layout", layout]);
    assert!(said.contains(expected), "{expected} in {said}");
}

fn sign(bench: &Bench, image: &str, keys: &[&str]) {
    let mut arguments = vec!["image", "sign", image, "--layout", PRODUCTION];
    let files: Vec<_> = keys.iter().map(|key| format!("{key}.pem")).collect();
    arguments.extend(files.iter().flat_map(|file| ["--key", file]));
    bench.succeeds(&arguments);
}

#[test]
fn an_image_goes_from_test_to_release_by_signatures_and_keeps_its_name() {
    let bench = bench();
    let image = build_for(&bench, TEST, 1, &["--key", "dev.pem"]);
    let tested = name(&bench, &image);
    accepts(&bench, TEST, &image);
    refuses(&bench, PRODUCTION, &image, "B011 TooFewReleaseSignatures");
    sign(&bench, &image, &["alice"]);
    refuses(&bench, PRODUCTION, &image, "B011 TooFewReleaseSignatures");
    sign(&bench, &image, &["carol"]);
    accepts(&bench, PRODUCTION, &image);
    accepts(&bench, TEST, &image);
    assert_eq!(name(&bench, &image), tested);
}

#[test]
fn several_keys_of_one_call_sign_as_well() {
    let bench = bench();
    let image = build_for(&bench, TEST, 1, &["--key", "dev.pem"]);
    sign(&bench, &image, &["bob", "alice"]);
    accepts(&bench, PRODUCTION, &image);
}

#[test]
fn root_keys_alone_release_nothing() {
    let bench = bench();
    let image = build_for(&bench, PRODUCTION, 1, &[]);
    sign(&bench, &image, &["rita", "rolf"]);
    refuses(&bench, PRODUCTION, &image, "B011 TooFewReleaseSignatures");
}

#[test]
fn a_revocation_takes_the_root_keys_and_then_the_key_counts_no_more() {
    let bench = bench();
    let keys = [
        "--revoke",
        "bob",
        "--key",
        "alice.pem",
        "--key",
        "carol.pem",
    ];
    let image = build_for(&bench, PRODUCTION, 2, &keys);
    refuses(&bench, PRODUCTION, &image, "B012 TooFewRootSignatures");
    sign(&bench, &image, &["rita"]);
    refuses(&bench, PRODUCTION, &image, "B012 TooFewRootSignatures");
    sign(&bench, &image, &["rolf"]);
    accepts(&bench, PRODUCTION, &image);

    // What a device has from the manifest when it has confirmed the image, and what it then says of the
    // next one that bob signs.
    let facts = bench.facts();
    let ring = facts.key_ring();
    let bytes = read(&bench.path(&image));
    let header = Header::new_checked(bytes.first_chunk().unwrap()).unwrap();
    let revoked = header
        .authenticate(&ring, Revoked::default())
        .unwrap()
        .revokes();
    assert_ne!(revoked, Revoked::default());
    let next = build_for(
        &bench,
        PRODUCTION,
        3,
        &["--key", "alice.pem", "--key", "bob.pem"],
    );
    let says = |revoked| {
        let bytes = read(&bench.path(&next));
        let header = Header::new_checked(bytes.first_chunk().unwrap()).unwrap();
        header.authenticate(&ring, revoked).map(drop)
    };
    assert_eq!(says(Revoked::default()), Ok(()));
    assert_eq!(says(revoked), Err(Refusal::TooFewReleaseSignatures));
    sign(&bench, &next, &["carol"]);
    assert_eq!(says(revoked), Ok(()));
}

#[test]
fn a_key_cannot_help_to_revoke_itself() {
    let bench = bench();
    let keys = ["--revoke", "bob", "--key", "alice.pem", "--key", "bob.pem"];
    let image = build_for(&bench, PRODUCTION, 2, &keys);
    sign(&bench, &image, &["rita", "rolf"]);
    refuses(&bench, PRODUCTION, &image, "B011 TooFewReleaseSignatures");
}

#[test]
fn many_images_are_signed_and_one_that_cannot_be_keeps_no_other_from_it() {
    let bench = bench();
    let images: Vec<_> = (1..=5)
        .map(|sequence| build_for(&bench, PRODUCTION, sequence, &["--key", "alice.pem"]))
        .collect();
    fs::write(bench.path("v2.img"), "no image").unwrap();
    sign(&bench, "v4.img", &["bob"]);
    let before = ["v2.img", "v4.img"].map(|name| read(&bench.path(name)));
    let mut arguments = vec!["image", "sign", "--key", "bob.pem", "--layout", PRODUCTION];
    arguments.extend(images.iter().map(String::as_str));
    for json in [false, true] {
        let mut arguments = arguments.clone();
        if json {
            arguments.push("--json");
        }
        let output = bench.bistable(&arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        let said = String::from_utf8(output.stdout).unwrap();
        if json {
            // The others have the signature by now, so each says so.
            let document: serde_json::Value = serde_json::from_str(&said).unwrap();
            let images = document["images"].as_array().unwrap();
            let names: Vec<_> = images
                .iter()
                .map(|it| it["image"].as_str().unwrap())
                .collect();
            assert_eq!(names, ["v1.img", "v2.img", "v3.img", "v4.img", "v5.img"]);
            assert!(
                images
                    .iter()
                    .all(|it| it["done"].is_null() && it["error"].is_string())
            );
            continue;
        }
        assert!(
            said.contains("FAILED    v2.img: found the end of the file"),
            "{said}"
        );
        assert!(
            said.contains("FAILED    v4.img: found a signature by"),
            "{said}"
        );
        assert_eq!(said.matches("release 2 of 2 (").count(), 3, "{said}");
        for image in ["v1.img", "v3.img", "v5.img"] {
            accepts(&bench, PRODUCTION, image);
        }
    }
    assert!(before == ["v2.img", "v4.img"].map(|name| read(&bench.path(name))));
}
