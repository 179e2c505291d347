//! What the commands around keys say as JSON is what its schema says, and their examples are command lines.

mod bench;

use bench::Bench;
use bistable_tools::schemas;

const ROOMS: [&str; 3] = ["key", "image", "request"];

/// One call of each command that says one of these documents.
const COMMANDS: [(&str, &str); 12] = [
    (
        "key-new/1",
        "key new --ring ring.toml --name alice --role release --development",
    ),
    ("key-new/1", "key new --ring other.toml --name bob --force"),
    (
        "key-add/1",
        "key add --ring ring.toml --name bob --role root --public bob.pem",
    ),
    (
        "key-threshold/1",
        "key threshold --ring ring.toml --release 2 --root 2",
    ),
    ("key-show/1", "key show ring.toml"),
    ("image-manifest/1", "image manifest v1.img --text"),
    (
        "key-sign/1",
        "key sign v1.manifest --key alice.pem --ring ring.toml --yes --out a.sig",
    ),
    (
        "image-attach/1",
        "image attach v1.img a.sig --layout layout.toml",
    ),
    ("image-sign/1", "image sign v1.img --key bob.pem"),
    (
        "request/1",
        "request roll-back --layout layout.toml --unit U --number 1 --key dev.pem --key alice.pem --out r \
         --leave d87fbe18f5bd226e69296e6c5a6b4c7b78c37f1793a3bcfa5665f5994ecabde3",
    ),
    ("request/1", "request show r --layout layout.toml"),
    ("failure/1", "key sign nothing --key alice.pem --yes --text"),
];

#[test]
fn each_document_is_valid_by_its_schema() {
    let bench = Bench::new();
    bench.link(1);
    let revoke = ["--revoke", "dev", "--key", "dev.pem"];
    bench.succeeds(&bench::build("v1.img", 1, &revoke).as_strs());
    bench.succeeds(&["image", "manifest", "v1.img", "--out", "v1.manifest"]);
    for (format, command) in COMMANDS {
        let mut arguments: Vec<_> = command.split_whitespace().collect();
        arguments.push("--json");
        let output = bench.bistable(&arguments);
        let expected = i32::from(format == "failure/1");
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{command}: {output:?}"
        );
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut all = schemas::all().into_iter();
        let (_, schema) = all.find(|(name, _)| *name == format).unwrap();
        let schema = serde_json::to_value(schema).unwrap();
        if let Err(error) = jsonschema::validate(&schema, &document) {
            panic!("{command}: {error} in {document}");
        }
    }
}

#[test]
fn each_example_is_a_command_line() {
    let all = bistable_tools::cli::command();
    let mut examples = 0;
    for room in ROOMS {
        for command in all.find_subcommand(room).unwrap().get_subcommands() {
            let Some(help) = command.get_after_help() else {
                continue;
            };
            let help = help.to_string();
            let lines = help.lines().map(str::trim);
            for line in lines.filter(|line| line.starts_with("bistable ")) {
                let words = shlex::split(line).unwrap();
                let parsed = all.clone().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                let path = format!("bistable {room} {} ", command.get_name());
                assert!(line.starts_with(&path), "{line} is no example of {path}");
                examples += 1;
            }
        }
    }
    assert!(examples >= 10, "{examples} examples");
}
