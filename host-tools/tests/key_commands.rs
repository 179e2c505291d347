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
fn a_public_key_is_added_from_digits_and_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(
        directory,
        "key new --ring bobs.toml --name bob --role release",
    );
    done(directory, "key new --ring ring.toml --name alice");
    let shown: serde_json::Value =
        serde_json::from_str(&done(directory, "key show bob.pem --json")).unwrap();
    let digits = shown["keys"][0]["public"].as_str().unwrap();
    done(
        directory,
        &format!("key add --ring ring.toml --name bob --role release --spare --public {digits}"),
    );
    let ring = Ring::read(&directory.join("ring.toml")).unwrap();
    let bob = ring.keys.last().unwrap();
    let key = SigningKey::read(&directory.join("bob.pem")).unwrap();
    assert_eq!(bob.key.public, key.public());
    assert!(bob.spare && bob.key.roles.release && !bob.key.roles.root);
    let again = format!("key add --ring ring.toml --name rob --role release --public {digits}");
    let message = refused(directory, &again);
    assert!(message.contains("the same id"), "{message}");
    let openssl = Command::new("openssl")
        .args(["pkey", "-in", "bob.pem", "-pubout", "-out", "bob.pub"])
        .current_dir(directory)
        .status();
    if openssl.is_ok_and(|status| status.success()) {
        let add = "key add --ring new/ring.toml --name bob --role release --public bob.pub";
        let said = done(directory, add);
        assert!(said.contains("not complete yet: root_threshold"), "{said}");
    }
}

#[test]
fn a_key_that_nobody_can_hold_is_not_added() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    // The neutral element, which accepts signatures that anybody can make, and no point at all.
    let weak = format!("01{}", "00".repeat(31));
    let none = format!("{}7f", "ff".repeat(31));
    for digits in [weak, none] {
        let add = format!("key add --ring ring.toml --name x --role root --public {digits}");
        let message = refused(directory, &add);
        assert!(
            message.contains("a public key that nobody can hold"),
            "{message}"
        );
    }
    assert!(!directory.join("ring.toml").exists());
    let message = refused(
        directory,
        "key add --ring ring.toml --name x --role root --public nowhere.pub",
    );
    assert!(
        message.starts_with("nowhere.pub: cannot read the key"),
        "{message}"
    );
}

#[test]
fn thresholds_are_changed_and_comments_stay() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring ring.toml --name alice");
    let before = fs::read_to_string(directory.join("ring.toml")).unwrap();
    let said = done(directory, "key threshold --ring ring.toml --release 2");
    assert!(
        said.contains("release threshold 2, root threshold 1"),
        "{said}"
    );
    assert!(
        said.contains("not complete yet: release_threshold"),
        "{said}"
    );
    let after = fs::read_to_string(directory.join("ring.toml")).unwrap();
    let expected = before.replace("release_threshold = 1", "release_threshold = 2");
    assert_eq!(after, expected);
    let message = refused(directory, "key threshold --ring ring.toml --root 9");
    assert!(
        message.contains("root_threshold: found 9, expected 1 to 8"),
        "{message}"
    );
    assert_eq!(
        fs::read_to_string(directory.join("ring.toml")).unwrap(),
        after
    );
    let nothing = bistable(directory, "key threshold --ring ring.toml");
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn an_encrypted_key_is_opened_by_its_passphrase_alone() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("right"), "correct horse\nnot this\n").unwrap();
    fs::write(directory.join("wrong"), "battery staple\n").unwrap();
    fs::write(directory.join("empty"), "\n").unwrap();
    let new = "key new --ring ring.toml --name alice --encrypt --passphrase-file";
    assert!(refused(directory, &format!("{new} empty")).contains("an empty first line"));
    let said = done(directory, &format!("{new} right"));
    assert!(said.contains("alice.pem (encrypted)"), "{said}");
    let pem = fs::read_to_string(directory.join("alice.pem")).unwrap();
    assert!(
        pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
        "{pem}"
    );
    let id = Ring::read(&directory.join("ring.toml")).unwrap().keys[0]
        .key
        .id
        .to_string();
    let shown = done(directory, "key show alice.pem --passphrase-file right");
    assert!(shown.contains(&id), "{shown}");
    let both = "key show alice.pem --passphrase-file wrong --passphrase-file right";
    assert_eq!(done(directory, both), shown);
    let message = refused(directory, "key show alice.pem --passphrase-file wrong");
    assert!(
        message.contains("that another passphrase opens"),
        "{message}"
    );
    assert!(
        message.contains("the key's passphrase in wrong"),
        "{message}"
    );
    let message = refused(directory, "key show alice.pem");
    assert!(message.contains("this is no terminal"), "{message}");
    assert!(message.contains("--passphrase-file"), "{message}");
}

