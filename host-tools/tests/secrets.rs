//! No secret comes out: not printed, not written, not in an argument or a variable that others can see, and
//! not in memory any more when it has been used.

#![cfg(target_os = "linux")]

mod bench;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{PipeReader, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench::Bench;
use bistable_core::keys::KeyId;
use bistable_tools::hex;
use bistable_tools::keys::{Passphrase, pem};
use data_encoding::{BASE32_NOPAD, BASE64_NOPAD};
use ed25519_compact::KeyPair;

/// How many bytes a pipe holds.
const PIPE: usize = 16 * 4096;

const PASSPHRASE: &str = "correct-horse-battery-staple";

/// A secret, in every form that it might come out in.
struct Secret {
    what: String,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    fn new(what: &str, bytes: &[u8]) -> Self {
        let digits = hex::encode(bytes);
        let mut forms = vec![
            bytes.to_vec(),
            digits.to_uppercase().into(),
            digits.into(),
            // As a derived `Debug` prints bytes.
            format!("{:?}", &bytes[..8]).trim_matches(['[', ']']).into(),
        ];
        // In the middle of something else, a digit belongs to two bytes: the whole ones are looked for.
        for before in 0..5 {
            let shifted = [&vec![0; before], bytes].concat();
            let base64 = BASE64_NOPAD.encode(&shifted);
            forms.push(base64.as_bytes()[(before * 8).div_ceil(6)..base64.len() - 1].to_vec());
            let base32 = BASE32_NOPAD.encode(&shifted);
            forms.push(base32.as_bytes()[(before * 8).div_ceil(5)..base32.len() - 1].to_vec());
        }
        let what = what.into();
        Self { what, forms }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let contains = |form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == form);
        self.forms.iter().any(contains)
    }

    fn check(&self, place: &str, bytes: &[u8]) {
        assert!(!self.is_in(bytes), "{} is in {place}", self.what);
    }
}

