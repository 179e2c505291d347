//! `bistable factory`: the file that a new device is flashed with.

mod bench;

use std::fs;
use std::path::Path;
use std::process::Command;

use bench::elf::Elf;
use bench::{Bench, document, read};
use bistable_core::choose::Role;
use bistable_core::digest::Digest;
use bistable_core::journal::Opened;
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::state::{Image, Origin, SlotState, Snapshot};
use bistable_tools::doctor::{Conditions, examine};
use bistable_tools::image::file::ImageFile;
use bistable_updater::identity::{Identity, Serial};
use serde_json::Value;

const BUILD: [&str; 10] = [
    "factory",
    "build",
    "--layout",
    "layout.toml",
    "--image",
    "v1.img",
    "--serial",
    "BST-000042",
    "--out",
    "flash.bin",
];

#[test]
fn a_new_device_boots_its_image_confirmed_from_slot_a() {
    let bench = Bench::new();
    let image = ImageFile::parse(&read(&bench.image(1))).unwrap();
    bench.succeeds(&BUILD);
    let flash = read(&bench.path("flash.bin"));
    let examination = examine(&flash, &bench.facts(), Conditions::default());
    let confirmed = Image {
        digest: image.manifest().digest(),
        sequence: 1,
        origin: Origin::Factory,
    };
    let snapshot = Snapshot::with_confirmed(Slot::A, confirmed, 2);
    let whole = Opened::Sound {
        snapshot,
        rewrites: 0,
    };
    assert_eq!(
        examination.journal,
        Some(whole),
        "no flash operation at the first boot"
    );
    let boots = examination.boots.unwrap();
    assert_eq!(
        (boots.slot, boots.role, boots.after),
        (Slot::A, Role::Active, snapshot)
    );
}

#[test]
fn the_file_is_the_whole_flash_and_erased_where_nothing_is() {
    let bench = Bench::new();
    let image = ImageFile::parse(&read(&bench.image(1))).unwrap();
    bench.succeeds(&[&BUILD[..], &["--hardware-revision", "3"]].concat());
    let flash = read(&bench.path("flash.bin"));
    assert_eq!(flash.len(), 0x3_0000);
    let payload = image.payload(Slot::A);
    let end = 0x1_0400 + payload.len();
    assert!(flash[0x1_0000..0x1_0400] == image.header()[..HEADER_LEN]);
    assert!(flash[0x1_0400..end] == *payload);
    assert!(
        flash[end..].iter().all(|byte| *byte == 0xFF),
        "the rest, and slot B"
    );
    let identity = Identity {
        serial: Serial::try_from("BST-000042").unwrap(),
        hardware_revision: 3,
        ..Identity::default()
    };
    assert_eq!(Identity::decode(&flash[0x3000..]), Some(identity));
}

#[test]
fn the_map_draws_every_region_and_says_what_is_not_in_the_file() {
    let bench = Bench::new();
    bench.image(1);
    let said = bench.succeeds(&BUILD);
    for line in [
        "J the journal          0x21000000   12 KiB  ",
        "i partition `identity` 0x21003000    4 KiB   ",
        "A slot A               0x21010000   64 KiB  ",
        "B slot B               0x21020000   64 KiB   0 % erased",
        "the bootloader         not in these files: it lies on flash `boot`",
    ] {
        assert!(
            said.lines().any(|found| found.starts_with(line)),
            "{line} in\n{said}"
        );
    }
    assert!(
        said.contains(" 0 % BST-000042\n") || said.contains(" 1 % BST-000042\n"),
        "{said}"
    );
    let wide = said
        .lines()
        .filter(|line| line.contains('│') && line.chars().count() > 80);
    assert_eq!(wide.count(), 0);
}

/// Everything that a folder gets.
const FOLDER: [&str; 10] = [
    "factory",
    "build",
    "--layout",
    "layout.toml",
    "--image",
    "v1.img",
    "--bootloader",
    "boot.elf",
    "--out",
    "factory",
];

