//! A factory's files, read back by tools that others wrote: each says what the `.bin` files say, at the same addresses.
//!
//! GNU's objcopy reads Intel HEX and S-records; PyPI's `intelhex` reads Intel HEX; Microsoft's converter (PyPI's
//! `adafruit-uf2`) makes UF2 from our Intel HEX, and PyPI's `uf2utils` takes UF2 apart.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use bistable_firmware::ensure_command;
use bistable_tools_tests::{bistable, repository, succeeds, target_folder};

/// A board: its layout, and programs that are not code, but would be started.
struct Board {
    name: &'static str,
    /// Where the payloads of A and B lie.
    payloads: [u32; 2],
    /// The flashes, by rising addresses: name, address, size.
    flashes: [(&'static str, u32, u32); 2],
    is_cortex_m: bool,
}

const CORTEX_M: Board = Board {
    name: "mps2-an385",
    payloads: [0x2102_1000, 0x210A_1000],
    flashes: [("boot", 0, 0x1_0000), ("main", 0x2100_0000, 0x20_0000)],
    is_cortex_m: true,
};

const RISC_V: Board = Board {
    name: "riscv32-virt",
    payloads: [0x2220_1000, 0x2240_1000],
    flashes: [
        ("boot", 0x2000_0000, 0x200_0000),
        ("main", 0x2200_0000, 0x200_0000),
    ],
    is_cortex_m: false,
};

#[test]
fn objcopy_reads_what_the_binaries_say() {
    ensure_command("objcopy", "binutils").unwrap();
    for board in [CORTEX_M, RISC_V] {
        let bench = Bench::new(&board);
        for (format, file) in [("ihex", "factory.hex"), ("srec", "factory.srec")] {
            for (name, address, size) in board.flashes {
                let end = address + size;
                // Only what lies on this flash: between the two are hundreds of mebibytes.
                let one = format!("one.{format}");
                let file = bench.lines_of(file, &one, address..end);
                let mut objcopy = Command::new("objcopy");
                objcopy.args(["-I", format, "-O", "binary", "--gap-fill", "0xFF"]);
                objcopy.arg(format!("--pad-to={end:#x}"));
                succeeds(objcopy.arg(&file).arg(bench.path("read.bin")));
                let expected = bench.read(&format!("factory/{name}.bin"));
                let first = expected.iter().position(|byte| *byte != 0xFF).unwrap();
                // objcopy's file begins with the first page that there is.
                let begin = first / 256 * 256;
                let read = bench.read("read.bin");
                assert!(
                    read == expected[begin..],
                    "{format} of {name} on {}",
                    board.name
                );
            }
        }
    }
}

#[test]
fn intelhex_reads_what_the_binaries_say() {
    let readers = Readers::install();
    let bench = Bench::new(&CORTEX_M);
    // GNU's objcopy turns the S-records into Intel HEX of its own.
    ensure_command("objcopy", "binutils").unwrap();
    let mut objcopy = Command::new("objcopy");
    objcopy.args([
        "-I",
        "srec",
        "-O",
        "ihex",
        "factory/factory.srec",
        "srec.hex",
    ]);
    succeeds(objcopy.current_dir(&bench.folder));
    for hex in ["factory/factory.hex", "srec.hex"] {
        for (name, address, size) in CORTEX_M.flashes {
            let last = address + (size - 1);
            let mut command = readers.command("hex2bin.py");
            command.arg(format!("--range={address:X}:{last:X}"));
            command.args(["--pad=FF", hex, "read.bin"]);
            succeeds(command.current_dir(&bench.folder));
            let expected = bench.read(&format!("factory/{name}.bin"));
            assert!(bench.read("read.bin") == expected, "{name} of {hex}");
        }
    }
}

#[test]
fn the_uf2_file_is_the_one_that_microsofts_converter_makes_from_our_intel_hex() {
    let readers = Readers::install();
    let bench = Bench::new(&CORTEX_M);
    let mut command = readers.command("uf2conv");
    command.args(["factory/factory.hex", "--family", "RP2040"]);
    command.args(["--convert", "--output", "converted.uf2"]);
    succeeds(command.current_dir(&bench.folder));
    assert!(bench.read("converted.uf2") == bench.read("factory/factory.uf2"));
}

#[test]
fn uf2utils_finds_the_pages_of_the_binaries() {
    let readers = Readers::install();
    let bench = Bench::new(&CORTEX_M);
    for (name, address, size) in CORTEX_M.flashes {
        let mut command = readers.command("uf2extract");
        let end = address + size;
        command.args(["--out", "read.bin", "factory/factory.uf2"]);
        command.args(["--offset_start", &format!("{address:#x}")]);
        command.args(["--offset_end", &format!("{end:#x}")]);
        succeeds(command.current_dir(&bench.folder));
        let expected = bench.read(&format!("factory/{name}.bin"));
        let pages = expected.chunks(256);
        let pages: Vec<_> = pages.filter(|page| *page != [0xFF; 256]).collect();
        assert!(
            pages.len() > 10 && bench.read("read.bin") == pages.concat(),
            "{name}"
        );
    }
}

/// PyPI's packages, in a folder of their own.
struct Readers(PathBuf);

impl Readers {
    /// Installs them, unless they are there.
    fn install() -> Self {
        static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock();
        ensure_command("pip3", "python3-pip").unwrap();
        let folder = target_folder().join("factory-readers");
        let wanted = repository().join("tests/tools/tests/factory_files/readers.txt");
        let note = folder.join("installed.txt");
        if fs::read(&note).ok() != Some(fs::read(&wanted).unwrap()) {
            let mut pip = Command::new("pip3");
            pip.args(["install", "--quiet", "--disable-pip-version-check"]);
            pip.args(["--no-deps", "--require-hashes", "--upgrade", "--target"]);
            succeeds(pip.arg(&folder).arg("-r").arg(&wanted));
            fs::copy(&wanted, &note).unwrap();
        }
        Self(folder)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("python3");
        command.arg(self.0.join("bin").join(program));
        command.env("PYTHONPATH", &self.0);
        command
    }
}

/// A folder with the files of a factory for a board: `factory/`.
struct Bench {
    folder: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Bench {
    fn new(board: &Board) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let bench = Self {
            folder: temporary.path().into(),
            _temporary: temporary,
        };
        let layout = repository()
            .join("qemu")
            .join(board.name)
            .join("layout.toml");
        fs::copy(layout, bench.path("layout.toml")).unwrap();
        let key = ["--name", "dev", "--development", "--out", "dev.pem"];
        bench.bistable(&[&["key", "new", "--ring", "keys/ring.toml"], key.as_slice()].concat());
        let [a, b] = board.payloads;
        for (name, address) in [("a.bin", a), ("b.bin", b)] {
            fs::write(bench.path(name), program(board, address, 50_000)).unwrap();
        }
        let programs = [format!("a.bin@{a:#x}"), format!("b.bin@{b:#x}")];
        bench.bistable(&[
            "image",
            "build",
            "--layout",
            "layout.toml",
            "--version",
            "1.0.0",
            "--sequence",
            "1",
            "--security-counter",
            "1",
            "--key",
            "dev.pem",
            "--program-a",
            &programs[0],
            "--program-b",
            &programs[1],
            "--out",
            "v1.img",
        ]);
        bench.bootloader(board);
        bench.bistable(&[
            "factory",
            "build",
            "--layout",
            "layout.toml",
            "--image",
            "v1.img",
            "--bootloader",
            "boot.hex",
            "--uf2-family",
            "RP2040",
            "--out",
            "factory",
        ]);
        bench
    }

    /// `boot.hex`, of an odd length; objcopy makes it.
    fn bootloader(&self, board: &Board) {
        let (_, address, _) = board.flashes[0];
        fs::write(self.path("boot.raw"), program(board, address, 20_001)).unwrap();
        ensure_command("objcopy", "binutils").unwrap();
        let mut objcopy = Command::new("objcopy");
        objcopy.args(["-I", "binary", "-O", "ihex"]);
        objcopy.arg(format!("--change-addresses={address:#x}"));
        succeeds(
            objcopy
                .args(["boot.raw", "boot.hex"])
                .current_dir(&self.folder),
        );
    }

    fn bistable(&self, arguments: &[&str]) {
        succeeds(
            Command::new(bistable())
                .args(arguments)
                .current_dir(&self.folder),
        );
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A file with those lines of `factory/FROM` that speak of these addresses, and those that speak of none.
    fn lines_of(&self, from: &str, to: &str, addresses: std::ops::Range<u32>) -> PathBuf {
        let text = String::from_utf8(self.read(&format!("factory/{from}"))).unwrap();
        let number = |digits: &str| u32::from_str_radix(digits, 16).unwrap();
        let mut upper = 0;
        let kept = text.lines().filter(|line| {
            let address = match &line[..2] {
                ":0" if &line[7..9] == "04" => {
                    upper = number(&line[9..13]) << 16;
                    upper
                }
                "S3" => number(&line[4..12]),
                first if first.starts_with(':') && &line[7..9] == "00" => {
                    upper + number(&line[3..7])
                }
                _ => return !line.starts_with("S5"),
            };
            addresses.contains(&address)
        });
        let kept: Vec<_> = kept.collect();
        fs::write(self.path(to), kept.join("\n") + "\n").unwrap();
        self.path(to)
    }
}

/// Bytes that a board would start at `address`, with holes in them that read as erased.
fn program(board: &Board, address: u32, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
    for _ in 0..8 {
        let start = random.usize(8..len);
        let end = (start + random.usize(1..2000)).min(len);
        bytes[start..end].fill(0xFF);
    }
    let first = match board.is_cortex_m {
        true => [0x2000_8000, address + 0x101],
        false => [0x0000_006F, address], // An instruction that jumps to itself.
    };
    for (place, word) in bytes.chunks_exact_mut(4).zip(first) {
        place.copy_from_slice(&u32::to_le_bytes(word));
    }
    bytes
}
