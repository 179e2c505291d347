//! What `bistable image build` takes for a program: ELF, Intel HEX, and raw binaries with their address.

mod bench;

use std::fs;

use bench::elf::Elf;
use bench::{Bench, PROGRAM_LEN, build, program, read};
use bistable_core::layout::Slot;
use ihex::Record;

/// As ELF files number them.
const ARM: u16 = 40;
const RISCV: u16 = 243;

/// Where the payloads of the bench lie.
const PAYLOAD: [u32; 2] = [0x2101_0400, 0x2102_0400];

#[test]
fn the_same_program_is_the_same_image_whatever_file_it_comes_in() {
    let bench = Bench::new();
    let expected = read(&bench.image(1));
    for (slot, name) in [(Slot::A, "a"), (Slot::B, "b")] {
        let base = base(&bench, slot);
        let bytes = program(base, 1);
        fs::write(bench.path(&format!("{name}.bin")), &bytes).unwrap();
        fs::write(bench.path(&format!("{name}.hex")), hex(base, &bytes)).unwrap();
    }
    let files = [
        ["a.hex", "b.hex"],
        ["a.bin@0x21010400", "b.bin@0x2102_0400"],
        ["a.elf", "b.hex"],
    ];
    for [a, b] in files {
        bench.succeeds(&build("v1.img", 1, &programs(a, b)).as_strs());
        assert!(read(&bench.path("v1.img")) == expected, "{a} and {b}");
    }
    // Each was kept as what it is.
    for (kept, given) in [
        ("v1.img.a.elf", "a.elf"),
        ("v1.img.b.hex", "b.hex"),
        ("v1.img.a.hex", "a.hex"),
        ("v1.img.a.bin", "a.bin"),
    ] {
        assert!(
            read(&bench.path(kept)) == read(&bench.path(given)),
            "{kept}"
        );
    }
}

#[test]
fn what_a_segment_holds_between_its_sections_is_erased_flash_as_objcopy_has_it() {
    let bench = Bench::new();
    for (slot, name) in [(Slot::A, "a"), (Slot::B, "b")] {
        let base = base(&bench, slot);
        let bytes = program(base, 1);
        let mut padded = bytes.clone();
        padded[100..164].fill(0);
        let elf = Elf::new(base, &padded).bytes_with_sections(&[0..100, 164..PROGRAM_LEN]);
        fs::write(bench.path(&format!("{name}.elf")), elf).unwrap();
        let parts = [(0, &bytes[..100]), (164, &bytes[164..])];
        let lines = parts.map(|(offset, bytes)| records(base + offset, bytes));
        let lines = [lines.concat(), vec![Record::EndOfFile]].concat();
        fs::write(bench.path(&format!("{name}.hex")), text(&lines)).unwrap();
    }
    for [a, b, out] in [["a.elf", "b.elf", "1.img"], ["a.hex", "b.hex", "2.img"]] {
        bench.succeeds(&build(out, 1, &programs(a, b)).as_strs());
    }
    assert!(read(&bench.path("1.img")) == read(&bench.path("2.img")));
}

