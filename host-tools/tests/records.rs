//! Bill of materials and provenance: shown, published with the image, and asked for what they hold.

mod bench;

use std::fs;
use std::time::{Duration, Instant};

use bench::{Bench, build};
use bistable_core::layout::Slot;
use serde_json::Value;

/// A bill of materials, as another tool would write it.
fn bill(component: &str, version: &str) -> String {
    format!(
        r#"{{ "bomFormat": "CycloneDX", "specVersion": "1.5",
              "components": [ {{ "type": "library", "name": "{component}", "version": "{version}",
                                 "licenses": [ {{ "license": {{ "id": "MIT" }} }} ] }},
                              {{ "type": "application", "name": "gcc", "scope": "excluded" }} ] }}"#
    )
}

/// An image whose bill of materials says that it holds this.
fn image_holding(bench: &Bench, sequence: u8, component: &str, version: &str) -> String {
    fs::write(bench.path("bill.json"), bill(component, version)).unwrap();
    bench.image_with(sequence, &["--sbom", "bill.json"]);
    format!("v{sequence}.img")
}

fn json(bench: &Bench, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    serde_json::from_str(&bench.succeeds(&arguments)).unwrap()
}

#[test]
fn what_is_bound_to_an_image_is_kept_beside_it_and_shown() {
    let bench = Bench::new();
    let image = image_holding(&bench, 1, "tcp", "2.1");
    let said = bench.succeeds(&["image", "inspect", &image]);
    let expected = "bill of materials  v1.img.cdx.json\n  tcp  2.1  MIT\n  and 1 for building only";
    assert!(said.contains(expected), "{said}");
    let shown = json(&bench, &["image", "inspect", &image]);
    assert_eq!(shown["format"], "image-inspect/1");
    assert_eq!(shown["sbom"]["content"]["components"][0]["name"], "tcp");
    assert_eq!(shown["sbom"]["other"], Value::Null);
    assert_eq!(shown["provenance"], Value::Null);
}

#[test]
fn a_bill_that_was_changed_is_shouted_at_and_not_believed() {
    let bench = Bench::new();
    let image = image_holding(&bench, 1, "tcp", "2.1");
    fs::write(bench.path("v1.img.cdx.json"), bill("tcp", "9.9")).unwrap();
    let output = bench.bistable(&["image", "inspect", &image]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("v1.img.cdx.json is ANOTHER FILE"), "{said}");
    assert!(!said.contains("9.9"), "{said}");
    let said = bench.fails(&["publish", "store", &image]);
    assert!(
        said.contains("v1.img.cdx.json: found a file with digest"),
        "{said}"
    );
}

#[test]
fn a_bill_that_lies_elsewhere_is_shown_when_it_is_named() {
    let bench = Bench::new();
    let image = image_holding(&bench, 1, "tcp", "2.1");
    fs::remove_file(bench.path("v1.img.cdx.json")).unwrap();
    let said = bench.succeeds(&["image", "inspect", &image]);
    assert!(
        said.contains("bill of materials  not beside the image"),
        "{said}"
    );
    let said = bench.succeeds(&["image", "inspect", &image, "--sbom", "bill.json"]);
    assert!(said.contains("bill of materials  bill.json\n"), "{said}");
    let said = bench.fails(&["image", "inspect", &image, "--provenance", "bill.json"]);
    assert!(said.contains("whose manifest names none"), "{said}");
}

#[test]
fn every_image_of_a_store_is_affected_unknown_or_good() {
    let bench = Bench::new();
    let old = image_holding(&bench, 1, "tcp_ip", "1.9.0");
    let good = image_holding(&bench, 2, "tcp_ip", "1.10.0");
    bench.image(3);
    let lost = image_holding(&bench, 4, "tcp_ip", "1.0.0");
    fs::remove_file(bench.path("v4.img.cdx.json")).unwrap();
    for image in [&old, &good, "v3.img"] {
        bench.succeeds(&["publish", "store", image]);
    }
    bench.succeeds(&["publish", "store", &old, "--channel", "beta"]);
    let published = json(&bench, &["publish", "store", &lost]);
    assert_eq!(published["sbom"], "missing");
    fs::write(bench.path("store/images/half.img"), "half").unwrap();
    let ask = ["store", "affected", "store", "--component", "tcp-ip"];
    let ask = [ask.as_slice(), &["--below", "1.10.0"]].concat();
    let found = json(&bench, &ask);
    assert_eq!(found["good"], 1);
    let affected = found["affected"].as_array().unwrap();
    assert_eq!(affected.len(), 1, "{found}");
    assert_eq!(affected[0]["version"], "1.1.0");
    assert_eq!(affected[0]["holds"][0], "1.9.0");
    assert_eq!(affected[0]["channels"][0], "beta");
    let unknown = found["unknown"].as_array().unwrap();
    let whys: Vec<_> = unknown
        .iter()
        .map(|it| it["why"].as_str().unwrap())
        .collect();
    assert_eq!(whys.len(), 3, "{whys:?}");
    for why in [
        "names no bill",
        "cannot be read from the store",
        "no image: 4 bytes",
    ] {
        assert!(whys.iter().any(|it| it.contains(why)), "{why} in {whys:?}");
    }
    let said = bench.succeeds(&ask);
    assert!(
        said.starts_with("tcp-ip below 1.10.0: 1 images hold it, 3 unknown, 1 good\n"),
        "{said}"
    );
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_a_question() {
    let bench = Bench::new();
    let ask = [
        "store",
        "affected",
        "sotre",
        "--component",
        "x",
        "--below",
        "1",
    ];
    let said = bench.fails(&ask);
    assert!(
        said.contains("sotre: found no directory `images`"),
        "{said}"
    );
}

#[test]
fn an_image_without_provenance_is_reproduced_only_from_a_package_that_is_named() {
    let bench = Bench::new();
    bench.image(1);
    let said = bench.fails(&["image", "reproduce", "v1.img", "--layout", "layout.toml"]);
    assert!(said.contains("--package: found nothing"), "{said}");
}

#[test]
fn a_megabyte_of_given_programs_is_an_image_in_seconds_on_a_busy_machine() {
    let bench = Bench::new();
    bench.edit_layout(
        "b = 0x2_0000\nsize = 0x1_0000",
        "b = 0x20_0000\nsize = 0x18_0000",
    );
    bench.edit_layout("size = 0x3_0000", "size = 0x40_0000");
    bench.edit_layout(
        "payload_offset = 1024\nchunk_size = 1024",
        "payload_offset = 4096\nchunk_size = 4096",
    );
    for (slot, name) in [(Slot::A, "a.elf"), (Slot::B, "b.elf")] {
        let base = bench.facts().product.layout.payload_address(slot);
        let mut bytes = bench::program(base, 1);
        bytes.resize(1 << 20, 0x5A);
        fs::write(bench.path(name), bench::elf::Elf::new(base, &bytes).bytes()).unwrap();
    }
    let begun = Instant::now();
    bench.succeeds(&build("big.img", 1, &["--key", "dev.pem"]).as_strs());
    let took = begun.elapsed();
    // A tenth of a second alone; a machine that is busy with other tests gets more.
    assert!(took < Duration::from_secs(5), "{took:?}");
}
