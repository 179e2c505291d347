//! `bistable key`, as people call it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use bistable_layout::Ring;
use bistable_tools::keys::{Signer as _, SigningKey};

fn bistable(directory: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bistable"))
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .unwrap()
}

/// What the command printed; it must succeed.
fn done(directory: &Path, arguments: &str) -> String {
    let output = bistable(directory, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line that says why; it must fail with status 1.
fn refused(directory: &Path, arguments: &str) -> String {
    let output = bistable(directory, arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().strip_prefix("error: ").unwrap().to_owned()
}

#[test]
fn a_new_key_is_in_its_file_and_in_the_ring() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(
        directory,
        "key new --ring keys/ring.toml --name alice --development",
    );
    let ring = Ring::read(&directory.join("keys/ring.toml")).unwrap();
    let key = SigningKey::read(&directory.join("keys/alice.pem")).unwrap();
    let [entry] = ring.keys.as_slice() else {
        panic!("{ring:?}");
    };
    assert_eq!(entry.key.public, key.public());
    assert!(entry.development && entry.key.roles.release && entry.key.roles.root);
    assert_eq!((ring.release_threshold, ring.root_threshold), (1, 1));
    let mode = fs::metadata(directory.join("keys/alice.pem"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_ring_without_root_keys_is_said_to_be_incomplete() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let text = done(
        directory,
        "key new --ring ring.toml --name alice --role release",
    );
    assert!(text.contains("not complete yet: root_threshold"), "{text}");
    let text = done(
        directory,
        "key new --ring ring.toml --name vault --role root --spare",
    );
    assert!(!text.contains("not complete"), "{text}");
}

#[test]
fn a_name_that_is_taken_is_refused_and_nothing_changes() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring ring.toml --name alice");
    let before = fs::read_to_string(directory.join("ring.toml")).unwrap();
    let message = refused(
        directory,
        "key new --ring ring.toml --name alice --out other.pem",
    );
    assert!(
        message.starts_with("ring.toml: key.name: found `alice` twice"),
        "{message}"
    );
    assert_eq!(
        fs::read_to_string(directory.join("ring.toml")).unwrap(),
        before
    );
    assert!(!directory.join("other.pem").exists());
}

#[test]
fn a_private_key_that_exists_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring ring.toml --name alice");
    let before = fs::read(directory.join("alice.pem")).unwrap();
    let message = refused(
        directory,
        "key new --ring ring.toml --name bob --out alice.pem",
    );
    assert!(
        message.starts_with("alice.pem: found the private key"),
        "{message}"
    );
    assert!(
        message.ends_with("choose another --name or --out"),
        "{message}"
    );
    assert_eq!(fs::read(directory.join("alice.pem")).unwrap(), before);
    assert_eq!(
        Ring::read(&directory.join("ring.toml")).unwrap().keys.len(),
        1
    );
}

#[test]
fn the_leftover_of_a_cut_run_is_named_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring ring.toml --name alice");
    fs::remove_file(directory.join("ring.toml")).unwrap();
    let message = refused(directory, "key new --ring ring.toml --name alice");
    assert!(message.contains("ring.toml does not know it"), "{message}");
}

#[test]
fn a_ring_that_cannot_be_written_leaves_no_private_key() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    // There is no ring to be read, so the key is written; and no directory to write the ring to.
    std::os::unix::fs::symlink("nowhere", directory.join("link")).unwrap();
    let message = refused(
        directory,
        "key new --ring link/ring.toml --name a --out a.pem",
    );
    assert!(
        message.contains("cannot make the ring's directory"),
        "{message}"
    );
    assert!(!directory.join("a.pem").exists());
}

#[test]
fn a_ring_that_is_broken_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("ring.toml"), "release_threshold = 1\n").unwrap();
    let message = refused(directory, "key new --ring ring.toml --name alice");
    assert!(message.contains("root_threshold"), "{message}");
    assert!(!directory.join("alice.pem").exists());
}

#[test]
fn show_prints_the_same_id_for_the_private_key_the_public_key_and_the_ring() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring ring.toml --name alice");
    let key = SigningKey::read(&directory.join("alice.pem")).unwrap();
    let id = key.id().to_string();
    let private = done(directory, "key show alice.pem");
    assert!(private.contains(&id), "{private}");
    assert!(done(directory, "key show ring.toml").contains(&id));
    let openssl = Command::new("openssl")
        .args(["pkey", "-in", "alice.pem", "-pubout", "-out", "public.pem"])
        .current_dir(directory)
        .status();
    if openssl.is_ok_and(|status| status.success()) {
        assert_eq!(done(directory, "key show public.pem"), private);
    }
}

#[test]
fn show_never_prints_the_private_half() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring ring.toml --name alice");
    let pem = fs::read_to_string(directory.join("alice.pem")).unwrap();
    let secret = pem.lines().nth(1).unwrap();
    assert!(!done(directory, "key show alice.pem").contains(secret));
}

#[test]
fn wrong_usage_ends_with_status_2() {
    let directory = tempfile::tempdir().unwrap();
    let output = bistable(directory.path(), "key new --name alice");
    assert_eq!(output.status.code(), Some(2));
}