#[test]
fn a_binary_needs_an_address_and_the_others_have_theirs() {
    let bench = Bench::new();
    bench.link(1);
    fs::write(bench.path("a.bin"), program(PAYLOAD[0], 1)).unwrap();
    let said = refused(&bench, "a.bin", "b.elf");
    for expected in [
        "a.bin: found a file that begins with 00 80 00 20",
        "give a.bin@0x21010400",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    let said = refused(&bench, "a.elf@0x21010400", "b.elf");
    assert!(said.contains("leave `@0x21010400` away"), "{said}");
    fs::write(bench.path("empty"), "").unwrap();
    assert!(refused(&bench, "empty", "b.elf").contains("found an empty file"));
    let said = refused(&bench, "empty@0x21010400", "b.elf");
    assert!(said.contains("found no loadable bytes"), "{said}");
}

#[test]
fn a_binary_linked_for_the_other_slot_is_refused_and_so_is_one_at_the_wrong_address() {
    let bench = Bench::new();
    for (name, base) in [("a.bin", PAYLOAD[0]), ("b.bin", PAYLOAD[1])] {
        fs::write(bench.path(name), program(base, 1)).unwrap();
    }
    // Its bytes say where it was linked, whatever the address says.
    let said = refused(&bench, "b.bin@0x21010400", "a.bin@0x21020400");
    for expected in ["b.bin: found", "reset vector 0x21020501", "slot A"] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    let said = refused(&bench, "a.bin@0x21010000", "b.bin@0x21020400");
    assert!(
        said.contains("found the binary at 0x21010000..0x21014e24, expected it to lie in"),
        "{said}"
    );
    let said = refused(&bench, "a.bin@0xfffffff0", "b.bin@0x21020400");
    assert!(said.contains("slot A"), "{said}");
}

#[test]
fn lines_outside_of_the_slot_are_named_with_their_address() {
    let bench = Bench::new();
    bench.link(1);
    let inside = records(PAYLOAD[0], &program(PAYLOAD[0], 1));
    let options = records(0x1FFF_C000, &[0xAA; 4]);
    let lines = [inside, options, vec![Record::EndOfFile]].concat();
    fs::write(bench.path("a.hex"), text(&lines)).unwrap();
    let said = refused(&bench, "a.hex", "b.elf");
    let place = format!("found line {} at 0x1fffc000..0x1fffc004", lines.len() - 1);
    assert!(said.contains(&place), "{place} in {said}");
}

#[test]
fn a_hex_file_that_was_cut_or_damaged_makes_no_image() {
    let bench = Bench::new();
    bench.link(1);
    let whole = hex(PAYLOAD[0], &program(PAYLOAD[0], 1));
    let cut: String = whole
        .lines()
        .take(40)
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(bench.path("a.hex"), cut).unwrap();
    let said = refused(&bench, "a.hex", "b.elf");
    assert!(
        said.contains("a.hex: found no end-of-file record"),
        "{said}"
    );
    let mut lines: Vec<_> = whole.lines().map(str::to_owned).collect();
    let digit = if &lines[7][12..13] == "0" { "1" } else { "0" };
    lines[7].replace_range(12..13, digit);
    fs::write(bench.path("a.hex"), lines.join("\r\n")).unwrap();
    let said = refused(&bench, "a.hex", "b.elf");
    assert!(
        said.contains("in line 8 a broken record (invalid checksum"),
        "{said}"
    );
}

#[test]
fn links_that_differ_and_have_no_symbols_are_told_by_address() {
    let bench = Bench::new();
    for (name, base, seed) in [("a.bin", PAYLOAD[0], 1), ("b.bin", PAYLOAD[1], 2)] {
        fs::write(bench.path(name), program(base, seed)).unwrap();
    }
    let said = refused(&bench, "a.bin@0x21010400", "b.bin@0x21020400");
    assert!(
        said.contains(
            "offset 0x8 of the payload, in the byte at 0x21020408, whose file names no symbols"
        ),
        "{said}"
    );
}

#[test]
fn a_program_for_a_riscv_is_taken_as_elf_and_as_binary_and_one_for_another_processor_is_not() {
    let bench = riscv();
    for (base, elf, raw) in [
        (PAYLOAD[0], "a.elf", "a.bin"),
        (PAYLOAD[1], "b.elf", "b.bin"),
    ] {
        let bytes = program(base, 1);
        let mut file = Elf::new(base, &bytes);
        (file.machine, file.start) = (RISCV, base);
        fs::write(bench.path(elf), file.bytes()).unwrap();
        fs::write(bench.path(raw), &bytes).unwrap();
    }
    bench.succeeds(&build("1.img", 1, &programs("a.elf", "b.elf")).as_strs());
    let raw = programs("a.bin@0x21010400", "b.bin@0x21020400");
    bench.succeeds(&build("2.img", 1, &raw).as_strs());
    assert!(read(&bench.path("1.img")) == read(&bench.path("2.img")));
    let verify = [
        "image",
        "verify",
        "1.img",
        "--layout",
        "layout.toml",
        "--explain",
    ];
    let said = bench.succeeds(&verify);
    assert!(said.contains("and its first instruction"), "{said}");
    assert!(!said.contains("vector table"), "{said}");
    bench.link(1);
    let said = refused(&bench, "a.elf", "b.elf");
    for expected in [
        "found a program for machine Arm, expected one for a RISC-V",
        "such as riscv32imac-unknown-none-elf",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
}

#[test]
fn a_riscv_program_that_starts_elsewhere_or_with_no_instruction_is_refused() {
    let bench = riscv();
    let mut file = Elf::new(PAYLOAD[0], &program(PAYLOAD[0], 1));
    (file.machine, file.start) = (RISCV, PAYLOAD[0] + 0x100);
    fs::write(bench.path("a.elf"), file.bytes()).unwrap();
    let said = refused(&bench, "a.elf", "a.elf");
    for expected in [
        "found a program that starts at 0x21010500, expected one that starts with the payload of slot A, at 0x21010400",
        "the linker script must put the code that starts first",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    for (first, found) in [
        ([0; 4], "0x00000000"),
        ([0xFF; 4], "0xffffffff"),
        ([0, 0, 0x13, 0], "0x00130000"),
    ] {
        let mut bytes = program(PAYLOAD[0], 1);
        bytes[..4].copy_from_slice(&first);
        fs::write(bench.path("a.bin"), bytes).unwrap();
        let said = refused(&bench, "a.bin@0x21010400", "a.bin@0x21020400");
        let expected =
            format!("found {found} at the payload's start, which is no instruction (B060");
        assert!(said.contains(&expected), "{expected} in {said}");
    }
}

#[test]
fn one_link_of_a_riscv_program_given_twice_is_no_program_for_both_slots() {
    let bench = riscv();
    fs::write(bench.path("a.bin"), program(PAYLOAD[0], 1)).unwrap();
    let said = refused(&bench, "a.bin@0x21010400", "a.bin@0x21020400");
    let expected = "found the same bytes as in a.bin, expected a program linked for 0x21020400";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn links_of_other_lengths_are_told_by_the_first_symbol_that_differs() {
    let deterministic = "the build is not deterministic";
    // The shorter difference is lost where payloads are filled up to whole units.
    for (bench, machine, longer, mends) in [
        (Bench::new(), ARM, 0x80, deterministic),
        (Bench::new(), ARM, 0x44, deterministic),
        (riscv(), RISCV, 0x80, "--no-relax"),
        (riscv(), RISCV, 0x44, "--no-relax"),
    ] {
        for (base, name, len) in [(PAYLOAD[0], "a.elf", 0x40), (PAYLOAD[1], "b.elf", longer)] {
            let mut bytes = program(base, 1);
            bytes.extend(vec![0x13; len]);
            let mut file = Elf::new(base, &bytes);
            file.machine = machine;
            let start = base + PROGRAM_LEN as u32;
            file.symbols.push(("last", start, len as u32));
            fs::write(bench.path(name), file.bytes()).unwrap();
        }
        let said = refused(&bench, "a.elf", "b.elf");
        let symbol = format!(
            "the first symbol that differs is `last` of {longer} bytes at offset {PROGRAM_LEN:#x}: 64 in the other link"
        );
        for expected in [symbol.as_str(), mends] {
            assert!(said.contains(expected), "{expected} in {said}");
        }
    }
}

/// The bench with another processor.
fn riscv() -> Bench {
    let bench = Bench::new();
    let line = "class = \"bench\"";
    bench.edit_layout(line, &format!("{line}\narchitecture = \"riscv32\""));
    bench
}

fn base(bench: &Bench, slot: Slot) -> u32 {
    let base = bench.facts().product.layout.payload_address(slot);
    assert_eq!(base, PAYLOAD[slot as usize]);
    base
}

fn programs<'p>(a: &'p str, b: &'p str) -> [&'p str; 6] {
    ["--program-a", a, "--program-b", b, "--key", "dev.pem"]
}

fn refused(bench: &Bench, a: &str, b: &str) -> String {
    bench.fails(&build("v1.img", 1, &programs(a, b)).as_strs())
}

/// An Intel HEX file of a program, as a linker would write it.
fn hex(address: u32, bytes: &[u8]) -> String {
    text(&[records(address, bytes), vec![Record::EndOfFile]].concat())
}

fn records(address: u32, bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    for (address, value) in (address..).step_by(16).zip(bytes.chunks(16)) {
        records.push(Record::ExtendedLinearAddress((address >> 16) as u16));
        let (offset, value) = (address as u16, value.to_vec());
        records.push(Record::Data { offset, value });
    }
    records
}

fn text(records: &[Record]) -> String {
    ihex::create_object_file_representation(records).unwrap()
}
