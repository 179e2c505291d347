//! `bistable doctor`: what would boot from a flash file, as the bootloader itself decides it.

mod bench;

use std::fs;

use bench::device::Device;
use bistable_core::layout::Slot;
use bistable_core::state::{Reason, SlotState};
use serde_json::{Value, json};

#[test]
fn a_new_device_boots_its_active_slot_and_writes_nothing() {
    let device = Device::new();
    let said = device.says("power-on");
    let boots = json!({
        "slot": "A", "role": "active", "digest": device.digest(1).to_string(), "version": "1.1.0",
    });
    assert_eq!(said["boots"], boots);
    assert_eq!(said["active"], "A");
    assert_eq!(said["floor"], 2);
    assert_eq!(said["journal"], json!({ "health": "whole", "rewrites": 0 }));
    assert_eq!(said["after"]["written"], false);
    assert_eq!(said["refused"], json!([]));
    let [a, b] = [&said["slots"][0], &said["slots"][1]];
    assert_eq!(
        (&a["state"], &a["origin"], &a["verifies"]),
        (&json!("confirmed"), &json!("factory"), &json!(true))
    );
    assert_eq!(
        (&b["state"], &b["verifies"], &b["version"]),
        (&json!("empty"), &json!(false), &Value::Null)
    );
}

#[test]
fn a_trial_boots_before_the_active_slot_and_is_charged_by_the_reset() {
    let device = Device::new().trial(3, 16);
    let said = device.says("software");
    assert_eq!(said["boots"]["slot"], "B");
    assert_eq!(said["boots"]["role"], "trial");
    let slot = &said["slots"][1];
    assert_eq!(
        (&slot["state"], &slot["attempts"], &slot["power"]),
        (&json!("trial"), &json!(3), &json!(16))
    );
    assert_eq!(slot["booted"], false);
    let budget = |said: &Value| said["after"]["slots"][1].clone();
    assert_eq!(
        budget(&said),
        json!({ "state": "trial", "attempts": 2, "power": 16 })
    );
    let after_power = json!({ "state": "trial", "attempts": 3, "power": 15 });
    assert_eq!(budget(&device.says("power-on")), after_power);
}

#[test]
fn a_trial_whose_attempts_are_used_up_is_rejected_and_the_active_slot_boots() {
    let device = Device::new().trial(0, 16);
    assert_eq!(device.boots("watchdog"), json!(["A", "active", "1.1.0"]));
    assert_eq!(
        device.says("watchdog")["after"]["slots"][1]["state"],
        "rejected"
    );
    assert_eq!(device.boots("power-on"), json!(["B", "trial", "1.2.0"]));
}

#[test]
fn a_trial_that_does_not_verify_is_refused_with_the_reason() {
    let device = Device::new().trial(3, 16).damage(Slot::B);
    let said = device.says("software");
    assert_eq!(said["boots"]["slot"], "A");
    assert_eq!(
        said["refused"],
        json!([{ "slot": "B", "refusal": "BadPayload", "code": 53 }])
    );
    assert_eq!(said["after"]["slots"][1]["state"], "empty");
}

#[test]
fn a_damaged_active_slot_gives_way_to_the_other_confirmed_one() {
    let device = Device::new().confirmed();
    assert_eq!(device.boots("power-on"), json!(["B", "active", "1.2.0"]));
    let device = device.damage(Slot::B);
    assert_eq!(device.boots("power-on"), json!(["A", "other", "1.1.0"]));
    assert_eq!(
        device.says("power-on")["active"],
        "B",
        "it stays what it is"
    );
}

#[test]
fn a_rejected_image_has_its_reason_in_words() {
    let device = Device::new();
    let reason = Reason::CheckFailed(2);
    let image = device.image(2);
    let device = device.with_second(SlotState::Rejected(image, reason.code()), |snapshot| {
        snapshot.remember_rejected(image, reason)
    });
    let said = device.says("power-on");
    let text = "health check 2 `update-source` failed";
    assert_eq!(said["slots"][1]["reason_text"], text);
    assert_eq!(
        said["rejected"],
        json!([{
            "digest": image.digest.to_string(), "sequence": 2, "reason": 0x0302, "reason_number": "B103",
            "reason_text": text,
        }])
    );
    assert_eq!(
        said["slots"][1]["verifies"], true,
        "its bytes are still whole"
    );
}

