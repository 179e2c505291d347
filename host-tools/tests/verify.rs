//! `bistable image verify` and the updater of a device say the same of the same image, by the same
//! number, whatever is wrong with it.

mod bench;

use std::fs;

use bench::device::Device;
use bench::{document, read};
use bistable_core::digest::Digest;
use bistable_core::fuses::NoFuses;
use bistable_core::handover::{HANDOVER_LEN, Handover, Standing};
use bistable_core::header::{self, Signature};
use bistable_core::keys::KeyId;
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::manifest::{Fields, Manifest, SIGNING_DOMAIN};
use bistable_core::refusal::Refusal;
use bistable_core::state::{Image, Origin, Reason, SlotState, Snapshot};
use bistable_core::version::Version;
use bistable_tools::doctor::{Conditions, examine};
use bistable_tools::facts::{Facts, workspace_version};
use bistable_tools::image::assemble::Chain;
use bistable_tools::image::file::ImageFile;
use bistable_tools::image::pair::Pair;
use bistable_tools::memory_flash::{MemoryFlash, NoWatchdog};
use bistable_updater::health::Policy;
use bistable_updater::{Platform, Product, Updater};
use ed25519_compact::SecretKey;
use serde_json::Value;

const CHUNK: usize = 1024;

/// What an application on a device in memory runs on.
struct Hardware {
    flash: MemoryFlash<'static, 4>,
    watchdog: NoWatchdog,
    fuses: NoFuses,
    handover: [u8; HANDOVER_LEN],
}

impl Platform for Hardware {
    type JournalFlash = MemoryFlash<'static, 4>;
    type SlotFlash = MemoryFlash<'static, 4>;
    type Watchdog = NoWatchdog;
    type Fuses = NoFuses;

    fn journal_flash(&mut self) -> (&mut Self::JournalFlash, &mut NoWatchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut Self::SlotFlash, &mut NoWatchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        self.handover
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        self.handover = *block;
    }

    fn fuses(&mut self) -> &mut NoFuses {
        &mut self.fuses
    }

    fn now(&self) -> u64 {
        0
    }

    fn reset(&mut self) -> ! {
        unreachable!("no test resets")
    }
}

/// The real updater of this device takes the whole file, verifies and activates it.
fn install(device: &Device, facts: &'static Facts, file: &[u8]) -> Result<(), Refusal> {
    let boots = examine(&device.flash, facts, Conditions::default()).boots;
    let running = boots.unwrap().slot;
    let handover = Handover {
        running: Some(running),
        standing: Standing::Confirmed,
        bootloader: workspace_version(),
        ..Handover::default()
    };
    let platform = Hardware {
        // Tests are few, and a device lives as long as its process.
        flash: MemoryFlash::new(device.flash.clone().leak(), 4),
        watchdog: NoWatchdog,
        fuses: NoFuses,
        handover: handover.encode(),
    };
    let product = Product {
        layout: &facts.product.layout,
        ring: Box::leak(Box::new(facts.key_ring())),
        entry: facts.entry(),
        policy: Policy {
            checks: &[],
            trial_soak_seconds: 0,
            soak_seconds: 60,
            forgives_resets: true,
        },
    };
    let address = facts.product.layout.payload_address(running);
    let mut updater = Updater::<_, CHUNK>::start(platform, product, address)?;
    let header = file.first_chunk::<HEADER_LEN>().unwrap();
    let mut installation = updater.begin(header, Origin::Network)?;
    while let Some(part) = installation.wants() {
        let from = part.offset as usize;
        let mut bytes = file[from..from + part.len as usize].to_vec();
        installation.write(&mut bytes)?;
    }
    installation.finish()?.activate()
}

/// Image 3, which the device takes, to be spoilt.
struct Maker {
    key: SecretKey,
    fields: Fields,
    pair: Pair,
}

