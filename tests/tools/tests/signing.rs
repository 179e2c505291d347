//! Signing, with the tools that stand around it: the tutorial, OpenSSL, a terminal, the system calls.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use bistable_firmware::ensure_command;
use bistable_tools_tests::{Document, bistable, refused, repository, succeeds};

fn ready(programs: &[(&str, &str)]) -> tempfile::TempDir {
    for (program, package) in programs {
        ensure_command(program, package).unwrap();
    }
    tempfile::tempdir().unwrap()
}

/// `bistable` with arguments, in a folder.
fn run(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(bistable());
    command.args(arguments.split_whitespace());
    command.current_dir(folder);
    command
}

fn openssl(folder: &Path, arguments: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace());
    succeeds(command.current_dir(folder))
}

/// The files of the tutorial, and an image of 256 KiB that nobody signed.
fn product(folder: &Path) {
    let text = fs::read_to_string(repository().join("docs/signing.md")).unwrap();
    let block = |name: &str| {
        let (_, rest) = text.split_once(&format!("<!-- file: {name} -->")).unwrap();
        let (_, rest) = rest.split_once('\n').unwrap().1.split_once('\n').unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    let layout = block("layout.toml")
        .replace("size = 0x3_0000", "size = 0x20_0000")
        .replace(
            "a = 0x1_0000\nb = 0x2_0000\nsize = 0x1_0000",
            "a = 0x2_0000\nb = 0xA_0000\nsize = 0x8_0000",
        )
        .replace("= 1024", "= 4096");
    fs::write(folder.join("layout.toml"), layout).unwrap();
    let program = block("app.s") + "\n        .space 0x3FF00, 0x5A\n";
    fs::write(folder.join("app.s"), program).unwrap();
    let tool = |name: &str, arguments: &str| {
        let mut command = Command::new(name);
        succeeds(
            command
                .args(arguments.split_whitespace())
                .current_dir(folder),
        );
    };
    tool("arm-none-eabi-as", "-o app.o app.s");
    tool("arm-none-eabi-ld", "-Ttext=0x21021000 -o a.elf app.o");
    tool("arm-none-eabi-ld", "-Ttext=0x210A1000 -o b.elf app.o");
    succeeds(&mut run(folder, "key new --ring ring.toml --name alice"));
    let build = "image build --elf-a a.elf --elf-b b.elf --layout layout.toml --out v1.img \
                 --version 1.0.0 --sequence 1 --security-counter 1";
    succeeds(&mut run(folder, build));
}

const BINUTILS: (&str, &str) = ("arm-none-eabi-ld", "binutils-arm-none-eabi");
const OPENSSL: (&str, &str) = ("openssl", "openssl");

#[test]
fn the_tutorial_does_what_it_says() {
    let folder = ready(&[BINUTILS, OPENSSL]);
    let document = Document::read(&repository().join("docs/signing.md")).unwrap();
    let commands = document.follow(folder.path(), &bistable(), &[]).unwrap();
    assert!(commands >= 30, "{commands} commands");
}

#[test]
fn openssl_reads_what_is_encrypted_here() {
    let folder = ready(&[OPENSSL]);
    let folder = folder.path();
    fs::write(folder.join("secret"), "correct horse\n").unwrap();
    let new = "key new --ring ring.toml --name alice --encrypt --passphrase-file secret";
    succeeds(&mut run(folder, new));
    openssl(
        folder,
        "pkey -in alice.pem -passin file:secret -pubout -out alice.pub",
    );
    let own = succeeds(&mut run(
        folder,
        "key show alice.pem --passphrase-file secret",
    ));
    assert_eq!(succeeds(&mut run(folder, "key show alice.pub")), own);
    // And takes it apart into the very same plain key.
    openssl(
        folder,
        "pkey -in alice.pem -passin file:secret -out plain.pem",
    );
    let mut chmod = Command::new("chmod");
    succeeds(chmod.args(["600", "plain.pem"]).current_dir(folder));
    assert_eq!(succeeds(&mut run(folder, "key show plain.pem")), own);
}

#[test]
fn what_openssl_encrypts_is_read_here() {
    let folder = ready(&[OPENSSL]);
    let folder = folder.path();
    fs::write(folder.join("secret"), "correct horse\n").unwrap();
    // OpenSSL would take a second line for the second passphrase.
    fs::copy(folder.join("secret"), folder.join("again")).unwrap();
    fs::write(folder.join("wrong"), "battery staple\n").unwrap();
    openssl(
        folder,
        "genpkey -algorithm ed25519 -aes-256-cbc -pass file:secret -out made.pem",
    );
    openssl(
        folder,
        "pkey -in made.pem -passin file:secret -pubout -out made.pub",
    );
    let public = succeeds(&mut run(folder, "key show made.pub"));
    for more in [
        "",
        "-v2 aes-128-cbc",
        "-v2 aes-256-cbc -v2prf hmacWithSHA512",
        "-scrypt",
    ] {
        let convert =
            "pkcs8 -topk8 -in made.pem -passin file:secret -passout file:again -out bob.pem";
        openssl(folder, &format!("{convert} {more}"));
        let bob = succeeds(&mut run(
            folder,
            "key show bob.pem --passphrase-file secret",
        ));
        assert_eq!(bob, public, "{more}");
        let said = refused(&mut run(folder, "key show bob.pem --passphrase-file wrong"));
        assert!(said.contains("another passphrase"), "{said}");
    }
    for (kind, found) in [
        ("-algorithm x25519", "a private key of another kind"),
        ("-algorithm ed448", "a private key of another kind"),
        ("-algorithm rsa", "a private key of another kind"),
    ] {
        openssl(folder, &format!("genpkey {kind} -quiet -out other.pem"));
        let said = refused(&mut run(folder, "key show other.pem"));
        assert!(said.contains(found), "{kind}: {said}");
    }
}

/// Runs `command` on a terminal of its own and types each answer when it is asked for. Returns the exit
/// status and all that the terminal showed.
fn on_a_terminal(folder: &Path, command: &str, answers: &[(&str, &str)]) -> (Option<i32>, String) {
    let line = format!("{} {command}", bistable().display());
    let mut child = Command::new("script")
        .args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &line,
            "/dev/null",
        ])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut seen = Vec::new();
    let mut from = 0;
    let mut byte = [0];
    let mut open = answers.iter();
    let mut next = open.next();
    while screen.read(&mut byte).unwrap() == 1 {
        seen.push(byte[0]);
        let shown = String::from_utf8_lossy(&seen[from..]);
        if let Some((question, answer)) = next
            && shown.ends_with(question)
        {
            // What is typed is not shown from a moment after the question on.
            std::thread::sleep(std::time::Duration::from_millis(200));
            writeln!(keyboard, "{answer}").unwrap();
            from = seen.len();
            next = open.next();
        }
    }
    assert!(
        next.is_none(),
        "not asked: {:?}",
        String::from_utf8_lossy(&seen)
    );
    let status = child.wait().unwrap().code();
    (status, String::from_utf8_lossy(&seen).into_owned())
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal_and_not_shown() {
    let folder = ready(&[("script", "bsdutils")]);
    let folder = folder.path();
    let new = "key new --ring ring.toml --name alice --encrypt";
    let twice = [("new key: ", "correct horse"), ("again: ", "correct horse")];
    let (status, seen) = on_a_terminal(folder, new, &twice);
    assert_eq!(status, Some(0), "{seen}");
    assert!(
        seen.contains("alice.pem (encrypted)") && !seen.contains("horse"),
        "{seen}"
    );
    let show = "key show alice.pem";
    let (status, seen) = on_a_terminal(folder, show, &[("alice.pem: ", "correct horse")]);
    assert_eq!(status, Some(0), "{seen}");
    assert!(seen.contains("public") && !seen.contains("horse"), "{seen}");
    let (status, seen) = on_a_terminal(folder, show, &[("alice.pem: ", "battery staple")]);
    assert_eq!(status, Some(1), "{seen}");
    assert!(
        seen.contains("another passphrase") && !seen.contains("staple"),
        "{seen}"
    );
    let other = "key new --ring ring.toml --name bob --encrypt";
    let (status, seen) = on_a_terminal(
        folder,
        other,
        &[("new key: ", "one"), ("again: ", "another")],
    );
    assert_eq!(status, Some(1), "{seen}");
    assert!(seen.contains("two different ones"), "{seen}");
    assert!(!folder.join("bob.pem").exists());
}