/// A bench with the plain key `alice` and the encrypted key `bob` of a ring of two, the passphrase in
/// `secret`, and all that may not come out.
fn bench() -> (Bench, Vec<Secret>) {
    let bench = Bench::new();
    let passphrase_file = bench.path("secret");
    fs::write(&passphrase_file, format!("{PASSPHRASE}\n")).unwrap();
    fs::write(bench.path("wrong"), "not-the-passphrase\n").unwrap();
    let passphrase = Passphrase::read(&passphrase_file).unwrap();
    let mut secrets = vec![Secret::new("the passphrase", PASSPHRASE.as_bytes())];
    for (name, passphrase) in [("alice", None), ("bob", Some(&passphrase))] {
        let pair = KeyPair::generate();
        let text = pem::encode(&pair, passphrase).unwrap();
        let path = bench.path(&format!("{name}.pem"));
        fs::write(&path, text.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let public = hex::encode(pair.pk.as_slice());
        let add = [
            "key",
            "add",
            "--ring",
            "ring.toml",
            "--development",
            "--role",
            "release,root",
        ];
        bench.succeeds(&[&add[..], &["--name", name, "--public", &public]].concat());
        secrets.push(Secret::new(&format!("the seed of {name}"), &pair.sk[..32]));
    }
    bench.link(1);
    bench.succeeds(&bench::build("v1.img", 1, &[]).as_strs());
    bench.succeeds(&["image", "manifest", "v1.img", "--out", "v1.manifest"]);
    fs::copy(bench.path("v1.img"), bench.path("unsigned")).unwrap();
    (bench, secrets)
}

/// Command lines that touch a key, as they should be and not.
const COMMANDS: &[&str] = &[
    "key show alice.pem",
    "key show bob.pem --passphrase-file secret",
    "key show bob.pem --passphrase-file wrong",
    "key show bob.pem",
    "key show half.pem",
    "key sign v1.manifest --key alice.pem --yes --out a.sig --text --qr",
    "key sign v1.manifest --key bob.pem --passphrase-file secret --yes --out b.sig --ring ring.toml",
    "key sign v1.manifest --key alice.pem --out a.sig",
    "key add --ring new.toml --name alice --role root --public alice.pem",
    "key new --ring ring.toml --name eve --out alice.pem",
    "key new --ring ring.toml --name eve --out alice.pem --force",
    "key new --ring ring.toml --name eve --out bob.pem --force",
    "key new --ring ring.toml --name eve --out nowhere/eve.pem --encrypt --passphrase-file secret",
    "image sign v1.img --key alice.pem --layout layout.toml",
    "image sign v1.img unsigned --key bob.pem --passphrase-file secret",
    "image attach v1.img a.sig b.sig",
    "request roll-back --layout layout.toml --unit U --number 1 --key alice.pem --key bob.pem \
     --passphrase-file secret --out back.req \
     --leave d87fbe18f5bd226e69296e6c5a6b4c7b78c37f1793a3bcfa5665f5994ecabde3",
    // A secret where something else belongs: what is complained about is not repeated.
    "key show secret",
    "key sign alice.pem --key alice.pem --yes --text",
    "key sign v1.manifest --key alice.pem --ring alice.pem --yes --text",
    "key sign v1.manifest --key alice.pem --ring secret --yes --text",
    "key sign v1.manifest --key secret --yes --text",
    "key threshold --ring alice.pem --root 1",
    "key threshold --ring secret --root 1",
    "key new --ring alice.pem --name eve",
    "key add --ring ring.toml --name eve --role root --public secret",
    "image sign alice.pem --key alice.pem",
    "image sign v1.img --key alice.pem --layout alice.pem",
    "image sign v1.img --key alice.pem --layout secret",
    "image attach v1.img alice.pem",
    "image manifest alice.pem --text",
    "image inspect alice.pem",
    "image verify alice.pem --layout layout.toml",
    "request show alice.pem --layout layout.toml",
    "doctor alice.pem --layout layout.toml",
    "publish store alice.pem",
];

#[test]
fn no_secret_is_printed_or_written() {
    let (bench, secrets) = bench();
    let pem = fs::read_to_string(bench.path("alice.pem")).unwrap();
    let half = bench.path("half.pem");
    fs::write(&half, &pem[..60]).unwrap();
    fs::set_permissions(&half, fs::Permissions::from_mode(0o600)).unwrap();
    let mut succeeded = 0;
    for json in [false, true] {
        for command in COMMANDS {
            let mut arguments: Vec<_> = command.split_whitespace().collect();
            if json {
                arguments.push("--json");
            }
            let output = Command::new(env!("CARGO_BIN_EXE_bistable"))
                .args(&arguments)
                .current_dir(bench.path(""))
                .env("RUST_BACKTRACE", "1")
                .output()
                .unwrap();
            assert_ne!(output.status.code(), Some(101), "{command} panicked");
            assert_ne!(
                output.status.code(),
                Some(2),
                "{command} is no command line: {output:?}"
            );
            succeeded += usize::from(output.status.success());
            for secret in &secrets {
                secret.check(&format!("what `{command}` printed"), &output.stdout);
                secret.check(&format!("what `{command}` complained"), &output.stderr);
            }
        }
    }
    assert!(succeeded >= 15, "{succeeded} commands did what they should");
    let directory = bench.path("");
    let new = fs::read_to_string(directory.join("nowhere/eve.pem")).unwrap();
    assert!(new.contains("ENCRYPTED"), "{new}");
    let mut files = 0;
    for (path, bytes) in files_below(&directory) {
        // These hold them.
        let holds = ["alice.pem", "half.pem", "secret"]
            .iter()
            .any(|name| path.ends_with(name));
        if !holds {
            files += 1;
            secrets
                .iter()
                .for_each(|secret| secret.check(&path.display().to_string(), &bytes));
        }
    }
    assert!(files > 15, "{files} files were looked at");
}

#[test]
fn a_new_key_is_in_its_file_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    for json in ["--json", "--development"] {
        let output = Command::new(env!("CARGO_BIN_EXE_bistable"))
            .args([
                "key",
                "new",
                "--ring",
                "ring.toml",
                "--name",
                &json[2..],
                json,
            ])
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let path = directory.path().join(format!("{}.pem", &json[2..]));
        let pair = KeyPair::from_pem(&fs::read_to_string(&path).unwrap()).unwrap();
        let secret = Secret::new("the new seed", &pair.sk[..32]);
        assert!(secret.is_in(&fs::read(&path).unwrap()), "the test is blind");
        secret.check("standard output", &output.stdout);
        secret.check("standard error", &output.stderr);
        for (other, bytes) in files_below(directory.path()) {
            assert!(
                other == path || !secret.is_in(&bytes),
                "{}",
                other.display()
            );
        }
    }
}