/// A bootloader that programs these bytes at these addresses.
fn bootloader(bench: &Bench, segments: &[(u32, usize)]) {
    let mut elf = Elf::new(0, &[]);
    elf.segments = segments
        .iter()
        .map(|(address, len)| (*address, vec![0xB0; *len]))
        .collect();
    fs::write(bench.path("boot.elf"), elf.bytes()).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_folder_gets_every_format_and_the_map_and_no_units_identity() {
    let bench = Bench::new();
    bench.image(1);
    bootloader(&bench, &[(0, 5000)]);
    let said = bench.succeeds(&[&FOLDER[..], &["--json", "--svg", "flash.svg"]].concat());
    let folder = bench.path("factory");
    let expected = [
        "boot.bin",
        "factory.hex",
        "factory.json",
        "factory.srec",
        "factory.uf2",
        "main.bin",
    ];
    assert_eq!(names(&folder), expected);
    let map = document(said.as_bytes());
    assert_eq!(
        fs::read_to_string(folder.join("factory.json")).unwrap(),
        said
    );
    assert_eq!(map["serial"], Value::Null);
    for file in map["files"].as_array().unwrap() {
        let bytes = read(&folder.join(file["file"].as_str().unwrap()));
        assert_eq!(file["digest"], Digest::of(&bytes).to_string(), "{file}");
        assert_eq!(file["length"], bytes.len(), "{file}");
    }
    let main = read(&folder.join("main.bin"));
    assert!(
        main[0x3000..0x4000].iter().all(|byte| *byte == 0xFF),
        "an identity"
    );
    let boot = read(&folder.join("boot.bin"));
    assert_eq!(boot.len(), 0x1_0000);
    assert!(boot[..5000] == [0xB0; 5000] && boot[5000..].iter().all(|byte| *byte == 0xFF));
    let regions = map["regions"].as_array().unwrap();
    let region = |name: &str| regions.iter().find(|it| it["name"] == name).unwrap();
    assert_eq!(
        region("the bootloader")["digest"],
        Digest::of(&boot).to_string()
    );
    assert_eq!(region("partition `identity`")["digest"], Value::Null);
    assert_eq!(region("slot A")["address"], 0x2101_0000);
    let picture = fs::read_to_string(bench.path("flash.svg")).unwrap();
    for shown in [
        "slot A",
        "0x21010000..0x21020000",
        "prefers-color-scheme: dark",
        map["image"].as_str().unwrap(),
    ] {
        assert!(picture.contains(shown), "{shown}");
    }
}

#[test]
fn the_same_inputs_give_the_same_files_in_any_folder() {
    let bench = Bench::new();
    bench.image(1);
    bootloader(&bench, &[(0, 5000)]);
    bench.succeeds(&FOLDER);
    let mut other = FOLDER;
    other[9] = "other";
    bench.succeeds(&other);
    for name in names(&bench.path("factory")) {
        let [one, two] = ["factory", "other"].map(|folder| read(&bench.path(folder).join(&name)));
        assert!(one == two, "{name}");
    }
}

#[test]
fn a_unit_differs_from_what_all_have_in_common_by_its_identity_alone() {
    let bench = Bench::new();
    bench.image(1);
    bench.succeeds(&BUILD);
    let unit = read(&bench.path("flash.bin"));
    let mut common = BUILD.to_vec();
    common.drain(6..8);
    bench.succeeds(&common);
    let common = read(&bench.path("flash.bin"));
    assert!(unit[..0x3000] == common[..0x3000] && unit[0x4000..] == common[0x4000..]);
    assert!(unit[0x3000..0x4000] != common[0x3000..0x4000]);
    assert!(
        examine(&common, &bench.facts(), Conditions::default())
            .boots
            .is_some()
    );
}

#[test]
fn a_bootloader_that_leaves_its_region_is_told_what_it_runs_into() {
    let bench = Bench::new();
    bench.image(1);
    let cases: [(&[(u32, usize)], &str); 5] = [
        (
            &[(0, 0x1_0001)],
            "found segment 0 (boot 0x0..0x10001), which reaches 1 bytes behind the end of flash `boot`, \
             expected all of it within the bootloader (boot 0x0..0x10000)",
        ),
        (
            &[(0x2101_0000, 16)],
            "found segment 0 (main 0x10000..0x10010) in slot A (main 0x10000..0x20000), \
             expected the first byte at 0x0, where the bootloader (boot 0x0..0x10000) begins",
        ),
        (
            &[(0x100, 16)],
            "found segment 0 (boot 0x100..0x110), expected the first byte at 0x0",
        ),
        (
            &[(0, 64), (32, 64)],
            "found segment 1 (boot 0x20..0x60), over the one before it, expected segments that do not overlap",
        ),
        (
            &[(0, 64), (0x3000_0000, 4)],
            "found segment 1 at 0x30000000..0x30000004, on no flash of the layout",
        ),
    ];
    for (segments, expected) in cases {
        bootloader(&bench, segments);
        let said = bench.fails(&FOLDER);
        assert!(said.contains(expected), "{expected} in {said}");
    }
    // On one flash with the rest, it may run into its neighbour there.
    bench.edit_layout(
        "[bootloader]\nflash = \"boot\"\noffset = 0\n",
        "[bootloader]\nflash = \"main\"\noffset = 0x4000\n",
    );
    bench.edit_layout(
        "size = 0x1_0000\nram = \"main\"\n[journal]",
        "size = 0xC000\nram = \"main\"\n[journal]",
    );
    bench.image(1);
    bootloader(&bench, &[(0x2100_4000, 0xC001)]);
    let said = bench.fails(&FOLDER);
    let expected = "which reaches 1 bytes into slot A (main 0x10000..0x20000), expected all of it within \
                    the bootloader (main 0x4000..0x10000)";
    assert!(said.contains(expected), "{said}");
    bootloader(&bench, &[(0x2100_4000, 0xC000)]);
    bench.succeeds(&FOLDER);
    let main = read(&bench.path("factory").join("main.bin"));
    assert!(main[0x4000..0x1_0000].iter().all(|byte| *byte == 0xB0));
}

#[test]
fn where_the_files_cannot_go_nothing_is_left() {
    let bench = Bench::new();
    bench.image(1);
    bootloader(&bench, &[(0, 5000)]);
    // A .bin has no addresses, and a file's name is no folder's.
    let mut one = FOLDER;
    one[9] = "flash.bin";
    let said = bench.fails(&one);
    assert!(
        said.contains("flash.bin: found 2 flashes (`boot`, `main`), expected one"),
        "{said}"
    );
    fs::create_dir(bench.path("flash.hex")).unwrap();
    one[9] = "flash.hex";
    let said = bench.fails(&one);
    assert!(
        said.contains("flash.hex: found a folder, expected a file"),
        "{said}"
    );
    let said = bench.fails(&[&FOLDER[..], &["--svg", "no/flash.svg"]].concat());
    assert!(
        said.contains("no/flash.svg: cannot write the file"),
        "{said}"
    );
    assert!(
        !bench.path("factory").exists(),
        "the folder that was made is gone"
    );
    one[9] = "no/factory";
    let said = bench.fails(&one);
    assert!(
        said.contains("no/factory: cannot make the folder"),
        "{said}"
    );
    // One of several names is taken: the others are as they were.
    bench.succeeds(&FOLDER);
    let folder = bench.path("factory");
    let before = read(&folder.join("main.bin"));
    fs::remove_file(folder.join("factory.json")).unwrap();
    fs::create_dir(folder.join("factory.json")).unwrap();
    bench.image(2);
    let mut second = FOLDER;
    second[5] = "v2.img";
    bench.fails(&second);
    assert!(read(&folder.join("main.bin")) == before);
    assert_eq!(names(&folder).len(), 6);
}

#[test]
fn a_disk_that_is_full_half_way_leaves_nothing() {
    let bench = Bench::new();
    bench.image(1);
    bootloader(&bench, &[(0, 5000)]);
    // No file may be longer than this: boot.bin is 64 KiB, main.bin is 192.
    let mut limited = Command::new("bash");
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\"";
    limited.args(["-c", script, env!("CARGO_BIN_EXE_bistable")]);
    let output = limited
        .args(FOLDER)
        .current_dir(bench.path("."))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("factory/main.bin: cannot write the file"),
        "{said}"
    );
    assert!(!bench.path("factory").exists());
}

