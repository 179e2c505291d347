//! An application in C, built by GNU's compiler against `bistable.h`: it boots, takes an update, keeps it,
//! and gives another one up. What is observed comes from the UARTs and from the flash.

use std::fs;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bistable_firmware::{Toolchain, ensure_command};
use bistable_qemu::{Board, Config, FlashFile, LogLine, Machine};
use bistable_tools_tests::{
    BUILD_VARIABLE, Document, bistable, development_ring, repository, shared_build, succeeds,
    target_folder,
};
use bistable_updater_c::Status;
use serde_json::Value;

const TARGET: &str = "thumbv7m-none-eabi";

/// How long anything may take that the device does by itself. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the application looks for updates, from the flash's start.
const STAGING: u32 = 0x12_0000;

/// What the releases do (`RELEASE` in main.c).
const SOUND: &str = "1";
const GIVES_UP: &str = "2";
const CALLS_WRONGLY: &str = "3";

#[test]
fn an_application_in_c_takes_an_update_keeps_it_and_gives_another_one_up() {
    let bench = Bench::new();
    bench.compile(SOUND);
    bench.compile(GIVES_UP);
    bench.image("v1", SOUND, "elf", 1);
    bench.image("v2", SOUND, "hex", 2);
    bench.image("v3", GIVES_UP, "elf", 3);
    let mut flash = bench.factory("v1");

    // Nothing is offered: what lies there is no manifest (B001).
    let mut device = bench.power_on();
    device.expect(&["bootloader: starting", "in slot A as Active"]);
    device.expect(&["version 1.1.0 in slot A, confirmed"]);
    device.expect(&["installing: 1"]);
    device.expect(&["nothing more to do"]);
    drop(device);

    // A sound release is tried in B and kept, though not before its checks have passed (B083).
    flash.corrupt(STAGING, &bench.read("v2.img")).unwrap();
    let mut device = bench.power_on();
    device.expect(&["version 1.1.0 in slot A, confirmed"]);
    device.expect(&["installing: 0"]);
    device.expect(&["bootloader: starting", "in slot B as Trial"]);
    device.expect(&["version 1.2.0 in slot B, trial"]);
    device.expect(&["confirming at once: 83"]);
    device.expect(&["this release stays"]);
    device.expect(&["installing: 39"]); // it runs already
    drop(device);
    let journal = bench.doctor();
    assert_eq!(journal["active"], "B", "{journal}");
    assert_eq!(journal["slots"][1]["state"], "confirmed", "{journal}");
    assert_eq!(journal["slots"][1]["version"], "1.2.0", "{journal}");

    // One that gives itself up is gone at the next boot, and refused from then on (B032).
    flash.corrupt(STAGING, &bench.read("v3.img")).unwrap();
    let mut device = bench.power_on();
    device.expect(&["installing: 0"]);
    device.expect(&["version 1.3.0 in slot A, trial"]);
    device.expect(&["rejecting: 0"]);
    device.expect(&["version 1.2.0 in slot B, confirmed"]);
    device.expect(&["last verdict: B105, detail: 7"]);
    device.expect(&["installing: 32"]);
    drop(device);
    let journal = bench.doctor();
    assert_eq!(journal["active"], "B", "{journal}");
    assert_eq!(journal["slots"][0]["state"], "rejected", "{journal}");
}

#[test]
fn what_c_calls_wrongly_is_refused_with_a_number_and_does_nothing_else() {
    let bench = Bench::new();
    bench.compile(CALLS_WRONGLY);
    bench.image("v1", CALLS_WRONGLY, "elf", 1);
    bench.factory("v1");
    let mut device = bench.power_on();
    for expected in [
        "before the start: 901",
        "version 1.1.0 in slot A, confirmed",
        "no pointer to a status: 904",
        "no pointer to a verdict: 904",
        "an odd pointer: 904",
        "no function: 904",
        "check 99: 905",
        "started twice: 902",
        "a source that fails: 907",
        "a call within a call: 903",
        "installing: 1",
        "nothing more to do",
    ] {
        device.expect(&[expected]);
    }
}

