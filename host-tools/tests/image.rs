//! `bistable image`: what is built verifies, and whatever is wrong is told in one line.

mod bench;

use std::fs;

use bench::elf::Elf;
use bench::{Bench, PROGRAM_LEN, build, program, read};
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_tools::facts::workspace_version;
use bistable_tools::image::check::check;
use bistable_tools::image::file::ImageFile;

const PADDED: usize = PROGRAM_LEN.next_multiple_of(32);

#[test]
fn two_links_make_one_image_that_has_the_payloads_of_both() {
    let bench = Bench::new();
    let image = ImageFile::parse(&read(&bench.image(1))).unwrap();
    for slot in Slot::BOTH {
        let base = bench.facts().product.layout.payload_address(slot);
        let mut expected = program(base, 1);
        expected.resize(PADDED, 0xFF);
        assert!(image.payload(slot) == expected, "slot {slot:?}");
    }
    // Each address differs in one byte between slots that are 0x1_0000 apart; none carries.
    assert_eq!(
        image.fixups(),
        1 + (64..PROGRAM_LEN - 4).step_by(1002).count()
    );
    assert_eq!(image.manifest().trial_attempts(), 3, "the layout's");
}

#[test]
fn what_is_built_verifies_check_by_check() {
    let bench = Bench::new();
    bench.image(1);
    let said = bench.succeeds(&["image", "verify", "v1.img", "--layout", "layout.toml"]);
    let checks: Vec<_> = said.lines().map(|line| line[8..19].trim()).collect();
    assert_eq!(
        checks,
        [
            "header",
            "signatures",
            "vendor",
            "class",
            "layout",
            "size",
            "bootloader",
            "floor",
            "schema",
            "chunk size",
            "another",
            "rejected",
            "newer",
            "forgotten",
            "units",
            "state",
            "pages",
            "chunks",
            "length",
            "slot A",
            "slot B"
        ]
    );
    assert!(said.lines().all(|line| line.starts_with("ok ")), "{said}");
}

