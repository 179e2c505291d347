//! `bistable request`: what is written is obeyed, what nobody would obey is not written.

mod bench;

use std::fs;

use bench::{Arguments, Bench, read};
use bistable_core::digest::Digest;
use bistable_core::keys::Revoked;
use bistable_core::request::{Fields, Order, REQUEST_LEN, Request};
use bistable_core::state::Reason;

const UNIT: &str = "BST-000042";

/// The name of the image to leave.
fn leave() -> Digest {
    Digest::of(b"the image to leave")
}

/// `request roll-back` with these arguments besides those that each one needs, or instead of them.
fn roll_back(more: &[&str]) -> Arguments {
    let leave = leave().to_string();
    let mut arguments = vec!["request", "roll-back", "--layout", "layout.toml"];
    for (name, value) in [
        ("--unit", UNIT),
        ("--leave", &leave),
        ("--number", "7"),
        ("--out", "back.req"),
    ] {
        if !more.contains(&name) {
            arguments.extend([name, value]);
        }
    }
    arguments.extend(more);
    Arguments(arguments.into_iter().map(str::to_owned).collect())
}

const SHOW: [&str; 5] = ["request", "show", "back.req", "--layout", "layout.toml"];

/// What a unit with the bench's ring says of the request.
fn order(bench: &Bench) -> Order {
    let bytes = read(&bench.path("back.req"));
    let request = Request::new_checked(&bytes).unwrap();
    let facts = bench.facts();
    let verdict = request.authenticate(&facts.key_ring(), Revoked::default());
    verdict.unwrap()
}

fn root_key(bench: &Bench, name: &str) {
    let new = ["key", "new", "--ring", "ring.toml", "--development"];
    bench.succeeds(&[&new[..], &["--role", "root", "--name", name]].concat());
}

/// A bench whose ring asks for two release keys, `dev` and `second`.
fn bench_of_two() -> Bench {
    let bench = Bench::new();
    bench.make_key("second");
    bench.edit(
        "ring.toml",
        "release_threshold = 1",
        "release_threshold = 2",
    );
    bench
}

// ---- What is written ----

#[test]
fn what_is_written_is_obeyed_by_the_unit_that_it_names() {
    let bench = Bench::new();
    bench.succeeds(&roll_back(&["--key", "dev.pem"]).as_strs());
    let asked = Fields {
        unit: UNIT,
        leave: leave(),
        number: 7,
    };
    let order = order(&bench);
    assert_eq!(order.message().fields(), asked);
    assert_eq!(order.reason(), Reason::OnOrder(7));
    assert_eq!(read(&bench.path("back.req")).len(), REQUEST_LEN);
}

#[test]
fn as_many_keys_sign_as_are_given() {
    let bench = bench_of_two();
    let keys = ["--key", "second.pem", "--key", "dev.pem"];
    let said = bench.succeeds(&roll_back(&keys).as_strs());
    let signed = said.lines().find(|line| line.starts_with("signed"));
    let signed = signed.unwrap();
    assert!(signed.starts_with("signed    release 2 of 2 ("), "{signed}");
    assert!(signed.contains("dev") && signed.contains("second"));
    order(&bench);
}

#[test]
fn the_same_inputs_give_the_same_file() {
    let bench = bench_of_two();
    let written = |more: &[&str]| {
        bench.succeeds(&roll_back(more).as_strs());
        read(&bench.path("back.req"))
    };
    let keys = ["--key", "dev.pem", "--key", "second.pem"];
    let first = written(&keys);
    assert_eq!(first, written(&keys));
    let reversed = ["--key", "second.pem", "--key", "dev.pem"];
    assert_eq!(first, written(&reversed));
    let large = leave().to_string().to_uppercase();
    assert_eq!(first, written(&[&keys[..], &["--leave", &large]].concat()));
    for other in [["--number", "8"], ["--unit", "BST-000043"]] {
        assert_ne!(first, written(&[&keys[..], &other].concat()));
    }
}

#[test]
fn the_file_can_be_named_in_short_and_is_replaced_as_a_whole() {
    let bench = Bench::new();
    fs::write(bench.path("back.req"), "what was here before").unwrap();
    let arguments = roll_back(&["--key", "dev.pem"]);
    let mut arguments = arguments.as_strs();
    let out = arguments.iter().position(|it| *it == "--out").unwrap();
    arguments[out] = "-o";
    bench.succeeds(&arguments);
    order(&bench);
}

// ---- What is not written ----

/// The line that says why no request was made.
fn refused(bench: &Bench, more: &[&str]) -> String {
    fs::write(bench.path("back.req"), "what was here before").unwrap();
    bench.fails(&roll_back(more).as_strs())
}

#[test]
fn a_key_that_is_not_in_the_ring_is_refused() {
    let bench = Bench::new();
    bench.make_stranger();
    let said = refused(&bench, &["--key", "dev.pem", "--key", "stranger.pem"]);
    let expected = "error: stranger.pem: found the private key ";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("expected a key of the ring"), "{said}");
}

