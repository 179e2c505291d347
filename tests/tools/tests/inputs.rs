//! The same program as ELF, as Intel HEX and as raw binaries is the same image, byte for byte, whatever
//! its sections look like. GNU's assembler, linker and objcopy make the files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use bistable_firmware::ensure_command;
use bistable_tools_tests::{bistable, development_ring, repository, succeeds};

/// How many programs are drawn.
const PROGRAMS: u64 = 12;

/// Where the payloads of the board's slots lie.
const PAYLOAD: [(&str, u32); 2] = [("a", 0x2102_1000), ("b", 0x210A_1000)];

#[test]
fn a_program_is_the_same_image_as_elf_as_hex_and_as_binary() {
    ensure_command("arm-none-eabi-objcopy", "binutils-arm-none-eabi").unwrap();
    development_ring();
    for seed in 0..PROGRAMS {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let program = Program::draw(seed);
        fs::write(folder.join("program.s"), program.assembly()).unwrap();
        let assembler = ["arm-none-eabi-as", "-mcpu=cortex-m3", "-o", "program.o"];
        run(folder, &[assembler.as_slice(), &["program.s"]].concat());
        for (slot, base) in PAYLOAD {
            program.link(folder, slot, base);
        }
        let elf = build(folder, "a.elf", "b.elf");
        let hex = build(folder, "a.hex", "b.hex");
        let raw = build(folder, "a.bin@0x2102_1000", "b.bin@0x210A_1000");
        assert!(elf == hex, "seed {seed}: ELF and Intel HEX differ");
        assert!(elf == raw, "seed {seed}: ELF and the binary differ");
    }
}

/// Sections with odd lengths and gaps between them, initialised data, and addresses of each other.
struct Program {
    random: fastrand::Rng,
    sections: Vec<Section>,
    /// Whether the linker may align to pages, and put its headers into the first segment.
    is_paged: bool,
}

struct Section {
    len: usize,
    alignment: u32,
}

impl Program {
    fn draw(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(1..6);
        let sections = (0..count).map(|_| Section {
            len: random.usize(1..700),
            alignment: 1 << random.u32(2..9),
        });
        Self {
            sections: sections.collect(),
            is_paged: random.bool(),
            random,
        }
    }

    fn assembly(&self) -> String {
        let mut random = self.random.clone();
        let mut text = String::from(
            ".syntax unified\n.section .s0,\"ax\"\n.word 0x20008000, start\n\
             .thumb_func\nstart: b start\n.balign 4\n",
        );
        for (number, section) in (1..).zip(&self.sections) {
            let other = random.usize(1..=self.sections.len());
            let _ = writeln!(text, ".section .s{number},\"ax\"\n.balign 4");
            let _ = writeln!(text, "l{number}: .word l{other}");
            for _ in 0..section.len {
                let _ = writeln!(text, ".byte {}", random.u8(..));
            }
        }
        text.push_str(".data\n.word start, 7\n.bss\n.space 64\n");
        text
    }

    /// `SLOT.elf`, and what objcopy makes of it.
    fn link(&self, folder: &Path, slot: &str, base: u32) {
        let mut script = format!("ENTRY(start)\nSECTIONS {{\n.s0 {base:#x} : {{ *(.s0) }}\n");
        for (number, section) in (1..).zip(&self.sections) {
            let alignment = section.alignment;
            let _ = writeln!(
                script,
                ".s{number} : ALIGN({alignment}) {{ *(.s{number}) }}"
            );
        }
        script.push_str(
            "_load = ALIGN(16);\n.data 0x20000200 : AT(_load) { *(.data) }\n\
             .bss : { *(.bss) }\n/DISCARD/ : { *(.ARM.*) }\n}\n",
        );
        fs::write(folder.join("script.ld"), script).unwrap();
        let elf = format!("{slot}.elf");
        let mut linker = vec!["arm-none-eabi-ld", "-T", "script.ld", "-o", &elf];
        linker.push("program.o");
        if !self.is_paged {
            linker.push("-n");
        }
        run(folder, &linker);
        for (format, name) in [("ihex", "hex"), ("binary", "bin")] {
            let to = format!("{slot}.{name}");
            let objcopy = ["arm-none-eabi-objcopy", "-O", format, "--gap-fill", "0xFF"];
            run(folder, &[objcopy.as_slice(), &[&elf, &to]].concat());
        }
    }
}

/// The image of these two programs.
fn build(folder: &Path, a: &str, b: &str) -> Vec<u8> {
    let board = repository().join("qemu/mps2-an385");
    let mut command = Command::new(bistable());
    command
        .current_dir(folder)
        .args(["image", "build", "--program-a", a, "--program-b", b])
        .args(["--version", "1.0.0", "--sequence", "1"])
        .args(["--security-counter", "1", "--out", "v1.img", "--layout"])
        .arg(board.join("layout.toml"));
    succeeds(&mut command);
    fs::read(folder.join("v1.img")).unwrap()
}

fn run(folder: &Path, words: &[&str]) {
    succeeds(Command::new(words[0]).args(&words[1..]).current_dir(folder));
}