#[test]
fn a_flash_of_an_earlier_build_is_not_left_beside_this_one() {
    let bench = Bench::new();
    bench.image(1);
    bootloader(&bench, &[(0, 5000)]);
    bench.succeeds(&FOLDER);
    let mut without = FOLDER.to_vec();
    without.drain(6..8);
    let said = bench.fails(&without);
    assert!(
        said.contains("boot.bin: found a flash of an earlier build"),
        "{said}"
    );
    fs::remove_file(bench.path("factory").join("boot.bin")).unwrap();
    bench.succeeds(&without);
}

#[test]
fn the_uf2_file_is_for_the_family_that_was_named_and_only_then_has_one() {
    let bench = Bench::new();
    bench.image(1);
    let mut uf2 = BUILD.to_vec();
    uf2[9] = "flash.uf2";
    bench.succeeds(&uf2);
    let none = read(&bench.path("flash.uf2"));
    let said = bench.succeeds(&[&uf2[..], &["--uf2-family", "rp2040", "--json"]].concat());
    let named = read(&bench.path("flash.uf2"));
    assert_eq!(document(said.as_bytes())["uf2_family"], "0xe48bff56");
    for (none, named) in none.chunks(512).zip(named.chunks(512)) {
        let family = [0x56, 0xFF, 0x8B, 0xE4];
        assert_eq!([&none[8..12], &none[28..32]], [[0; 4]; 2]);
        assert_eq!([&named[8..12], &named[28..32]], [[0, 0x20, 0, 0], family]);
    }
    let said = bench.fails(&[&BUILD[..], &["--uf2-family", "rp2040"]].concat());
    assert!(said.contains("--uf2-family: found no UF2 file"), "{said}");
}