impl Maker {
    fn new(device: &Device) -> Self {
        let bytes = read(&device.bench.image(3));
        let image = ImageFile::parse(&bytes).unwrap();
        let pem = fs::read_to_string(device.bench.path("dev.pem")).unwrap();
        Self {
            key: SecretKey::from_pem(&pem).unwrap(),
            fields: image.manifest().fields(),
            pair: Pair {
                payloads: Slot::BOTH.map(|slot| image.payload(slot).to_vec()),
            },
        }
    }

    /// The file of image 3 with another manifest, which its key signed.
    fn with(&self, change: impl FnOnce(&mut Fields)) -> Vec<u8> {
        self.of(&self.pair, change)
    }

    /// The file of an image with this payload.
    fn of(&self, pair: &Pair, change: impl FnOnce(&mut Fields)) -> Vec<u8> {
        let chain = Chain::new(pair, CHUNK as u32).unwrap();
        let mut fields = Fields {
            payload: pair.digests(),
            first_page: chain.first().digest,
            first_page_len: chain.first().len,
            ..self.fields
        };
        change(&mut fields);
        let manifest = Manifest::new(&fields).unwrap();
        let mut signatures = [self.sign(&manifest)];
        chain.file(&header::assemble(&manifest, &mut signatures).unwrap(), pair)
    }

    fn sign(&self, manifest: &Manifest) -> Signature {
        let message = [SIGNING_DOMAIN.as_slice(), manifest.as_bytes()].concat();
        Signature {
            key: KeyId::of(&self.key.public_key()),
            bytes: *self.key.sign(message, None),
        }
    }