#[test]
fn an_encryption_without_anybody_to_ask_makes_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let message = refused(directory, "key new --ring ring.toml --name alice --encrypt");
    assert!(message.contains("this is no terminal"), "{message}");
    assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
}

#[test]
fn force_replaces_a_key_that_no_ring_lists_and_says_whose_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring old.toml --name alice");
    let old = SigningKey::read(&directory.join("alice.pem")).unwrap().id();
    let said = done(directory, "key new --ring new.toml --name alice --force");
    assert!(
        said.contains(&format!("gone:    the private key {old}")),
        "{said}"
    );
    let new = SigningKey::read(&directory.join("alice.pem")).unwrap().id();
    assert_ne!(old, new);
    fs::write(directory.join("bob.pem"), "notes\n").unwrap();
    let said = done(
        directory,
        "key new --ring new.toml --name bob --force --json",
    );
    let made: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(made["replaced"], "another file");
    let mode = fs::metadata(directory.join("bob.pem"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600, "the notes were open to others");
}

#[test]
fn force_never_takes_a_key_that_the_ring_lists_or_that_cannot_be_named() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring ring.toml --name alice");
    fs::write(directory.join("secret"), "correct horse").unwrap();
    done(
        directory,
        "key new --ring other.toml --name bob --encrypt --passphrase-file secret",
    );
    let keys = ["alice.pem", "bob.pem"];
    let before = keys.map(|name| fs::read(directory.join(name)).unwrap());
    let new = "key new --ring ring.toml --name carol --force --out";
    let message = refused(directory, &format!("{new} alice.pem"));
    assert!(
        message.contains("lists, as it does this one as `alice`"),
        "{message}"
    );
    let message = refused(directory, &format!("{new} bob.pem"));
    assert!(
        message.contains("a private key that is encrypted"),
        "{message}"
    );
    assert!(before == keys.map(|name| fs::read(directory.join(name)).unwrap()));
    assert_eq!(
        Ring::read(&directory.join("ring.toml")).unwrap().keys.len(),
        1
    );
}

#[test]
fn force_never_takes_a_private_key_that_nobody_here_can_read() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring ring.toml --name alice");
    let pem = fs::read(directory.join("alice.pem")).unwrap();
    // A comment in Latin-1, as other tools write it.
    let commented = [b"friendlyName: J\xFCrgen\n".as_slice(), &pem].concat();
    fs::write(directory.join("alice.pem"), &commented).unwrap();
    for command in [
        "key new --ring other.toml --name bob --force --out alice.pem",
        "key export alice.pem --force --out alice.pem",
    ] {
        let said = refused(directory, command);
        assert!(said.contains("found a private key"), "{said}");
        assert_eq!(fs::read(directory.join("alice.pem")).unwrap(), commented);
    }
}

#[test]
fn a_forced_key_whose_ring_cannot_be_written_gives_the_old_one_back() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    done(directory, "key new --ring old.toml --name alice");
    let before = fs::read(directory.join("alice.pem")).unwrap();
    std::os::unix::fs::symlink("nowhere", directory.join("link")).unwrap();
    refused(
        directory,
        "key new --ring link/ring.toml --name a --out alice.pem --force",
    );
    assert_eq!(fs::read(directory.join("alice.pem")).unwrap(), before);
}

#[test]
fn a_pin_on_the_command_line_is_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let message = refused(
        directory.path(),
        "key show pkcs11:token=none;object=alice?pin-value=4711471147",
    );
    assert!(!message.contains("4711471147"), "{message}");
}

#[test]
fn wrong_usage_ends_with_status_2() {
    let directory = tempfile::tempdir().unwrap();
    let output = bistable(directory.path(), "key new --name alice");
    assert_eq!(output.status.code(), Some(2));
}
