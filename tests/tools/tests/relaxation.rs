//! A linker for RISC-V that makes a call shorter for one slot only: `image build` says so and what to set, and with
//! that set it takes the program. Cargo, rustc and the real linker build it.

use std::fs;
use std::path::Path;
use std::process::Command;

use bistable_tools_tests::{bistable, refused, succeeds};

const LAYOUT: &str = r#"
[product]
vendor = "bistable.example"
class = "relaxed"
emulated = true
architecture = "riscv32"
[flash.boot]
address = 0x2000_0000
size = 0x4_0000
erase_size = 0x1_0000
write_size = 4
[flash.main]
address = 0x2200_0000
size = 0x80_0000
erase_size = 0x4_0000
write_size = 4
[ram.main]
address = 0x8000_0000
size = 0x40_0000
[handover]
address = 0x8000_0000
size = 256
[bootloader]
flash = "boot"
offset = 0
size = 0x4_0000
ram = "main"
[journal]
flash = "main"
offset = 0
sectors = 3
[slots]
flash = "main"
a = 0x20_0000
b = 0x40_0000
size = 0x20_0000
payload_offset = 4096
chunk_size = 4096
vector_alignment = 256
ram = "main"
[trial]
attempts = 3
seconds = 120
[health]
checks = ["self-test"]
[security]
factory_floor = 0
[keys]
ring = "ring.toml"
"#;

const MANIFEST: &str = r#"
[package]
name = "relaxed"
version = "1.0.0"
edition = "2024"
[profile.firmware]
inherits = "release"
panic = "abort"
[workspace]
"#;

/// The build script, where one line may be added. The ROM's function is within 1 MiB of slot A, which JAL reaches,
/// and not of slot B.
const BUILD: &str = r#"
use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-env-changed=BISTABLE_SLOT");
    let base = match env::var("BISTABLE_SLOT").as_deref() {
        Ok("B") => "0x22401000",
        _ => "0x22201000",
    };
    let script = Path::new(&env::var("OUT_DIR").unwrap()).join("link.x");
    let text = format!("rom_checksum = 0x22180000;
        SECTIONS {{ .text {base} : {{ KEEP(*(.start)) *(.text .text.*) *(.rodata .rodata.*) }} }}");
    fs::write(&script, text).unwrap();
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    // MORE
}
"#;

/// As C code is compiled: with leave to relax, which rustc does not give to code in Rust.
const PROGRAM: &str = r#"
#![no_std]
#![no_main]

core::arch::global_asm!(
    ".section .start,\"ax\"",
    ".globl _start",
    ".type _start,@function",
    "_start: la sp, 0x80010000",
    ".option push",
    ".option relax",
    ".rept 8",
    "call rom_checksum",
    ".endr",
    ".option pop",
    "1: j 1b",
    // AFTER
    ".size _start, . - _start",
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
"#;

/// What the refusal says to set.
const REMEDY: &str = r#"println!("cargo::rustc-link-arg-bins=--no-relax");"#;

#[test]
fn a_call_that_is_shorter_in_one_slot_is_refused_and_what_the_refusal_says_mends_it() {
    let project = Project::new();
    let path = project.path();

    let said = refused(&mut project.build());
    for expected in [
        "offset 0x4 of the payload for slot B, in `_start` + 0x4, and 96 bytes",
        "those for slot A, and 64 bytes",
        "the linker relaxed them",
        REMEDY,
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    assert!(!path.join("v1.img").exists());

    // As long as each other: behind the shorter calls there is room up to the next multiple of 128.
    edit(&path.join("src/main.rs"), "// AFTER", r#"".balign 128","#);
    let said = refused(&mut project.build());
    for expected in ["`_start` + 0x4", "the linker relaxed them", REMEDY] {
        assert!(said.contains(expected), "{expected} in {said}");
    }

    edit(&path.join("build.rs"), "// MORE", REMEDY);
    let said = succeeds(&mut project.build());
    assert!(said.contains("fix-ups   8 bytes differ"), "{said}");
}

/// A product and the package of its application.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("src")).unwrap();
        for (name, text) in [
            ("layout.toml", LAYOUT),
            ("Cargo.toml", MANIFEST),
            ("build.rs", BUILD),
            ("src/main.rs", PROGRAM),
        ] {
            fs::write(path.join(name), text).unwrap();
        }
        let project = Self { folder };
        let mut key =
            project.bistable("key new --development --name dev --ring ring.toml --out dev.pem");
        succeeds(&mut key);
        project
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// For the architecture that the layout names.
    fn build(&self) -> Command {
        self.bistable(
            "image build --package relaxed --layout layout.toml --version 1.0.0 --sequence 1 \
             --security-counter 1 --key dev.pem --out v1.img",
        )
    }

    fn bistable(&self, words: &str) -> Command {
        let mut command = Command::new(bistable());
        command
            .args(words.split(' '))
            .current_dir(self.path())
            .env("CARGO_TARGET_DIR", self.path().join("target"));
        command
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replace(from, to)).unwrap();
}
