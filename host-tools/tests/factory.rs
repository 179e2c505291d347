//! `bistable factory`: the file that a new device is flashed with.

mod bench;

use std::fs;

use bench::{Bench, read};
use bistable_core::choose::Role;
use bistable_core::journal::Opened;
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::state::{Image, Origin, SlotState, Snapshot};
use bistable_tools::doctor::{Conditions, examine};
use bistable_tools::image::file::ImageFile;
use bistable_updater::identity::{Identity, Serial};

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
fn the_map_names_every_region_and_what_is_not_in_the_file() {
    let bench = Bench::new();
    bench.image(1);
    let said = bench.succeeds(&BUILD);
    for (region, rest) in [
        (
            "the bootloader",
            "not in this file: it lies on flash `boot`",
        ),
        ("the journal", "0x21000000..0x21003000    12288  "),
        ("partition `identity`", "0x21003000..0x21004000     4096  "),
        ("slot A", "0x21010000..0x21020000    65536  "),
        ("slot B", "0x21020000..0x21030000    65536  erased"),
    ] {
        let line = format!("{region:<22} {rest}");
        assert!(
            said.lines().any(|found| found.starts_with(&line)),
            "{line} in\n{said}"
        );
    }
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
fn a_journal_on_another_flash_is_not_supported_yet_and_said_so() {
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
    let expected =
        "layout.toml: found the journal on flash `extra`, expected everything on flash `main`";
    assert!(said.contains(expected), "{said}");
}
