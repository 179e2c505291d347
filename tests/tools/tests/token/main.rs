//! Keys in a token: whatever is wrong with the token, the key, the library or the PIN, is said and does no harm.

#[path = "../../../../host-tools/tests/bench/mod.rs"]
mod product;
mod softhsm;

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use bistable_tools::keys::pkcs11::MODULE_VARIABLE;
use bistable_tools::keys::{self, Signer as _, Token};
use bistable_tools_tests::{Document, bistable, refused, repository, succeeds};

use softhsm::{Bench, PIN, library, uri};

/// A library of Debian's `opensc` that writes down each call, and hands it on.
const SPY: &str = "pkcs11-spy.so";

#[test]
fn a_key_made_in_the_token_is_shown_and_exported_for_openssl() {
    let bench = Bench::new();
    bench.alice();
    let shown = bench.shown("object=alice");
    assert_eq!(shown, bench.shown("id=%01"));
    let key = uri("object=alice");
    bench.done(&["key", "export", &key, "--out", "alice.pub.pem"]);
    assert_eq!(bench.done(&["key", "show", "alice.pub.pem"]), shown);
    let mut openssl = bench.command("openssl");
    openssl.args(["pkey", "-pubin", "-noout", "-text"]);
    let text = succeeds(openssl.args(["-in", "alice.pub.pem"]));
    let lines: String = text.lines().skip(2).collect();
    let public: String = lines.chars().filter(char::is_ascii_hexdigit).collect();
    assert_eq!(public.len(), 64, "{text}");
    assert_says(&shown, &public);
}

#[test]
fn a_key_that_was_imported_is_the_same_key_inside_and_outside() {
    let bench = Bench::new();
    bench.import("ed25519", "bob", "02");
    let inside = bench.done(&["key", "show", "--json", &uri("object=bob")]);
    let outside = bench.done(&["key", "show", "--json", "bob.pem"]);
    assert_eq!(inside, outside);
}

#[test]
fn an_exported_key_replaces_a_file_only_when_told_so() {
    let bench = Bench::new();
    bench.alice();
    fs::write(bench.path("pub.pem"), "precious").unwrap();
    let key = uri("object=alice");
    let export = ["key", "export", &key, "--out", "pub.pem"];
    assert_says(&bench.refused(&export), "pub.pem: found a file");
    assert_eq!(fs::read(bench.path("pub.pem")).unwrap(), b"precious");
    bench.done(&[&export[..], &["--force"]].concat());
    let pem = fs::read_to_string(bench.path("pub.pem")).unwrap();
    assert!(keys::public_from_pem(&pem).is_some(), "{pem}");
}

#[test]
fn an_image_is_signed_by_a_token_as_by_a_file_to_the_byte() {
    let bench = Bench::new();
    bench.import("ed25519", "bob", "02");
    let key = uri("object=bob");
    let product = product::Bench::of(bistable());
    product.image(1);
    for (from, to) in [
        ("layout.toml", "layout.toml"),
        ("ring.toml", "ring.toml"),
        ("v1.img", "by-token.img"),
        ("v1.img", "by-file.img"),
    ] {
        fs::copy(product.path(from), bench.path(to)).unwrap();
    }
    let sign = ["image", "sign", "--layout", "layout.toml", "--key"];
    let by_token = [&sign[..], &[&key, "by-token.img"]].concat();
    assert_says(&bench.refused(&by_token), "expected a key of the ring");
    bench.done(&["key", "export", &key, "--out", "bob.pub.pem"]);
    let add = ["key", "add", "--ring", "ring.toml", "--name", "bob"];
    let more = [
        "--development",
        "--role",
        "release",
        "--public",
        "bob.pub.pem",
    ];
    bench.done(&[&add[..], &more].concat());
    assert_says(&bench.done(&by_token), "release 2 of 1");
    fs::set_permissions(bench.path("bob.pem"), Permissions::from_mode(0o600)).unwrap();
    bench.done(&[&sign[..], &["bob.pem", "by-file.img"]].concat());
    let [by_token, by_file] = ["by-token.img", "by-file.img"].map(|name| bench.path(name));
    assert_ne!(
        fs::read(&by_token).unwrap(),
        fs::read(product.path("v1.img")).unwrap()
    );
    assert_eq!(fs::read(by_token).unwrap(), fs::read(by_file).unwrap());
    bench.done(&["image", "verify", "by-token.img", "--layout", "layout.toml"]);
}

#[test]
fn a_wrong_pin_is_tried_once() {
    let bench = Bench::new();
    bench.alice();
    fs::write(bench.path("pin"), "1111").unwrap();
    let mut command = bench.command(bistable());
    command
        .args(["key", "show", &uri("object=alice")])
        .env(MODULE_VARIABLE, library(SPY))
        .env("PKCS11SPY", &bench.module)
        .env("PKCS11SPY_OUTPUT", bench.path("calls"));
    assert_says(&refused(&mut command), "a wrong PIN, which was tried once");
    let calls = fs::read_to_string(bench.path("calls")).unwrap();
    assert_eq!(calls.matches(": C_Login\n").count(), 1, "{calls}");
}