#[test]
fn build_says_what_the_image_costs_and_keeps_both_programs() {
    let bench = Bench::new();
    bench.link(1);
    let said = bench.succeeds(&build("v1.img", 1, &["--key", "dev.pem"]).as_strs());
    let used = 1024 + PADDED;
    for expected in [
        format!(
            "{:.1} % used, {} bytes headroom",
            used as f64 / 655.36,
            65_536 - used
        ),
        "21 bytes differ between the slots".into(),
        // 40.1 a byte and 2.45 million for the one signature.
        format!(
            "about {:.1} million instructions to verify, 0.4 for the rest after a power-on",
            (PADDED as f64 * 40.1 + 2.45e6) / 1e6
        ),
        "release 1 of 1 (dev)".into(),
    ] {
        assert!(said.contains(&expected), "{expected} in {said}");
    }
    for slot in ["a", "b"] {
        let kept = bench.path(&format!("v1.img.{slot}.elf"));
        assert_eq!(read(&kept), read(&bench.path(&format!("{slot}.elf"))));
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let bench = Bench::new();
    let first = read(&bench.image(1));
    assert!(first == read(&bench.image(1)));
    assert!(first != read(&bench.image(2)));
}

#[test]
fn a_tiny_program_is_one_short_chunk_with_its_reset_vector_as_only_address() {
    let bench = Bench::new();
    bench.link(1);
    // A program whose reset vector would lie in both slots does not exist for these addresses, so the
    // difference stays in the vector table and nowhere else.
    for (slot, name) in [(Slot::A, "a.elf"), (Slot::B, "b.elf")] {
        let base = bench.facts().product.layout.payload_address(slot);
        let bytes = [
            0x2000_8000_u32.to_le_bytes(),
            (base + 9).to_le_bytes(),
            [0; 4],
        ]
        .concat();
        fs::write(bench.path(name), Elf::new(base, &bytes).bytes()).unwrap();
    }
    bench.succeeds(&build("tiny.img", 1, &["--key", "dev.pem"]).as_strs());
    let image = ImageFile::parse(&read(&bench.path("tiny.img"))).unwrap();
    assert_eq!(image.fixups(), 1);
    assert_eq!(image.payload(Slot::A).len(), 32);
}

#[test]
fn gaps_between_segments_read_as_erased_flash() {
    let bench = Bench::new();
    for (slot, name) in [(Slot::A, "a.elf"), (Slot::B, "b.elf")] {
        let base = bench.facts().product.layout.payload_address(slot);
        let mut elf = Elf::new(base, &program(base, 1)[..512]);
        elf.segments.push((base + 600, vec![0xAB; 40]));
        elf.segments.reverse();
        fs::write(bench.path(name), elf.bytes()).unwrap();
    }
    bench.succeeds(&build("v1.img", 1, &["--key", "dev.pem"]).as_strs());
    let image = ImageFile::parse(&read(&bench.path("v1.img"))).unwrap();
    let payload = image.payload(Slot::A);
    assert!(payload[512..600].iter().all(|byte| *byte == 0xFF));
    assert_eq!(payload[600..640], [0xAB; 40]);
    assert_eq!(payload.len(), 640);
}

#[test]
fn an_added_signature_moves_no_byte_and_changes_no_name() {
    let bench = Bench::new();
    bench.make_key("second");
    let path = bench.image(1);
    let before = read(&path);
    let arguments = [
        "image",
        "sign",
        "v1.img",
        "--key",
        "second.pem",
        "--layout",
        "layout.toml",
    ];
    let said = bench.succeeds(&arguments);
    let after = read(&path);
    assert!(said.contains("release 2 of 1"), "{said}");
    let name = |bytes| ImageFile::parse(bytes).unwrap().manifest().digest();
    assert_eq!(name(&before), name(&after));
    assert!(before[HEADER_LEN..] == after[HEADER_LEN..]);
    assert!(before[..HEADER_LEN] != after[..HEADER_LEN]);
    let twice = bench.fails(&["image", "sign", "v1.img", "--key", "second.pem"]);
    assert!(twice.contains("v1.img: found a signature by"), "{twice}");
}

#[test]
fn a_ninth_signature_is_refused() {
    let bench = Bench::new();
    bench.image(1);
    for number in 2..=8 {
        let name = format!("key-{number}");
        bench.make_key(&name);
        bench.succeeds(&["image", "sign", "v1.img", "--key", &format!("{name}.pem")]);
    }
    bench.make_key("ninth");
    let said = bench.fails(&["image", "sign", "v1.img", "--key", "ninth.pem"]);
    assert!(
        said.contains("v1.img: found 8 signatures already"),
        "{said}"
    );
    bench.succeeds(&["image", "verify", "v1.img", "--layout", "layout.toml"]);
}

#[test]
fn a_signature_of_a_stranger_counts_for_nothing() {
    let bench = Bench::new();
    bench.make_stranger();
    bench.link(1);
    let said = bench.fails(&build("v1.img", 1, &["--key", "stranger.pem"]).as_strs());
    assert!(
        said.contains("stranger.pem: found the private key"),
        "{said}"
    );
    bench.succeeds(&build("v1.img", 1, &[]).as_strs());
    let sign = ["image", "sign", "v1.img", "--key", "stranger.pem"];
    let with_layout = [sign.as_slice(), &["--layout", "layout.toml"]].concat();
    assert!(
        bench
            .fails(&with_layout)
            .contains("expected a key of the ring")
    );
    bench.succeeds(&sign);
    let said = bench.fails(&["image", "verify", "v1.img", "--layout", "layout.toml"]);
    assert!(
        said.contains("refused as B011 TooFewReleaseSignatures"),
        "{said}"
    );
    let said = bench.succeeds(&["image", "inspect", "v1.img", "--layout", "layout.toml"]);
    assert!(said.contains("which the ring does not know"), "{said}");
}

#[test]
fn inspection_shows_every_field_by_name() {
    let bench = Bench::new();
    bench.make_key("second");
    fs::write(bench.path("bill.json"), "{}").unwrap();
    bench.image_with(
        7,
        &[
            "--security-counter",
            "5",
            "--revoke-below",
            "4",
            "--revoke",
            "second",
            "--attempts",
            "2",
            "--trial-seconds",
            "33",
            "--schemas",
            "3..=4",
            "--oldest-bootloader",
            "0.0.9",
            "--sbom",
            "bill.json",
        ],
    );
    let said = bench.succeeds(&["image", "inspect", "v7.img", "--layout", "layout.toml"]);
    let facts = bench.facts();
    let sbom = bistable_core::digest::Digest::of(b"{}");
    for (name, value) in [
        ("version", "1.7.0".into()),
        ("sequence", "7".into()),
        ("security counter", "5".into()),
        ("revoke below", "4".into()),
        (
            "revoked keys",
            format!("{} (second)", facts.ring.keys[1].key.id),
        ),
        ("payload", format!("{PADDED} bytes")),
        ("trial attempts", "2".into()),
        ("trial time", "33 s".into()),
        ("data schemas", "3 to 4".into()),
        ("oldest bootloader", "0.0.9".into()),
        ("SBOM", sbom.to_string()),
        ("provenance", "none".into()),
        (
            "layout",
            format!("{} (this layout's)", facts.product.layout.digest),
        ),
        (
            "signature",
            format!("by {} (dev), valid", facts.ring.keys[0].key.id),
        ),
        ("signed", "release 1 of 1, root 1 of 1 (dev)".into()),
    ] {
        let line = format!("{name:<18} {value}");
        assert!(said.lines().any(|found| found == line), "{line} in\n{said}");
    }
}

#[test]
fn an_image_that_would_lock_everybody_out_is_refused() {
    let bench = Bench::new();
    bench.make_key("second");
    bench.edit(
        "ring.toml",
        "release_threshold = 1",
        "release_threshold = 2",
    );
    bench.link(1);
    let keys = [
        "--revoke",
        "second",
        "--key",
        "dev.pem",
        "--key",
        "second.pem",
    ];
    bench.succeeds(&build("v1.img", 1, &keys).as_strs());
    let said = bench.fails(&["image", "verify", "v1.img", "--layout", "layout.toml"]);
    assert!(said.contains("B011 TooFewReleaseSignatures"), "{said}");
}

#[test]
fn an_image_for_another_layout_is_refused() {
    let bench = Bench::new();
    bench.image(1);
    bench.edit_layout(
        "erase_size = 4096\nwrite_size = 4\n[flash.boot]",
        "erase_size = 2048\nwrite_size = 4\n[flash.boot]",
    );
    let said = bench.fails(&["image", "verify", "v1.img", "--layout", "layout.toml"]);
    assert!(said.contains("refused as B022 OtherLayout"), "{said}");
    let failed = check(
        &read(&bench.path("v1.img")),
        &bench.facts(),
        workspace_version(),
        drop,
    );
    assert_eq!(
        failed.unwrap_err().check,
        "layout",
        "before any page is looked at"
    );
    bench.edit_layout("class = \"bench\"", "class = \"chair\"");
    let said = bench.fails(&["image", "verify", "v1.img", "--layout", "layout.toml"]);
    assert!(said.contains("refused as B021 OtherClass"), "{said}");
}

#[test]
fn no_byte_of_an_image_can_be_changed() {
    let bench = Bench::new();
    let facts = bench.facts();
    let bytes = read(&bench.image(1));
    let verdict = |bytes: &[u8]| check(bytes, &facts, workspace_version(), drop);
    verdict(&bytes).unwrap();
    for at in (0..bytes.len()).step_by(61) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        assert!(verdict(&changed).is_err(), "byte {at:#x}");
    }
}