#[test]
fn an_image_may_fill_its_slot_to_the_last_byte() {
    let bench = Bench::new();
    let capacity = 0x1_0000 - 1024;
    for (slot, name) in [(Slot::A, "a.elf"), (Slot::B, "b.elf")] {
        let base = bench.facts().product.layout.payload_address(slot);
        let mut program = bench::program(base, 1);
        program.resize(capacity, 0x5A);
        fs::write(bench.path(name), Elf::new(base, &program).bytes()).unwrap();
    }
    bench.succeeds(&bench::build("v1.img", 1, &["--key", "dev.pem"]).as_strs());
    bench.succeeds(&BUILD);
    let flash = read(&bench.path("flash.bin"));
    assert_eq!(flash[0x1_FFFF], 0x5A);
    assert_eq!(flash[0x2_0000], 0xFF);
}

#[test]
fn sectors_of_a_quarter_of_a_mebibyte_are_a_flash_like_any_other() {
    let bench = Bench::new();
    bench.edit_layout(
        "size = 0x3_0000\nerase_size = 4096",
        "size = 0x20_0000\nerase_size = 0x4_0000",
    );
    bench.edit_layout(
        "a = 0x1_0000\nb = 0x2_0000\nsize = 0x1_0000",
        "a = 0x10_0000\nb = 0x14_0000\nsize = 0x4_0000",
    );
    bench.edit_layout(
        "offset = 0x3000\nsize = 0x1000",
        "offset = 0xC_0000\nsize = 0x4_0000",
    );
    bench.image(1);
    bench.succeeds(&BUILD);
    let mut hex = BUILD;
    hex[9] = "flash.hex";
    bench.succeeds(&hex);
    let flash = read(&bench.path("flash.bin"));
    assert!(
        examine(&flash, &bench.facts(), Conditions::default())
            .boots
            .is_some()
    );
    let text = read(&bench.path("flash.hex"));
    assert!(
        text.len() < 3 * 40_000,
        "{} bytes: erased sectors are not in it",
        text.len()
    );
}

