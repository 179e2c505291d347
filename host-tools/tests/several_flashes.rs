//! Products whose journal and slots lie on several flashes: built, read back in parts, judged.

mod bench;

use std::fs;

use bench::elf::Elf;
use bench::{Bench, build, document, read};
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::version::Version;
use bistable_tools::factory::build::build_in;
use bistable_tools::image::file::ImageFile;
use bistable_updater::identity::Identity;
use serde_json::{Value, json};

/// Journal, identity and slot A in `main`; slot B, with larger sectors, at the start of `qspi`.
fn two_flashes() -> Bench {
    let bench = Bench::new();
    bench.edit_layout(
        "flash = \"main\"\na = 0x1_0000\nb = 0x2_0000",
        "flash = { a = \"main\", b = \"qspi\" }\na = 0x1_0000\nb = 0",
    );
    bench.edit_layout(
        "[ram.main]",
        "[flash.qspi]\naddress = 0x9000_0000\nsize = 0x4_0000\nerase_size = 0x1_0000\nwrite_size = 16\n[ram.main]",
    );
    bench
}

/// An STM32F4-like chip: the journal in small sectors, the slots in large ones right behind a run in which nothing lies.
fn uneven() -> Bench {
    let bench = Bench::new();
    bench.edit_layout(
        "[flash.main]\naddress = 0x2100_0000\nsize = 0x3_0000\nerase_size = 4096",
        "[flash.small]\naddress = 0x2100_0000\nsize = 0x1_0000\nerase_size = 0x4000\nwrite_size = 4\n\
         [flash.middle]\naddress = 0x2101_0000\nsize = 0x1_0000\nerase_size = 0x1_0000\nwrite_size = 4\n\
         [flash.large]\naddress = 0x2102_0000\nsize = 0x8_0000\nerase_size = 0x2_0000",
    );
    for (from, to) in [
        (
            "flash = \"main\"\noffset = 0\nsectors = 3",
            "flash = \"small\"\noffset = 0x8000\nsectors = 2",
        ),
        (
            "flash = \"main\"\na = 0x1_0000\nb = 0x2_0000\nsize = 0x1_0000",
            "flash = \"large\"\na = 0\nb = 0x4_0000\nsize = 0x4_0000",
        ),
        (
            "flash = \"main\"\noffset = 0x3000\nsize = 0x1000",
            "flash = \"small\"\noffset = 0x4000\nsize = 0x4000",
        ),
    ] {
        bench.edit_layout(from, to);
    }
    bench
}

const BUILD: [&str; 6] = [
    "factory",
    "build",
    "--layout",
    "layout.toml",
    "--image",
    "v1.img",
];

/// A device whose image, `v1.img`, runs from `slot`: the content of each flash, in a file of its name.
fn device(bench: &Bench, slot: Slot) {
    let facts = bench.facts();
    let image = ImageFile::parse(&read(&bench.image(1))).unwrap();
    let identity = Identity::default();
    let version = Version::new(0, 1, 0);
    let row = build_in(slot, &facts, &bench.layout(), &image, &identity, version).unwrap();
    for flash in facts.row.flashes() {
        fs::write(bench.path(&flash.name), &row[flash.range()]).unwrap();
    }
}

fn doctor(bench: &Bench, more: &[&str]) -> Value {
    let arguments = [&["doctor", "--layout", "layout.toml", "--json"], more].concat();
    document(bench.bistable(&arguments).stdout.as_slice())
}

fn no_answer(bench: &Bench, more: &[&str]) -> String {
    bench.fails(&[&["doctor", "--layout", "layout.toml"], more].concat())
}