#[test]
fn an_image_that_ends_early_or_late_names_the_offset() {
    let bench = Bench::new();
    let bytes = read(&bench.image(1));
    let verify = ["image", "verify", "cut.img", "--layout", "layout.toml"];
    for (len, part) in [
        (0, "header"),
        (1023, "header"),
        (1024, "page 0"),
        (bytes.len() - 1, "chunk 19"),
    ] {
        fs::write(bench.path("cut.img"), &bytes[..len]).unwrap();
        let said = bench.fails(&verify);
        let expected =
            format!("cut.img: found the end of the file within {part}, which begins at offset 0x");
        assert!(said.contains(&expected), "{said}");
    }
    fs::write(bench.path("cut.img"), [bytes.as_slice(), b"xyz"].concat()).unwrap();
    for command in [
        &verify[..],
        &["image", "inspect", "cut.img"],
        &["image", "sign", "cut.img", "--key", "dev.pem"],
    ] {
        let said = bench.fails(command);
        let expected = format!(
            "cut.img: found 3 trailing bytes at offset {:#x}",
            bytes.len()
        );
        assert!(said.contains(&expected), "{said}");
    }
}

/// What is put in place of one of the two links, and what must be said of it.
fn refused_link(name: &str, bytes: &[u8], expected: &[&str]) {
    let bench = Bench::new();
    bench.link(1);
    fs::write(bench.path(name), bytes).unwrap();
    fs::write(bench.path("v1.img"), "what was here before").unwrap();
    let said = bench.fails(&build("v1.img", 1, &["--key", "dev.pem"]).as_strs());
    assert!(
        said.starts_with(&format!("error: {name}: found ")),
        "{said}"
    );
    for expected in expected {
        assert!(said.contains(expected), "{expected} in {said}");
    }
}

/// The payload's start in slot A of the bench's layout.
const A: u32 = 0x2101_0400;

