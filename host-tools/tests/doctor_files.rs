//! `bistable doctor` on files that are not what a flash should be: a part of one, or a broken one.

mod bench;

use std::fs;

use bench::device::{Device, PAYLOADS};
use bench::document;
use bistable_core::journal::{Journal, Opened};
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Reason, SlotState, Snapshot};
use bistable_core::version::Version;
use bistable_tools::doctor::{Conditions, Diagnosis, Dump, examine_dump};
use bistable_tools::memory_flash::{MemoryFlash, NoWatchdog};
use bistable_tools::output;
use serde_json::{Value, json};

const DOCTOR: [&str; 4] = ["doctor", "part.bin", "--layout", "layout.toml"];

/// What the doctor says of a part of the device's flash, as JSON; whether it says that something boots.
fn part(device: &Device, range: std::ops::Range<usize>, more: &[&str]) -> (Value, bool) {
    fs::write(device.bench.path("part.bin"), &device.flash[range]).unwrap();
    let output = device
        .bench
        .bistable(&[&DOCTOR[..], more, &["--json"]].concat());
    let said = document(&output.stdout);
    (said, output.status.success())
}

/// The same as text.
fn text(device: &Device, bytes: &[u8]) -> String {
    fs::write(device.bench.path("part.bin"), bytes).unwrap();
    let output = device.bench.bistable(&DOCTOR);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_file_that_ends_behind_the_image_that_boots_is_enough() {
    let device = Device::new();
    let (said, boots) = part(&device, 0..0x1_8000, &[]);
    assert!(boots);
    assert_eq!(said["boots"]["version"], "1.1.0");
    assert_eq!(said["missing"], json!([]));
    assert_eq!(said["slots"][1]["verifies"], Value::Null);
    assert_eq!(said["regions"][3]["state"], "empty, not all in file");
}

#[test]
fn a_file_that_ends_within_the_image_that_would_boot_cannot_say() {
    let device = Device::new();
    let (said, boots) = part(&device, 0..0x1_2000, &[]);
    assert!(!boots);
    assert_eq!(said["boots"], Value::Null);
    assert_eq!(said["missing"], json!(["slot A"]));
    assert_eq!(said["active"], "A", "the journal is there");
    assert_eq!(said["slots"][0]["version"], "1.1.0", "its header is there");
    assert_eq!(said["slots"][0]["verifies"], Value::Null);
    let error = device.bench.fails(&DOCTOR);
    assert!(
        error.contains("not enough to say what boots: slot A is not, or not all, in this file"),
        "{error}"
    );
}

#[test]
fn a_trial_that_is_not_in_the_file_might_boot() {
    let device = Device::new().trial(3, 16);
    let (said, boots) = part(&device, 0..0x2_0000, &[]);
    assert!(!boots, "not slot A, which is whole");
    assert_eq!(said["missing"], json!(["slot B"]));
    // The budget for this reset is used up: slot B is not looked at.
    let device = Device::new().trial(0, 16);
    let (said, boots) = part(&device, 0..0x2_0000, &["--reset", "watchdog"]);
    assert!(boots);
    assert_eq!(said["boots"]["slot"], "A");
}

#[test]
fn the_journal_alone_tells_its_story_wherever_it_was_read_from() {
    let device = Device::new().trial(3, 16);
    let (said, boots) = part(&device, 0..0x3000, &["--at", "0x2100_0000"]);
    assert!(!boots);
    assert_eq!(said["journal"]["health"], "whole");
    assert_eq!(said["slots"][1]["state"], "trial");
    let two_sectors = part(&device, 0x1000..0x3000, &["--at", "4096"]).0;
    assert_eq!(two_sectors["journal"]["health"], "not-in-file");
    assert_eq!(two_sectors["active"], Value::Null);
    let holds: Vec<_> = two_sectors["sectors"].as_array().unwrap().iter().collect();
    assert_eq!(holds[0]["holds"], "not-in-file");
    assert_eq!(holds[1]["holds"], "whole");
}

#[test]
fn one_slot_alone_is_judged_by_itself() {
    let device = Device::new().confirmed();
    let (said, boots) = part(&device, 0x2_0000..0x3_0000, &["--at", "0x21020000"]);
    assert!(!boots);
    assert_eq!(said["missing"], json!(["the journal", "slot A"]));
    assert_eq!(said["slots"][1]["verifies"], true);
    assert_eq!(said["slots"][1]["version"], "1.2.0");
    assert_eq!(said["slots"][0]["verifies"], Value::Null);
    assert_eq!(
        said["flash"],
        json!({
            "name": "main", "address": 0x2100_0000, "size": 0x3_0000,
            "from": 0x2_0000, "to": 0x3_0000,
        })
    );
}

#[test]
fn a_place_outside_the_flash_is_no_place() {
    let device = Device::new();
    fs::write(device.bench.path("part.bin"), [0]).unwrap();
    let said = device
        .bench
        .fails(&[&DOCTOR[..], &["--at", "0x30000"]].concat());
    assert!(
        said.contains("--at: found 0x30000, expected an address in 0x21000000..0x21030000, or an offset below 0x30000"),
        "{said}"
    );
}

#[test]
fn a_part_that_was_taken_for_the_whole_says_where_it_may_begin() {
    let bench_at = |text: &str| {
        let at = text.split("`--at ").nth(1).unwrap();
        at.split('`').next().unwrap().to_owned()
    };
    let mut device = Device::new();
    device.flash.splice(0..0, vec![0xFF; 0x1000]);
    let said = text(&device, &device.flash);
    assert!(!said.contains("--at"), "no place before the flash\n{said}");
    // A flash whose journal does not lie first.
    let device = Device::new();
    device
        .bench
        .edit_layout("offset = 0\nsectors = 3", "offset = 0x4000\nsectors = 3");
    let layout = device.bench.facts().product.layout;
    let mut flash = vec![0xFF; 0x3_0000];
    let snapshot = Snapshot::with_confirmed(Slot::A, device.image(1), 2);
    let mut memory = MemoryFlash::<4>::new(&mut flash, 4096);
    Journal::new(layout.journal, layout.digest)
        .format(&mut memory, &mut NoWatchdog, &snapshot)
        .unwrap();
    let said = text(&device, &flash[0x4000..]);
    assert_eq!(bench_at(&said), "0x21004000", "{said}");
}

#[test]
fn what_the_journal_went_through_is_told_from_one_snapshot_to_the_next() {
    let device = Device::new();
    let image = device.image(2);
    let reason = Reason::CheckFailed(2);
    let device = device
        .trial(2, 16)
        .with_second(SlotState::Rejected(image, reason.code()), |snapshot| {
            snapshot.remember_rejected(image, reason)
        });
    let (said, _) = part(&device, 0..0x3_0000, &[]);
    let digest = image.digest.to_string();
    let changes: Vec<_> = said["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["changes"].clone())
        .collect();
    assert_eq!(
        changes[1..],
        [
            json!([format!(
                "B: empty → trial {} (2 attempts, 16 power-ons left)",
                &digest[..8]
            )]),
            json!([format!(
                "B: trial {0} (2 attempts, 16 power-ons left) → rejected {0} (B103: health check 2 \
                 `update-source` failed)",
                &digest[..8]
            )]),
        ]
    );
    assert_eq!(said["slots"][1]["reason_number"], "B103");
    let advice = said["advice"].as_array().unwrap();
    let expected = format!(
        "Image {}, sequence 2, was rejected as B103 CheckFailed(2): find out why",
        &digest[..8]
    );
    assert!(advice[0].as_str().unwrap().starts_with(&expected), "{said}");
}

#[test]
fn a_torn_sector_shows_how_many_copies_are_left() {
    let mut device = Device::new();
    device.flash[0x1000..0x1000 + 320].fill(0x21);
    device.flash[0x1000 + 640..0x1000 + 960].fill(0xFF);
    let (said, boots) = part(&device, 0..0x3_0000, &[]);
    assert!(boots);
    let sector = &said["sectors"][1];
    assert_eq!(
        (&sector["holds"], &sector["valid"]),
        (&json!("torn"), &json!(3))
    );
    assert_eq!(
        sector["copies"],
        json!(["garbage", "valid", "blank", "valid", "valid"])
    );
    assert_eq!(said["sectors"][2]["current"], true);
}

#[test]
fn a_journal_of_another_layout_is_told_from_garbage() {
    let device = Device::new();
    device.bench.edit_layout("a = 0x1_0000", "a = 0x0_8000");
    device.bench.edit_layout(
        "b = 0x2_0000\nsize = 0x1_0000",
        "b = 0x1_0000\nsize = 0x8000",
    );
    let said = text(&device, &device.flash);
    for expected in [
        "sector 0: written for another layout",
        "to do     The journal was written for another layout",
        "boots     nothing after power-on",
    ] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
    for of_its_own_layout in ["The journal is lost", "flash it again"] {
        assert!(!said.contains(of_its_own_layout), "{said}");
    }
}

#[test]
fn turned_words_zeros_and_an_erased_flash_are_called_what_they_are() {
    let device = Device::new();
    let mut turned = device.flash.clone();
    turned.chunks_mut(4).for_each(<[u8]>::reverse);
    for (bytes, expected) in [
        (turned, "The bytes of each word of 4 are turned around"),
        (vec![0; 0x3_0000], "The file is all 0x00"),
        (
            vec![0xFF; 0x3_0000],
            "The file is all 0xff: the flash is erased",
        ),
        (Vec::new(), "what boots depends on the journal"),
    ] {
        let said = text(&device, &bytes);
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
}

#[test]
fn the_picture_fits_a_terminal_and_shows_every_region() {
    let device = Device::new().confirmed().damage(Slot::A);
    let said = text(&device, &device.flash);
    let picture: Vec<_> = said.lines().take_while(|line| !line.is_empty()).collect();
    assert!(
        picture.iter().all(|line| line.chars().count() <= 80),
        "{said}"
    );
    for expected in [
        "J the journal          0x21000000   12 KiB  79 % whole, 3 of 3 sectors",
        "i partition `identity` 0x21003000    4 KiB   0 % 7 bytes used",
        "A slot A               0x21010000   64 KiB  32 % confirmed 1.1.0, refused B053",
        "B slot B               0x21020000   64 KiB  32 % confirmed 1.2.0, boots",
    ] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "no colours in a file");
    assert!(
        said.contains(
            "to do     Slot A does not boot (B053 BadPayload), so there is nothing to go back to"
        ),
        "{said}"
    );
}

#[test]
fn what_to_do_follows_from_what_was_found() {
    let lost = Device::new().lose_journal();
    let other = Device::new().confirmed().damage(Slot::B);
    let trial = Device::new().trial(2, 16);
    let dead = Device::new().damage(Slot::A);
    for (device, expected) in [
        (
            &Device::new(),
            "to do     Nothing: it boots 1.1.0 from slot A, confirmed.",
        ),
        (&lost, "to do     The journal is lost: floor (2)"),
        (
            &other,
            "to do     Publish an image with a sequence above 1: the device runs slot A instead of slot B, which is refused as B053 BadPayload",
        ),
        (
            &trial,
            "to do     Wait: 1.2.0 is on trial in slot B, with 2 attempts and 15 power-ons left after this start",
        ),
        (
            &dead,
            "to do     Slot A is refused as B053 BadPayload: they are damaged",
        ),
        (&dead, "to do     The device waits in recovery."),
    ] {
        let said = text(device, &device.flash);
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
}

/// Whatever a file holds and wherever it lies: something is said, and it is said of a decision that the
/// bootloader could have made.
#[test]
fn nothing_that_a_file_holds_brings_the_doctor_down() {
    let devices = [
        Device::new(),
        Device::new().trial(2, 16),
        Device::new().confirmed(),
    ];
    let mut random = fastrand::Rng::with_seed(0xB157);
    // Each bench has a key of its own.
    let facts: Vec<_> = devices.iter().map(|it| it.bench.facts()).collect();
    let mut booted = 0;
    for round in 0..2000 {
        let number = random.usize(0..devices.len());
        let (device, facts) = (&devices[number], &facts[number]);
        let mut bytes = device.flash.clone();
        for _ in 0..random.usize(0..6) {
            corrupt(&mut bytes, &mut random);
        }
        let (mut from, mut to) = (0, bytes.len());
        if random.u8(..) < 64 {
            from = random.usize(0..=bytes.len());
            to = random.usize(from..=bytes.len());
        }
        let at = match random.bool() {
            true => from,
            false => random.usize(0..=0x3_0000),
        };
        let dump = Dump::part(&bytes[from..to], at, 0x3_0000);
        let conditions = Conditions {
            reset: *random.choice(&ResetReason::ALL).unwrap(),
            bootloader: Version::new(random.u16(0..3), 0, 0),
        };
        let examination = examine_dump(&dump, facts, conditions);
        let diagnosis = Diagnosis::new(&examination, &dump, facts);
        let said = diagnosis.to_string();
        assert!(said.contains("\nboots     "), "round {round}:\n{said}");
        if round % 50 == 0 {
            document(output::json(&diagnosis).as_bytes());
        }
        if let Some(boots) = examination.boots {
            booted += 1;
            assert!(examination.missing.is_empty(), "round {round}");
            let payload = *boots.slot.of(&PAYLOADS);
            assert!(
                dump.get(payload..payload + 0x4000).is_some(),
                "round {round}"
            );
        }
        assert!(!diagnosis.advice.is_empty(), "round {round}");
    }
    assert!((200..1800).contains(&booted), "{booted} of 2000 boot");
}

fn corrupt(bytes: &mut [u8], random: &mut fastrand::Rng) {
    // Most of it where it is looked at first.
    let near = match random.u8(0..3) {
        0 => 0..0x3000,
        1 => 0x1_0000..0x1_0400,
        _ => 0..bytes.len(),
    };
    let at = random.usize(near);
    let len = random.usize(1..2000).min(bytes.len() - at);
    let piece = &mut bytes[at..at + len];
    match random.u8(0..6) {
        0 => piece.fill(0xFF),
        1 => piece.fill(0),
        2 => random.fill(piece),
        3 => piece[0] ^= 1 << random.u8(0..8),
        4 => piece.reverse(),
        _ => bytes.copy_within(0..len.min(at), at),
    }
}

/// A journal that nobody finished, in every way that it can be cut, is opened by the doctor as the
/// device opens it.
#[test]
fn a_journal_that_was_cut_reads_as_the_device_reads_it() {
    let device = Device::new().trial(3, 16);
    let facts = device.bench.facts();
    let layout = facts.product.layout;
    for sector in 0..3 {
        for copies in 0..=5 {
            let mut bytes = device.flash.clone();
            let start = sector * 0x1000;
            bytes[start + copies * 320..start + 0x1000].fill(0xFF);
            let dump = Dump::whole(&bytes);
            let examination = examine_dump(&dump, &facts, Conditions::default());
            let mut journal = Journal::new(layout.journal, layout.digest);
            let mut flash = MemoryFlash::<4>::new(&mut bytes, 4096);
            let opened = journal.open(&mut flash, &mut NoWatchdog);
            assert_eq!(examination.journal, Some(opened));
            assert_eq!(usize::from(examination.sectors[sector].view.valid), copies);
            let Opened::Sound { snapshot, .. } = opened else {
                panic!("two sectors are whole");
            };
            let counts = examination.sectors.iter().find(|it| it.view.current);
            assert_eq!(counts.unwrap().view.snapshot, Some(snapshot));
        }
    }
}