#[test]
fn a_key_that_is_no_release_key_is_refused() {
    let bench = Bench::new();
    root_key(&bench, "vault");
    for keys in [
        &["--key", "vault.pem"][..],
        &["--key", "dev.pem", "--key", "vault.pem"],
    ] {
        let said = refused(&bench, keys);
        let expected = "error: vault.pem: found the private key ";
        assert!(said.starts_with(expected), "{said}");
        assert!(said.contains("which is no release key"), "{said}");
        assert!(said.contains("expected a release key of the ring"));
    }
}

#[test]
fn fewer_keys_than_the_threshold_are_refused() {
    let bench = Bench::new();
    let said = refused(&bench, &[]);
    assert!(
        said.starts_with("error: --key: found signatures for release 0 of 1 (not signed)"),
        "{said}"
    );
    assert!(said.contains("expected as many release keys of "));

    let bench = bench_of_two();
    let said = refused(&bench, &["--key", "dev.pem"]);
    let expected = "release 1 of 2 (dev), refused as B011 TooFewReleaseSignatures";
    assert!(said.contains(expected), "{said}");
    assert!(said.contains("make it with more keys"), "{said}");
}

#[test]
fn a_key_that_is_given_twice_is_refused() {
    let bench = bench_of_two();
    fs::copy(bench.path("dev.pem"), bench.path("copy.pem")).unwrap();
    let said = refused(&bench, &["--key", "dev.pem", "--key", "copy.pem"]);
    assert!(said.starts_with("error: copy.pem: found"), "{said}");
    assert!(said.contains("a second time"), "{said}");
    assert!(said.contains("dev.pem has it"), "{said}");
}

#[test]
fn nine_keys_are_refused_and_eight_are_not() {
    let bench = Bench::new();
    let names: Vec<String> = (2..=9).map(|number| format!("key-{number}")).collect();
    names.iter().for_each(|name| bench.make_key(name));
    let files: Vec<String> = names.iter().map(|name| format!("{name}.pem")).collect();
    let keys: Vec<&str> = files.iter().flat_map(|file| ["--key", file]).collect();
    let said = refused(&bench, &[&keys[..], &["--key", "dev.pem"]].concat());
    assert!(
        said.starts_with("error: --key: found 9 keys, expected at most 8"),
        "{said}"
    );
    bench.succeeds(&roll_back(&keys).as_strs());
    order(&bench);
}

#[test]
fn a_serial_number_and_a_digest_that_are_none_are_refused() {
    let bench = Bench::new();
    let long = "x".repeat(33);
    for (unit, found) in [("", "0 bytes"), (&long, "33 bytes")] {
        let said = refused(&bench, &["--key", "dev.pem", "--unit", unit]);
        let expected = format!("error: --unit: found {found}, expected 1 to 32 bytes");
        assert!(said.starts_with(&expected), "{said}");
    }
    let whole = leave().to_string();
    let (short, more) = (&whole[..8], format!("{whole}00"));
    for leave in ["", short, &more, &whole.replace('a', "g")] {
        let said = refused(&bench, &["--key", "dev.pem", "--leave", leave]);
        let expected = format!("error: --leave: found `{leave}`, expected the name of an image");
        assert!(said.starts_with(&expected), "{said}");
    }
    for more in [["--number", "256"], ["--number", "-1"]] {
        let arguments = roll_back(&[&more[..], &["--key", "dev.pem"]].concat());
        let output = bench.bistable(&arguments.as_strs());
        assert_eq!(output.status.code(), Some(2), "{more:?}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_said() {
    let bench = Bench::new();
    let more = ["--key", "dev.pem", "--out", "nowhere/back.req"];
    let said = refused(&bench, &more);
    let expected = "error: nowhere/back.req: cannot write the request";
    assert!(said.starts_with(expected), "{said}");
}

// ---- What is shown ----

#[test]
fn show_says_what_is_asked_of_whom_and_who_signed() {
    let bench = Bench::new();
    let made = bench.succeeds(&roll_back(&["--key", "dev.pem"]).as_strs());
    let said = bench.succeeds(&SHOW);
    assert_eq!(said, made, "as it was said when it was made");
    let dev = bench.facts().ring.keys[0].key.id;
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            format!("request   back.req ({REQUEST_LEN} bytes)"),
            format!("unit      {UNIT}"),
            format!("asks      to leave {} for the other image", leave()),
            "number    7".into(),
            format!("signature by {dev} (dev), valid"),
            "signed    release 1 of 1 (dev)".into(),
        ]
    );
}

/// What `show` prints of a request that is not obeyed, and the line that says so.
fn shown_and_refused(bench: &Bench) -> (String, String) {
    let output = bench.bistable(&SHOW);
    let line = bench.fails(&SHOW);
    (String::from_utf8(output.stdout).unwrap(), line)
}