#[test]
fn the_factory_puts_the_image_on_the_flash_of_slot_a_and_erases_the_other() {
    let bench = two_flashes();
    let image = ImageFile::parse(&read(&bench.image(1))).unwrap();
    let said = bench.succeeds(&[&BUILD[..], &["--serial", "7", "--out", "new"]].concat());
    let (main, qspi) = (
        read(&bench.path("new/main.bin")),
        read(&bench.path("new/qspi.bin")),
    );
    assert_eq!((main.len(), qspi.len()), (0x3_0000, 0x4_0000));
    assert!(main[0x1_0000..][..HEADER_LEN] == image.header()[..]);
    assert!(main[0x1_0400..].starts_with(image.payload(Slot::A)));
    assert!(qspi.iter().all(|byte| *byte == 0xFF));
    let line = |text: &str| said.lines().any(|line| line.starts_with(text));
    assert!(
        line("flash `qspi`, 0x90000000..0x90040000, 256 KiB"),
        "{said}"
    );
    assert!(
        line("B slot B               0x90000000   64 KiB   0 % erased"),
        "{said}"
    );
    // One file without addresses cannot hold both.
    let said = bench.fails(&[&BUILD[..], &["--out", "one.bin"]].concat());
    assert!(
        said.contains("one.bin: found 2 flashes (`main`, `qspi`), expected one"),
        "{said}"
    );
}

#[test]
fn an_image_is_linked_for_both_flashes_however_far_they_are_apart() {
    let bench = two_flashes();
    let image = ImageFile::parse(&read(&bench.image(1))).unwrap();
    let vector = |slot| {
        let (_, entry) = image.payload(slot).split_first_chunk::<4>().unwrap();
        u32::from_le_bytes(*entry.first_chunk().unwrap())
    };
    assert_eq!(
        (vector(Slot::A), vector(Slot::B)),
        (0x2101_0501, 0x9000_0501)
    );
    assert_eq!(
        image.payload(Slot::B).len() % 16,
        0,
        "whole units of both flashes"
    );
    let verify = [
        "image",
        "verify",
        "v1.img",
        "--layout",
        "layout.toml",
        "--json",
    ];
    let said = document(bench.succeeds(&verify).as_bytes());
    let mut checks = said["checks"].as_array().unwrap().iter();
    let units = checks.find(|check| check["check"] == "units").unwrap();
    assert_eq!(&units["expected"], "a multiple of 16");
}

#[test]
fn addresses_that_differ_in_too_many_bytes_are_refused_with_a_better_place_for_the_slots() {
    let bench = two_flashes();
    // A program that is all addresses: those of slot A, and two flashes away.
    let link = || {
        for (slot, name) in [(Slot::A, "a.elf"), (Slot::B, "b.elf")] {
            let base = bench.facts().product.layout.payload_address(slot);
            let table = (0..1024_u32).flat_map(|at| (base + 4 * at + 1).to_le_bytes());
            let mut program: Vec<u8> = table.collect();
            program[..4].copy_from_slice(&0x2000_8000_u32.to_le_bytes());
            fs::write(bench.path(name), Elf::new(base, &program).bytes()).unwrap();
        }
    };
    link();
    let build = build("v1.img", 1, &["--key", "dev.pem"]);
    let said = bench.fails(&build.as_strs());
    assert!(
        said.contains("found 510 fix-ups in chunk 0 of 1024 bytes"),
        "{said}"
    );
    assert!(
        said.contains("make slots.chunk_size larger in the layout: pages grow with it; or place the slots so that fewer bytes of their distance, 0x6eff0000, are not 0"),
        "{said}"
    );
    // 0x6f000000 apart, an address differs in one byte.
    bench.edit_layout("a = 0x1_0000\nb = 0\n", "a = 0x1_0000\nb = 0x1_0000\n");
    link();
    bench.succeeds(&build.as_strs());
}

#[test]
fn the_flash_with_the_journal_and_the_running_slot_says_what_boots() {
    let bench = two_flashes();
    device(&bench, Slot::A);
    let said = doctor(&bench, &["main"]);
    assert_eq!(said["boots"]["slot"], "A");
    let flash = json!({ "name": "main", "address": 0x2100_0000, "size": 0x3_0000, "from": 0, "to": 0x3_0000 });
    assert_eq!(said["flash"], flash);
    let regions = said["regions"].as_array().unwrap();
    let b = regions.iter().find(|it| it["name"] == "slot B").unwrap();
    assert_eq!(
        (&b["address"], &b["offset"], &b["used"]),
        (&json!(0x9000_0000_u32), &json!(0), &Value::Null)
    );
    assert_eq!(b["state"], "empty, not all in file");
    let text = bench.succeeds(&["doctor", "--layout", "layout.toml", "main"]);
    assert!(
        text.contains("flash `main`") && text.contains("flash `qspi`"),
        "{text}"
    );
}