#[test]
fn a_manifest_is_signed_when_its_name_is_typed_and_only_then() {
    let folder = ready(&[("script", "bsdutils"), BINUTILS]);
    let folder = folder.path();
    product(folder);
    succeeds(&mut run(folder, "image manifest v1.img --out v1.manifest"));
    let inspected = succeeds(&mut run(folder, "image inspect v1.img"));
    let name = inspected
        .lines()
        .find_map(|line| line.strip_prefix("name "));
    let name = name.unwrap().trim();
    let sign = "key sign v1.manifest --key alice.pem --ring ring.toml --out alice.sig";
    for wrong in ["yes", "", &name[1..9], &name[..7]] {
        let (status, seen) = on_a_terminal(folder, sign, &[("of its name: ", wrong)]);
        assert_eq!(status, Some(1), "{seen}");
        assert!(seen.contains("nothing was signed"), "{seen}");
        assert!(!folder.join("alice.sig").exists());
    }
    let (status, seen) = on_a_terminal(folder, sign, &[("of its name: ", &name[..8])]);
    assert_eq!(status, Some(0), "{seen}");
    assert!(
        seen.contains("security counter   1") && seen.contains("(alice)"),
        "{seen}"
    );
    succeeds(&mut run(
        folder,
        "image attach v1.img alice.sig --layout layout.toml",
    ));
    succeeds(&mut run(folder, "image verify v1.img --layout layout.toml"));
}

/// A sync of the file and one of its directory. That is what signing many images takes its time with; the
/// tutorial has the figure of a release build.
#[test]
fn an_image_that_is_signed_costs_two_syncs_and_no_more() {
    const IMAGES: usize = 100;
    let folder = ready(&[("strace", "strace"), BINUTILS]);
    let folder = folder.path();
    product(folder);
    let names: Vec<_> = (0..IMAGES).map(|number| format!("{number}.img")).collect();
    for name in &names {
        fs::copy(folder.join("v1.img"), folder.join(name)).unwrap();
    }
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-o",
            "calls",
            "-e",
            "trace=fsync,fdatasync,sync,syncfs",
        ])
        .arg(bistable())
        .args([
            "image",
            "sign",
            "--key",
            "alice.pem",
            "--layout",
            "layout.toml",
        ])
        .args(&names)
        .current_dir(folder);
    let said = succeeds(&mut strace);
    assert_eq!(said.matches("release 1 of 1 (alice)").count(), IMAGES);
    let calls = fs::read_to_string(folder.join("calls")).unwrap();
    // A call that another thread's is shown within is told in two lines.
    let syncs = calls.lines().filter(|line| line.contains("sync(")).count();
    assert_eq!(syncs, 2 * IMAGES, "{calls}");
}