#[test]
fn a_lost_journal_makes_the_older_image_active_and_the_newer_one_a_trial() {
    let device = Device::new().confirmed().lose_journal();
    let said = device.says("software");
    assert_eq!(said["journal"]["health"], "lost");
    assert_eq!(
        (&said["active"], &said["slots"][0]["state"]),
        (&Value::Null, &json!("unknown"))
    );
    assert_eq!(said["boots"]["slot"], "B");
    assert_eq!(said["boots"]["role"], "trial");
    assert_eq!(said["after"]["active"], "A");
    assert_eq!(said["after"]["written"], true);
}

#[test]
fn a_cut_journal_is_healed_and_says_with_how_many_rewrites() {
    let mut device = Device::new();
    device.flash[0x1000..0x2000].fill(0xFF);
    let said = device.says("power-on");
    assert_eq!(
        said["journal"],
        json!({ "health": "healed", "rewrites": 1 })
    );
    assert_eq!(said["boots"]["slot"], "A");
}

#[test]
fn a_device_from_which_nothing_boots_ends_with_status_1_and_every_refusal() {
    let device = Device::new().confirmed().damage(Slot::A).damage(Slot::B);
    device.save();
    let doctor = ["doctor", "flash.bin", "--layout", "layout.toml"];
    let said = device.bench.fails(&doctor);
    assert!(
        said.starts_with("error: flash.bin: found nothing that boots: slot A refused as B053 BadPayload, slot B refused as B053 BadPayload, expected"),
        "{said}"
    );
    let device = device.lose_journal();
    device.save();
    assert!(
        device
            .bench
            .fails(&doctor)
            .contains("slot A refused as B053 BadPayload, slot B")
    );
    fs::write(device.bench.path("flash.bin"), vec![0xFF; 0x3_0000]).unwrap();
    assert!(
        device
            .bench
            .fails(&doctor)
            .contains("slot A refused as B001 NotAManifest")
    );
}

#[test]
fn an_older_bootloader_refuses_what_needs_a_newer_one() {
    let device = Device::new();
    device
        .bench
        .image_with(1, &["--oldest-bootloader", "0.1.0"]);
    let build = [
        "factory",
        "build",
        "--layout",
        "layout.toml",
        "--image",
        "v1.img",
        "--serial",
        "1",
        "--out",
        "flash.bin",
    ];
    device.bench.succeeds(&build);
    let doctor = [
        "doctor",
        "flash.bin",
        "--layout",
        "layout.toml",
        "--bootloader-version",
    ];
    device.bench.succeeds(&[&doctor[..], &["0.1.0"]].concat());
    let said = device.bench.fails(&[&doctor[..], &["0.0.9"]].concat());
    assert!(
        said.contains("slot A refused as B026 BootloaderTooOld"),
        "{said}"
    );
}

#[test]
fn a_longer_file_is_cut_to_the_flash() {
    let mut device = Device::new();
    device.flash.extend([0x5A; 100]);
    assert_eq!(device.boots("power-on"), json!(["A", "active", "1.1.0"]));
}

#[test]
fn the_same_is_said_in_words() {
    let device = Device::new().trial(2, 16);
    device.save();
    let doctor = [
        "doctor",
        "flash.bin",
        "--layout",
        "layout.toml",
        "--reset",
        "watchdog",
    ];
    let said = device.bench.succeeds(&doctor);
    for expected in [
        "journal   whole",
        "state     active A, floor 2, schema 0, no key revoked",
        "sequence 2, origin network, started before, 2 attempts and 16 power-ons left",
        "in slot B, on trial, charged to its attempts",
        "because   the reset is watchdog, and a trial whose budget for this reset is not used up goes first",
        "writes    active A, A confirmed, B trial with 1 attempts and 16 power-ons left",
    ] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
}