    /// The payload with other bytes at its start, in both slots.
    fn vectors(&self, at: usize, word: u32) -> Pair {
        let mut pair = self.pair.clone();
        for payload in &mut pair.payloads {
            payload[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        pair
    }
}

/// What `image verify --on` says of the file for this device: the number of the refusal.
fn verify(device: &Device, file: &[u8]) -> (Option<u16>, Value) {
    device.save();
    fs::write(device.bench.path("spoilt.img"), file).unwrap();
    let output = device.bench.bistable(&[
        "image",
        "verify",
        "spoilt.img",
        "--layout",
        "layout.toml",
        "--on",
        "flash.bin",
        "--json",
    ]);
    let said = document(&output.stdout);
    assert_eq!(said["accepted"], output.status.success());
    let number = said["refusal"]["number"].as_str();
    let number = number.map(|number| number[1..].parse().unwrap());
    assert_eq!(number.is_none(), output.status.success());
    (number, said)
}

/// Both say this of the file.
fn both_say(device: &Device, facts: &'static Facts, file: &[u8], expected: Option<Refusal>) {
    let installed = install(device, facts, file);
    assert_eq!(installed.err(), expected, "the updater");
    let (number, said) = verify(device, file);
    assert_eq!(
        number,
        expected.map(Refusal::code),
        "{expected:?}: {said:#}"
    );
}

fn facts(device: &Device) -> &'static Facts {
    Box::leak(Box::new(device.bench.facts()))
}

#[test]
fn the_tool_and_the_updater_refuse_the_same_manifests_by_the_same_numbers() {
    let device = Device::new();
    let facts = facts(&device);
    let maker = Maker::new(&device);
    let good = maker.with(|_| ());
    both_say(&device, facts, &good, None);
    let stranger = [Some(KeyId(1)), None, None, None, None, None, None, None];
    let own = [
        Some(KeyId::of(&maker.key.public_key())),
        None,
        None,
        None,
        None,
        None,
        None,
        None,
    ];
    type Change<'c> = Box<dyn Fn(&mut Fields) + 'c>;
    let cases: Vec<(Refusal, Change<'_>)> = vec![
        (Refusal::OtherVendor, Box::new(|it| it.vendor_id[0] ^= 1)),
        (Refusal::OtherClass, Box::new(|it| it.class_id[15] ^= 1)),
        (
            Refusal::OtherLayout,
            Box::new(|it| it.layout = Digest([7; 32])),
        ),
        (Refusal::TooLarge, Box::new(|it| it.payload_len = 0xFC04)),
        (Refusal::TooLarge, Box::new(|it| it.payload_len = u32::MAX)),
        (
            Refusal::BootloaderTooOld,
            Box::new(|it| it.oldest_bootloader = Version::new(9, 0, 0)),
        ),
        (Refusal::BelowFloor, Box::new(|it| it.security_counter = 1)),
        (Refusal::OtherSchema, Box::new(|it| it.schemas = (1, 2))),
        (Refusal::ChunkSize, Box::new(|it| it.chunk_size = 4096)),
        (Refusal::NotNewer, Box::new(|it| it.sequence = 1)),
        (Refusal::NotNewer, Box::new(|it| it.sequence = 0)),
        (Refusal::UnalignedLength, Box::new(|it| it.payload_len -= 1)),
        (Refusal::BadPage, Box::new(|it| it.first_page.0[0] ^= 1)),
        // One key cannot be revoked where a role would keep none.
        (
            Refusal::TooFewReleaseSignatures,
            Box::new(|it| it.revoked = own),
        ),
        (Refusal::BadPayload, Box::new(|it| it.payload[1].0[0] ^= 1)),
        // A vendor that is another and a sequence that is old: the first in the device's order.
        (
            Refusal::OtherVendor,
            Box::new(|it| {
                it.sequence = 0;
                it.vendor_id[0] ^= 1;
            }),
        ),
    ];
    for (refusal, change) in cases {
        both_say(&device, facts, &maker.with(change), Some(refusal));
    }
    // A revocation of a key that nobody has takes a root key all the same; this one is both.
    both_say(
        &device,
        facts,
        &maker.with(|it| it.revoked = stranger),
        None,
    );
}

#[test]
fn revocations_take_root_keys_in_the_tool_as_on_the_device() {
    let device = Device::new();
    let maker = Maker::new(&device);
    let more = ["--ring", "ring.toml", "--development"];
    for (name, role) in [("signer", "release"), ("keeper", "root")] {
        let arguments = ["key", "new", "--role", role, "--name", name];
        device.bench.succeeds(&[&arguments[..], &more].concat());
    }
    let pem = fs::read_to_string(device.bench.path("signer.pem")).unwrap();
    let signer = Maker {
        key: SecretKey::from_pem(&pem).unwrap(),
        ..Maker::new(&device)
    };
    let facts = facts(&device);
    let ids: Vec<_> = facts.ring.keys.iter().map(|it| it.key.id).collect();
    let revoking = |id: KeyId| move |it: &mut Fields| it.revoked[0] = Some(id);
    let unknown = KeyId(1);
    // A release key alone signs releases, and no revocation.
    both_say(&device, facts, &signer.with(|_| ()), None);
    let file = signer.with(revoking(unknown));
    both_say(&device, facts, &file, Some(Refusal::TooFewRootSignatures));
    // A key of both roles may revoke the others, but not itself.
    let [dev, other, _] = ids[..] else {
        panic!("three keys");
    };
    both_say(&device, facts, &maker.with(revoking(other)), None);
    let file = maker.with(revoking(dev));
    both_say(
        &device,
        facts,
        &file,
        Some(Refusal::TooFewReleaseSignatures),
    );
}

#[test]
fn the_tool_and_the_updater_refuse_the_same_bytes_by_the_same_numbers() {
    let device = Device::new();
    let facts = facts(&device);
    let maker = Maker::new(&device);
    let good = maker.with(|_| ());
    let manifest = *ImageFile::parse(&good).unwrap().manifest();
    let page = HEADER_LEN;
    let chunk = page + manifest.first_page_len() as usize;
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    for (refusal, at) in [
        (Refusal::NotAManifest, 0),
        (Refusal::UnknownFormat, 4),
        (Refusal::NonZeroPadding, 310),
        (Refusal::FieldOutOfRange, 196),
        (Refusal::SignaturesOutOfOrder, 320),
        (Refusal::NonZeroPadding, 322),
        (Refusal::BadSignature, 340),
        (Refusal::BadSignature, 80), // the sequence
        (Refusal::TooFewReleaseSignatures, 324),
        (Refusal::BadPage, page + 50),
        (Refusal::BadChunk, chunk),
        (Refusal::BadChunk, good.len() - 1),
    ] {
        both_say(&device, facts, &flip(at), Some(refusal));
    }
    // A page that is signed for, and makes no sense.
    let mut bytes = good.clone();
    let nonsense = vec![0xA5; manifest.first_page_len() as usize];
    bytes[page..chunk].copy_from_slice(&nonsense);
    let signed = maker.with(|it| it.first_page = Digest::of(&nonsense));
    bytes[..HEADER_LEN].copy_from_slice(&signed[..HEADER_LEN]);
    both_say(&device, facts, &bytes, Some(Refusal::MalformedPage));
    // Vector tables that no board starts from.
    for (at, word, refusal) in [
        (0, 0x1000_0000, Refusal::BadStackPointer),
        (0, 0x2000_0004, Refusal::BadStackPointer),
        (4, 0x0800_0101, Refusal::BadResetVector),
    ] {
        let bytes = maker.of(&maker.vectors(at, word), |_| ());
        both_say(&device, facts, &bytes, Some(refusal));
    }
    // Who signs: nobody.
    let mut bytes = good.clone();
    bytes[320..HEADER_LEN].fill(0);
    both_say(
        &device,
        facts,
        &bytes,
        Some(Refusal::TooFewReleaseSignatures),
    );
}

#[test]
fn what_a_device_went_through_decides_in_the_tool_as_on_the_device() {
    let new = Device::new();
    let maker = Maker::new(&new);
    let good = maker.with(|_| ());
    let manifest = *ImageFile::parse(&good).unwrap().manifest();
    let third = Image {
        digest: manifest.digest(),
        sequence: 3,
        origin: Origin::Network,
    };
    type Change = fn(Snapshot, Image) -> Snapshot;
    let states: [(SlotState, Change, Option<Refusal>); 4] = [
        (
            SlotState::Rejected(third, Reason::CrashLoop.code()),
            |it, third| it.remember_rejected(third, Reason::CrashLoop),
            Some(Refusal::RejectedBefore),
        ),
        (
            SlotState::Empty,
            |it, third| it.remember_rejected(third, Reason::SourceUnreachable(2)),
            None, // forgiven once
        ),
        (
            SlotState::Empty,
            |it, _| Snapshot { forgotten: 3, ..it },
            Some(Refusal::OlderThanForgotten),
        ),
        (SlotState::Receiving(third), |it, _| it, None),
    ];
    for (state, change, expected) in states {
        let device = Device {
            bench: bench::Bench::new(),
            flash: new.flash.clone(),
            images: new.images.clone(),
        };
        // The same ring and the same image.
        for file in ["ring.toml", "dev.pem"] {
            fs::copy(new.bench.path(file), device.bench.path(file)).unwrap();
        }
        let facts = facts(&device);
        let device = device.with_second(state, |snapshot| change(snapshot, third));
        both_say(&device, facts, &good, expected);
    }
    // Without its only key nothing boots, so nothing is installed.
    let device = Device::new().with_second(SlotState::Empty, |it| Snapshot {
        revoked: it.revoked.with(0),
        ..it
    });
    device.save();
    let said = device.bench.fails(&[
        "image",
        "verify",
        "v2.img",
        "--layout",
        "layout.toml",
        "--on",
        "flash.bin",
    ]);
    assert!(
        said.contains("flash.bin: found a device from which nothing boots"),
        "{said}"
    );
    // On trial nothing is installed.
    let device = new.trial(2, 16);
    both_say(
        &device,
        facts(&device),
        &good,
        Some(Refusal::TrialNotFinished),
    );
    // The image that runs, and one beside it that is newer.
    let device = Device::new().confirmed();
    let same = read(&device.bench.path("v2.img"));
    both_say(
        &device,
        facts(&device),
        &same,
        Some(Refusal::AlreadyRunning),
    );
}

#[test]
fn every_check_behind_the_first_failure_is_still_judged() {
    let device = Device::new();
    let maker = Maker::new(&device);
    let mut bytes = maker.with(|it| {
        it.vendor_id[0] ^= 1;
        it.security_counter = 1;
        it.sequence = 0;
    });
    bytes[340] ^= 1; // the signature
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes[last - 2000] ^= 1;
    bytes.push(0);
    let (number, said) = verify(&device, &bytes);
    assert_eq!(number, Some(Refusal::BadSignature.code()));
    let checks = said["checks"].as_array().unwrap();
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check["result"] == "failed")
        .map(|check| {
            let number = check["refusal"]["number"].as_str().unwrap_or("-");
            format!("{} {number}", check["check"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        failed,
        [
            "signatures B010",
            "vendor B020",
            "floor B033",
            "newer B030",
            "chunks B052",
            "length -",
            "slot A B053",
            "slot B B053",
        ]
    );
    assert!(checks.iter().all(|check| check["result"] != "not_judged"));
    let floor = checks
        .iter()
        .find(|check| check["check"] == "floor")
        .unwrap();
    assert_eq!(floor["found"], "security counter 1");
    assert_eq!(floor["expected"], "at least 2");
    let chunks = checks
        .iter()
        .find(|check| check["check"] == "chunks")
        .unwrap();
    let found = chunks["found"].as_str().unwrap();
    assert!(
        found.ends_with("and 3 more"),
        "two chunks in two slots: {found}"
    );
}

#[test]
fn explain_shows_what_was_compared_and_by_which_rule() {
    let device = Device::new();
    device.bench.image(3);
    let verify = ["image", "verify", "v3.img", "--layout", "layout.toml"];
    let said = device
        .bench
        .succeeds(&[&verify[..], &["--explain"]].concat());
    for expected in [
        "ok      floor       found security counter 2\n                    expected at least 2\n",
        "                    Boot: the security counter is not below the floor.\n",
        "ok      newer       found sequence 3\n                    expected above 2\n",
    ] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
    let options = [
        "--explain",
        "--running",
        "5",
        "--floor",
        "4",
        "--schema",
        "1",
    ];
    let output = device.bench.bistable(&[&verify[..], &options].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for expected in [
        "FAILED  floor       found security counter 2\n                    expected at least 4\n",
        "header at offset 0x0, refused as B033 BelowFloor; build it with a higher `--security-counter`",
        "FAILED  newer       found sequence 3\n                    expected above 5\n",
        "FAILED  schema      found reads schemas 0 to 0\n                    expected schema 1 among them\n",
        "ok      chunks",
    ] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
    let said = device
        .bench
        .fails(&[&verify[..], &["--revoked", "dev"]].concat());
    assert!(said.contains("B011 TooFewReleaseSignatures"), "{said}");
    let said = device
        .bench
        .fails(&[&verify[..], &["--revoked", "nobody"]].concat());
    assert!(
        said.contains("--revoked: found \"nobody\", expected a key of"),
        "{said}"
    );
}

#[test]
fn what_is_no_image_says_what_could_not_be_judged() {
    let device = Device::new();
    for bytes in [Vec::new(), vec![0; 500], vec![0xFF; 5000]] {
        fs::write(device.bench.path("no.img"), &bytes).unwrap();
        let verify = [
            "image",
            "verify",
            "no.img",
            "--layout",
            "layout.toml",
            "--explain",
        ];
        let output = device.bench.bistable(&verify);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said.starts_with("FAILED  header"), "{said}");
        let rest = said
            .matches("not judged, because there is no header")
            .count();
        assert_eq!(rest, 20, "{said}");
    }
}
