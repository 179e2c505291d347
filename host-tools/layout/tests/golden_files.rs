//! What comes out of the golden layout: text, memory, digest.

use std::path::Path;

use bistable_core::layout::Slot;
use bistable_layout::{Product, Ring, generate, hex};

const LAYOUT: &str = include_str!("golden/layout.toml");

fn product() -> Product {
    Product::parse(LAYOUT, Path::new("/product")).unwrap()
}

fn ring() -> Ring {
    Ring::parse(include_str!("golden/ring.toml")).unwrap()
}

/// The same product with a RISC-V.
fn riscv32() -> Product {
    let line = "emulated = true\narchitecture = \"riscv32\"";
    let text = LAYOUT.replace("emulated = true", line);
    Product::parse(&text, Path::new("/product")).unwrap()
}

fn digest_with(from: &str, to: &str) -> String {
    assert!(
        LAYOUT.contains(from),
        "the golden layout does not say {from}"
    );
    let product = Product::parse(&LAYOUT.replace(from, to), Path::new("/product")).unwrap();
    product.layout.digest.to_string()
}

/// Compares with a file in the folder `golden`.
fn assert_golden(name: &str, text: &str, golden: &str) {
    if text != golden {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, text).unwrap();
        let golden = format!("host-tools/layout/tests/golden/{name}");
        panic!("if the change is meant: cp {} {golden}", path.display());
    }
}

#[test]
fn the_constants_are_the_golden_file() {
    let text = generate::layout_rs(&product(), &ring());
    assert_golden("layout.rs", &text, include_str!("golden/layout.rs"));
}

#[test]
fn a_riscv_begins_with_its_first_instruction_and_nothing_else_of_the_constants_differs() {
    let constants = |product| generate::layout_rs(&product, &ring());
    let [arm, riscv] = [constants(product()), constants(riscv32())];
    let entry = |of: &str| format!("::bistable_core::verify::Entry::{of};");
    let (own, others) = (entry("CortexM { ram: &RAM }"), entry("FirstInstruction"));
    assert!(arm.contains(&own), "{arm}");
    assert_eq!(riscv, arm.replace(&own, &others));
}

#[test]
fn the_linker_script_of_a_riscv_is_the_golden_file() {
    let product = riscv32();
    let memory = product.application_memory(Slot::B);
    let text = generate::memory_x(product.architecture, &memory);
    assert_golden("riscv32.x", &text, include_str!("golden/riscv32.x"));
}

#[test]
fn programs_get_the_memory_that_is_theirs() {
    let product = product();
    let memory = product.bootloader_memory();
    assert_eq!(memory.flash, 0..0x1_0000);
    assert_eq!(memory.ram, 0x2000_0100..0x2040_0000);
    let memory = product.application_memory(Slot::A);
    assert_eq!(memory.flash, 0x2102_1000..0x210a_0000);
    assert_eq!(memory.ram, 0x2000_0100..0x2040_0000);
    let memory = product.application_memory(Slot::B);
    assert_eq!(memory.flash, 0x210a_1000..0x2112_0000);
}

#[test]
fn ram_without_the_handover_is_used_from_its_start() {
    let other = "[ram.fast]\naddress = 0x1000_0000\nsize = 0x1_0000\n\n[handover]";
    let text = LAYOUT.replace("[handover]", other).replace(
        "vector_alignment = 256\nram = \"main\"",
        "vector_alignment = 256\nram = \"fast\"",
    );
    let product = Product::parse(&text, Path::new("/product")).unwrap();
    let memory = product.application_memory(Slot::A);
    assert_eq!(memory.ram, 0x1000_0000..0x1001_0000);
    assert_eq!(product.ram_ranges().len(), 2);
}

#[test]
fn the_digest_of_the_golden_layout_never_changes() {
    // Computed apart from this code: SHA-256 over the domain and twelve little-endian numbers.
    assert_eq!(
        product().layout.digest.to_string(),
        "4b282fd9c855bee0354194930ea275fb09bbbaaf462608586c02ddbf74eaa5aa"
    );
}

#[test]
fn what_images_depend_on_changes_the_digest() {
    let golden = product().layout.digest.to_string();
    let changes = [
        ("address = 0x2100_0000", "address = 0x2200_0000"),
        ("b = 0xA_0000", "b = 0xA_1000"),
        ("size = 0x8_0000", "size = 0x7_f000"),
        ("payload_offset = 4096", "payload_offset = 8192"),
        ("chunk_size = 4096", "chunk_size = 2048"),
        ("erase_size = 4096", "erase_size = 2048"),
        ("write_size = 4", "write_size = 8"),
        ("size = 0x40_0000", "size = 0x20_0000"),
        ("size = 256", "size = 512"),
    ];
    let mut digests: Vec<_> = changes
        .into_iter()
        .map(|(from, to)| digest_with(from, to))
        .collect();
    digests.push(golden);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), changes.len() + 1);
}

#[test]
fn what_images_do_not_depend_on_leaves_the_digest_alone() {
    let golden = product().layout.digest.to_string();
    for (from, to) in [
        ("attempts = 3", "attempts = 4"),
        ("sectors = 3", "sectors = 2"),
        ("factory_floor = 7", "factory_floor = 8"),
        ("[partition.data]", "[partition.settings]"),
        ("ring = \"ring.toml\"", "ring = \"other.toml\""),
        ("class = \"golden\"", "class = \"other\""),
    ] {
        assert_eq!(digest_with(from, to), golden, "{to}");
    }
}

#[test]
fn the_layout_of_the_emulated_board_is_accepted() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../qemu/mps2-an385/layout.toml"
    );
    let product = Product::read(Path::new(path)).unwrap();
    assert!(product.emulated);
    assert!(
        product
            .ring_path
            .ends_with("qemu/mps2-an385/keys/ring.toml")
    );
    assert_eq!(product.layout.digest, self::product().layout.digest);
}

#[test]
fn a_missing_ring_is_refused_with_the_command_that_makes_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout.toml");
    std::fs::write(&path, LAYOUT).unwrap();
    let product = Product::read(&path).unwrap();
    let ring = product.ring_path.display();
    assert_eq!(
        product.ring().unwrap_err().to_string(),
        format!(
            "{ring}: found no key ring, expected one; \
             make it with `bistable key new --ring {ring} --name <name> --development`"
        )
    );
}

#[test]
fn a_board_that_is_not_emulated_refuses_the_ring_with_a_development_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout.toml");
    let ring = directory.path().join("ring.toml");
    std::fs::write(&ring, include_str!("golden/ring.toml")).unwrap();
    std::fs::write(&path, LAYOUT).unwrap();
    assert!(Product::read(&path).unwrap().ring().is_ok());
    std::fs::write(&path, LAYOUT.replace("emulated = true", "")).unwrap();
    let message = Product::read(&path)
        .unwrap()
        .ring()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("key `first`: found a development key"),
        "{message}"
    );
}

#[test]
fn a_missing_layout_is_refused_with_its_path() {
    let message = Product::read(Path::new("/nowhere/layout.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("/nowhere/layout.toml: cannot read the layout"),
        "{message}"
    );
}

#[test]
fn digits_of_the_generated_key_are_those_of_the_ring() {
    let key = &ring().keys[1];
    assert_eq!(hex::encode(&key.key.public), "02".repeat(32));
    assert!(!key.key.roles.release && key.key.roles.root && key.spare);
}