#[test]
fn the_header_is_c99_and_cpp_and_lays_its_struct_out_as_the_library_does() {
    ensure_command("arm-none-eabi-gcc", "gcc-arm-none-eabi").unwrap();
    let folder = tempfile::tempdir().unwrap();
    macro_rules! offsets {
        ($($field:ident),*) => { [$((stringify!($field), offset_of!(Status, $field))),*] };
    }
    let fields = offsets!(
        slot,
        standing,
        reset,
        journal,
        digest,
        version,
        bootloader,
        sequence,
        floor,
        resets,
        last_words,
        abnormal_resets,
        schema,
        starts_left,
        refused_slot,
        refused,
        rejected,
        rejected_detail,
        reserved,
        rejected_digest
    );
    let size = size_of::<Status>();
    let mut text = format!(
        "#include \"bistable.h\"\n#include <stddef.h>\n\
         typedef char size[sizeof(struct bistable_status) == {size} ? 1 : -1];\n"
    );
    for (field, offset) in fields {
        let place = format!("offsetof(struct bistable_status, {field})");
        text += &format!("typedef char at_{field}[{place} == {offset} ? 1 : -1];\n");
    }
    fs::write(folder.path().join("layout.c"), text).unwrap();
    for language in [["-xc", "-std=c99"], ["-xc++", "-std=c++11"]] {
        let mut compiler = Command::new("arm-none-eabi-gcc");
        compiler
            .args(language)
            .args(["-mcpu=cortex-m3", "-mthumb", "-ffreestanding"])
            .args(["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .arg("-I")
            .arg(repository().join("updater/c/include"))
            .arg("layout.c")
            .current_dir(folder.path());
        succeeds(&mut compiler);
    }
}

#[test]
fn the_tutorial_does_what_it_says() {
    ensure_command("arm-none-eabi-gcc", "gcc-arm-none-eabi").unwrap();
    Toolchain::for_target(TARGET).unwrap();
    development_ring();
    let folder = tempfile::tempdir().unwrap();
    let (repository, target) = (repository(), target_folder());
    let variables = [
        ("REPOSITORY", repository.to_str().unwrap()),
        ("TARGET", target.to_str().unwrap()),
    ];
    let tutorial = Document::read(&repository.join("docs/c.md")).unwrap();
    let followed = tutorial.follow(folder.path(), &bistable(), &variables);
    assert!(followed.unwrap() >= 11);
}

/// A folder with what is built, and the device that runs it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        ensure_command("arm-none-eabi-gcc", "gcc-arm-none-eabi").unwrap();
        ensure_command("qemu-system-arm", "qemu-system-arm").unwrap();
        development_ring();
        let folder = tempfile::tempdir().unwrap();
        let toolchain = Toolchain::for_target(TARGET).unwrap();
        fs::create_dir_all(scripts()).unwrap();
        let mut bootloader = toolchain.command("build");
        bootloader.args(["-p", "mps2-an385-bootloader", "--features", "log"]);
        let mut library = toolchain.command("build");
        library.args(["-p", "mps2-an385-c"]);
        library.env("BISTABLE_LINKER_SCRIPTS", scripts());
        for command in [&mut bootloader, &mut library] {
            command.args(["--profile", "firmware"]);
            // Of its own: others build the same bootloader without a log.
            command.env("CARGO_TARGET_DIR", own_target());
            command.env(BUILD_VARIABLE, shared_build());
            succeeds(command.current_dir(repository()));
        }
        let bootloader = folder.path().join("bootloader.elf");
        fs::copy(built("mps2-an385-bootloader"), bootloader).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Compiles and links a release for both slots: `RELEASE/a.elf` and `b.elf`, and the same as `.hex`.
    fn compile(&self, release: &str) {
        let out = self.path(release);
        let mut script = Command::new("sh");
        script
            .arg(board().join("c-app/app/build.sh"))
            .args([&built("libbistable_mps2_an385.a"), &scripts(), &out])
            .arg(release);
        succeeds(&mut script);
        for slot in ["a", "b"] {
            let mut objcopy = Command::new("arm-none-eabi-objcopy");
            objcopy.args(["-O", "ihex"]);
            objcopy.args([format!("{slot}.elf"), format!("{slot}.hex")]);
            succeeds(objcopy.current_dir(&out));
        }
    }

    /// `NAME.img`, version 1.SEQUENCE.0, of what was compiled.
    fn image(&self, name: &str, release: &str, kind: &str, sequence: u32) {
        let mut command = self.bistable(&["image", "build", "--security-counter", "1"]);
        for slot in ["a", "b"] {
            command.arg(format!("--program-{slot}"));
            command.arg(format!("{release}/{slot}.{kind}"));
        }
        command
            .args(["--version", &format!("1.{sequence}.0")])
            .args(["--sequence", &sequence.to_string()])
            .args(["--out", &format!("{name}.img"), "--key"])
            .arg(board().join("keys/development.pem"));
        succeeds(&mut command);
    }

    /// The flash of a new device.
    fn factory(&self, name: &str) -> FlashFile {
        let image = format!("{name}.img");
        let arguments = ["factory", "build", "--image", &image, "--serial", "BST-1"];
        let mut command = self.bistable(&arguments);
        succeeds(command.args(["--out", "factory.bin"]));
        let factory = self.read("factory.bin");
        FlashFile::create(Board::Mps2An385, &self.path("flash"), &factory).unwrap()
    }

    fn doctor(&self) -> Value {
        let said = succeeds(&mut self.bistable(&["doctor", "flash", "--json"]));
        serde_json::from_str(&said).unwrap()
    }

    fn bistable(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(bistable());
        command.current_dir(self.folder.path()).args(arguments);
        command.arg("--layout").arg(board().join("layout.toml"));
        command
    }

    fn power_on(&self) -> Device {
        let bootloader = self.path("bootloader.elf");
        let config = Config::new(Board::Mps2An385, &bootloader, self.path("flash"));
        Device(Machine::start(&config.with_program("bootloader", &bootloader)).unwrap())
    }
}

/// A device that is switched on, until this is dropped.
struct Device(Machine);

impl Device {
    /// Waits for a line that contains all of these words.
    fn expect(&mut self, words: &[&str]) {
        let says = |line: &LogLine| {
            let line = format!("{}: {}", line.program, line.text);
            words.iter().all(|word| line.contains(word))
        };
        let seen = self.0.wait_for(says, PATIENCE);
        seen.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
}

fn board() -> PathBuf {
    repository().join("qemu/mps2-an385")
}

/// Where the build script of the library puts the memory of both slots.
fn scripts() -> PathBuf {
    target_folder().join("c-application")
}

/// Where cargo builds it.
fn own_target() -> PathBuf {
    scripts().join("target")
}

fn built(name: &str) -> PathBuf {
    own_target().join(Path::new(TARGET).join("firmware").join(name))
}