#[test]
fn the_pin_is_on_no_command_line_and_in_no_environment() {
    let bench = Bench::new();
    bench.alice();
    fs::remove_file(bench.path("pin")).unwrap();
    // The file is a pipe, so that the command waits for the PIN until all has been looked at.
    succeeds(bench.command("mkfifo").arg("pin"));
    let mut command = bench.command(bistable());
    command.args(["key", "show", &uri("object=alice")]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let pipe = fs::OpenOptions::new().write(true).open(bench.path("pin"));
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.is_empty() && !text.contains(PIN), "{text}");
    }
    pipe.unwrap().write_all(PIN.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_pin_is_asked_on_the_terminal_and_not_shown() {
    let bench = Bench::new();
    bench.alice();
    let line = format!("'{}' key show pkcs11:object=alice", bistable().display());
    let mut command = bench.command("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"): ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    // The echo goes off right after the prompt.
    thread::sleep(Duration::from_millis(300));
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(format!("{PIN}\n").as_bytes()).unwrap();
    screen.read_to_end(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(child.wait().unwrap().success(), "{said}");
    assert_says(&said, "PIN of token `release`");
    assert_says(&said, "public ");
    assert!(!said.contains(PIN), "{said}");
}

#[test]
fn without_a_terminal_and_a_file_there_is_no_pin() {
    let bench = Bench::new();
    bench.alice();
    let mut command = bench.command("setsid");
    command.arg("--wait").arg(bistable()).stdin(Stdio::null());
    let message = refused(command.args(["key", "show", "pkcs11:object=alice"]));
    assert_says(&message, "no terminal to ask for the PIN on");
    assert_says(&message, "pin-source=file:");
}

#[test]
fn a_pin_in_the_uri_is_refused_and_not_repeated() {
    let bench = Bench::new();
    bench.alice();
    let key = format!("pkcs11:object=alice?pin-value={PIN}");
    let message = bench.refused(&["key", "show", &key]);
    assert_says(&message, "where others see it");
    let mut command = bench.command(bistable());
    let output = command.args(["--json", "key", "show", &key]).output();
    let json = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_says(&json, "failure/1");
    assert!(!json.contains(PIN), "{json}");
}

#[test]
fn a_file_without_a_pin_is_not_tried() {
    let bench = Bench::new();
    bench.alice();
    for content in ["", "\n", &"1".repeat(300)] {
        fs::write(bench.path("pin"), content).unwrap();
        assert_says(&bench.not_shown("object=alice"), "pin: found no PIN");
    }
    fs::remove_file(bench.path("pin")).unwrap();
    let message = bench.not_shown("object=alice");
    assert_says(&message, "pin: cannot read the PIN");
}

#[test]
fn of_two_keys_with_one_label_the_id_tells() {
    let bench = Bench::new();
    bench.generate("EC:edwards25519", "twin", "0a", &[]);
    bench.generate("EC:edwards25519", "twin", "0b", &[]);
    let message = bench.not_shown("object=twin");
    let both = "found key `twin` (id=%0a, Ed25519), key `twin` (id=%0b, Ed25519)";
    assert_says(&message, both);
    assert_ne!(bench.shown("id=%0a"), bench.shown("id=%0b"));
}

#[test]
fn two_keys_with_one_id_have_no_certain_public_half() {
    let bench = Bench::new();
    bench.alice();
    bench.generate("EC:edwards25519", "bob", "01", &[]);
    let message = bench.not_shown("object=alice");
    assert_says(&message, "2 different public keys with this id");
}

#[test]
fn of_two_tokens_with_one_label_the_serial_number_tells() {
    let bench = Bench::new();
    bench.alice();
    bench.make_token("release");
    let message = bench.not_shown("object=alice");
    let serials: Vec<_> = message.split("(serial=").skip(1).collect();
    assert_eq!(serials.len(), 2, "{message}");
    let has_alice = |rest: &&&str| {
        let serial = rest.split(',').next().unwrap();
        let key = uri(&format!("object=alice;serial={serial}"));
        let output = bench
            .command(bistable())
            .args(["key", "show", &key])
            .output();
        output.unwrap().status.success()
    };
    assert_eq!(serials.iter().filter(has_alice).count(), 1);
}

#[test]
fn a_token_that_is_not_there_is_told_with_those_that_are() {
    let bench = Bench::new();
    let vault = ["key", "show", "pkcs11:token=vault;object=alice"];
    let message = bench.refused(&vault);
    assert_says(&message, "no such token, but token `release` (serial=");
    let message = Bench::empty().refused(&vault);
    assert_says(&message, "no such token, but none");
}

#[test]
fn a_key_that_is_not_there_is_told_with_those_that_are() {
    let bench = Bench::new();
    let message = bench.not_shown("object=alice");
    assert_says(&message, "no such private key, but none");
    bench.generate("EC:edwards25519", "bob", "02", &[]);
    let message = bench.not_shown("object=alice");
    assert_says(
        &message,
        "no such private key, but key `bob` (id=%02, Ed25519)",
    );
}

#[test]
fn keys_that_make_other_signatures_are_refused() {
    let bench = Bench::new();
    bench.import("ed448", "long", "01");
    bench.generate("EC:secp256r1", "curve", "02", &[]);
    bench.generate("rsa:2048", "old", "03", &[]);
    for (key, kind) in [
        ("long", "Edwards, but not Ed25519"),
        ("curve", "ECDSA"),
        ("old", "RSA"),
    ] {
        let message = bench.not_shown(&format!("object={key}"));
        assert_says(&message, kind);
        assert_says(&message, "expected one private Ed25519 key");
    }
    // The right one is found among them.
    bench.generate("EC:edwards25519", "alice", "04", &[]);
    let any = "pkcs11:token=release?pin-source=file:pin";
    assert_eq!(bench.done(&["key", "show", any]), bench.shown("id=%04"));
}

#[test]
fn a_key_that_asks_each_time_is_refused() {
    let bench = Bench::new();
    bench.generate("EC:edwards25519", "slow", "01", &["--always-auth"]);
    let message = bench.not_shown("object=slow");
    assert_says(&message, "takes the PIN again for each signature");
}

#[test]
fn a_private_key_without_its_public_half_is_refused() {
    let bench = Bench::new();
    bench.alice();
    let mut command = bench.pkcs11_tool();
    succeeds(command.args(["--delete-object", "--type", "pubkey", "--id", "01"]));
    let message = bench.not_shown("object=alice");
    assert_says(&message, "found no public key beside it");
}

#[test]
fn what_is_no_library_for_tokens_is_refused() {
    let bench = Bench::new();
    fs::write(bench.path("text.so"), "This is no library.\n").unwrap();
    let with = |module: &str| {
        let key = format!("pkcs11:object=alice?module-path={module}");
        bench.refused(&["key", "show", &key])
    };
    assert_says(&with("text.so"), "text.so: found no library");
    let absent = with("nowhere.so");
    assert_says(&absent, "nowhere.so: cannot load the PKCS#11 library");
    let another = with(library("libm.so.6").to_str().unwrap());
    assert_says(&another, "a library that is none for tokens");
}

#[test]
fn one_login_serves_all_keys_and_threads_until_the_token_is_gone() {
    let bench = Bench::new();
    bench.alice();
    bench.import("ed25519", "bob", "02");
    // SoftHSM looks for its folder in the environment, which a test must not change in itself.
    let mut again = bench.command(std::env::current_exe().unwrap());
    again.args([
        "--exact",
        "ignored_because_the_test_above_runs_it_in_a_process_of_its_own",
        "--ignored",
        "--nocapture",
    ]);
    assert_says(&succeeds(&mut again), "1 passed");
}

#[test]
#[ignore = "is run by the test above, in a folder with a token"]
fn ignored_because_the_test_above_runs_it_in_a_process_of_its_own() {
    let alice = Token::open(&uri("object=alice")).unwrap();
    fs::remove_file("pin").unwrap();
    // No PIN any more, but this process is logged in.
    let bob = Token::open(&uri("object=bob")).unwrap();
    assert_ne!(alice.public(), bob.public());
    let messages: Vec<Vec<u8>> = (0..40).map(|len| vec![len; usize::from(len)]).collect();
    // Each signature is verified before it comes out, and the same message gets the same one.
    let sign = |token: &Token| -> Vec<_> {
        let signed = messages
            .iter()
            .map(|message| token.sign(b"test", message).unwrap());
        signed.collect()
    };
    thread::scope(|scope| {
        let tokens = [&alice, &bob, &alice, &bob];
        let threads = tokens.map(|token| scope.spawn(|| sign(token)));
        let [a, b, c, d] = threads.map(|thread| thread.join().unwrap());
        assert_eq!((&a, &b), (&c, &d));
        assert_ne!(a, b);
    });
    drop(bob);
    alice
        .sign(b"test", b"the other key's session is closed")
        .unwrap();
    fs::remove_dir_all("tokens").unwrap();
    let error = alice.sign(b"test", b"too late").unwrap_err().to_string();
    assert_says(&error, "key `alice`");
    assert_says(&error, "cannot sign");
}

#[test]
fn the_document_is_true() {
    let bench = Bench::empty();
    let folder = tempfile::tempdir().unwrap();
    let module = bench.module.to_str().unwrap();
    let variables = [
        ("SOFTHSM2_CONF", "softhsm2.conf"),
        (MODULE_VARIABLE, module),
    ];
    let document = Document::read(&repository().join("docs/tokens.md")).unwrap();
    let followed = document.follow(folder.path(), &bistable(), &variables);
    followed.unwrap();
}

#[track_caller]
fn assert_says(message: &str, part: &str) {
    assert!(message.contains(part), "`{part}` is not in: {message}");
}