/// What others see of a process while it waits for the passphrase, and of the programs that it starts.
#[test]
fn no_secret_is_in_an_argument_or_in_the_environment() {
    let (bench, secrets) = bench();
    // In place of cargo and what else is started: a program that says what it was given.
    let programs = bench.path("programs");
    fs::create_dir(&programs).unwrap();
    let seen = bench.path("seen");
    for name in ["cargo", "rustc", "rustup"] {
        let path = programs.join(name);
        let script = format!(
            "#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ >> '{}'\nexit 1\n",
            seen.display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let fifo = bench.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let build = bench::build("v2.img", 2, &["--elf-a", "", "--key", "bob.pem"]);
    let mut arguments = build.0;
    let elf = arguments.iter().position(|it| it == "--elf-a").unwrap();
    arguments.splice(elf..elf + 2, ["--package".into(), "app".into()]);
    arguments.extend(["--passphrase-file".into(), "fifo".into()]);
    let mut search = OsString::from(&programs);
    search.push(":");
    search.push(std::env::var_os("PATH").unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_bistable"))
        .args(&arguments)
        .current_dir(bench.path(""))
        .env("PATH", search)
        .env_remove("CARGO")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The process reads until this side is closed.
    let mut writer = File::options().read(true).write(true).open(&fifo).unwrap();
    writer.write_all(PASSPHRASE.as_bytes()).unwrap();
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    for name in ["cmdline", "environ"] {
        let begun = Instant::now();
        let mut bytes = Vec::new();
        // Empty as long as the process is only just being made.
        while bytes.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{name} is empty");
            bytes = fs::read(process.join(name)).unwrap();
        }
        secrets.iter().for_each(|secret| secret.check(name, &bytes));
    }
    // What is in a pipe that nobody holds open is lost.
    let begun = Instant::now();
    while !has_open(&process, &fifo) {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it did not ask for the passphrase");
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody reads");
    }
    drop(writer);
    assert_eq!(child.wait().unwrap().code(), Some(1), "cargo failed");
    let seen = fs::read(&seen).unwrap();
    let given = seen.windows(5).any(|it| it == b"PATH=");
    assert!(given, "no program was started");
    secrets
        .iter()
        .for_each(|secret| secret.check("what programs were given", &seen));
}

/// Whether the process has the file at `path` open.
fn has_open(process: &Path, path: &Path) -> bool {
    let path = fs::canonicalize(path).unwrap();
    let open = fs::read_dir(process.join("fd")).into_iter().flatten();
    open.filter_map(Result::ok)
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target == path)
}

/// The process is held when it has used the key and wants to say so, and its memory is read.
#[test]
fn no_secret_is_in_memory_when_it_has_been_used() {
    let (bench, secrets) = bench();
    let public = |name: &str| {
        let ring = bench.facts().ring;
        let entry = ring.keys.iter().find(|entry| entry.name == name).unwrap();
        hex::encode(&entry.key.public)
    };
    for (name, command) in [
        ("alice", "key show alice.pem"),
        ("bob", "key show bob.pem --passphrase-file secret"),
        (
            "bob",
            "key show bob.pem --passphrase-file wrong --passphrase-file secret",
        ),
        (
            "bob",
            "key sign v1.manifest --key bob.pem --passphrase-file secret --yes --out b.sig",
        ),
        (
            "bob",
            "image sign v1.img --key bob.pem --passphrase-file secret --key alice.pem",
        ),
        (
            "bob",
            "image sign unsigned v1.img --key bob.pem --passphrase-file secret",
        ),
    ] {
        let (_reader, held) = Held::before_it_writes(&bench, command);
        let memory = Memory(held.memory());
        // What it is about to write is there: this is its memory, after the key was used.
        let id = KeyId::of(&hex::decode(&public(name)).unwrap()).to_string();
        assert!(
            memory.count(id.as_bytes()) > 0,
            "`{command}`: {} bytes",
            memory.0.len()
        );
        for secret in &secrets {
            let count = memory.count(&secret.forms[0]);
            assert_eq!(count, 0, "`{command}`: {} is still in memory", secret.what);
        }
    }
}

#[test]
fn a_new_key_is_not_in_memory_when_it_has_been_written() {
    let (bench, _) = bench();
    for more in ["", "--encrypt --passphrase-file secret"] {
        let command = format!(
            "key new --ring new{0}.toml --name new{0} {more}",
            more.len()
        );
        let (_reader, held) = Held::before_it_writes(&bench, &command);
        let memory = Memory(held.memory());
        let ring = format!("new{}.toml", more.len());
        let ring = bistable_layout::Ring::read(&bench.path(&ring)).unwrap();
        let public = hex::encode(&ring.keys[0].key.public);
        assert!(
            memory.count(public.as_bytes()) > 0,
            "{} bytes",
            memory.0.len()
        );
        assert_eq!(memory.count(PASSPHRASE.as_bytes()), 0, "`{command}`");
        if more.is_empty() {
            let pem = fs::read_to_string(bench.path("new0.pem")).unwrap();
            let pair = KeyPair::from_pem(&pem).unwrap();
            assert_eq!(memory.count(&pair.sk[..32]), 0, "`{command}`");
        }
        // Neither is the text of its file, encrypted or not.
        assert_eq!(memory.count(b"PRIVATE KEY-----\nM"), 0, "`{command}`");
    }
}

struct Memory(Vec<u8>);

impl Memory {
    fn count(&self, what: &[u8]) -> usize {
        self.0.windows(what.len()).filter(|it| *it == what).count()
    }
}

/// A process that is ended with the test.
struct Held(Child);

impl Held {
    /// Starts a command whose standard output is a pipe that is full.
    fn before_it_writes(bench: &Bench, command: &str) -> (PipeReader, Self) {
        let (reader, mut writer) = std::io::pipe().unwrap();
        // Nothing more fits into it (pipe(7): 16 pages).
        writer.write_all(&[0; PIPE]).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_bistable"))
            .args(command.split_whitespace())
            .current_dir(bench.path(""))
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let held = Self(child);
        held.until_it_writes();
        (reader, held)
    }

    fn until_it_writes(&self) {
        let path = format!("/proc/{}/syscall", self.0.id());
        let begun = Instant::now();
        loop {
            // Blocked in write (1 on x86-64, 64 on arm64) to standard output.
            let text = fs::read_to_string(&path).unwrap();
            if text.starts_with("1 0x1 ") || text.starts_with("64 0x1 ") {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "it never wrote: {text}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All memory of the process that can be read and written.
    fn memory(&self) -> Vec<u8> {
        let process = PathBuf::from(format!("/proc/{}", self.0.id()));
        let maps = fs::read_to_string(process.join("maps")).unwrap();
        let memory = File::open(process.join("mem")).unwrap();
        let mut all = Vec::new();
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|it| u64::from_str_radix(it, 16).unwrap());
            let mut region = vec![0; (end - start) as usize];
            if memory.read_exact_at(&mut region, start).is_ok() {
                all.extend(region);
            }
        }
        all
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn files_below(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    files
}