#[test]
fn what_the_image_revokes_is_revoked_from_the_start() {
    let bench = Bench::new();
    bench.make_key("lost");
    let more = [
        "--security-counter",
        "9",
        "--revoke-below",
        "8",
        "--schemas",
        "3..=5",
        "--revoke",
        "lost",
    ];
    bench.image_with(1, &more);
    bench.succeeds(&BUILD);
    let flash = read(&bench.path("flash.bin"));
    let examination = examine(&flash, &bench.facts(), Conditions::default());
    let snapshot = examination.snapshot().unwrap();
    assert_eq!(
        (snapshot.floor, snapshot.schema, snapshot.revoked.0),
        (8, 5, 0b10)
    );
    assert!(matches!(snapshot.slot(Slot::A), SlotState::Confirmed(_)));
    assert!(examination.boots.is_some());
}

#[test]
fn every_write_size_that_a_layout_allows_gives_a_device_that_boots() {
    for write_size in ["1", "2", "8", "16", "32"] {
        let bench = Bench::new();
        bench.edit_layout("write_size = 4", &format!("write_size = {write_size}"));
        bench.image(1);
        bench.succeeds(&BUILD);
        let flash = read(&bench.path("flash.bin"));
        let examination = examine(&flash, &bench.facts(), Conditions::default());
        assert!(examination.boots.is_some(), "{write_size}");
    }
}

#[test]
fn the_same_inputs_give_the_same_file() {
    let bench = Bench::new();
    bench.image(1);
    bench.succeeds(&BUILD);
    let first = read(&bench.path("flash.bin"));
    bench.succeeds(&BUILD);
    assert!(first == read(&bench.path("flash.bin")));
}

#[test]
fn whatever_is_wrong_is_told_before_anything_is_written() {
    let bench = Bench::new();
    let path = bench.image(1);
    let good = read(&path);
    fs::write(bench.path("flash.bin"), "what was here before").unwrap();

    let mut damaged = good.clone();
    damaged[3000] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let said = bench.fails(&BUILD);
    assert!(
        said.starts_with("error: v1.img: found chunk 0 in slot A at offset 0x"),
        "{said}"
    );
    assert!(said.contains("refused as B052 BadChunk"), "{said}");

    fs::write(&path, &good).unwrap();
    let mut long = BUILD;
    long[7] = "a serial number of thirty-three bytes";
    let said = bench.fails(&long);
    assert!(
        said.contains("--serial: found 37 bytes, expected 1 to 32 bytes"),
        "{said}"
    );

    let mut elsewhere = BUILD;
    elsewhere[9] = "no/flash.bin";
    let said = bench.fails(&elsewhere);
    assert!(
        said.starts_with("error: no/flash.bin: cannot write the flash file: "),
        "{said}"
    );

    bench.edit_layout("[partition.identity]", "[partition.other]");
    let said = bench.fails(&BUILD);
    assert!(
        said.contains("layout.toml: found no place for the identity"),
        "{said}"
    );
}

#[test]
fn a_journal_on_another_flash_needs_a_file_with_addresses_or_one_for_each() {
    let bench = Bench::new();
    bench.image(1);
    bench.edit_layout(
        "[journal]\nflash = \"main\"\noffset = 0",
        "[journal]\nflash = \"extra\"\noffset = 0",
    );
    bench.edit_layout(
        "[ram.main]",
        "[flash.extra]\naddress = 0x3000_0000\nsize = 0x1_0000\nerase_size = 4096\nwrite_size = 8\n[ram.main]",
    );
    let said = bench.fails(&BUILD);
    assert!(
        said.contains("flash.bin: found 2 flashes (`main`, `extra`), expected one"),
        "{said}"
    );
}