#[test]
fn the_doctor_says_which_slot_it_takes_that_is_not_in_the_file() {
    let bench = two_flashes();
    device(&bench, Slot::B);
    let said = no_answer(&bench, &["main"]);
    assert!(
        said.contains("not enough to say what boots: slot B is not, or not all, in this file"),
        "{said}"
    );
    let said = no_answer(&bench, &["qspi", "--at", "0x9000_0000"]);
    assert!(said.contains("what boots: the journal"), "{said}");
    // And yet it says what lies in it.
    let said = doctor(&bench, &["qspi", "--at", "0x9000_0000"]);
    assert_eq!(
        (&said["flash"]["name"], &said["flash"]["from"]),
        (&json!("qspi"), &json!(0))
    );
    assert_eq!(said["slots"][1]["verifies"], true);
    assert_eq!(said["slots"][0]["verifies"], Value::Null);
}

#[test]
fn a_place_on_none_of_the_flashes_is_refused_with_those_that_there_are() {
    let bench = two_flashes();
    device(&bench, Slot::A);
    let said = no_answer(&bench, &["qspi", "--at", "0x1000"]);
    let expected = "--at: found 0x1000, expected an address in 0x21000000..0x21030000 or 0x90000000..0x90040000, where \
                    `main`, `qspi` lie";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn an_image_is_judged_for_the_device_of_which_one_flash_is_there() {
    let bench = two_flashes();
    device(&bench, Slot::A);
    bench.image(2);
    let verify = [
        "image",
        "verify",
        "v2.img",
        "--layout",
        "layout.toml",
        "--on",
        "main",
    ];
    bench.succeeds(&verify);
    device(&bench, Slot::B);
    let said = bench.fails(&verify);
    assert!(
        said.contains("main: found not enough to say what boots: slot B is not"),
        "{said}"
    );
}

#[test]
fn uneven_sectors_are_built_and_read_as_the_chip_they_are() {
    let bench = uneven();
    device(&bench, Slot::A);
    let (small, large) = (read(&bench.path("small")), read(&bench.path("large")));
    assert_eq!((small.len(), large.len()), (0x1_0000, 0x8_0000));
    // All of the chip in one go, the run between with whatever is in it.
    let chip = [small, vec![0x5A; 0x1_0000], large].concat();
    fs::write(bench.path("chip"), &chip).unwrap();
    let said = doctor(&bench, &["chip"]);
    assert_eq!(said["boots"]["slot"], "A");
    assert_eq!(said["flash"]["name"], "small, large");
    assert_eq!(said["sectors"][1]["offset"], 0xC000);
    // A part that begins in the one and ends in the other; slot B is not needed.
    fs::write(bench.path("part"), &chip[0x8000..0x6_0000]).unwrap();
    let said = doctor(&bench, &["part", "--at", "0x2100_8000"]);
    assert_eq!(
        (&said["boots"]["slot"], &said["flash"]["from"]),
        (&json!("A"), &json!(0x8000))
    );
    // A part that begins one run later lies elsewhere: nothing of it is taken for the journal.
    assert!(no_answer(&bench, &["part", "--at", "0x2102_0000"]).contains("the journal"));
}

#[test]
fn a_journal_that_is_read_from_elsewhere_is_found_across_flashes() {
    let bench = uneven();
    device(&bench, Slot::A);
    fs::write(bench.path("part"), &read(&bench.path("small"))[0x2000..]).unwrap();
    let said = doctor(&bench, &["part", "--at", "0x2100_0000"]);
    let advice = said["advice"].to_string();
    assert!(advice.contains("--at 0x21002000"), "{advice}");
}
