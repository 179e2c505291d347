//! A bench: a directory with a product, its keys and programs, and the command `bistable`.
#![allow(dead_code, reason = "each test uses its part of it")]

pub(crate) mod device;
pub(crate) mod elf;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bistable_core::layout::Slot;
use bistable_tools::facts::Facts;

/// Flash from 0x2100_0000: journal, identity, slot A at 64 KiB, slot B at 128 KiB.
const LAYOUT: &str = r#"
[product]
vendor = "bistable.example"
class = "bench"
emulated = true
[flash.main]
address = 0x2100_0000
size = 0x3_0000
erase_size = 4096
write_size = 4
[flash.boot]
address = 0
size = 0x1_0000
erase_size = 4096
write_size = 4
[ram.main]
address = 0x2000_0000
size = 0x1_0000
[handover]
address = 0x2000_0000
size = 256
[bootloader]
flash = "boot"
offset = 0
size = 0x1_0000
ram = "main"
[journal]
flash = "main"
offset = 0
sectors = 3
[slots]
flash = "main"
a = 0x1_0000
b = 0x2_0000
size = 0x1_0000
payload_offset = 1024
chunk_size = 1024
vector_alignment = 256
ram = "main"
[partition.identity]
flash = "main"
offset = 0x3000
size = 0x1000
[trial]
attempts = 3
seconds = 120
[health]
checks = ["self-test", "update-source"]
[security]
factory_floor = 2
[keys]
ring = "ring.toml"
"#;

/// Length of a program in bytes, which is no whole number of the units that payloads are padded to.
pub(crate) const PROGRAM_LEN: usize = 20_004;

pub(crate) struct Bench {
    directory: tempfile::TempDir,
    program: PathBuf,
}

impl Bench {
    /// With one development key, `dev`.
    pub(crate) fn new() -> Self {
        // Tests of other packages say which program they mean.
        Self::of(
            option_env!("CARGO_BIN_EXE_bistable")
                .unwrap_or("bistable")
                .into(),
        )
    }

    /// The same with another `bistable`.
    pub(crate) fn of(program: PathBuf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bench = Self { directory, program };
        fs::write(bench.layout(), LAYOUT).unwrap();
        bench.make_key("dev");
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn layout(&self) -> PathBuf {
        self.path("layout.toml")
    }

    pub(crate) fn facts(&self) -> Facts {
        Facts::read(&self.layout()).unwrap()
    }

    /// Changes the layout.
    pub(crate) fn edit_layout(&self, from: &str, to: &str) {
        self.edit("layout.toml", from, to);
    }

    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(self.path(file), text.replace(from, to)).unwrap();
    }

    /// Makes a key of this product, `<name>.pem`.
    pub(crate) fn make_key(&self, name: &str) {
        let arguments = [
            "key",
            "new",
            "--ring",
            "ring.toml",
            "--development",
            "--name",
            name,
        ];
        self.succeeds(&arguments);
    }

    /// Makes a key of nobody, `stranger.pem`.
    pub(crate) fn make_stranger(&self) {
        let arguments = ["key", "new", "--ring", "other.toml", "--name", "stranger"];
        self.succeeds(&arguments);
    }

    /// Runs the command in the bench's directory.
    pub(crate) fn bistable(&self, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// Runs the command, and returns what it printed.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.bistable(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail as commands do: exit status 1, one line on standard error, no
    /// file made, changed or left behind. Returns that line.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let before = self.files();
        let output = self.bistable(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with("error: "), "{error}");
        assert!(self.files() == before, "{arguments:?} changed a file");
        error
    }

    /// All files with their bytes.
    fn files(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let bytes = fs::read(&path).ok();
                (path, bytes)
            })
            .collect();
        files.sort();
        files
    }

    /// Writes both links of a program: `a.elf` and `b.elf`.
    pub(crate) fn link(&self, seed: u8) {
        for (slot, name) in [(Slot::A, "a.elf"), (Slot::B, "b.elf")] {
            let base = self.facts().product.layout.payload_address(slot);
            let bytes = elf::Elf::new(base, &program(base, seed)).bytes();
            fs::write(self.path(name), bytes).unwrap();
        }
    }

    /// Makes an image of a program of its own, signed by `dev`: `v<sequence>.img`.
    pub(crate) fn image(&self, sequence: u8) -> PathBuf {
        self.image_with(sequence, &[])
    }

    pub(crate) fn image_with(&self, sequence: u8, more: &[&str]) -> PathBuf {
        self.link(sequence);
        let name = format!("v{sequence}.img");
        self.succeeds(&build(&name, sequence, &[&["--key", "dev.pem"], more].concat()).as_strs());
        self.path(&name)
    }
}

/// Arguments that were put together.
pub(crate) struct Arguments(pub(crate) Vec<String>);

impl Arguments {
    pub(crate) fn as_strs(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

/// `image build` of `a.elf` and `b.elf`.
pub(crate) fn build(out: &str, sequence: u8, more: &[&str]) -> Arguments {
    let version = format!("1.{sequence}.0");
    let sequence = sequence.to_string();
    let mut arguments = vec!["image", "build", "--layout", "layout.toml", "--out", out];
    arguments.extend(["--version", &version, "--sequence", &sequence]);
    if !more.contains(&"--security-counter") {
        arguments.extend(["--security-counter", "2"]);
    }
    if !more.contains(&"--elf-a") && !more.contains(&"--program-a") {
        arguments.extend(["--elf-a", "a.elf", "--elf-b", "b.elf"]);
    }
    arguments.extend(more);
    Arguments(arguments.into_iter().map(str::to_owned).collect())
}

/// A vector table and bytes that are not code, with an address among them here and there.
pub(crate) fn program(base: u32, seed: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..PROGRAM_LEN).map(|at| (at * 7) as u8 ^ seed).collect();
    let mut put = |at: usize, word: u32| {
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    };
    put(0, 0x2000_8000);
    put(4, base + 0x101);
    for at in (64..PROGRAM_LEN - 4).step_by(1002) {
        put(at & !1, base + at as u32);
    }
    bytes
}

/// The JSON document that a command said, which is what the documentation says of its format.
pub(crate) fn document(said: &[u8]) -> serde_json::Value {
    let document: serde_json::Value = serde_json::from_slice(said).unwrap();
    let format = document["format"].as_str().unwrap();
    let name = bistable_tools::schemas::file_name(format);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/json")
        .join(name);
    let schema = serde_json::from_slice(&read(&path)).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &document) {
        panic!("{error} in\n{document:#}");
    }
    document
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