#[test]
fn what_is_no_program_for_this_machine_is_refused() {
    refused_link(
        "a.elf",
        b"\x89PNG\r\n",
        &[
            "a file that begins with 89 50 4e 47",
            "expected an ELF file, an Intel HEX file, or a raw binary",
        ],
    );
    refused_link("a.elf", b"", &["an empty file"]);
    refused_link("b.elf", b"\x7fELF", &["an ELF file of no known class"]);
    let elf = || Elf::new(A, &program(A, 1));
    let other = |change: fn(&mut Elf)| {
        let mut elf = elf();
        change(&mut elf);
        elf.bytes()
    };
    let riscv = other(|elf| elf.machine = 243);
    refused_link(
        "a.elf",
        &riscv,
        &["a program for machine RISC-V", "one for an Arm Cortex-M"],
    );
    let wide = other(|elf| elf.class = 2);
    refused_link("a.elf", &wide, &["a 64-bit ELF file"]);
    let cut = &elf().bytes()[..5000];
    refused_link("a.elf", cut, &["segment 0 beyond the end of the file"]);
}

#[test]
fn a_program_that_does_not_lie_in_its_slot_is_refused() {
    let at = |address: u32, len: usize| Elf::new(address, &vec![0x11; len]).bytes();
    refused_link(
        "a.elf",
        &at(A - 32, 64),
        &["segment 0 at 0x210103e0..0x21010420", "slot A"],
    );
    refused_link(
        "b.elf",
        &at(A, 64),
        &[
            "segment 0 at 0x21010400..0x21010440",
            "slot B",
            "BISTABLE_SLOT=B",
        ],
    );
    refused_link(
        "a.elf",
        &at(A, 64_520),
        &["segment 0 at 0x21010400..0x21020008, 8 bytes too long"],
    );
    refused_link(
        "a.elf",
        &at(A + 64, 64),
        &["the first one at the payload's start 0x21010400"],
    );
    refused_link(
        "a.elf",
        &at(A, 64),
        &["stack pointer 0x11111111", "(B061 BadStackPointer)"],
    );
}

#[test]
fn two_links_that_differ_in_more_than_addresses_are_refused_with_the_symbol() {
    let b = A + 0x1_0000;
    let mut bytes = program(b, 1);
    bytes[0x123] ^= 1;
    let byte = bytes[0x123];
    let found = format!("byte {byte:#04x} at offset 0x123 of the payload, in `demo::main` + 0x23");
    refused_link(
        "b.elf",
        &Elf::new(b, &bytes).bytes(),
        &[&found, "not deterministic"],
    );
    let longer = Elf::new(b, &[program(b, 1), vec![0; 64]].concat()).bytes();
    let found = format!(
        "{} bytes to program, expected {PADDED}, as in a.elf",
        (PROGRAM_LEN + 64).next_multiple_of(32)
    );
    refused_link("b.elf", &longer, &[&found, "not deterministic"]);
}

#[test]
fn a_file_that_cannot_be_read_or_written_is_named() {
    let bench = Bench::new();
    bench.link(1);
    let missing = build("v1.img", 1, &["--elf-a", "none.elf", "--elf-b", "b.elf"]);
    let said = bench.fails(&missing.as_strs());
    assert!(
        said.starts_with("error: none.elf: cannot read the program: "),
        "{said}"
    );
    let said = bench.fails(&build("no/v1.img", 1, &[]).as_strs());
    assert!(
        said.starts_with("error: no/v1.img.a.elf: cannot write the file: "),
        "{said}"
    );
    fs::create_dir(bench.path("v1.img")).unwrap();
    let said = bench.fails(&build("v1.img", 1, &[]).as_strs());
    assert!(
        said.starts_with("error: v1.img: cannot write the file: "),
        "{said}"
    );
    let said = bench.fails(&["image", "sign", "a.elf", "--key", "a.elf"]);
    assert!(said.starts_with("error: a.elf: "), "{said}");
    bench.image(2);
    let said = bench.fails(&["image", "sign", "v2.img", "--key", "layout.toml"]);
    assert!(
        said.starts_with("error: layout.toml: found no private key"),
        "{said}"
    );
}

#[test]
fn what_makes_no_sense_together_is_refused_before_anything_is_read() {
    let bench = Bench::new();
    let revoke = build(
        "v1.img",
        1,
        &["--security-counter", "3", "--revoke-below", "4"],
    );
    let said = bench.fails(&revoke.as_strs());
    assert!(
        said.contains("--revoke-below: found 4, expected at most the security counter, 3"),
        "{said}"
    );
    let unknown = build("v1.img", 1, &["--revoke", "nobody"]);
    let said = bench.fails(&unknown.as_strs());
    assert!(
        said.contains("--revoke: found `nobody`, expected a key of the ring: dev"),
        "{said}"
    );
}