#[test]
fn show_fails_if_the_threshold_is_not_met() {
    let bench = Bench::new();
    bench.make_key("second");
    bench.succeeds(&roll_back(&["--key", "dev.pem"]).as_strs());
    bench.edit(
        "ring.toml",
        "release_threshold = 1",
        "release_threshold = 2",
    );
    let (said, line) = shown_and_refused(&bench);
    assert!(said.contains("signed    release 1 of 2 (dev)"), "{said}");
    assert!(
        line.starts_with("error: back.req: found signatures for release 1 of 2 (dev)"),
        "{line}"
    );
    assert!(line.contains("expected as many release keys of "));
}

#[test]
fn show_fails_if_the_ring_knows_no_signer_or_only_as_root_key() {
    let bench = Bench::new();
    bench.succeeds(&roll_back(&["--key", "dev.pem"]).as_strs());
    let dev = bench.facts().ring.keys[0].key.id;
    bench.make_key("second");
    let ring = fs::read_to_string(bench.path("ring.toml")).unwrap();
    bench.edit(
        "ring.toml",
        "roles = [\"release\", \"root\"]",
        "roles = [\"root\"]",
    );
    // Both are root keys now; give the second one its role back.
    let text = fs::read_to_string(bench.path("ring.toml")).unwrap();
    let (first, second) = text.rsplit_once("[\"root\"]").unwrap();
    let text = format!("{first}[\"release\", \"root\"]{second}");
    fs::write(bench.path("ring.toml"), text).unwrap();
    let (said, line) = shown_and_refused(&bench);
    assert!(said.contains("signed    release 0 of 1 (dev)"), "{said}");
    assert!(line.contains("B011 TooFewReleaseSignatures"), "{line}");

    // A ring without `dev`.
    let (head, _) = ring.split_once("[[key]]").unwrap();
    let (_, second) = ring.rsplit_once("[[key]]").unwrap();
    fs::write(bench.path("ring.toml"), format!("{head}[[key]]{second}")).unwrap();
    let (said, line) = shown_and_refused(&bench);
    let unknown = format!("signature by {dev}, which the ring does not know");
    assert!(said.contains(&unknown), "{said}");
    assert!(line.contains("B011 TooFewReleaseSignatures"), "{line}");
}

#[test]
fn show_fails_if_what_is_asked_was_changed_after_it_was_signed() {
    let bench = Bench::new();
    bench.succeeds(&roll_back(&["--key", "dev.pem"]).as_strs());
    let mut bytes = read(&bench.path("back.req"));
    bytes[44] ^= 1;
    fs::write(bench.path("back.req"), &bytes).unwrap();
    let (said, line) = shown_and_refused(&bench);
    assert!(said.contains("(dev), INVALID"), "{said}");
    assert!(line.contains("refused as B010 BadSignature"), "{line}");
    assert!(line.contains("it was changed after it was signed"));
}

#[test]
fn what_is_no_request_is_refused_by_what_it_is() {
    let bench = Bench::new();
    bench.succeeds(&roll_back(&["--key", "dev.pem"]).as_strs());
    let sound = read(&bench.path("back.req"));
    let said = |bytes: &[u8]| {
        fs::write(bench.path("back.req"), bytes).unwrap();
        let (said, line) = shown_and_refused(&bench);
        assert_eq!(said, "", "nothing is said of it");
        line
    };
    let none = "bytes that are no request, expected a request, which is 624 bytes long";
    for len in [0, 1, 76, 623] {
        let expected = format!("error: back.req: found {len} {none}");
        assert!(said(&sound[..len]).starts_with(&expected));
    }
    let longer = said(&[sound.as_slice(), &[0]].concat());
    assert!(longer.starts_with(&format!("error: back.req: found 625 {none}")));
    let with = |at: usize, value: u8| {
        let mut bytes = sound.clone();
        bytes[at] = value;
        said(&bytes)
    };
    assert!(with(0, b'X').contains(none));
    assert!(with(4, 2).contains("refused as B002 UnknownFormat, expected format 1"));
    assert!(with(6, 2).contains("refused as B002 UnknownFormat, expected format 1"));
    assert!(with(9, 1).contains("refused as B003 NonZeroPadding"));
    assert!(with(623, 1).contains("the file is damaged"));
    let missing = bench.fails(&["request", "show", "no.req", "--layout", "layout.toml"]);
    assert!(missing.contains("no.req: cannot read the request"));
}

#[test]
fn a_serial_number_that_would_disturb_the_terminal_is_shown_escaped() {
    let bench = Bench::new();
    let more = ["--key", "dev.pem", "--unit", "A\u{1b}[2Jß\n"];
    let said = bench.succeeds(&roll_back(&more).as_strs());
    assert!(said.contains("unit      A\\u{1b}[2Jß\\n\n"), "{said}");
}
