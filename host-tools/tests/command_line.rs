//! What holds for every command: an example that is right, JSON that its schema describes, no noise.

mod bench;

use std::io::Read as _;
use std::process::{Command, Stdio};

use bench::Bench;
use bistable_tools::{cli, schemas};
use serde_json::Value;

/// The commands that do something, with the words that lead there.
fn commands() -> Vec<(String, clap::Command)> {
    fn below(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        let mut last = true;
        for command in command.get_subcommands() {
            last = false;
            below(command, &format!("{path} {}", command.get_name()), found);
        }
        if last {
            found.push((path.into(), command.clone()));
        }
    }
    let mut found = Vec::new();
    below(&cli::command(), "bistable", &mut found);
    found
}

#[test]
fn every_command_has_an_example_that_is_right() {
    let mut wrong = Vec::new();
    for (path, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let examples: Vec<_> = help
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .collect();
        if examples.is_empty() {
            wrong.push(format!("{path}: no example"));
        }
        for example in examples {
            if !example.starts_with(&path) {
                wrong.push(format!("{path}: `{example}` is of another command"));
            }
            // What comes behind is the shell's.
            let own = example.split(['>', '|']).next().unwrap();
            let words = shlex::split(own).unwrap();
            if let Err(error) = cli::command().try_get_matches_from(words) {
                wrong.push(format!("{path}: `{example}`: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_document_names_a_schema_that_it_is_valid_by() {
    let bench = Bench::new();
    let output = bench.bistable(&["--json", "key", "show", "ring.toml"]);
    assert_eq!(valid_format(&output.stdout), "key-show/1");
    // The option may stand at the end, too.
    let again = bench.bistable(&["key", "show", "ring.toml", "--json"]);
    assert_eq!(output.stdout, again.stdout);
}

#[test]
fn a_failure_is_a_document_too_and_its_line_stays() {
    let bench = Bench::new();
    let output = bench.bistable(&["key", "show", "nothing.pem", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(valid_format(&output.stdout), "failure/1");
    let line = String::from_utf8(output.stderr).unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = document["error"].as_str().unwrap();
    assert_eq!(line, format!("error: {error}\n"));
}

/// The format of the document in `bytes`, which must be valid by its schema.
fn valid_format(bytes: &[u8]) -> String {
    let document: Value = serde_json::from_slice(bytes).unwrap();
    let format = document["format"].as_str().unwrap();
    let all = schemas::all();
    let (_, schema) = all.iter().find(|(name, _)| *name == format).unwrap();
    let schema = serde_json::to_value(schema).unwrap();
    let problems: Vec<_> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&document)
        .map(|problem| problem.to_string())
        .collect();
    assert!(problems.is_empty(), "{format}: {}", problems.join("; "));
    format.into()
}

#[test]
fn who_closes_the_pipe_has_read_enough() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_bistable"))
        .args(["completions", "bash"]) // more than a pipe holds
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    let mut stdout = process.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.succeeds(&["completions", shell]);
        for (path, _) in commands() {
            let name = path.rsplit(' ').next().unwrap();
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
}

#[test]
fn every_command_has_a_page_of_the_manual_with_its_example() {
    let bench = Bench::new();
    let said = bench.succeeds(&["man", "man1", "--json"]);
    assert_eq!(valid_format(said.as_bytes()), "man/1");
    for (path, command) in commands() {
        let name = path.replace(' ', "-");
        let page = std::fs::read_to_string(bench.path(&format!("man1/{name}.1"))).unwrap();
        assert!(page.contains("Example:"), "{name}");
        for option in command.get_arguments().filter_map(|it| it.get_long()) {
            let option = option.replace('-', "\\-");
            assert!(page.contains(&option), "{name}: --{option}");
        }
    }
}

#[test]
fn a_schema_is_printed_as_the_documentation_has_it() {
    let bench = Bench::new();
    let names = bench.succeeds(&["schema"]);
    assert_eq!(names.lines().count(), schemas::all().len());
    for (format, schema) in schemas::all() {
        assert!(names.lines().any(|line| line == format));
        assert_eq!(bench.succeeds(&["schema", format]), schemas::text(&schema));
    }
    let said = bench.fails(&["schema", "key-show/0"]);
    assert!(said.contains("found `key-show/0`, expected"), "{said}");
}
